import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { SDK_RELEASE } from './release.ts';

it('is the version of the package', () => {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string };
  expect(SDK_RELEASE).toBe(`understudy-js/${version}`);
});
