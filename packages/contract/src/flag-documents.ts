/** Schemas of flags and segments as people and the store write them. Unknown fields are refused; messages say what to write instead. */
import { PROFILES, type Bucketing } from '@understudy/core/flags/bucketing-profile';
import { type Condition, OPERATORS } from '@understudy/core/flags/condition';
import type { AttributeReference, JsonValue } from '@understudy/core/flags/context';
import { compileReader } from '@understudy/core/flags/context';
import type { Flag, FlagType, Serve, Split } from '@understudy/core/flags/flag';
import type { Segment } from '@understudy/core/flags/segment';
import { BUCKET_COUNT } from '@understudy/core/bucketing';
import { z } from 'zod';

/** Keys come from other systems too, whose names may hold anything; they are never part of a file path. */
export const FlagKey = z.string().min(1, 'a key has at least one character').max(200, 'a key has at most 200 characters');
const VariantName = z.string().min(1, 'a variant has a name').max(200);
export const Kind = z.string().regex(/^[\w.-]{1,100}$/, 'a kind is made of letters, digits, ".", "_" and "-"');
const SubjectKey = z.string().min(1).max(1000);
const AtMs = z.number().nonnegative();
export const Json: z.ZodType<JsonValue> = z.json();

const Attribute = z
  .string()
  .max(500)
  .refine(
    (attribute) => compileReader({ attribute }) !== undefined,
    'write the name of an attribute, or a path such as "/address/city" in which "~1" is a slash and "~0" a tilde',
  );

const Reference: z.ZodType<AttributeReference> = z.strictObject({ kind: Kind.exactOptional(), attribute: Attribute });

const BucketingSchema: z.ZodType<Bucketing> = z.strictObject({
  profile: z.enum(PROFILES),
  salt: z.string().max(300),
  by: z.array(Reference).max(10).exactOptional(),
  prefix: z.string().max(300).exactOptional(),
  whenMissing: z.enum(['first', 'none', 'random']).exactOptional(),
});

const AttributeConditionSchema = z.strictObject({
  type: z.literal('attribute'),
  kind: Kind.exactOptional(),
  attribute: Attribute,
  operator: z.enum(OPERATORS),
  values: z.array(Json).max(10_000),
  not: z.boolean().exactOptional(),
  ifMissing: z.boolean().exactOptional(),
  ignoreCase: z.boolean().exactOptional(),
  compare: z.enum(['typed', 'text', 'cast']).exactOptional(),
});

const SegmentConditionSchema = z.strictObject({
  type: z.literal('segment'),
  segments: z.array(FlagKey).min(1, 'name at least one segment').max(100),
  not: z.boolean().exactOptional(),
});

const ShareConditionSchema = z
  .strictObject({
    type: z.literal('share'),
    weight: z.number().nonnegative(),
    total: z.number().positive().exactOptional(),
    inclusive: z.boolean().exactOptional(),
    bucketing: BucketingSchema,
  })
  .refine(({ weight, total = BUCKET_COUNT }) => weight <= total, {
    path: ['weight'],
    message: `a share is at most its total, which is ${BUCKET_COUNT} unless "total" says otherwise`,
  });

const TimeConditionSchema = z.strictObject({
  type: z.literal('time'),
  is: z.enum(['before', 'after']),
  atMs: AtMs,
  not: z.boolean().exactOptional(),
});

const GroupSchema = z.strictObject({
  type: z.enum(['all', 'any', 'none']),
  get of() {
    return z.array(ConditionSchema).max(1000);
  },
});

const ConditionSchema: z.ZodType<Condition> = z.lazy(() =>
  z.discriminatedUnion('type', [
    AttributeConditionSchema,
    SegmentConditionSchema,
    ShareConditionSchema,
    TimeConditionSchema,
    GroupSchema,
  ]),
);

const SliceSchema = z.strictObject({
  variant: VariantName,
  weight: z.number().nonnegative(),
  untracked: z.boolean().exactOptional(),
});

const SplitSchema: z.ZodType<Split> = z
  .strictObject({
    slices: z.array(SliceSchema).min(1, 'a split has at least one slice').max(1000),
    total: z.number().positive().exactOptional(),
    bucketing: BucketingSchema.exactOptional(),
    experiment: z.boolean().exactOptional(),
  })
  .superRefine(({ slices, total = BUCKET_COUNT }, context) => {
    const sum = slices.reduce((before, { weight }) => before + weight, 0);
    // Imported percentages have fractions, whose sums are off by rounding.
    if (Math.abs(sum - total) <= total * 1e-9) return;
    const message = `the weights add up to ${sum}, not to ${total}; 1 % is ${total / 100}`;
    context.addIssue({ code: 'custom', path: ['slices'], message });
  });

const ServeSchema: z.ZodType<Serve> = z.union(
  [z.strictObject({ variant: VariantName }), z.strictObject({ split: SplitSchema })],
  {
    error: ({ input }) =>
      typeof input === 'object' && input !== null && ('variant' in input || 'split' in input)
        ? undefined
        : 'write {"variant": name} or {"split": {"slices": […]}}',
  },
);

const VariantSchema = z.strictObject({ name: VariantName, value: Json, enabled: z.boolean().exactOptional() });

const PrerequisiteSchema = z.union(
  [
    z.strictObject({ flag: FlagKey, variants: z.array(VariantName).min(1) }),
    z.strictObject({ flag: FlagKey, enabled: z.boolean() }),
  ],
  { error: 'write {"flag": key, "variants": [names]} or {"flag": key, "enabled": true}' },
);

const PinSchema = z.strictObject({
  variant: VariantName,
  kind: Kind.exactOptional(),
  keys: z.array(SubjectKey).max(100_000),
});

const ScheduleSchema = z
  .strictObject({ fromMs: AtMs.exactOptional(), untilMs: AtMs.exactOptional() })
  .refine(({ fromMs = 0, untilMs = Number.POSITIVE_INFINITY }) => fromMs < untilMs, 'a schedule ends after it begins');

const RuleSchema = z.strictObject({
  id: z.string().max(200).exactOptional(),
  all: z.array(ConditionSchema).max(1000),
  serve: ServeSchema,
});

const TYPES: readonly FlagType[] = ['boolean', 'string', 'number', 'json'];

/** A flag; every variant that it gives is one that it has, and every value is of its type. */
export const FlagSchema: z.ZodType<Flag> = z
  .strictObject({
    key: FlagKey,
    type: z.enum(TYPES),
    description: z.string().max(2000).exactOptional(),
    on: z.boolean(),
    offVariant: VariantName.exactOptional(),
    variants: z.array(VariantSchema).min(1, 'a flag has at least one variant').max(1000),
    schedule: ScheduleSchema.exactOptional(),
    prerequisites: z.array(PrerequisiteSchema).max(100),
    pins: z.array(PinSchema).max(1000),
    rules: z.array(RuleSchema).max(1000),
    fallthrough: ServeSchema,
    bucketing: BucketingSchema,
  })
  .superRefine((flag, context) => {
    for (const { path, message } of contradictionsIn(flag)) context.addIssue({ code: 'custom', path: [...path], message });
  });

interface Contradiction {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

function contradictionsIn(flag: Flag): readonly Contradiction[] {
  const names = flag.variants.map(({ name }) => name);
  const known = names.map((name) => `"${name}"`).join(', ');
  const given = [
    ...(flag.offVariant === undefined ? [] : [{ path: ['offVariant'], name: flag.offVariant }]),
    ...flag.pins.map(({ variant }, index) => ({ path: ['pins', index, 'variant'], name: variant })),
    ...flag.rules.flatMap(({ serve }, index) => namesIn(serve, ['rules', index, 'serve'])),
    ...namesIn(flag.fallthrough, ['fallthrough']),
  ];
  return [
    ...given
      .filter(({ name }) => !names.includes(name))
      .map(({ path, name }) => ({ path, message: `there is no variant "${name}"; the flag has ${known}` })),
    ...flag.variants.flatMap(({ name, value }, index): Contradiction[] => {
      const repeated = names.indexOf(name) < index;
      const mistyped = flag.type !== 'json' && typeof value !== flag.type;
      return [
        ...(repeated ? [{ path: ['variants', index, 'name'], message: `there are two variants called "${name}"` }] : []),
        ...(mistyped ? [{ path: ['variants', index, 'value'], message: `the flag's values are of type ${flag.type}` }] : []),
      ];
    }),
    ...flag.prerequisites.flatMap(({ flag: key }, index): Contradiction[] =>
      key === flag.key ? [{ path: ['prerequisites', index, 'flag'], message: 'a flag cannot be its own prerequisite' }] : [],
    ),
  ];
}

function namesIn(serve: Serve, path: readonly (string | number)[]) {
  if ('variant' in serve) return [{ path: [...path, 'variant'], name: serve.variant }];
  return serve.split.slices.map(({ variant }, index) => ({
    path: [...path, 'split', 'slices', index, 'variant'],
    name: variant,
  }));
}

const KeyListSchema = z.strictObject({ kind: Kind.exactOptional(), keys: z.array(SubjectKey).max(100_000) });

const SegmentRuleSchema = z.strictObject({
  id: z.string().max(200).exactOptional(),
  all: z.array(ConditionSchema).max(1000),
});

/** A segment. */
export const SegmentSchema: z.ZodType<Segment> = z.strictObject({
  key: FlagKey,
  name: z.string().max(200).exactOptional(),
  included: z.array(KeyListSchema).max(100),
  excluded: z.array(KeyListSchema).max(100),
  rules: z.array(SegmentRuleSchema).max(1000),
});
