/** What SDKs report: how often flags were asked, and impact metrics. A part that cannot be read is left out, never refused: SDKs stop reporting then. */
import { z } from 'zod';

const MOST = 1e12;
const Count = z.number().nonnegative().max(MOST);
const Counts = z.record(z.string(), z.unknown()).transform((counts) => {
  return new Map(Object.entries(counts).flatMap(([name, count]) => readable(Count, count).map((read) => [name, read] as const)));
});

const Toggle = z.object({
  yes: Count.catch(0),
  no: Count.catch(0),
  variants: Counts.catch(new Map()),
});

const Labels = z.record(z.string(), z.unknown()).transform((labels) => {
  const texts = Object.entries(labels).filter((entry): entry is [string, string] => typeof entry[1] === 'string');
  return new Map(texts);
});

// Infinity has no place in JSON: SDKs write it as a word, or what JSON makes of it.
const UpperBound = z.union([z.number(), z.string(), z.null()]).transform((le) => (typeof le === 'number' ? le : Infinity));

const NumberSample = z.object({ labels: Labels.catch(new Map()), value: Count });
const HistogramSample = z.object({
  labels: Labels.catch(new Map()),
  count: Count,
  sum: z.number(),
  buckets: z.array(z.object({ le: UpperBound, count: Count })).max(1000),
});

const Metric = z.discriminatedUnion('type', [
  z.object({ type: z.literal('counter'), name: z.string(), samples: samplesOf(NumberSample) }),
  z.object({ type: z.literal('histogram'), name: z.string(), samples: samplesOf(HistogramSample) }),
]);

const Report = z.object({
  appName: z.string().optional().catch(undefined),
  bucket: z
    .object({ toggles: z.record(z.string(), z.unknown()).catch({}) })
    .catch({ toggles: {} })
    .transform(({ toggles }) => {
      return new Map(
        Object.entries(toggles).flatMap(([flag, toggle]) => readable(Toggle, toggle).map((read) => [flag, read] as const)),
      );
    }),
  impactMetrics: samplesOf(Metric),
});

/** Answers of one flag: by variant where the SDK asked for it, else by whether it was on. */
export type ReportedToggle = z.infer<typeof Toggle>;

/** A histogram, its buckets cumulative. */
export type ReportedHistogram = z.infer<typeof HistogramSample>;

/** A counter or a histogram; gauges say nothing that could be added up and are left out. */
export type ReportedMetric = z.infer<typeof Metric>;

export interface MetricsReport {
  readonly appName?: string | undefined;
  readonly bucket: ReadonlyMap<string, ReportedToggle>;
  readonly impactMetrics: readonly ReportedMetric[];
}

/** @returns undefined for what is not an object */
export function readMetricsReport(json: unknown): MetricsReport | undefined {
  return Report.safeParse(json).data;
}

const Registration = z.object({
  appName: z.string().optional().catch(undefined),
  sdkVersion: z.string().optional().catch(undefined),
});

/** Who an SDK says it is, in the body of its registration. */
export function readRegistration(json: unknown): {
  readonly appName?: string | undefined;
  readonly sdkVersion?: string | undefined;
} {
  return Registration.safeParse(json).data ?? {};
}

function readable<Schema extends z.ZodType>(schema: Schema, value: unknown): readonly z.output<Schema>[] {
  const { data, success } = schema.safeParse(value);
  return success ? [data] : [];
}

/** The elements of a list that can be read. */
function samplesOf<Schema extends z.ZodType>(schema: Schema) {
  return z
    .array(z.unknown())
    .catch([])
    .transform((values) => values.flatMap((value) => readable(schema, value)));
}
