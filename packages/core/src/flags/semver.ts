/** Versions after semver.org, compared by precedence. Conditions of flags depend on it. */

/** A version; build metadata has no precedence and is dropped. */
export interface SemanticVersion {
  readonly core: readonly [number, number, number];
  readonly prerelease: readonly string[];
}

/** What is read besides the letter of the specification: `1` and `1.2` (LaunchDarkly), a leading `v` (Flagsmith). */
export type Leniency = 'strict' | 'partial' | 'v-prefix';

const NUMBER = '(?:0|[1-9]\\d*)';
const IDENTIFIER = '(?:0|[1-9]\\d*|\\d*[A-Za-z-][0-9A-Za-z-]*)';
const TAIL = `(?:-(${IDENTIFIER}(?:\\.${IDENTIFIER})*))?(?:\\+[0-9A-Za-z-]+(?:\\.[0-9A-Za-z-]+)*)?$`;
const WHOLE = new RegExp(`^(${NUMBER})\\.(${NUMBER})\\.(${NUMBER})${TAIL}`);
const PARTIAL = new RegExp(`^(${NUMBER})(?:\\.(${NUMBER}))?(?:\\.(${NUMBER}))?${TAIL}`);

/** @returns undefined when the text is not a version */
export function parseSemver(text: string, leniency: Leniency): SemanticVersion | undefined {
  const trimmed = leniency === 'v-prefix' ? text.trim().replace(/^v/, '') : text;
  const match = (leniency === 'partial' ? PARTIAL : WHOLE).exec(trimmed);
  if (match === null || trimmed.length > 256) return undefined;
  const [, major, minor = '0', patch = '0', prerelease = ''] = match;
  const core = [Number(major), Number(minor), Number(patch)] as const;
  if (!core.every(Number.isSafeInteger)) return undefined;
  return { core, prerelease: prerelease === '' ? [] : prerelease.split('.') };
}

/** Negative, zero or positive, as `a` is before, equal to or after `b` in precedence. Source: semver.org 2.0.0, §11. */
export function compareSemver(a: SemanticVersion, b: SemanticVersion): number {
  const [major, minor, patch] = a.core;
  const byCore = major - b.core[0] || minor - b.core[1] || patch - b.core[2];
  if (byCore !== 0) return byCore;
  if (a.prerelease.length === 0 || b.prerelease.length === 0) return b.prerelease.length - a.prerelease.length;
  for (const [index, mine] of a.prerelease.entries()) {
    const theirs = b.prerelease[index];
    if (theirs === undefined) return 1;
    const order = compareIdentifiers(mine, theirs);
    if (order !== 0) return order;
  }
  return a.prerelease.length - b.prerelease.length;
}

function compareIdentifiers(a: string, b: string): number {
  const [isNumberA, isNumberB] = [/^\d+$/.test(a), /^\d+$/.test(b)];
  if (isNumberA && isNumberB) return Number(a) - Number(b);
  if (isNumberA !== isNumberB) return isNumberA ? -1 : 1;
  return a === b ? 0 : a < b ? -1 : 1;
}
