import { AppError } from '@understudy/core/errors';
import type { RolloutState } from '@understudy/core/rollout';
import { describe, expect, it } from 'vitest';
import { type Answers, openFixture, run, type RunOptions } from './test-cli.ts';
import { NOW_MS, rolloutView, STEPPING } from './test-data.ts';

const PROMOTED: RolloutState = { phase: 'promoted', atMs: NOW_MS, by: 'engine', reason: 'every guard is healthy' };
const over = { step: 1, atMs: NOW_MS, by: 'engine', reason: 'too slow' };
const PAUSED: RolloutState = { phase: 'paused', step: 1, heldMs: 0, atMs: NOW_MS, by: 'alice', reason: 'holiday' };

/** Answers one after the other; the last one for ever. */
function inTurn(...views: readonly unknown[]): Answers {
  let next = 0;
  return {
    getRollout: () => {
      const view = views[Math.min(next, views.length - 1)];
      next += 1;
      if (view instanceof AppError) throw view;
      return view;
    },
  };
}

async function runWith(
  words: readonly string[],
  table: Answers,
  { every = '5ms', ...options }: RunOptions & { every?: string } = {},
) {
  await using fixture = await openFixture(table);
  return await run(['rollout', ...words, '--every', every], { url: fixture.url, clock: { nowMs: () => Date.now() }, ...options });
}

const away = new AppError('store.locked', 'busy');
const next = rolloutView({ ...STEPPING, step: 2 } as RolloutState);

describe('rollout get -w', () => {
  it.each([
    { state: PROMOTED, expected: 0 },
    { state: { phase: 'rolled-back', ...over } as const, expected: 10 },
    { state: { phase: 'aborted', ...over } as const, expected: 10 },
    { state: { phase: 'killed', ...over } as const, expected: 10 },
  ])('ends with $expected when the rollout is $state.phase', async ({ state, expected }) => {
    const { code, stdout } = await runWith(['get', 'digits', '-w'], inTurn(rolloutView(), rolloutView(state)));
    expect(code).toBe(expected);
    expect(stdout.trim().split('\n')).toHaveLength(2);
  });

  it('prints a line per change, not per look', async () => {
    const table = inTurn(
      rolloutView(),
      rolloutView(STEPPING, '306 of 500'),
      rolloutView(STEPPING, '307 of 500'),
      next,
      next,
      rolloutView(PROMOTED),
    );
    const { stdout } = await runWith(['get', 'digits', '-w'], table);
    expect(
      stdout
        .trim()
        .split('\n')
        .map((line) => line.split(' | ')[1]),
    ).toEqual(['step 2 of 5', 'step 3 of 5', '0 % on v2']);
  });

  it('prints one JSON document per line with --json', async () => {
    const { stdout } = await runWith(['get', 'digits', '-w', '--json'], inTurn(rolloutView(), next, rolloutView(PROMOTED)));
    const lines = stdout
      .trim()
      .split('\n')
      .map((line): unknown => JSON.parse(line));
    expect(lines).toEqual([rolloutView(), next, rolloutView(PROMOTED)]);
  });

  it('goes on through an outage and says so', async () => {
    const { code, stderr } = await runWith(['get', 'digits', '-w'], inTurn(rolloutView(), away, away, rolloutView(PROMOTED)));
    expect(code).toBe(0);
    expect(stderr.match(/reconnecting/g)).toHaveLength(1);
  });

  it('redraws in place on a terminal, shows the age of the data and keeps the last frame', async () => {
    const { code, stdout } = await runWith(
      ['get', 'digits', '-w'],
      inTurn(rolloutView(), away, away, away, rolloutView(PROMOTED)),
      {
        isTty: true,
        env: { NO_COLOR: '1' },
      },
    );
    expect(code).toBe(0);
    expect(stdout).toContain('\u001B[');
    expect(stdout).toMatch(/data \d+ms old; reconnecting/);
    expect(stdout).toContain('promoted: v2 became champion');
    expect(stdout.endsWith('\n')).toBe(true);
  });

  it('does not redraw on a dumb terminal', async () => {
    const { stdout } = await runWith(['get', 'digits', '-w'], inTurn(rolloutView(), rolloutView(PROMOTED)), {
      isTty: true,
      env: { TERM: 'dumb' },
    });
    expect(stdout).not.toContain('\u001B');
  });

  it('ends at Ctrl-C, not at the next look, and says what goes on', async () => {
    const interrupt = new AbortController();
    const { code, stderr } = await runWith(['get', 'digits', '-w'], inTurn(rolloutView()), {
      every: '1h',
      interrupt: interrupt.signal,
      onStdout: () => interrupt.abort(),
    });
    expect(code).toBe(130);
    expect(stderr).toContain('rollout digits-3 goes on at the server; see it again with: understudy rollout get digits-3 -w');
  });
});

describe('rollout wait', () => {
  it.each([
    { name: 'promoted', view: rolloutView(PROMOTED), expected: 0 },
    { name: 'rolled back', view: rolloutView({ phase: 'rolled-back', ...over }), expected: 10 },
    { name: 'paused', view: rolloutView(PAUSED), expected: 11 },
  ])('ends with $expected when $name', async ({ view, expected }) => {
    const { code } = await runWith(['wait', 'digits'], inTurn(rolloutView(), away, view));
    expect(code).toBe(expected);
  });

  it('ends with 8 when it takes too long', async () => {
    const { code, stderr } = await runWith(['wait', 'digits', '--timeout', '30ms'], inTurn(rolloutView()));
    expect(code).toBe(8);
    expect(stderr).toContain('not finished within 30ms; rollout digits-3 goes on at the server');
  });

  it('ends with 7 when nothing answers from the start', async () => {
    const { code } = await run(['rollout', 'wait', 'digits'], { url: 'http://127.0.0.1:9' });
    expect(code).toBe(7);
  });
});

describe('<model|rollout>', () => {
  const noModel = () => {
    throw new AppError('model.not_found', 'no such model');
  };
  it.each([
    { name: 'a model with a live rollout', table: {}, word: 'digits', asked: ['getModel', 'getRollout'] },
    { name: 'a rollout', table: { getModel: noModel }, word: 'digits-3', asked: ['getModel', 'getRollout'] },
  ])('takes $name', async ({ table, word, asked }) => {
    await using fixture = await openFixture(table);
    const { stdout } = await run(['rollout', 'get', word, '-o', 'name'], { url: fixture.url });
    expect(stdout).toBe('digits-3\n');
    expect(fixture.seen.map(({ endpoint }) => endpoint)).toEqual(asked);
  });

  it('is refused when it is neither', async () => {
    const gone = () => {
      throw new AppError('rollout.not_found', 'no such rollout');
    };
    await using fixture = await openFixture({ getModel: noModel, getRollout: gone });
    const { code, stderr } = await run(['rollout', 'get', 'digit'], { url: fixture.url });
    expect(code).toBe(3);
    expect(stderr).toContain('"digit" is neither a model nor a rollout');
    expect(stderr).toContain('did you mean "digits"?');
  });
});
