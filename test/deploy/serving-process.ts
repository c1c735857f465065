// `understudy serve` as containers and units run it; tests of deploy/ start it.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ServingOptions, type ServingProgram, startServing } from '../serving-program.ts';
import { ROOT } from './image-recipe.ts';

/** Starts it with nothing of the caller's environment. */
export function startDeployed(options: ServingOptions & { readonly cwd: string }): Promise<ServingProgram> {
  return startServing({ ...options, env: { PATH: '/usr/bin:/bin', HOME: options.cwd } });
}

/** The admin token that the first start shows, found as deploy/compose/up.sh finds it in the log. */
export function firstTokenIn(greeting: string): string {
  const script = readFileSync(join(ROOT, 'deploy/compose/up.sh'), 'utf8');
  const [, sed] = /sed -n '([^']+)'/.exec(script) ?? [];
  if (sed === undefined) throw new Error('deploy/compose/up.sh does not take the token out of the log with sed any more');
  return execFileSync('sed', ['-n', sed], { input: greeting, encoding: 'utf8' }).trim();
}
