/** `npm run demo`: starts the product with real models and traffic, tells three stories, keeps serving. `main.ts` calls it. */
import { createClient } from '@understudy/contract/client';
import { isAppError } from '@understudy/core/errors';
import { readAsset } from './assets.ts';
import { openDemoDirectory } from './demo-directory.ts';
import { DIABETES, DIGITS } from './demo-plans.ts';
import { countText, plural } from './figures.ts';
import { keepServing } from './keep-serving.ts';
import { columnsOf, paragraph } from './lines.ts';
import type { StoryResult } from './outcome.ts';
import { heading, say, type Story } from './play.ts';
import { areAllGood, summaryLines } from './render-summary.ts';
import { type DemoIo, openScreen, type Screen } from './screen.ts';
import {
  bringUp,
  createTokens,
  FIRST_CHAMPION,
  openBusyTraffic,
  type Stage,
  type StartedServer,
  type Tokens,
  waitUntilReady,
} from './stage.ts';
import { BETTER } from './story-better.ts';
import { HARMFUL } from './story-harmful.ts';
import { LATER } from './story-later.ts';
import { DemoFailure } from './waiting.ts';

/** What the demo asks of the server that it is handed. */
export interface DemoServerWish {
  /** An empty directory for the store and the model files; the demo removes it. */
  readonly directory: string;
}

export interface DemoOptions {
  /** Ends after the stories, with an exit code that says how they went. */
  readonly once: boolean;
  readonly io: DemoIo;
  /** Starts the product in this process. */
  readonly startServer: (wish: DemoServerWish) => Promise<StartedServer>;
  /** `examples/models/`, with the slash at its end. */
  readonly assets: URL;
  /** Ctrl-C. */
  readonly signal: AbortSignal;
}

const STORIES: readonly Story[] = [BETTER, HARMFUL, LATER];

const EXIT_OK = 0;
const EXIT_FAILED = 1;
const EXIT_INTERRUPTED = 130;
// Ctrl-C is to end everything within a second, whatever still runs.
const CLOSE_WITHIN_MS = 400;

/** @returns the exit code: 0 when every story ended as it must, 1 when one did not, 130 after Ctrl-C before the end */
export async function runDemo(options: DemoOptions): Promise<number> {
  const { io, signal } = options;
  const screen = openScreen(io);
  const broken = new AbortController();
  const onFailure = (error: Error): void => broken.abort(error);
  // Whoever read along has gone, as with `| head`.
  io.stdout.on('error', onFailure);
  const directory = await openDemoDirectory(onFailure);
  const closers = [() => directory.close()];
  const house: House = {
    screen,
    directory: directory.path,
    closers,
    onFailure,
    signal: AbortSignal.any([signal, broken.signal]),
  };
  try {
    return await perform(options, house);
  } catch (error) {
    if (signal.aborted) return EXIT_INTERRUPTED;
    screen.print('', ...paragraph(messageOf(error), { columns: screen.columns, lead: `${screen.palette.red('✖')} ` }));
    return EXIT_FAILED;
  } finally {
    for (const close of closers.toReversed()) await atMost(CLOSE_WITHIN_MS, close());
    if (signal.aborted) screen.print('', screen.palette.dim('Ended: the server is closed and its directory removed.'));
    io.stdout.removeListener('error', onFailure);
  }
}

/** Where the demo is, and what has to be undone at its end. */
interface House {
  readonly screen: Screen;
  readonly directory: string;
  /** Oldest first. */
  readonly closers: (() => Promise<void>)[];
  /** Ends the demo: Ctrl-C, or something that it cannot go on without. */
  readonly signal: AbortSignal;
  readonly onFailure: (error: Error) => void;
}

async function perform(options: DemoOptions, house: House): Promise<number> {
  const { screen, directory } = house;
  greet(screen);
  screen.live(['  starting the server …']);
  const server = await options.startServer({ directory });
  house.closers.push(() => server.close());
  const { stage, tokens } = await setStage(options.assets, house, server);
  introduce(stage, server);
  const results = await tellAll(stage);
  await finish(stage, results);
  const code = areAllGood(results) ? EXIT_OK : EXIT_FAILED;
  if (!options.once) await keepServing(stage, { server, tokens, directory, ended: options.signal });
  return code;
}

async function setStage(assets: URL, house: House, server: StartedServer): Promise<{ stage: Stage; tokens: Tokens }> {
  const { screen, signal, onFailure } = house;
  const [digits, diabetes] = await Promise.all([DIGITS, DIABETES].map((setting) => readAsset(assets, setting)));
  if (digits === undefined || diabetes === undefined) throw new Error('two models were asked for');
  const tokens = await createTokens(server, signal);
  const client = createClient({ url: server.controlUrl, token: tokens.operate });
  for (const asset of [digits, diabetes]) {
    screen.live([`  registering ${asset.model} …`]);
    await bringUp(client, asset, signal);
  }
  screen.live(['  waiting for the gateway to load them …']);
  for (const { model } of [digits, diabetes]) await waitUntilReady(client, { model, version: FIRST_CHAMPION }, signal);
  const bare = { client, screen, signal, assets: { digits, diabetes } };
  const plan = { gatewayUrl: server.gatewayUrl, token: tokens.predict };
  const traffic = await openBusyTraffic(bare, plan, onFailure);
  house.closers.push(() => traffic.close());
  return { stage: { ...bare, traffic }, tokens };
}

function greet(screen: Screen): void {
  const { palette } = screen;
  screen.print(
    palette.bold('Understudy rolls out new versions of models, and takes them back.'),
    palette.dim('Everything below is measured: ONNX models, requests, decisions of the engine.'),
    '',
  );
}

function introduce({ screen, assets }: Stage, { controlUrl, gatewayUrl }: StartedServer): void {
  const { palette } = screen;
  const rows = Object.values(assets).map(({ model, versions, traffic }) => {
    const cast = `${FIRST_CHAMPION} of ${versions.length} versions is champion`;
    return [`  ${palette.bold(model)}`, `${cast}; ${traffic.perSecond} requests/s of ${countText(traffic.users)} users`];
  });
  const addresses = [
    ['  control plane', `${controlUrl} (API page: ${controlUrl}/docs)`],
    ['  gateway', gatewayUrl],
  ];
  screen.print(...columnsOf([...addresses, ...rows], ['left', 'left']));
}

/** Every story is told, also after one that went wrong: each has a model or a version of its own. */
async function tellAll(stage: Stage): Promise<readonly StoryResult[]> {
  const results: StoryResult[] = [];
  for (const story of STORIES) {
    try {
      results.push(await story.tell(stage));
    } catch (error) {
      stage.signal.throwIfAborted();
      results.push({ title: story.title, must: 'come to its end', happened: 'it did not', problems: [messageOf(error)] });
    }
  }
  return results;
}

async function finish({ client, screen, signal }: Stage, results: readonly StoryResult[]): Promise<void> {
  heading(screen, 'What had to happen, and what did');
  screen.print(...summaryLines({ results, columns: screen.columns }, screen.palette), '');
  const { entries, intact } = await client('verifyJournal', { signal });
  const chain = intact ? 'its hash chain is intact' : 'its hash chain is BROKEN';
  say(screen, `Every change is in the journal, with who and why: ${plural(entries, 'entry', 'entries')}, ${chain}.`);
}

function messageOf(error: unknown): string {
  if (error instanceof DemoFailure || isAppError(error)) return error.message;
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : `${error.name}: ${error.message}`;
}

/** Waits for the work, but no longer than this; a failure of closing is no news at the end. */
async function atMost(ms: number, work: Promise<void>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  await Promise.race([work.catch(() => undefined), promise]);
  clearTimeout(timer);
}
