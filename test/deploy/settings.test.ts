// Every setting that deploy/ and its page speak of is one that the program has.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { environmentName, settingNames } from '../../packages/server/src/config.ts';
import { ROOT } from './image-recipe.ts';

// Not settings of the server: the image that compose takes, and the token that a gateway reads when it has no file.
const OTHERS = ['UNDERSTUDY_IMAGE', 'UNDERSTUDY_CONTROL_TOKEN'];

const deployed = readdirSync(join(ROOT, 'deploy'), { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && !entry.parentPath.endsWith('secrets'))
  .map((entry) => join(entry.parentPath, entry.name));

it.each([...deployed, join(ROOT, 'docs/how-to/deploy.md')])('%s names settings that there are', (file) => {
  const known = [...settingNames().map(environmentName), ...OTHERS];
  const named = readFileSync(file, 'utf8').match(/\bUNDERSTUDY_[A-Z_]+/g) ?? [];
  expect(named.filter((name) => !known.includes(name))).toEqual([]);
});
