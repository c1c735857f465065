/** What a hook is told about an entry of the journal, with one sentence that says why. */
import { createHash } from 'node:crypto';
import { type Hook, HOOK_EVENTS, type HookEvent, isHookEvent } from '@understudy/core/hook';
import { z } from 'zod';
import type { JournalEntry } from '../storage/store.ts';

/** A message, the same each time that it is made of the same entry. */
export interface HookMessage {
  readonly id: string;
  readonly event: HookEvent;
  readonly severity: 'info' | 'warning' | 'error';
  readonly environment: string;
  readonly revision: number;
  readonly atMs: number;
  readonly by: string;
  /** Such as `rollouts/fraud-3`. */
  readonly subject: string;
  /** One sentence: what happened to what, and why. */
  readonly why: string;
  readonly facts: MessageFacts;
}

/** What the message is about, as far as there is such a thing. */
export interface MessageFacts {
  readonly model?: string;
  readonly rollout?: string;
  readonly champion?: string;
  readonly challenger?: string;
  /** Counts from 1. */
  readonly step?: number;
  readonly trafficPercent?: number;
}

/** Only what messages tell: the rest of a document may come from another release. */
const RolloutFacts = z.object({
  id: z.string(),
  model: z.string(),
  champion: z.string(),
  challenger: z.string(),
  plan: z.object({ steps: z.array(z.object({ trafficPercent: z.number() })) }),
  state: z.object({ phase: z.string(), step: z.number().optional() }),
});
const ModelFacts = z.object({ name: z.string(), champion: z.string().optional() });

// Slack refuses longer texts in a section; a sentence of the engine is a tenth of it.
const LONGEST_WHY = 2500;

/** @returns undefined when nobody is told about the entry */
export function messageOf(entry: JournalEntry, hook: Pick<Hook, 'name' | 'salt'>): HookMessage | undefined {
  if (!isHookEvent(entry.action)) return undefined;
  const { environment, revision, atMs, actor: by, action: event } = entry;
  const { severity, title } = HOOK_EVENTS[event];
  const { subject, words, facts } = aboutOf(entry);
  const id = idOf(hook, `${environment} ${revision}`);
  const why = oneLine(`${words}${title}: ${entry.reason}`);
  return { id, event, severity, environment, revision, atMs, by, subject, why, facts };
}

/** A message that says nothing happened, to see whether it arrives. */
export function testMessage(hook: Hook, { environment, atMs, nonce }: TestPlace): HookMessage {
  return {
    id: idOf(hook, `test ${nonce}`),
    event: 'rollout.advanced',
    severity: 'info',
    environment,
    revision: 0,
    atMs,
    by: 'test',
    subject: `hooks/${hook.name}`,
    why: `Test of hook "${hook.name}": nothing happened, and messages arrive.`,
    facts: {},
  };
}

interface TestPlace {
  readonly environment: string;
  readonly atMs: number;
  readonly nonce: string;
}

function aboutOf({ changes, environment }: JournalEntry): {
  readonly subject: string;
  readonly words: string;
  readonly facts: MessageFacts;
} {
  const bodyOf = (kind: string): unknown => changes.find((change) => change.kind === kind && change.after !== null)?.after;
  const rollout = RolloutFacts.safeParse(bodyOf('rollout'));
  const model = ModelFacts.safeParse(bodyOf('model'));
  if (rollout.success) {
    const { id, champion, challenger, plan, state } = rollout.data;
    const percent = state.step === undefined ? undefined : plan.steps[state.step]?.trafficPercent;
    const place = state.step === undefined || percent === undefined ? {} : { step: state.step + 1, trafficPercent: percent };
    const facts = { model: rollout.data.model, rollout: id, champion, challenger, ...place };
    return { subject: `rollouts/${id}`, words: `${id} (${challenger} against ${champion}) `, facts };
  }
  if (model.success) {
    const { name, champion } = model.data;
    const words = `${name} (champion ${champion ?? 'nobody'}) `;
    return { subject: `models/${name}`, words, facts: { model: name, ...(champion === undefined ? {} : { champion }) } };
  }
  return { subject: `environments/${environment}`, words: `${environment} `, facts: {} };
}

/** The same for every try; nobody can tell from it what it is about. */
function idOf({ name, salt }: Pick<Hook, 'name' | 'salt'>, place: string): string {
  return `msg_${createHash('sha256').update(`${name} ${salt} ${place}`).digest('hex').slice(0, 32)}`;
}

function oneLine(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length <= LONGEST_WHY ? line : `${line.slice(0, LONGEST_WHY - 1)}…`;
}
