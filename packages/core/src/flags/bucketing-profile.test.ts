import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bucketOf } from '../bucketing.ts';
import { type Bucketing, type Circumstances, compileScale, type Profile, rotationOf } from './bucketing-profile.ts';

fc.configureGlobal({ seed: 1 });

interface Vector {
  readonly salt: string;
  readonly subject: string;
  readonly unleash: number;
  readonly unleashRollout: number;
  readonly launchdarkly: number;
  readonly flagsmith: number;
  readonly flagd: number;
}

const file = new URL('../../../../test/vectors/flag-bucketing.json', import.meta.url);
const { cases } = JSON.parse(readFileSync(file, 'utf8')) as { readonly cases: readonly Vector[] };
const at: Circumstances = { atMs: 0, random: () => 0.25 };

function pointOf(bucketing: Bucketing, key: string | number | undefined, total?: number): number | undefined {
  return compileScale(bucketing, [], total)?.point(key === undefined ? {} : { user: { key } }, at);
}

describe('the point of a subject', () => {
  it('is what the published vectors say, in every profile', () => {
    expect(cases.length).toBeGreaterThanOrEqual(100);
    const computed = cases.map(({ salt, subject }) => ({
      salt,
      subject,
      unleash: pointOf({ profile: 'unleash', salt }, subject),
      unleashRollout: pointOf({ profile: 'unleash-rollout', salt }, subject, 100),
      launchdarkly: pointOf({ profile: 'launchdarkly', salt }, subject),
      flagsmith: pointOf({ profile: 'flagsmith', salt }, subject),
      flagd: pointOf({ profile: 'flagd', salt }, subject),
    }));
    expect(computed).toEqual(cases);
  });

  it("is the gateway's bucket in our own profile", () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary', minLength: 1 }), (salt, subject) => {
        expect(pointOf({ profile: 'unleash', salt }, subject)).toBe(bucketOf(salt, subject));
      }),
    );
  });

  it("is the caller's bucket, rotated by the salt, in the profile `attribute`", () => {
    const bucketing: Bucketing = { profile: 'attribute', salt: 'fraud', by: [{ attribute: 'key' }] };
    expect(pointOf(bucketing, 0)).toBe(rotationOf('fraud'));
    expect(pointOf(bucketing, '99999')).toBe((99_999 + rotationOf('fraud')) % 100_000);
    expect(pointOf({ ...bucketing, whenMissing: 'none' }, 100_000)).toBeNaN();
    expect(pointOf({ ...bucketing, whenMissing: 'none' }, 'elf')).toBeNaN();
  });

  it.each<{ profile: Profile; whenMissing: 'first' | 'none' | 'random'; expected: number }>([
    { profile: 'unleash', whenMissing: 'first', expected: 0 },
    { profile: 'unleash', whenMissing: 'none', expected: Number.NaN },
    { profile: 'unleash', whenMissing: 'random', expected: 25_000 },
    { profile: 'launchdarkly', whenMissing: 'random', expected: 0.25 },
    { profile: 'flagsmith', whenMissing: 'random', expected: 25 },
  ])('without a subject is $expected in $profile when the document says $whenMissing', ({ profile, whenMissing, expected }) => {
    expect(pointOf({ profile, salt: 's', whenMissing }, undefined)).toBe(expected);
  });

  it('takes the first attribute that the context has', () => {
    const by = [{ attribute: 'key' }, { attribute: 'session' }, { kind: 'device', attribute: '/ids/1' }];
    const scale = compileScale({ profile: 'unleash', salt: 's', by }, []);
    expect(scale?.point({ user: { key: '', session: 'b' } }, at)).toBe(bucketOf('s', 'b'));
    expect(scale?.point({ device: { ids: { '1': 7 } } }, at)).toBe(bucketOf('s', '7'));
  });

  it('cannot be read through a malformed reference', () => {
    expect(compileScale({ profile: 'unleash', salt: 's', by: [{ attribute: '/a//b' }] }, [])).toBeUndefined();
  });
});
