/** Counts what happened in a world, so that a test can ask whether its faults were faults at all. */

export const HAPPENINGS = [
  'process killed',
  'request lost',
  'answer lost',
  'request arrived twice',
  'conflict',
  'decided already',
  'answered by its key',
  'report known already',
] as const;
export type Happening = (typeof HAPPENINGS)[number];

export type Happened = Readonly<Partial<Record<Happening, number>>>;

export interface Counter {
  readonly note: (happening: Happening) => void;
  readonly counts: () => Happened;
}

export function openCounter(): Counter {
  const counts: Partial<Record<Happening, number>> = {};
  return {
    note(happening) {
      counts[happening] = (counts[happening] ?? 0) + 1;
    },
    counts: () => counts,
  };
}

export function addUp(left: Happened, right: Happened): Happened {
  return Object.fromEntries(HAPPENINGS.map((happening) => [happening, (left[happening] ?? 0) + (right[happening] ?? 0)]));
}
