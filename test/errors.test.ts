// docs/errors.md against the table of codes: a code is public, so it is described, and what is described exists.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { ERROR_STATUS } from '@understudy/core/errors';
import { describe, expect, it } from 'vitest';

const text = readFileSync(path.resolve(import.meta.dirname, '../docs/errors.md'), 'utf8');

const rows = text
  .split('\n')
  .filter((line) => line.startsWith('| `'))
  .map((line) => line.split('|').map((cell) => cell.trim()))
  .map(([, code = '', status = '', happened = '', remedy = '', ...rest]) => ({
    code: code.replaceAll('`', ''),
    status: Number(status),
    happened,
    remedy,
    rest,
  }));

describe('docs/errors.md', () => {
  it('has one row for each code, with the status it is answered with', () => {
    expect(rows.map(({ code }) => code).toSorted()).toEqual(Object.keys(ERROR_STATUS).toSorted());
    expect(Object.fromEntries(rows.map(({ code, status }) => [code, status]))).toEqual(ERROR_STATUS);
  });

  it.each(rows)('says what $code means and what to do about it', ({ happened, remedy, rest }) => {
    expect(happened).toMatch(/^[A-Z`].*\.$/);
    expect(remedy).toMatch(/^[A-Z`].*\.$/);
    expect(rest).toEqual(['']);
  });
});
