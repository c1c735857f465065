/** The flags as Unleash's features: written once for each change, kept as text, with the last changes for SDKs that were away. */
import type { Loss } from '@understudy/core/flags/import-report';
import { renderUnleash } from '@understudy/core/flags/render-unleash';
import type { UnleashState } from '@understudy/core/flags/unleash-model';
import type { FlagState, ProtocolPorts } from '../flag-world.ts';
import { tagOf } from '../edge/entity-tag.ts';

/** All features at one moment, each as the JSON that is sent. */
export interface Features {
  readonly environment: string;
  /** Of the content: the same features have the same tag, whatever happened in between. */
  readonly tag: string;
  /** Grows with every change, within 32 bits as SDKs in Rust hold it. */
  readonly eventId: number;
  readonly byName: ReadonlyMap<string, string>;
  readonly segments: ReadonlyMap<number, string>;
}

/** One thing that changed. */
export interface FeatureEvent {
  /** The feature's name; undefined for segments, which concern everybody. */
  readonly feature: string | undefined;
  readonly json: string;
}

/** The way from one moment to the next. */
export interface FeatureChange {
  readonly from: string;
  readonly to: Features;
  readonly events: readonly FeatureEvent[];
}

export interface FeatureFeed {
  /** Undefined while the world has no state. */
  now(): Features | undefined;
  /** Calls back when features have changed, not for every commit. @returns stops */
  onChange(listener: (change: FeatureChange) => void): () => void;
  /** What changed since features that `isKnown` recognises by their tag; undefined when that is too long ago. */
  since(isKnown: (tag: string) => boolean): readonly FeatureEvent[] | undefined;
  close(): void;
}

// What an SDK misses while it reconnects. Beyond that, all features at once are no more to send.
const MOST_CHANGES = 100;
const MOST_KEPT_CHARACTERS = 4_000_000;

export function openFeatureFeed({ world, clock, log }: Pick<ProtocolPorts, 'world' | 'clock' | 'log'>): FeatureFeed {
  const listeners = new Set<(change: FeatureChange) => void>();
  let latest: Features | undefined;
  let latestState: FlagState | undefined;
  let changes: readonly FeatureChange[] = [];
  let knownLosses: ReadonlySet<string> = new Set();

  function sayLosses(losses: readonly Loss[]): void {
    for (const { about, sentence } of losses) {
      if (!knownLosses.has(about + sentence)) log.warn({ about, sentence }, 'unleash.flag_differs');
    }
    knownLosses = new Set(losses.map(({ about, sentence }) => about + sentence));
  }

  function bringUpToDate(state: FlagState): Features {
    const before = latest;
    const { data, losses } = renderUnleash(state.documents, { atMs: clock.nowMs() });
    sayLosses(losses);
    const now = write(data, { state, after: before?.eventId ?? 0 });
    latestState = state;
    if (before?.tag === now.tag) return before;
    latest = now;
    if (before === undefined) return now;
    const change: FeatureChange = { from: before.tag, to: now, events: eventsBetween(before, now) };
    changes = withinBounds([...changes, change]);
    for (const listener of listeners) listener(change);
    return now;
  }

  const unsubscribe = world.onChange((state) => {
    try {
      bringUpToDate(state);
    } catch (error) {
      // The world has other listeners; ours keeps what it has, and says so.
      log.warn({ err: error, revision: state.revision }, 'unleash.rendering_failed');
    }
  });

  return {
    now() {
      const state = world.now();
      if (state === undefined) return undefined;
      return latest !== undefined && latestState === state ? latest : bringUpToDate(state);
    },
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    since(isKnown) {
      if (latest !== undefined && isKnown(latest.tag)) return [];
      const index = changes.findLastIndex(({ from }) => isKnown(from));
      return index === -1 ? undefined : changes.slice(index).flatMap(({ events }) => events);
    },
    close() {
      unsubscribe();
      listeners.clear();
    },
  };
}

interface Moment {
  readonly state: FlagState;
  /** The event id of the features before. */
  readonly after: number;
}

function write({ features, segments = [] }: UnleashState, { state, after }: Moment): Features {
  const byName = new Map(features.map((feature) => [feature.name, JSON.stringify(feature)]));
  const byId = new Map(segments.map((segment) => [segment.id, JSON.stringify(segment)]));
  const tag = tagOf(JSON.stringify([[...byName.values()], [...byId.values()]]));
  const eventId = Math.max(state.revision, after + 1) >>> 0;
  return { environment: state.environment, tag, eventId, byName, segments: byId };
}

/** Segments come before the features that may ask for them, and go after those that no longer do. */
function eventsBetween(before: Features, { eventId, byName, segments }: Features): readonly FeatureEvent[] {
  const about = (type: string): object => ({ type, eventId });
  const event = (feature: string | undefined, fields: object): FeatureEvent => ({ feature, json: JSON.stringify(fields) });
  return [
    ...changed(before.segments, segments).map((id): FeatureEvent => {
      return { feature: undefined, json: withDocument(about('segment-updated'), 'segment', segments.get(id)) };
    }),
    ...changed(before.byName, byName).map((name): FeatureEvent => {
      return { feature: name, json: withDocument(about('feature-updated'), 'feature', byName.get(name)) };
    }),
    ...gone(before.byName, byName).map((featureName) => {
      return event(featureName, { ...about('feature-removed'), featureName, project: 'default' });
    }),
    ...gone(before.segments, segments).map((segmentId) => event(undefined, { ...about('segment-removed'), segmentId })),
  ];
}

/** Adds a document that is text already. */
function withDocument(fields: object, name: string, document = 'null'): string {
  return `${JSON.stringify(fields).slice(0, -1)},"${name}":${document}}`;
}

function changed<Key>(before: ReadonlyMap<Key, string>, now: ReadonlyMap<Key, string>): readonly Key[] {
  return [...now.keys()].filter((key) => before.get(key) !== now.get(key));
}

function gone<Key>(before: ReadonlyMap<Key, string>, now: ReadonlyMap<Key, string>): readonly Key[] {
  return [...before.keys()].filter((key) => !now.has(key));
}

function withinBounds(changes: readonly FeatureChange[]): readonly FeatureChange[] {
  let kept = 0;
  const first = changes.findLastIndex(({ events }) => {
    kept += events.reduce((sum, { json }) => sum + json.length, 0);
    return kept > MOST_KEPT_CHARACTERS;
  });
  return changes.slice(Math.max(first + 1, changes.length - MOST_CHANGES));
}
