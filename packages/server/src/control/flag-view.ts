/** Flags and segments as the API shows them. */
import type { EvaluationView, FlagView, SegmentView } from '@understudy/contract/flag-views';
import type { DocumentProblem, FlagDocuments } from '@understudy/core/flags/evaluator';
import type { Explanation } from '@understudy/core/flags/explain';
import { dependantsOfFlag, documentsOf, type FlagLibrary, problemsIn, usersOfSegment } from '../commands/flag-library.ts';

/** What every view of one library is made with; computed once. */
interface Known {
  readonly documents: FlagDocuments;
  readonly problems: readonly DocumentProblem[];
}

function knownOf(library: FlagLibrary): Known {
  const documents = documentsOf(library);
  return { documents, problems: problemsIn(documents) };
}

/**
 * Flags that follow models first.
 * @param unjudged how often SDKs gave a version of a model and said of no request what came of it
 */
export function viewFlags(library: FlagLibrary, unjudged: (model: string) => number | undefined): FlagView[] {
  const known = knownOf(library);
  const models = new Map(library.following.map(({ flag, model, losses }) => [flag.key, { model, losses }]));
  const revisions = new Map(library.flags.map(({ id, revision }) => [id, revision]));
  return known.documents.flags.map((flag): FlagView => {
    const follows = models.get(flag.key);
    const exposures = follows === undefined ? undefined : unjudged(follows.model);
    const notes = [
      ...(follows?.losses ?? []).map(({ sentence }) => sentence),
      ...notesOn(known, `flag "${flag.key}"`),
      ...(exposures === undefined ? [] : [unjudgedNote(exposures)]),
    ];
    return {
      flag,
      revision: follows === undefined ? (revisions.get(flag.key) ?? 0) : 0,
      ...(follows === undefined ? {} : { follows: follows.model }),
      neededBy: [...dependantsOfFlag(known.documents, flag.key)],
      notes,
    };
  });
}

function unjudgedNote(exposures: number): string {
  const given = `SDKs have given it ${exposures} ${exposures === 1 ? 'time' : 'times'} since this process started`;
  return `${given} and said of no request how it ended: that is no evidence for its rollout; report outcomes (docs/observations.md)`;
}

export function viewSegments(library: FlagLibrary): SegmentView[] {
  const known = knownOf(library);
  return library.segments.map(({ body, revision }) => ({
    segment: body,
    revision,
    usedBy: [...usersOfSegment(known.documents, body.key)],
    notes: notesOn(known, `segment "${body.key}"`),
  }));
}

export function viewEvaluation({ evaluation, why }: Explanation): EvaluationView {
  const { value, variant, detail, ...rest } = evaluation;
  return {
    ...rest,
    ...(value === undefined ? {} : { value }),
    ...(variant === undefined ? {} : { variant }),
    detail: viewDetail(detail),
    why: [...why],
  };
}

function viewDetail(detail: Explanation['evaluation']['detail']): EvaluationView['detail'] {
  if (detail.kind !== 'rule') return detail;
  const { id, ...rest } = detail;
  return id === undefined ? rest : { ...rest, id };
}

function notesOn({ problems }: Known, place: string): string[] {
  return problems.filter(({ where }) => where === place).map(({ problem }) => problem);
}
