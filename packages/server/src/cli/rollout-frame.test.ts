import { stripVTControlCharacters } from 'node:util';
import type { RolloutState } from '@understudy/core/rollout';
import { describe, expect, it } from 'vitest';
import { checkedView } from './test-check-data.ts';
import { openFixture, run } from './test-cli.ts';
import { answers, NOW_MS, rolloutView, STEPPING, weighedView } from './test-data.ts';
import { displayWidth } from './terminal-text.ts';

const ended = { step: 1, atMs: NOW_MS - 60_000, by: 'engine', reason: 'p99 9.10 ms is 1.90× the champion’s and exceeds 1.5×' };
const STATES: readonly RolloutState[] = [
  { phase: 'preparing', sinceMs: NOW_MS - 5000 },
  STEPPING,
  { phase: 'paused', step: 1, heldMs: 1000, atMs: NOW_MS - 60_000, by: 'alice', reason: 'holiday' },
  { phase: 'promoted', atMs: NOW_MS - 60_000, by: 'engine', reason: 'every guard is healthy' },
  { phase: 'rolled-back', ...ended },
  { phase: 'aborted', ...ended, by: 'alice', reason: 'wrong version' },
  { phase: 'killed', ...ended, by: 'bob', reason: 'wrong answers' },
];

describe.each(['get', 'why'])('rollout %s', (verb) => {
  it.each([40, 80, 120])('fits %d columns', async (columns) => {
    await using fixture = await openFixture();
    const { code, stdout } = await run(['rollout', verb, 'digits'], {
      url: fixture.url,
      columns,
      isTty: true,
      env: { NO_COLOR: '1' },
    });
    expect(code).toBe(0);
    expect(stdout.split('\n').filter((line) => displayWidth(line) > columns)).toEqual([]);
    await expect(stdout).toMatchFileSnapshot(`testdata/frames/${verb}-${columns}.txt`);
  });

  it.each([40, 80, 120])('shows what guards have weighed in %d columns', async (columns) => {
    await using fixture = await openFixture({ getRollout: weighedView() });
    const options = { url: fixture.url, columns, isTty: true, env: { NO_COLOR: '1' } };
    const { stdout } = await run(['rollout', verb, 'digits'], options);
    expect(stdout.split('\n').filter((line) => displayWidth(line) > columns)).toEqual([]);
    await expect(stdout).toMatchFileSnapshot(`testdata/frames/${verb}-weighed-${columns}.txt`);
  });

  it.each([40, 80])('shows guards from elsewhere in %d columns', async (columns) => {
    await using fixture = await openFixture({ getRollout: checkedView() });
    const options = { url: fixture.url, columns, isTty: true, env: { NO_COLOR: '1' } };
    const { stdout } = await run(['rollout', verb, 'digits'], options);
    expect(stdout.split('\n').filter((line) => displayWidth(line) > columns)).toEqual([]);
    await expect(stdout).toMatchFileSnapshot(`testdata/frames/${verb}-checked-${columns}.txt`);
  });

  it('gives all of it as JSON', async () => {
    await using fixture = await openFixture({ getRollout: weighedView() });
    const { stdout } = await run(['rollout', verb, 'digits', '--json'], { url: fixture.url });
    expect(JSON.parse(stdout)).toEqual(weighedView());
  });

  it.each(STATES.map((state) => ({ state, phase: state.phase })))(
    'says where a rollout stands that is $phase',
    async ({ state }) => {
      await using fixture = await openFixture({ getRollout: rolloutView(state) });
      const { stdout } = await run(['rollout', verb, 'digits'], { url: fixture.url });
      await expect(stdout).toMatchFileSnapshot(`testdata/frames/${verb}-${state.phase}.txt`);
    },
  );

  it.each([
    { name: 'on a terminal', isTty: true, env: {}, words: [], isColored: true },
    { name: 'not elsewhere', isTty: false, env: {}, words: [], isColored: false },
    { name: 'not with NO_COLOR', isTty: true, env: { NO_COLOR: '1' }, words: [], isColored: false },
    { name: 'not with TERM=dumb', isTty: true, env: { TERM: 'dumb' }, words: [], isColored: false },
    { name: 'elsewhere with FORCE_COLOR', isTty: false, env: { FORCE_COLOR: '1' }, words: [], isColored: true },
    { name: 'not with FORCE_COLOR=0', isTty: true, env: { FORCE_COLOR: '0' }, words: [], isColored: false },
    { name: 'not with --no-color', isTty: true, env: { FORCE_COLOR: '1' }, words: ['--no-color'], isColored: false },
  ])('has colours $name', async ({ isTty, env, words, isColored }) => {
    await using fixture = await openFixture();
    const plainRun = await run(['rollout', verb, 'digits'], { url: fixture.url });
    const { stdout } = await run(['rollout', verb, 'digits', ...words], { url: fixture.url, isTty, env });
    expect(stdout.includes('\u001B[')).toBe(isColored);
    expect(stripVTControlCharacters(stdout)).toBe(plainRun.stdout);
  });

  it('says that a harmful challenger goes back', async () => {
    const view = rolloutView();
    const now = { guards: [], atMs: NOW_MS, verdict: 'harmful' as const, reason: 'too slow' };
    await using fixture = await openFixture({ getRollout: { ...view, now } });
    const { stdout } = await run(['rollout', verb, 'digits'], { url: fixture.url });
    expect(stdout).toContain('back to v1 for everybody at the next check');
  });

  it('lets only our own colours through on a terminal', async () => {
    await using fixture = await openFixture(answers('x\u001B[2J\u001B]52;c;ZQ==\u0007\u202Ey'));
    const { stdout } = await run(['rollout', verb, 'digits'], { url: fixture.url, isTty: true });
    const uncoloured = stdout.replaceAll(/\p{Cc}\[\d+m/gu, '').replaceAll('\n', '');
    expect(uncoloured).not.toMatch(/[\p{Cc}\p{Bidi_Control}]/u);
  });
});

it.each([
  { heldFor: 'approval', words: 'held: waits for approval' },
  { heldFor: 'freeze', words: 'held: frozen' },
  { heldFor: 'dry-run', words: 'dry run: it would act now' },
  { heldFor: 'time-box', words: 'held: the time box is over' },
] as const)('says that people hold it back: $heldFor', async ({ heldFor, words }) => {
  const view = rolloutView();
  const [first, second, ...rest] = view.rollout.plan.steps;
  if (first === undefined || second === undefined || view.now === undefined) throw new Error('the view is of another rollout');
  const steps = [first, { ...second, approval: { by: 2, fourEyes: true } }, ...rest];
  const rollout = { ...view.rollout, plan: { ...view.rollout.plan, steps, dryRun: true } };
  const now = { ...view.now, verdict: 'healthy' as const, heldFor, would: 'advance' as const, reason: 'THE REASON' };
  await using fixture = await openFixture({ getRollout: { ...view, rollout, now } });
  for (const verb of ['get', 'why']) {
    const { stdout } = await run(['rollout', verb, 'digits'], { url: fixture.url, columns: 200 });
    expect(stdout).toContain(words);
    expect(stdout).toContain('2 approvals are missing, not from alice who started it');
    expect(stdout).toContain('THE REASON');
  }
  expect((await run(['rollout', 'get', 'digits'], { url: fixture.url, columns: 200 })).stdout).toContain('(dry run)');
});

describe('a bake', () => {
  const view = rolloutView({ phase: 'stepping', step: 1, sinceMs: NOW_MS - 3_600_000 });
  const bake = { trafficPercent: 95, holdMs: 86_400_000, minSamples: 100, isBake: true } as const;
  const [first] = view.rollout.plan.steps;
  const steps = [...(first === undefined ? [] : [first]), bake, { trafficPercent: 100, holdMs: 0, minSamples: 0 }];
  const baking = (verdict: 'healthy' | 'no-data') => ({
    ...view,
    rollout: { ...view.rollout, plan: { ...view.rollout.plan, steps } },
    now: { verdict, reason: 'r', guards: [], atMs: NOW_MS },
  });

  it.each([
    {
      verdict: 'healthy',
      words: `baking: 5 % held back on v1 until ${new Date(NOW_MS + 82_800_000).toISOString().slice(0, 16).replace('T', ' ')}Z`,
    },
    { verdict: 'no-data', words: 'waiting for traffic' },
  ] as const)('says who is held back until when, unless it waits for more than time: $verdict', async ({ verdict, words }) => {
    await using fixture = await openFixture({ getRollout: baking(verdict) });
    const { stdout } = await run(['rollout', 'get', 'digits'], { url: fixture.url, columns: 120 });
    expect(stdout).toContain(words);
    expect(stdout).toContain('[95 bake] > 100 %');
  });
});
