/** What users got, counted against the true answers. The traffic thread fills it; stories and pages read its measure. */

/** What a model is asked, and so what a wrong answer is: another class than the true one, or a number off the scale. */
export type Task = { readonly kind: 'class' } | { readonly kind: 'number'; readonly scale: readonly [low: number, high: number] };

/** One request's end, as its user sees it. */
export type Answer =
  | {
      readonly kind: 'answered';
      readonly user: number;
      readonly atMs: number;
      /** Tells which of a user's answers was asked for later. */
      readonly order: number;
      readonly version: string;
      /** The challenger failed, and the champion answered. */
      readonly isRescued: boolean;
      readonly prediction: number;
      readonly truth: number;
    }
  | { readonly kind: 'failed'; readonly user: number; readonly atMs: number; readonly problem: string };

/** The moments of the first and the last of something. */
export interface Span {
  readonly firstMs: number;
  readonly lastMs: number;
}

/** What one version answered. */
export interface VersionMeasure {
  readonly answers: number;
  readonly users: number;
  readonly wrong: number;
  readonly wrongUsers: number;
  /** Sum of the distances to the truth. */
  readonly distance: number;
  readonly wrongSpan?: Span;
}

/** Everything since the last mark. */
export interface Measure {
  readonly mark: number;
  readonly sent: number;
  readonly skipped: number;
  readonly answers: number;
  readonly rescued: number;
  /** Requests that ended without a prediction. */
  readonly errors: number;
  readonly errorUsers: number;
  readonly errorSpan?: Span;
  /** Errors by what was answered. */
  readonly problems: Readonly<Record<string, number>>;
  readonly versions: Readonly<Record<string, VersionMeasure>>;
  /** Users by the versions they went between: `v1>v2`. Rescues are no moves. */
  readonly moves: Readonly<Record<string, number>>;
}

export interface Tracker {
  add(answer: Answer): void;
  addSent(sent: number, skipped: number): void;
  measure(): Measure;
}

/** The measure of nothing. */
export function emptyMeasure(mark: number): Measure {
  return { mark, sent: 0, skipped: 0, answers: 0, rescued: 0, errors: 0, errorUsers: 0, problems: {}, versions: {}, moves: {} };
}

/** Share of right answers, or mean distance to the truth; undefined without an answer. */
export function scoreOf(task: Task, version: VersionMeasure | undefined): number | undefined {
  if (version === undefined || version.answers === 0) return undefined;
  return task.kind === 'class' ? 1 - version.wrong / version.answers : version.distance / version.answers;
}

/** How many users went from one version to another. */
export function movesBetween(measure: Measure, from: string, to: string): number {
  return measure.moves[`${from}>${to}`] ?? 0;
}

/** Opens an empty tracker. Memory grows with users and versions, never with requests. */
export function openTracker(task: Task, mark: number): Tracker {
  const versions = new Map<string, VersionCounts>();
  const lastOf = new Map<number, { readonly version: string; readonly order: number }>();
  const moves = new Map<string, number>();
  const problems = new Map<string, number>();
  const errorUsers = new Set<number>();
  const total = { sent: 0, skipped: 0, answers: 0, rescued: 0, errors: 0 };
  let errorSpan: Span | undefined;

  function move(user: number, version: string, order: number): void {
    const last = lastOf.get(user);
    if (last !== undefined && last.order > order) return;
    if (last !== undefined && last.version !== version) increase(moves, `${last.version}>${version}`);
    lastOf.set(user, { version, order });
  }

  return {
    add(answer) {
      if (answer.kind === 'failed') {
        total.errors += 1;
        errorUsers.add(answer.user);
        errorSpan = widen(errorSpan, answer.atMs);
        increase(problems, answer.problem);
        return;
      }
      total.answers += 1;
      if (answer.isRescued) total.rescued += 1;
      else move(answer.user, answer.version, answer.order);
      const counts = versions.get(answer.version) ?? openVersionCounts(task);
      versions.set(answer.version, counts);
      counts.add(answer);
    },
    addSent(sent, skipped) {
      total.sent += sent;
      total.skipped += skipped;
    },
    measure: () => ({
      mark,
      ...total,
      errorUsers: errorUsers.size,
      ...(errorSpan === undefined ? {} : { errorSpan }),
      problems: Object.fromEntries(problems),
      versions: Object.fromEntries([...versions].map(([version, counts]) => [version, counts.measure()])),
      moves: Object.fromEntries(moves),
    }),
  };
}

interface VersionCounts {
  add(answer: Extract<Answer, { kind: 'answered' }>): void;
  measure(): VersionMeasure;
}

function openVersionCounts(task: Task): VersionCounts {
  const users = new Set<number>();
  const wrongUsers = new Set<number>();
  const total = { answers: 0, wrong: 0, distance: 0 };
  let wrongSpan: Span | undefined;
  return {
    add({ user, prediction, truth, atMs }) {
      total.answers += 1;
      total.distance += Math.abs(prediction - truth);
      users.add(user);
      if (!isWrong(task, prediction, truth)) return;
      total.wrong += 1;
      wrongUsers.add(user);
      wrongSpan = widen(wrongSpan, atMs);
    },
    measure: () => ({
      ...total,
      users: users.size,
      wrongUsers: wrongUsers.size,
      ...(wrongSpan === undefined ? {} : { wrongSpan }),
    }),
  };
}

function isWrong(task: Task, prediction: number, truth: number): boolean {
  if (task.kind === 'class') return prediction !== truth;
  const [low, high] = task.scale;
  return prediction < low || prediction > high;
}

function widen(span: Span | undefined, atMs: number): Span {
  if (span === undefined) return { firstMs: atMs, lastMs: atMs };
  return { firstMs: Math.min(span.firstMs, atMs), lastMs: Math.max(span.lastMs, atMs) };
}

function increase(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
