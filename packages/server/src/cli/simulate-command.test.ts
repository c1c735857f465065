import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { SCENARIOS } from '@understudy/core/simulation/scenarios';
import { describe, expect, it } from 'vitest';
import { EXIT } from './exit-codes.ts';
import type { SimulationReport } from './simulation-report.ts';
import { displayWidth } from './terminal-text.ts';
import { emptyFolder, openFixture, run, type RunOptions } from './test-cli.ts';
import { rolloutView } from './test-data.ts';

const NOWHERE = 'http://127.0.0.1:9';
const CERTAIN = ['simulate', '--scenario', 'errors-1-to-100', '--rollouts', '12'];

async function reportOf(words: readonly string[], options: RunOptions = {}): Promise<SimulationReport> {
  const { code, stdout, stderr } = await run([...words, '--json'], { url: NOWHERE, ...options });
  expect(code, stderr).toBe(EXIT.ok);
  const report: SimulationReport = JSON.parse(stdout);
  return report;
}

describe('simulate', () => {
  it('needs no server, and says how rollouts end', async () => {
    const report = await reportOf(CERTAIN);
    expect(report).toMatchObject({ plan: 'standard', alpha: 0.05, firstSeed: 1 });
    expect(report.results).toEqual([
      {
        scenario: 'errors-1-to-100',
        title: 'errors 1 -> 100 %',
        truth: 'harmful',
        requestsPerSecond: 20,
        rollouts: 12,
        promoted: 0,
        rolledBack: 12,
        held: 0,
        detectionRate: 1,
        requestsToRollback: { count: 12, median: expect.any(Number), p95: expect.any(Number), mean: expect.any(Number) },
        remarks: [],
      },
    ]);
    expect(report.results[0]?.requestsToRollback?.median).toBeLessThan(10);
  });

  it('plays the same rollouts for the same seeds, whichever thread plays them', async () => {
    const words = ['simulate', '--scenario', 'errors-1-to-20', '--rollouts', '12'];
    const [once, again, other] = [await reportOf(words), await reportOf(words), await reportOf([...words, '--seed', '1000'])];
    expect(again).toEqual(once);
    expect(other.results).not.toEqual(once.results);
  });

  it('tells a false rollback from a detection', async () => {
    const words = ['simulate', '--scenario', 'aa-normal', '--scenario', 'errors-1-to-20', '--rollouts', '4'];
    const { results } = await reportOf(words);
    expect(results.map(({ falseRollbackRate, detectionRate }) => [falseRollbackRate, detectionRate])).toEqual([
      [0, undefined],
      [undefined, 1],
    ]);
    expect(results[0]?.minutesToPromotion?.median).toBeGreaterThan(1);
    const { stdout } = await run(words, { url: NOWHERE });
    expect(stdout).toContain('False rollbacks: 0 % of challengers that are no worse; the plan allows 5 %.');
    expect(stdout).toContain('Detected: 100 % of challengers that are worse.');
  });

  it('takes a plan from a file, with a rate of one’s own, and says what the start check would', async () => {
    const file = path.join(await emptyFolder(), 'mine.yaml');
    const guards = '[{ metric: errors }, { metric: score, name: rating }]';
    await writeFile(
      file,
      `name: mine\nsteps: [{ traffic: 50 }, { traffic: 100 }]\npolicy: { kind: sequential, guards: ${guards} }\n`,
    );
    const { plan, results } = await reportOf([...CERTAIN, '--plan', file, '--rate', '2']);
    expect([plan, results[0]?.requestsPerSecond, results[0]?.rolledBack]).toEqual(['mine', 2, 12]);
    expect(results[0]?.remarks[0]).toContain('the guard score.rating has no data and is left out');
  });

  it('says that guards from elsewhere are not played', async () => {
    const file = path.join(await emptyFolder(), 'mine.yaml');
    const check = '{ name: desk, webhook: { url: "https://desk.example" } }';
    await writeFile(file, `name: mine\nsteps: [{ traffic: 50 }, { traffic: 100 }]\nchecks: [${check}]\n`);
    const { results } = await reportOf([...CERTAIN, '--plan', file]);
    expect(results[0]?.remarks.join()).toContain('guards from elsewhere are not played (desk)');
  });

  it('counts a rollout that goes on for too long as held', async () => {
    const { results } = await reportOf(['simulate', '--scenario', 'aa-normal', '--rollouts', '2', '--limit', '30s']);
    expect(results[0]).toMatchObject({ held: 2, promoted: 0 });
  });

  it('lists every scenario', async () => {
    const { stdout } = await run(['simulate', '--list', '-o', 'name'], { url: NOWHERE });
    expect(stdout.trim().split('\n')).toEqual(SCENARIOS.map(({ name }) => name));
  });

  it.each([40, 80, 120])('fits %d columns, and shows how far it is', async (columns) => {
    const options = { url: NOWHERE, columns, isTty: true, env: { NO_COLOR: '1' } };
    const { stdout, stderr } = await run([...CERTAIN, '--scenario', 'errors-1-to-20'], options);
    expect(stdout.split('\n').filter((line) => displayWidth(line) > columns)).toEqual([]);
    expect(stderr).toContain('1 of 2, errors-1-to-100: 12 of 12');
  });

  it('is silent about its progress where nobody looks', async () => {
    expect((await run(CERTAIN, { url: NOWHERE })).stderr).toBe('');
  });

  it('ends at once when interrupted', async () => {
    const interrupt = new AbortController();
    setTimeout(() => interrupt.abort(), 200);
    const { code, stdout } = await run(['simulate', '--scenario', 'aa-low-traffic', '--rollouts', '1000'], {
      url: NOWHERE,
      interrupt: interrupt.signal,
    });
    expect({ code, stdout }).toEqual({ code: EXIT.interrupted, stdout: '' });
  });

  it.each([
    { words: ['--scenario', 'errors-1-to-3'], code: EXIT.usage, says: 'did you mean "errors-1-to-' },
    { words: ['--scenario', 'weather'], code: EXIT.usage, says: 'there are aa-lognormal, ' },
    { words: ['--rollouts', '0'], code: EXIT.usage, says: 'write a whole number from 1' },
    { words: ['--rollouts', '2.5'], code: EXIT.usage, says: 'write a whole number from 1' },
    { words: ['--rate', '0'], code: EXIT.usage, says: 'above 0' },
    { words: ['--limit', 'soon'], code: EXIT.usage, says: 'write a length of time' },
    {
      words: ['--plan', 'mine'],
      code: EXIT.notFound,
      says: '"mine" is none of the built-in plans (standard, careful, rehearsed)',
    },
  ])('refuses $words with $code', async ({ words, code, says }) => {
    const ran = await run(['simulate', ...words], { url: NOWHERE });
    expect({ code: ran.code, stdout: ran.stdout }).toEqual({ code, stdout: '' });
    expect(ran.stderr).toContain(says);
  });

  it('refuses a plan none of whose guards has data', async () => {
    const folder = await emptyFolder();
    await mkdir(folder, { recursive: true });
    const file = path.join(folder, 'blind.yaml');
    const policy = '{ kind: sequential, guards: [{ metric: score, name: rating }] }';
    await writeFile(file, `name: blind\nsteps: [{ traffic: 50 }, { traffic: 100 }]\npolicy: ${policy}\n`);
    const { code, stderr } = await run([...CERTAIN, '--plan', file], { url: NOWHERE });
    expect(code).toBe(EXIT.usage);
    expect(stderr).toContain('no guard of the plan "blind" has data in errors-1-to-100');
  });
});

describe('simulate --from', () => {
  it('plays the recorded challenger and one without a difference, on the recorded traffic and plan', async () => {
    await using fixture = await openFixture();
    const { results } = await reportOf(['simulate', '--from', 'digits', '--rollouts', '3', '--limit', '10m'], {
      url: fixture.url,
    });
    expect(results.map(({ scenario, truth, requestsPerSecond }) => ({ scenario, truth, requestsPerSecond }))).toEqual([
      { scenario: 'no-difference', truth: 'harmless', requestsPerSecond: 10 },
      { scenario: 'as-recorded', truth: 'recorded', requestsPerSecond: 10 },
    ]);
    // A third of the recorded challenger's requests failed, and one in a hundred of the champion's.
    expect(results.map(({ rolledBack }) => rolledBack)).toEqual([0, 3]);
  });

  it('plays harm of the catalogue on the recorded traffic', async () => {
    await using fixture = await openFixture();
    const words = ['simulate', '--from', 'digits-3', '--plan', 'standard', '--rollouts', '3', '--rate', '40'];
    const { plan, results } = await reportOf([...words, '--scenario', 'errors-1-to-20'], { url: fixture.url });
    expect([plan, results.map(({ scenario, detectionRate }) => ({ scenario, detectionRate }))]).toEqual([
      'standard',
      [{ scenario: 'errors-1-to-20', detectionRate: 1 }],
    ]);
    const { code, stderr } = await run([...words, '--scenario', 'aa-pareto'], { url: fixture.url });
    expect(code).toBe(EXIT.usage);
    expect(stderr).toContain('there is no scenario "aa-pareto" on recorded traffic');
  });

  it('says so when the evidence is gone', async () => {
    await using fixture = await openFixture({ getRolloutEvidence: { arms: [] }, getRollout: rolloutView() });
    const { code, stderr } = await run(['simulate', '--from', 'digits-3'], { url: fixture.url });
    expect(code).toBe(EXIT.usage);
    expect(stderr).toContain('no evidence of its champion is stored');
  });
});
