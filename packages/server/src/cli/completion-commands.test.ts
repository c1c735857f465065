import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { emptyFolder, openFixture, run } from './test-cli.ts';
import { answers } from './test-data.ts';

describe('words that may come next', () => {
  it.each([
    { typed: ['roll'], expected: ['rollout'] },
    { typed: ['rollout', 'pr'], expected: ['promote'] },
    { typed: ['rollout', 'get', ''], expected: ['digits', 'digits-3'] },
    { typed: ['model', 'show', 'd'], expected: ['digits'] },
    { typed: ['version', 'show', 'digits', ''], expected: ['v2'] },
    { typed: ['rollout', 'start', 'digits', 'v2', '--plan', ''], expected: ['standard'] },
    { typed: ['version', 'register', 'digits', 'v2', '--protocol', 'm'], expected: ['mlflow'] },
    { typed: ['rollout', 'promote', 'digits', '--y'], expected: ['--yes'] },
    { typed: ['model', 'list', '-o', 'y'], expected: ['yaml'] },
    { typed: ['completion', 'f'], expected: ['fish'] },
    { typed: ['nonsense', 'x'], expected: [] },
  ])('$typed', async ({ typed, expected }) => {
    await using fixture = await openFixture();
    const { stdout } = await run(['__complete', '--', ...typed], { url: fixture.url });
    expect(stdout.split('\n').filter((word) => word !== '')).toEqual(expected);
  });

  it('come from a cache for a minute', async () => {
    await using fixture = await openFixture();
    const cwd = await emptyFolder();
    let nowMs = 1000;
    const ask = async () =>
      run(['__complete', '--', 'model', 'show', ''], { url: fixture.url, cwd, clock: { nowMs: () => nowMs } });
    await ask();
    await ask();
    expect(fixture.seen).toHaveLength(1);
    nowMs += 60_000;
    await ask();
    expect(fixture.seen).toHaveLength(2);
  });

  it('hold nothing that a shell would run', async () => {
    const [view] = answers().listModels;
    const evil = { getModel: view, listModels: [view] };
    await using fixture = await openFixture({ ...evil, listPlans: [] });
    fixture.set({ listRollouts: [] });
    const { stdout } = await run(['__complete', '--', 'model', 'show', ''], { url: fixture.url });
    expect(stdout).toMatch(/^[\w.\n-]*$/);
  });

  it('are none when nothing answers', async () => {
    const { code, stdout } = await run(['__complete', '--', 'model', 'show', ''], { url: 'http://127.0.0.1:9' });
    expect({ code, stdout: stdout.trim() }).toEqual({ code: 0, stdout: '' });
  });
});

it('prints a script that bash can read', async () => {
  const { stdout } = await run(['completion', 'bash']);
  expect(() => execFileSync('bash', ['-n'], { input: stdout })).not.toThrow();
});
