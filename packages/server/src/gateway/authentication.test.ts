import { expect, it } from 'vitest';
import { openAuthentication } from '../authentication.ts';
import { openManualTime, tokenOf } from './gateway-rig.contract.ts';

const time = openManualTime(1000);
const predict = tokenOf('p1', ['predict']);
const admin = tokenOf('a1', ['admin']);
const reader = tokenOf('r1', ['read']);
const expired = tokenOf('e1', ['predict'], 1000);

function open(allowAnonymous = false) {
  const authentication = openAuthentication(time, allowAnonymous);
  authentication.use([predict, admin, reader, expired].map(({ token }) => token));
  return authentication;
}

it.each([
  { name: 'a token with the scope', header: predict.text, expected: 'p1' },
  { name: 'an admin token', header: admin.text, expected: 'a1' },
  { name: 'a scheme in other letters', header: predict.text.replace('Bearer', 'bEaReR'), expected: 'p1' },
])('lets in $name', ({ header, expected }) => {
  expect(open().authenticate(header, 'predict').token?.id).toBe(expected);
});

it.each([
  { name: 'no token', header: undefined, code: 'auth.missing_token' },
  { name: 'somebody else’s token', header: 'Bearer ghp_abc', code: 'auth.missing_token' },
  { name: 'basic authentication', header: 'Basic dXM6cHc=', code: 'auth.missing_token' },
  { name: 'a wrong secret', header: 'Bearer us_p1_wrong-secret-of-the-token', code: 'auth.invalid_token' },
  { name: 'an unknown id', header: 'Bearer us_zz_secret-of-the-token_zz', code: 'auth.invalid_token' },
  { name: 'an empty secret', header: 'Bearer us_p1_', code: 'auth.invalid_token' },
  { name: 'no secret', header: 'Bearer us_p1', code: 'auth.invalid_token' },
  { name: 'another token’s secret', header: 'Bearer us_a1_secret-of-the-token_p1', code: 'auth.invalid_token' },
  { name: 'an expired token', header: expired.text, code: 'auth.invalid_token' },
  { name: 'a token without the scope', header: reader.text, code: 'auth.forbidden' },
])('refuses $name', ({ header, code }) => {
  expect(() => open().authenticate(header, 'predict')).toThrow(expect.objectContaining({ code }));
});

it('lets anonymous requests predict when told to, and nothing else', () => {
  const authentication = open(true);
  expect(authentication.authenticate(undefined, 'predict')).toEqual({});
  expect(authentication.authenticate('Bearer somebody-elses', 'predict')).toEqual({});
  expect(() => authentication.authenticate(undefined, 'read')).toThrow(expect.objectContaining({ code: 'auth.missing_token' }));
  expect(() => authentication.authenticate('Bearer us_p1_wrong-secret-of-the-token', 'predict')).toThrow(
    expect.objectContaining({ code: 'auth.invalid_token' }),
  );
});

it('forgets a proven token with the next snapshot', () => {
  const authentication = open();
  authentication.authenticate(predict.text, 'predict');
  authentication.use([admin.token]);
  expect(() => authentication.authenticate(predict.text, 'predict')).toThrow(
    expect.objectContaining({ code: 'auth.invalid_token' }),
  );
});

it('ends a proven token when it expires', () => {
  const clock = openManualTime(0);
  const authentication = openAuthentication(clock, false);
  authentication.use([expired.token]);
  expect(authentication.authenticate(expired.text, 'predict').token?.id).toBe('e1');
  clock.advance(1000);
  expect(() => authentication.authenticate(expired.text, 'predict')).toThrow('expired at 1970-01-01T00:00:01.000Z');
});
