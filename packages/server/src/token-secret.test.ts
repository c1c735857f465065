import { describe, expect, it } from 'vitest';
import { digestOf, formatToken, isDigestOf, parseToken } from './token-secret.ts';

const SECRET = 'Zm9vYmFy_-Zm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFy';

describe('a token', () => {
  it('is read back as it was written, also when its secret has underscores', () => {
    expect(parseToken(formatToken('a1b2c3', SECRET))).toEqual({ id: 'a1b2c3', secret: SECRET });
  });

  it.each([
    { name: 'nothing', text: '' },
    { name: 'no prefix', text: `a1_${SECRET}` },
    { name: 'another prefix', text: `xx_a1_${SECRET}` },
    { name: 'no secret', text: 'us_a1_' },
    { name: 'a short secret', text: 'us_a1_short' },
    { name: 'an empty id', text: `us__${SECRET.replaceAll('_', '-')}` },
    { name: 'a path as id', text: `us_../x_${SECRET}` },
    { name: 'a line break at the end', text: `us_a1_${SECRET}\n` },
    { name: 'an endless secret', text: `us_a1_${'x'.repeat(300)}` },
  ])('is refused when it is $name', ({ text }) => {
    expect(parseToken(text)).toBeUndefined();
  });

  it('is proven by its secret and nothing else', () => {
    const sha256 = digestOf(SECRET);
    expect(sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(isDigestOf(SECRET, sha256)).toBe(true);
    expect(isDigestOf(`${SECRET}x`, sha256)).toBe(false);
    expect(isDigestOf(SECRET, sha256.toUpperCase())).toBe(false);
    expect(isDigestOf(SECRET, '')).toBe(false);
  });
});
