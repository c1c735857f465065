/** Asks every check of a plan once before a rollout starts, so that what cannot work is told then. */
import type { CheckConfig } from '@understudy/core/checks/config';
import { type Answer, findingOf } from '@understudy/core/checks/measurement';
import { type CheckSubject, placesIn } from '@understudy/core/checks/template';
import type { RehearsedChecks } from '../commands/rollout-opening.ts';
import type { CheckAsker } from './check-asker.ts';

/**
 * Queries are asked about the champion in the challenger's place: it has traffic, so a query without data, or beyond its limit,
 * would come to that for every challenger. A webhook is asked about the rollout itself, at step 0.
 */
export async function rehearseChecks(
  asker: CheckAsker,
  checks: readonly CheckConfig[],
  subject: CheckSubject,
): Promise<RehearsedChecks> {
  const refusals = checks.flatMap((check) => {
    const refusal = asker.refusalOf(check);
    return refusal === undefined ? [] : [`the check "${check.name}" ${refusal}`];
  });
  if (refusals.length > 0) return { refusals, problems: [] };
  const problems = await Promise.all(checks.map(async (check) => rehearse(asker, check, subject)));
  return { refusals, problems: problems.flat() };
}

async function rehearse(asker: CheckAsker, check: CheckConfig, subject: CheckSubject): Promise<readonly string[]> {
  const { name, source } = check;
  const isQuery = source.kind === 'prometheus';
  const answer = await asker.ask(check, isQuery ? { ...subject, challenger: subject.champion } : subject);
  const problem = isQuery ? problemOfQuery(check, answer) : problemOfVerdict(answer);
  return problem === undefined ? [] : [`the check "${name}" ${problem}`];
}

function problemOfQuery(check: CheckConfig, answer: Answer): string | undefined {
  switch (answer.outcome) {
    case 'error':
      return `cannot be asked: ${answer.reason}`;
    case 'no-data':
      return asksAboutRollout(check)
        ? undefined
        : `has no data about the champion, so it will hardly have any about the challenger: ${answer.reason}`;
    case 'verdict':
      throw new Error('Prometheus gave a verdict');
    case 'value': {
      const found = findingOf(check, answer);
      return found === 'fail' ? `fails on the champion already, with ${answer.value}` : undefined;
    }
  }
}

function problemOfVerdict(answer: Answer): string | undefined {
  if (answer.outcome === 'error') return `cannot be asked: ${answer.reason}`;
  const hasFailed = answer.outcome === 'verdict' && answer.verdict === 'fail';
  return hasFailed ? `fails before the start: ${answer.reason}` : undefined;
}

/** Nothing can be known of a rollout that has not started. */
function asksAboutRollout({ source }: CheckConfig): boolean {
  if (source.kind !== 'prometheus') return false;
  return placesIn(`${source.query} ${source.baseline ?? ''}`).some((place) => place === 'rollout' || place === 'step');
}
