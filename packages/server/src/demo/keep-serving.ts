/** After the stories: light traffic, what to try, and a status line, until Ctrl-C. `run-demo.ts` depends on it. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { QUIET_RATE } from './demo-plans.ts';
import { farewellLines } from './farewell.ts';
import { countText, percentText, plural } from './figures.ts';
import type { Stage, StartedServer, Tokens } from './stage.ts';
import { rest } from './waiting.ts';

export interface Serving {
  readonly server: StartedServer;
  readonly tokens: Tokens;
  /** The token file is written here. */
  readonly directory: string;
  /** Ctrl-C. */
  readonly ended: AbortSignal;
}

const STATUS_EVERY_MS = 1000;

/** Serves until `ended`. @throws what goes wrong before */
export async function keepServing(stage: Stage, { server, tokens, directory, ended }: Serving): Promise<void> {
  const { screen, signal, traffic, assets } = stage;
  const { controlUrl, gatewayUrl } = server;
  const tokenFile = join(directory, 'operator-token');
  await writeFile(tokenFile, `${tokens.operate}\n`, { mode: 0o600 });
  const features = assets.digits.traffic.rows.usual[0] ?? [];
  const farewell = { controlUrl, gatewayUrl, tokenFile, predictToken: tokens.predict, features };
  screen.print(...farewellLines(farewell, screen.palette), '');
  for (const { model } of Object.values(assets)) {
    traffic.set(model, { perSecond: QUIET_RATE });
    traffic.mark(model);
  }
  try {
    for (;;) {
      screen.live(await statusLines(stage));
      await rest(STATUS_EVERY_MS, signal);
    }
  } catch (error) {
    if (!ended.aborted) throw error;
  }
}

async function statusLines({ client, signal, traffic, screen, assets }: Stage): Promise<readonly string[]> {
  const lines: string[] = [];
  for (const name of Object.keys(assets)) {
    const { model, challengerPercent } = await client('getModel', { params: { model: name }, signal });
    const { answers, errors } = traffic.measureOf(name);
    const trial =
      model.liveRollout === undefined ? '' : `   ${model.liveRollout}: ${percentText(challengerPercent)} on the challenger`;
    const champion = `${name}: ${model.champion ?? 'nobody'} is champion`;
    lines.push(screen.palette.dim(`  ${champion}   ${countText(answers)} answers, ${plural(errors, 'error')}${trial}`));
  }
  return lines;
}
