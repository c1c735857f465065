import { describe, expect, it } from 'vitest';
import { DemoFailure, rest, waitFor } from './waiting.ts';

const wait = { what: 'the kettle to boil', withinMs: 30, everyMs: 5 };
const live = new AbortController().signal;

describe('waitFor', () => {
  it('gives what was found', async () => {
    let looks = 0;
    const look = () => (++looks < 3 ? { insteadOf: 'cold' } : { found: looks });
    await expect(waitFor({ ...wait, withinMs: 5000, signal: live }, look)).resolves.toBe(3);
  });

  it('says what it waited for and what was there instead', async () => {
    const waiting = waitFor({ ...wait, withinMs: 1000, everyMs: 1001, signal: live }, () => ({ insteadOf: 'cold' }));
    await expect(waiting).rejects.toThrow(new DemoFailure('waited 1 s for the kettle to boil; still cold'));
  });

  it('passes on what a look throws', async () => {
    const look = () => Promise.reject(new Error('no kettle'));
    await expect(waitFor({ ...wait, signal: live }, look)).rejects.toThrow('no kettle');
  });

  it('ends with the reason of the signal, before looking again', async () => {
    const abort = new AbortController();
    const waiting = waitFor({ ...wait, withinMs: 60_000, everyMs: 60_000, signal: abort.signal }, () => ({ insteadOf: 'cold' }));
    abort.abort(new Error('Ctrl-C'));
    await expect(waiting).rejects.toThrow('Ctrl-C');
  });
});

describe('rest', () => {
  it('is over at once when the signal has aborted already', async () => {
    await expect(rest(60_000, AbortSignal.abort(new Error('Ctrl-C')))).rejects.toThrow('Ctrl-C');
  });
});
