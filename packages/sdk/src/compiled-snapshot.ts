/** A snapshot ready to be asked. It takes the place of the one before as a whole, and only when it could be made. */
import type { Evaluation, EvaluationDetail } from '@understudy/core/flags/evaluation';
import { compileFlags, type DocumentProblem } from '@understudy/core/flags/evaluator';
import { isKeyMissing } from '@understudy/core/flags/missing-key';
import { prerequisitesOfFlag, segmentsOfFlag, segmentsOfSegment } from '@understudy/core/flags/references';
import { failedAnswer, type RawAnswer } from './flag-values.ts';
import { compileRegex } from './linear-regex.ts';
import type { FeedPorts } from '@understudy/feed/ports';
import { type Snapshot, readSnapshot } from './snapshot.ts';
import { placeOf, readSubject, type Subject } from './subject.ts';

/** Flags that can be asked. */
export interface CompiledSnapshot {
  /** Names the content; the server tells by it whether there is anything newer. */
  readonly id: string;
  /** As it came. */
  readonly body: string;
  readonly snapshot: Snapshot;
  /** What will not do what its document says. */
  readonly problems: readonly DocumentProblem[];
  /** Never throws. */
  answer(flag: string, subject: Subject): RawAnswer;
}

/** A compiled snapshot, or why there is none. */
export type Compilation =
  | { readonly outcome: 'compiled'; readonly compiled: CompiledSnapshot }
  | { readonly outcome: 'invalid'; readonly problem: string };

/** Never throws. */
export function compileSnapshot(id: string, body: string, ports: Pick<FeedPorts, 'nowMs' | 'random'>): Compilation {
  const reading = readSnapshot(body);
  if (reading.outcome === 'invalid') return reading;
  try {
    return { outcome: 'compiled', compiled: compiledOf({ id, body, snapshot: reading.snapshot }, ports) };
  } catch (error) {
    return { outcome: 'invalid', problem: error instanceof Error ? error.message : String(error) };
  }
}

function compiledOf(
  source: Pick<CompiledSnapshot, 'id' | 'body' | 'snapshot'>,
  { nowMs, random }: Pick<FeedPorts, 'nowMs' | 'random'>,
): CompiledSnapshot {
  const { documents, environment, revision } = source.snapshot;
  const evaluator = compileFlags(documents, { compileRegex });
  const flags = new Map(documents.flags.map((flag) => [flag.key, flag]));
  const segments = new Map(documents.segments.map((segment) => [segment.key, segment]));
  const place = placeOf(environment);
  // What most questions need and nothing more: this is asked millions of times.
  const ask = (key: string, subject: Subject): RawAnswer => {
    const { context, key: subjectKey } = readSubject(subject, place);
    const circumstances = { atMs: nowMs(), random };
    const evaluation = evaluator.evaluate(key, context, circumstances);
    if (subjectKey === undefined) {
      const detailOf = (asked: string): EvaluationDetail => evaluator.evaluate(asked, context, circumstances).detail;
      if (isKeyMissing(key, { flags, segments, context, detailOf })) {
        const message = `flag "${key}" divides users by their key, and the subject has none`;
        return failedAnswer('TARGETING_KEY_MISSING', message, revision);
      }
    }
    return answerOf(evaluation, revision);
  };
  return {
    ...source,
    problems: evaluator.problems,
    answer(key, subject) {
      try {
        return ask(key, subject);
      } catch (error) {
        return failedAnswer('GENERAL', error instanceof Error ? error.message : String(error), revision);
      }
    },
  };
}

function answerOf({ value, variant, reason, detail }: Evaluation, revision: number): RawAnswer {
  if (detail.kind === 'error') return failedAnswer(detail.code, detail.message, revision);
  return { value, variant, reason, revision, errorCode: undefined, errorMessage: undefined };
}

/** The keys of flags whose answers may differ: their document, or one that it refers to, did change. */
export function changedFlags(before: Snapshot | undefined, after: Snapshot): readonly string[] {
  const segments = new Set(differing(before?.documents.segments ?? [], after.documents.segments));
  for (const segment of spread(after.documents.segments, segmentsOfSegment, segments)) segments.add(segment);
  const direct = new Set(differing(before?.documents.flags ?? [], after.documents.flags));
  for (const flag of after.documents.flags) if (segmentsOfFlag(flag).some((key) => segments.has(key))) direct.add(flag.key);
  return [...spread(after.documents.flags, prerequisitesOfFlag, direct)].toSorted((a, b) => (a < b ? -1 : 1));
}

interface Keyed {
  readonly key: string;
}

function differing(before: readonly Keyed[], after: readonly Keyed[]): readonly string[] {
  const texts = new Map(before.map((document) => [document.key, JSON.stringify(document)]));
  const changed = after.filter((document) => texts.get(document.key) !== JSON.stringify(document)).map(({ key }) => key);
  const kept = new Set(after.map(({ key }) => key));
  return [...changed, ...before.filter(({ key }) => !kept.has(key)).map(({ key }) => key)];
}

/** With all that refers to them, through others too. */
function spread<Document extends Keyed>(
  documents: readonly Document[],
  referencesOf: (document: Document) => readonly string[],
  from: ReadonlySet<string>,
): ReadonlySet<string> {
  const reached = new Set(from);
  for (let size = -1; size !== reached.size;) {
    size = reached.size;
    for (const document of documents) if (referencesOf(document).some((key) => reached.has(key))) reached.add(document.key);
  }
  return reached;
}
