/** Reads the verdict that a service of the users answers with. */
import { parseJson } from '@understudy/contract/parsed-json';
import { type Answer, MAX_REASON } from '@understudy/core/checks/measurement';
import { z } from 'zod';
import type { CheckResponse } from './check-request.ts';

/** A service may say more than we ask for. */
const Verdict = z.object({ verdict: z.enum(['pass', 'fail', 'undecided']), reason: z.string().optional() });

export function readWebhook(response: CheckResponse): Answer {
  if ('problem' in response) return { outcome: 'error', reason: response.problem };
  if (response.status !== 200) return { outcome: 'error', reason: `HTTP ${response.status}` };
  const parsed = Verdict.safeParse(parseJson(response.text));
  if (parsed.success) return { outcome: 'verdict', verdict: parsed.data.verdict, reason: parsed.data.reason ?? '' };
  return {
    outcome: 'error',
    reason: 'its answer is not { "verdict": "pass" | "fail" | "undecided", "reason": "…" } in JSON',
  };
}

/** What others say is shown on terminals and kept: one line, of bounded length. */
export function tidied(answer: Answer): Answer {
  if (answer.outcome === 'value') return answer;
  const line = answer.reason.replaceAll(/[\p{Cc}\p{Cf}\s]+/gu, ' ').trim();
  const reason = line.length <= MAX_REASON ? line : `${line.slice(0, MAX_REASON - 1)}…`;
  return { ...answer, reason: reason.toWellFormed() };
}
