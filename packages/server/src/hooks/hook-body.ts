/** The body of a message: a CloudEvent as JSON, or what Slack's incoming webhooks take. */
import { type Hook, HOOK_EVENTS } from '@understudy/core/hook';
import type { HookMessage } from './hook-message.ts';

/** Bytes to send, and what they are. */
export interface HookBody {
  readonly contentType: string;
  readonly text: string;
}

export function bodyOf(format: Hook['format'], message: HookMessage): HookBody {
  return format === 'slack'
    ? { contentType: 'application/json; charset=utf-8', text: JSON.stringify(slackOf(message)) }
    : { contentType: 'application/cloudevents+json; charset=utf-8', text: JSON.stringify(cloudEventOf(message)) };
}

/** CloudEvents 1.0 in structured mode. */
function cloudEventOf({ id, event, severity, environment, revision, atMs, by, subject, why, facts }: HookMessage): object {
  return {
    specversion: '1.0',
    id,
    source: `/environments/${environment}`,
    type: revision === 0 ? 'understudy.hook.test' : `understudy.${event}`,
    subject,
    time: new Date(atMs).toISOString(),
    datacontenttype: 'application/json',
    data: { why, severity, environment, revision, by, ...facts },
  };
}

const MARKS = { info: ':information_source:', warning: ':warning:', error: ':rotating_light:' } as const;

function slackOf({ event, severity, environment, revision, by, why }: HookMessage): object {
  const text = `${MARKS[severity]} ${escaped(why)}`;
  const place = `${escaped(environment)} · ${HOOK_EVENTS[event].title} · by ${escaped(by)} · revision ${revision}`;
  return {
    text,
    blocks: [
      { type: 'section', text: { type: 'mrkdwn', text } },
      { type: 'context', elements: [{ type: 'mrkdwn', text: place }] },
    ],
  };
}

/** As Slack asks for it: what a person wrote can neither mention somebody nor become a link. */
function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
