/** The flags of one state as LaunchDarkly's SDKs read them, serialised once, and the news between two such editions. Streams and polls depend on it. */
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { Loss } from '@understudy/core/flags/import-report';
import { type LaunchDarklyRendering, renderLaunchDarkly } from '@understudy/core/flags/render-launchdarkly';
import { tagOf } from '../edge/entity-tag.ts';
import type { FlagState } from '../flag-world.ts';

/** One flag or segment. */
export interface Item {
  /** The edition in which it last changed: SDKs drop a change whose version does not rise. */
  readonly version: number;
  /** Everything but the version. */
  readonly content: string;
  readonly text: string;
  readonly prerequisites: readonly string[];
}

export type Items = ReadonlyMap<string, Item>;

export interface Edition {
  readonly state: FlagState;
  /** Rises with every change, also when a schedule changes flags within one revision; at least the revision it began at. */
  readonly number: number;
  readonly data: LaunchDarklyRendering['data'];
  readonly losses: readonly Loss[];
  readonly flags: Items;
  readonly segments: Items;
  /** Everything, as the first event of a stream. SDKs replace what they have by it in one go. */
  readonly put: Buffer;
  /** The answer to `GET /sdk/latest-all`: a part of {@link put}. */
  readonly all: Buffer;
  /** Of {@link all}. */
  readonly tag: string;
  readonly allCompressed: () => Promise<Buffer>;
  readonly allFlags: () => string;
}

const PUT_BEGIN = 'event: put\ndata: {"path":"/","data":';
const PUT_END = '}\n\n';

/** @returns an edition with the number and the bytes of the one before when nothing that SDKs see has changed */
export function editionOf(state: FlagState, atMs: number, before?: Edition): Edition {
  const number = Math.max(state.revision, (before?.number ?? 0) + 1);
  const { data, losses } = renderLaunchDarkly(state.documents, { atMs, revision: number });
  const flags = itemsOf(data.flags, number, before?.flags);
  const segments = itemsOf(data.segments, number, before?.segments);
  if (before !== undefined && isSame(flags, before.flags) && isSame(segments, before.segments)) {
    return { ...before, state, losses };
  }
  const put = Buffer.from(`${PUT_BEGIN}{"flags":${objectOf(flags)},"segments":${objectOf(segments)}}${PUT_END}`);
  const all = put.subarray(PUT_BEGIN.length, put.byteLength - PUT_END.length);
  const tag = tagOf(all);
  let compressed: Promise<Buffer> | undefined;
  const allCompressed = (): Promise<Buffer> => (compressed ??= compress(all));
  return { state, number, data, losses, flags, segments, put, all, tag, allCompressed, allFlags: () => objectOf(flags) };
}

/** What streams are told when one edition follows another; undefined when nothing changed. */
export function newsOf(before: Edition, after: Edition): Buffer | undefined {
  if (before.number === after.number) return undefined;
  const changed = changedKeys(before.flags, after.flags);
  if (hasChangedTogether(after.flags, changed)) return after.put;
  const gone = (was: Items, is: Items, folder: string): string[] =>
    [...was.keys()].filter((key) => !is.has(key)).map((key) => deleteOf(`${folder}${key}`, after.number));
  const patches = (was: Items, is: Items, folder: string): string[] =>
    [...is].filter(([key, item]) => was.get(key) !== item).map(([key, { text }]) => patchOf(`${folder}${key}`, text));
  // Segments come before the flags that refer to them, and go after them.
  const events = [
    ...patches(before.segments, after.segments, '/segments/'),
    ...gone(before.flags, after.flags, '/flags/'),
    ...patches(before.flags, after.flags, '/flags/'),
    ...gone(before.segments, after.segments, '/segments/'),
  ];
  const news = Buffer.from(events.join(''));
  return news.byteLength < after.all.byteLength ? news : after.put;
}

const compress = promisify(gzip);

function itemsOf(documents: Readonly<Record<string, RenderedDocument>>, version: number, before?: Items): Items {
  return new Map(
    Object.entries(documents).map(([key, { version: _version, ...rest }]) => {
      const content = JSON.stringify(rest);
      const known = before?.get(key);
      if (known?.content === content) return [key, known];
      const prerequisites = (rest.prerequisites ?? []).map((prerequisite) => prerequisite.key);
      return [key, { version, content, text: `{"version":${version},${content.slice(1)}`, prerequisites }];
    }),
  );
}

interface RenderedDocument {
  readonly key: string;
  readonly version: number;
  readonly prerequisites?: readonly { readonly key: string }[] | undefined;
}

function isSame(items: Items, others: Items): boolean {
  return items.size === others.size && [...items].every(([key, item]) => others.get(key) === item);
}

function objectOf(items: Items): string {
  return `{${[...items].map(([key, { text }]) => `${JSON.stringify(key)}:${text}`).join(',')}}`;
}

function changedKeys(before: Items, after: Items): ReadonlySet<string> {
  const keys = new Set([...before.keys(), ...after.keys()]);
  return new Set([...keys].filter((key) => before.get(key) !== after.get(key)));
}

/**
 * Whether a flag and a prerequisite of it both changed. Told one after the other, the number of a variation would for a
 * moment mean another variant, and everybody could be on a challenger; such changes are told as a whole.
 */
function hasChangedTogether(flags: Items, changed: ReadonlySet<string>): boolean {
  return [...changed].some((key) => flags.get(key)?.prerequisites.some((prerequisite) => changed.has(prerequisite)) ?? false);
}

function patchOf(path: string, text: string): string {
  return `event: patch\ndata: {"path":${JSON.stringify(path)},"data":${text}}\n\n`;
}

function deleteOf(path: string, version: number): string {
  return `event: delete\ndata: {"path":${JSON.stringify(path)},"version":${version}}\n\n`;
}
