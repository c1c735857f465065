/** What flags and segments refer to, and which of these references lead nowhere or in a circle. Commands refuse documents by it. */
import type { Condition } from './condition.ts';
import type { DocumentProblem, FlagDocuments } from './evaluator.ts';
import type { Flag } from './flag.ts';
import type { Segment } from './segment.ts';

/** The keys of the segments that a flag's rules ask for, each once. */
export function segmentsOfFlag({ rules }: Flag): readonly string[] {
  return [...new Set(rules.flatMap(({ all }) => all.flatMap(segmentsOf)))];
}

/** The keys of the segments that a segment is made of, each once. */
export function segmentsOfSegment({ rules }: Segment): readonly string[] {
  return [...new Set(rules.flatMap(({ all }) => all.flatMap(segmentsOf)))];
}

/** The keys of the flags that a flag depends on. */
export function prerequisitesOfFlag({ prerequisites }: Flag): readonly string[] {
  return [...new Set(prerequisites.map(({ flag }) => flag))];
}

function segmentsOf(condition: Condition): readonly string[] {
  switch (condition.type) {
    case 'segment':
      return condition.segments;
    case 'all':
    case 'any':
    case 'none':
      return condition.of.flatMap(segmentsOf);
    case 'attribute':
    case 'share':
    case 'time':
      return [];
  }
}

/** Unknown segments, unknown prerequisites and variants, and circles. The evaluator copes with all of them; nobody means them. */
export function referenceProblems({ flags, segments }: FlagDocuments): readonly DocumentProblem[] {
  const flagOf = new Map(flags.map((flag) => [flag.key, flag]));
  const segmentOf = new Map(segments.map((segment) => [segment.key, segment]));
  const flagCircle = circles(new Map(flags.map((flag) => [flag.key, prerequisitesOfFlag(flag)])));
  const segmentCircle = circles(new Map(segments.map((segment) => [segment.key, segmentsOfSegment(segment)])));
  const unknownIn = (keys: readonly string[]) =>
    keys.filter((key) => !segmentOf.has(key)).map((key) => `there is no segment "${key}"`);
  return [
    ...segments.flatMap((segment) => {
      const problems = [...unknownIn(segmentsOfSegment(segment)), ...circleWords(segmentCircle.get(segment.key))];
      return problems.map((problem) => ({ where: `segment "${segment.key}"`, problem }));
    }),
    ...flags.flatMap((flag) => {
      const problems = [
        ...unknownIn(segmentsOfFlag(flag)),
        ...flag.prerequisites.flatMap((prerequisite) => prerequisiteProblems(prerequisite, flagOf.get(prerequisite.flag))),
        ...circleWords(flagCircle.get(flag.key)),
      ];
      return problems.map((problem) => ({ where: `flag "${flag.key}"`, problem }));
    }),
  ];
}

function prerequisiteProblems(prerequisite: Flag['prerequisites'][number], parent: Flag | undefined): readonly string[] {
  if (parent === undefined) return [`there is no flag "${prerequisite.flag}", which is its prerequisite`];
  if (!('variants' in prerequisite)) return [];
  const names = parent.variants.map(({ name }) => name);
  return prerequisite.variants
    .filter((name) => !names.includes(name))
    .map((name) => `its prerequisite "${parent.key}" has no variant "${name}"; it has ${names.join(', ')}`);
}

function circleWords(circle: readonly string[] | undefined): readonly string[] {
  return circle === undefined ? [] : [`it depends on itself: ${circle.map((key) => `"${key}"`).join(' → ')}`];
}

/** For each node on a circle the way around, beginning and ending with it. */
function circles(edges: ReadonlyMap<string, readonly string[]>): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, readonly string[]>();
  for (const start of edges.keys()) {
    const circle = wayBack(start, edges);
    if (circle !== undefined) found.set(start, circle);
  }
  return found;
}

/** The shortest way from a node back to itself. */
function wayBack(start: string, edges: ReadonlyMap<string, readonly string[]>): readonly string[] | undefined {
  const seen = new Set<string>();
  let ways: readonly (readonly string[])[] = [[start]];
  while (ways.length > 0) {
    const next: (readonly string[])[] = [];
    for (const way of ways) {
      for (const key of edges.get(way.at(-1) ?? '') ?? []) {
        if (key === start) return [...way, key];
        if (seen.has(key)) continue;
        seen.add(key);
        next.push([...way, key]);
      }
    }
    ways = next;
  }
  return undefined;
}
