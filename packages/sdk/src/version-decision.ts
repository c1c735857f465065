/** Which version of a model serves a subject, remembered until what came of it can be reported. */
import { versionFlagKey } from '@understudy/core/flags/rollout-flags';
import type { EvaluationReason } from '@understudy/core/flags/evaluation';
import type { RawAnswer } from './flag-values.ts';
import type { Decided, OutcomeFacts } from './outcome.ts';
import type { Outcomes } from './outcomes.ts';
import type { TellProblem } from './problem.ts';
import { keyOfSubject, type Subject } from './subject.ts';

/** A version that was chosen. */
export interface VersionDecision {
  readonly model: string;
  /** What to serve with; the fallback when the flags cannot tell. */
  readonly version: string;
  readonly reason: EvaluationReason;
  /** Of the flags that decided; undefined when there were none. */
  readonly revision: number | undefined;
  /** Reports what came of the request. Call it once for each request; never throws. */
  report(facts: OutcomeFacts): void;
  /** Reports a score in [0, 1] that is known only after the request was reported; never throws. */
  score(name: string, value: number): void;
}

export interface DecisionPorts {
  readonly answer: (flag: string, subject: Subject) => RawAnswer;
  readonly outcomes: Outcomes | undefined;
  readonly tell: TellProblem;
  readonly nowMs: () => number;
}

export interface VersionQuestion {
  readonly model: string;
  readonly subject: Subject;
  readonly fallback: string;
}

/** Scores that stand alone carry no reason: those of subjects that a rule chose would be compared with everybody's. */
const COMPARED: ReadonlySet<EvaluationReason> = new Set(['SPLIT', 'STATIC', 'DEFAULT']);

/** Never throws. */
export function decideVersion({ model, subject, fallback }: VersionQuestion, ports: DecisionPorts): VersionDecision {
  const flag = versionFlagKey(model);
  const { value, variant, reason, revision } = ports.answer(flag, subject);
  const isTold = typeof value === 'string' && variant !== undefined;
  const version = isTold ? value : fallback;
  const decided: Decided = isTold ? { flag, variant } : { model, version };
  const decidedFor = isTold ? reason : 'ERROR';
  const atMs = ports.nowMs();
  const outcomes = (): Outcomes | undefined => {
    if (ports.outcomes === undefined) {
      const message = `what came of "${model}" is not reported: give openFlags the option "outcomes", made by reportOutcomes`;
      ports.tell({ code: 'outcomes.missing', message });
    }
    return ports.outcomes;
  };
  return {
    model,
    version,
    reason: decidedFor,
    revision,
    report(facts) {
      outcomes()?.report({ ...decided, atMs, subject: keyOfSubject(subject), reason: decidedFor, ...facts });
    },
    score(name, value) {
      if (COMPARED.has(decidedFor)) outcomes()?.score({ ...decided, name, value, atMs: ports.nowMs() });
    },
  };
}
