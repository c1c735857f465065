/** What SDKs report: `summary` events count exposures, custom events of ours say how requests ended, with latencies and scores. */
import type { JsonValue } from '@understudy/core/flags/context';
import type { Flag } from '@understudy/core/flags/flag';
import { z } from 'zod';
import type { FlagOutcome } from '../flag-world.ts';
import type { Attribution } from './attribution.ts';
import { type Metric, openTally, type Tally } from './outcome-tally.ts';

/** The outcomes of one batch, and the events of ours that could not be used. */
export interface EventReading {
  readonly outcomes: readonly FlagOutcome[];
  /** By what is wrong with them. */
  readonly refused: ReadonlyMap<string, number>;
}

export interface EventWorld {
  readonly flags: readonly Flag[];
  readonly attribution: Attribution;
}

const Summary = z.object({
  kind: z.literal('summary'),
  features: z.record(z.string(), z.object({ counters: z.array(z.unknown()) })),
});

/** Without a variation the caller's own default was given. */
const Counter = z.object({ value: z.unknown(), variation: z.int().nonnegative(), count: z.int().positive() });

const Custom = z.object({
  kind: z.literal('custom'),
  key: z.string().startsWith('understudy.'),
  metricValue: z.number().nullish(),
  data: z.unknown().optional(),
});

const Decided = z.object({ flag: z.string(), variant: z.string().nullish() });

const SCORE = /^understudy\.score\.([\w.-]{1,63})$/;

/** Reads what it knows and steps over everything else. */
export function readOutcomes(
  events: readonly JsonValue[],
  { flags, attribution }: EventWorld,
  stamp: Pick<FlagOutcome, 'batch' | 'atMs'>,
): EventReading {
  const tally = openTally();
  const refused = new Map<string, number>();
  const refuse = (problem: string): void => void refused.set(problem, (refused.get(problem) ?? 0) + 1);
  const flagsByKey = new Map(flags.map((flag) => [flag.key, flag]));
  for (const event of events) {
    const summary = Summary.safeParse(event);
    if (summary.success) {
      for (const [key, { counters }] of Object.entries(summary.data.features)) addExposures(tally, flagsByKey.get(key), counters);
      continue;
    }
    const custom = Custom.safeParse(event);
    if (!custom.success) continue;
    const metric = metricOf(custom.data);
    if (typeof metric === 'string') {
      refuse(metric);
      continue;
    }
    const decided = decidedBy(custom.data.data, { flags: flagsByKey, attribution, event });
    if (typeof decided === 'string') refuse(decided);
    else for (const { flag, variant } of decided) tally.add({ flag, variant }, metric);
  }
  return { outcomes: tally.outcomes(stamp), refused };
}

function addExposures(tally: Tally, flag: Flag | undefined, counters: readonly unknown[]): void {
  if (flag === undefined) return;
  for (const candidate of counters) {
    const counter = Counter.safeParse(candidate);
    if (!counter.success) continue;
    const { value, variation, count } = counter.data;
    const variant = variantOf(flag, variation, JSON.stringify(value));
    if (variant !== undefined) tally.add({ flag: flag.key, variant }, { type: 'exposures', count });
  }
}

/** The number may be that of an older edition, in which another variant stood there: the value decides. */
function variantOf({ variants }: Flag, variation: number, value: string): string | undefined {
  const hasValue = (variant: Flag['variants'][number] | undefined): boolean => JSON.stringify(variant?.value) === value;
  const there = variants[variation];
  return hasValue(there) ? there?.name : variants.find(hasValue)?.name;
}

const KNOWN = 'understudy.success, understudy.error, understudy.latency_ms and understudy.score.<name>';

/** @returns a sentence when the event says nothing that can be counted */
function metricOf({ key, metricValue }: z.infer<typeof Custom>): Metric | string {
  const value = metricValue ?? undefined;
  const score = SCORE.exec(key)?.[1];
  const isLatency = value === undefined || value >= 0;
  if (key === 'understudy.success' || key === 'understudy.error') {
    return isLatency ? { type: 'request', isError: key === 'understudy.error', ms: value } : BAD_LATENCY;
  }
  if (key !== 'understudy.latency_ms' && score === undefined) return `"${key.slice(0, 100)}" is none of ${KNOWN}`;
  if (value === undefined) return `"${key}" needs a metric value`;
  if (score === undefined) return isLatency ? { type: 'latency', ms: value } : BAD_LATENCY;
  return value >= 0 && value <= 1 ? { type: 'score', name: score, value } : 'a score lies in [0, 1]';
}

const BAD_LATENCY = 'a latency is a number of milliseconds from 0 on';

interface Decision {
  readonly flag: string;
  readonly variant: string;
}

interface DecisionSources {
  readonly flags: ReadonlyMap<string, Flag>;
  readonly attribution: Attribution;
  readonly event: JsonValue;
}

/** What the event says decided its request, or else what the SDK must have answered for its context. */
function decidedBy(data: unknown, { flags, attribution, event }: DecisionSources): readonly Decision[] | string {
  const said = Decided.safeParse(data);
  if (!said.success) {
    const decided = attribution.ofVersions(event);
    return decided.length > 0 ? decided : 'it names no flag and variant, and no version flag answers for its context';
  }
  const { flag: key, variant } = said.data;
  const flag = flags.get(key);
  if (flag === undefined) return `there is no flag "${key.slice(0, 100)}"`;
  const name = variant ?? attribution.of(key, event);
  if (name === undefined) return `the variant of "${key}" cannot be told from its context`;
  if (!flag.variants.some((candidate) => candidate.name === name)) return `"${key}" has no variant "${name.slice(0, 100)}"`;
  return [{ flag: key, variant: name }];
}
