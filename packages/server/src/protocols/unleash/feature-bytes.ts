/** Features as the bytes of an answer or a stream, made once and shared by everybody they are sent to. */
import { quoted, tagOf } from '../edge/entity-tag.ts';
import type { FeatureChange, FeatureEvent, Features } from './feature-feed.ts';

// SDKs of one application have one prefix, so a few are all there are; others are written for each request.
const MOST_KEPT_PREFIXES = 20;

const bodies = new WeakMap<Features, Map<string, Buffer>>();
const hydrations = new WeakMap<Features, Buffer>();

/** The tag of features of which only those with a prefix are sent. */
export function tagWithin(tag: string, namePrefix: string): string {
  return namePrefix === '' ? tag : `${tag}.${tagOf(namePrefix).slice(0, 8)}`;
}

/** The answer to a poll for everything. */
export function fullBody(features: Features, namePrefix: string): Buffer {
  const kept = bodies.get(features) ?? new Map<string, Buffer>();
  bodies.set(features, kept);
  const body = kept.get(namePrefix) ?? Buffer.from(writeFull(features, namePrefix));
  if (kept.size < MOST_KEPT_PREFIXES) kept.set(namePrefix, body);
  return body;
}

function writeFull(features: Features, namePrefix: string): string {
  const { tag, eventId, environment } = features;
  const query = { environment, ...(namePrefix === '' ? {} : { namePrefix }) };
  const queryHash = tagOf(JSON.stringify(query));
  const meta = { revisionId: eventId, etag: quoted(tagWithin(tag, namePrefix)), queryHash };
  const documents = `"features":[${within(features, namePrefix)}],"segments":[${[...features.segments.values()].join()}]`;
  return `{"version":2,${documents},"query":${JSON.stringify(query)},"meta":${JSON.stringify(meta)}}`;
}

function within({ byName }: Features, namePrefix: string): string {
  const entries = [...byName].filter(([name]) => name.startsWith(namePrefix));
  return entries.map(([, json]) => json).join();
}

/** The answer to a poll for changes; `events` are undefined when everything must be sent. */
export function deltaBody(features: Features, namePrefix: string, events: readonly FeatureEvent[] | undefined): string {
  if (events === undefined) return eventList([writeHydration(features, namePrefix)]);
  const relevant = events.filter(({ feature }) => feature === undefined || feature.startsWith(namePrefix));
  return eventList(relevant.map(({ json }) => json));
}

/** What a stream begins with: everything, or what was missed. */
export function openingFrame(features: Features, missed: readonly FeatureEvent[] | undefined): Buffer {
  const kept = missed === undefined ? hydrations.get(features) : undefined;
  if (kept !== undefined) return kept;
  const events = missed?.map(({ json }) => json) ?? [writeHydration(features, '')];
  const frame = frameOf('unleash-connected', features.tag, eventList(events));
  if (missed === undefined) hydrations.set(features, frame);
  return frame;
}

/** What streams say when features have changed. */
export function changeFrame({ to, events }: FeatureChange): Buffer {
  return frameOf('unleash-updated', to.tag, eventList(events.map(({ json }) => json)));
}

// The tag is the event's id: it comes back as Last-Event-ID and means the same on every replica.
function frameOf(event: string, id: string, data: string): Buffer {
  return Buffer.from(`id: ${id}\nevent: ${event}\ndata: ${data}\n\n`);
}

function writeHydration(features: Features, namePrefix: string): string {
  const documents = `"features":[${within(features, namePrefix)}],"segments":[${[...features.segments.values()].join()}]`;
  return `{"type":"hydration","eventId":${features.eventId},${documents}}`;
}

function eventList(events: readonly string[]): string {
  return `{"events":[${events.join()}]}`;
}
