import { describe, expect, it } from 'vitest';
import { AppError, ERROR_STATUS, isAppError } from './errors.ts';

describe('the error codes', () => {
  it.each(Object.entries(ERROR_STATUS))('%s is "noun.problem" and answered with a status of failure (%s)', (code, status) => {
    expect(code).toMatch(/^[a-z]+\.[a-z]+(?:_[a-z]+)*$/);
    expect(status).toBeGreaterThanOrEqual(400);
    expect(status).toBeLessThan(600);
  });

  it('are in order, so that a reader finds them', () => {
    expect(Object.keys(ERROR_STATUS)).toEqual(Object.keys(ERROR_STATUS).toSorted());
  });
});

describe('AppError', () => {
  it('carries its code, its status, its message and its cause', () => {
    const cause = new Error('disk full');
    const error = new AppError('store.write_failed', 'cannot save the rollout', { cause });
    expect(error).toMatchObject({
      name: 'AppError',
      code: 'store.write_failed',
      status: 503,
      message: 'cannot save the rollout',
      cause,
    });
    expect(error).toBeInstanceOf(Error);
  });

  it('has no cause unless it is given one', () => {
    expect(new AppError('request.invalid', 'x')).not.toHaveProperty('cause');
  });
});

describe('isAppError', () => {
  const error = new AppError('model.not_found', 'no such model');

  it.each([
    { name: 'any code', thrown: error, codes: [], expected: true },
    { name: 'its code', thrown: error, codes: ['model.not_found'], expected: true },
    { name: 'one of several codes', thrown: error, codes: ['store.busy', 'model.not_found'], expected: true },
    { name: 'another code', thrown: error, codes: ['store.busy'], expected: false },
    { name: 'an Error of ours', thrown: new Error('bug'), codes: [], expected: false },
    { name: 'a look-alike', thrown: { name: 'AppError', code: 'model.not_found' }, codes: [], expected: false },
    { name: 'nothing', thrown: undefined, codes: [], expected: false },
    { name: 'a text', thrown: 'model.not_found', codes: [], expected: false },
  ] as const)('is $expected for $name', ({ thrown, codes, expected }) => {
    expect(isAppError(thrown, ...codes)).toBe(expected);
  });
});
