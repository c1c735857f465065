import { expect, it } from 'vitest';
import { openFixture, run } from './test-cli.ts';

const NOW_MS = Date.now();
const SEEN = { application: 'shop', firstSeenAtMs: NOW_MS, seenAtMs: NOW_MS };

it('shows who reads flags, and warns about another hash on stderr', async () => {
  await using fixture = await openFixture({
    listSdks: [
      { ...SEEN, family: 'launchdarkly', sdk: 'NodeJSClient/9.13.7', isLocal: true, warnings: ['another hash than "ml" has'] },
      { ...SEEN, family: 'ofrep', sdk: 'node', isLocal: false, warnings: [] },
    ],
  });
  const { code, stdout, stderr } = await run(['sdk', 'list'], { url: fixture.url });
  expect(code).toBe(0);
  expect(stdout).toMatch(/launchdarkly +NodeJSClient\/9\.13\.7 +shop +by itself .* 1$/m);
  expect(stdout).toMatch(/ofrep +node +shop +here .* none$/m);
  expect(stderr).toBe('warning: NodeJSClient/9.13.7 of "shop": another hash than "ml" has\n');
});

it('says how an SDK gets a key when none was heard of', async () => {
  await using fixture = await openFixture({ listSdks: [] });
  expect((await run(['sdk', 'list'], { url: fixture.url })).stdout).toContain('understudy token create <name> --sdk <family>');
});
