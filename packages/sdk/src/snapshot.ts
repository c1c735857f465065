/** The documents that the SDK evaluates, read from what the server sent or a file held. Nothing unread is ever evaluated. */
import { PROFILES } from '@understudy/core/flags/bucketing-profile';
import { OPERATORS } from '@understudy/core/flags/condition';
import type { FlagDocuments } from '@understudy/core/flags/evaluator';
import { amount, byField, byTag, json, listOf, oneOf, record, type Shape, text, truth } from './shape.ts';

/** Every flag and segment of an environment at one revision. */
export interface Snapshot {
  readonly format: 1;
  readonly environment: string;
  readonly revision: number;
  readonly documents: FlagDocuments;
}

/** A snapshot, or why there is none. */
export type SnapshotReading =
  | { readonly outcome: 'read'; readonly snapshot: Snapshot }
  | { readonly outcome: 'invalid'; readonly problem: string };

/** Never throws. */
export function readSnapshot(body: string): SnapshotReading {
  try {
    const value: unknown = JSON.parse(body);
    const problem = snapshotShape(value, 'snapshot');
    if (problem !== undefined) return { outcome: 'invalid', problem };
    if (isSnapshot(value)) return { outcome: 'read', snapshot: value };
    return { outcome: 'invalid', problem: 'it is not a snapshot' };
  } catch (error) {
    return { outcome: 'invalid', problem: error instanceof Error ? error.message : String(error) };
  }
}

function isSnapshot(value: unknown): value is Snapshot {
  return snapshotShape(value, 'snapshot') === undefined;
}

const format: Shape = (value) =>
  value === 1
    ? undefined
    : `it is of the format ${JSON.stringify(value)}, and this SDK reads 1; a newer @understudy/sdk may read it`;

const reference = record({ attribute: text }, { kind: text });
const bucketing = record(
  { profile: oneOf(PROFILES), salt: text },
  { by: listOf(reference), prefix: text, whenMissing: oneOf(['first', 'none', 'random']) },
);

// A function, as conditions are made of conditions.
const condition: Shape = (value, where) => conditionShape(value, where);
const group = record({ of: listOf(condition) });
const conditionShape = byTag('type', {
  attribute: record(
    { attribute: text, operator: oneOf(OPERATORS), values: listOf(json) },
    { kind: text, not: truth, ifMissing: truth, ignoreCase: truth, compare: oneOf(['typed', 'text', 'cast']) },
  ),
  segment: record({ segments: listOf(text) }, { not: truth }),
  share: record({ weight: amount, bucketing }, { total: amount, inclusive: truth }),
  time: record({ is: oneOf(['before', 'after']), atMs: amount }, { not: truth }),
  all: group,
  any: group,
  none: group,
});

const slice = record({ variant: text, weight: amount }, { untracked: truth });
const split = record({ slices: listOf(slice) }, { total: amount, bucketing, experiment: truth });
const serve = byField('split', { present: record({ split }), absent: record({ variant: text }) });
const keys = record({ keys: listOf(text) }, { kind: text });

const flag = record(
  {
    key: text,
    type: oneOf(['boolean', 'string', 'number', 'json']),
    on: truth,
    variants: listOf(record({ name: text, value: json }, { enabled: truth })),
    prerequisites: listOf(
      byField('variants', {
        present: record({ flag: text, variants: listOf(text) }),
        absent: record({ flag: text, enabled: truth }),
      }),
    ),
    pins: listOf(record({ variant: text, keys: listOf(text) }, { kind: text })),
    rules: listOf(record({ all: listOf(condition), serve }, { id: text })),
    fallthrough: serve,
    bucketing,
  },
  { description: text, offVariant: text, schedule: record({}, { fromMs: amount, untilMs: amount }) },
);

const segment = record(
  { key: text, included: listOf(keys), excluded: listOf(keys), rules: listOf(record({ all: listOf(condition) }, { id: text })) },
  { name: text },
);

const snapshotShape = record({
  format,
  environment: text,
  revision: amount,
  documents: record({ flags: listOf(flag), segments: listOf(segment) }),
});
