/** What a command works with while it runs: connection, output, colours, questions. Every command gets one. */
import type { Answer, CallInput } from '@understudy/contract/client';
import type { EndpointName } from '@understudy/contract/endpoints';
import { AppError } from '@understudy/core/errors';
import type { PlannedRequest } from './dry-run.ts';
import type { CliIo, Environment } from './io.ts';
import { type Output, outputFormOf, outputTo } from './output.ts';
import { type Palette, paletteOf, wantsColor } from './palette.ts';
import { resolveSettings, type Settings, type SettingsInput } from './settings.ts';
import { plain } from './terminal-text.ts';

/** One line of `understudy doctor`. */
export interface Check {
  readonly name: string;
  readonly state: 'ok' | 'warning' | 'problem';
  readonly detail: string;
  /** What to do about it. */
  readonly fix?: string;
}

/** What the command line is given by the process, or by a test. */
export interface CliDeps {
  readonly io: CliIo;
  readonly env: Environment;
  readonly cwd: string;
  readonly clock: { nowMs(): number };
  /** The product's version. */
  readonly release: string;
  /** Aborted by Ctrl-C. */
  readonly interrupt?: AbortSignal;
  /** How long completion (120 ms when left out, or a person takes the Tab key for broken) and suggestions wait for names. */
  readonly patienceMs?: number;
  /** Checks of this machine, shown first by `understudy doctor`. */
  readonly localChecks?: () => Promise<readonly Check[]>;
}

export interface Session {
  readonly deps: CliDeps;
  readonly output: Output;
  readonly palette: Palette;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
  readonly isDryRun: boolean;
  /** Whether questions may be asked. */
  readonly canAsk: boolean;
  /** `--yes`. */
  readonly isConfirmed: boolean;
  /** What `--dry-run` would have sent. */
  readonly planned: readonly PlannedRequest[];
  /** What goes on at the server when the command is interrupted now. */
  readonly afterInterrupt: string;
  /** Connection flags as they were typed. */
  readonly flags: SettingsInput['flags'];
  settings(): Promise<Settings>;
  /** Asks the control plane; changes nothing. */
  ask<Name extends EndpointName>(
    name: Name,
    input: CallInput<Name>,
    options?: { readonly timeoutMs?: number },
  ): Promise<Answer<Name>>;
  /** Changes something; with `--dry-run` only notes what would be sent and gives back nothing. */
  change<Name extends EndpointName>(
    name: Name,
    input: CallInput<Name>,
    options?: { readonly timeoutMs?: number },
  ): Promise<Answer<Name> | undefined>;
  /** Talk, to stderr. */
  note(text: string): void;
  stillRuns(text: string): void;
}

/** @param options all options of the command line, global ones included */
export function openSession(deps: CliDeps, options: Readonly<Record<string, unknown>>): Session {
  const { io, env } = deps;
  const signal = deps.interrupt ?? new AbortController().signal;
  const flags = connectionFlags(options);
  const planned: PlannedRequest[] = [];
  let afterInterrupt = '';
  const note = (text: string) => void io.stderr.write(`${plain(text)}\n`);
  const open = once(async () => {
    const found = await resolveSettings({ flags, env, cwd: deps.cwd, stdin: io.stdin });
    for (const warning of found.warnings) note(`warning: ${warning}`);
    return found;
  });
  const connect = async (timeoutMs?: number) => {
    const { url, token } = await open();
    const { createClient } = await import('@understudy/contract/client');
    const base = token === undefined ? { url } : { url, token };
    return createClient(timeoutMs === undefined ? base : { ...base, timeoutMs });
  };
  const client = once(async () => connect());
  const ask: Session['ask'] = async (name, input, { timeoutMs } = {}) => {
    const send = timeoutMs === undefined ? await client() : await connect(timeoutMs);
    return understood(send(name, { ...input, signal }), await open());
  };
  return {
    deps,
    output: outputTo(io, outputFormOf(options)),
    palette: paletteOf(wantsColor({ env, isTty: io.isTty, flag: options['color'] !== false })),
    signal,
    isDryRun: options['dryRun'] === true,
    canAsk: (io.canAsk ?? io.isTty) && options['input'] !== false,
    isConfirmed: options['yes'] === true,
    planned,
    flags,
    get afterInterrupt() {
      return afterInterrupt;
    },
    settings: open,
    ask,
    async change(name, input, { timeoutMs } = {}) {
      const { planRequest } = await import('./dry-run.ts');
      const request = planRequest(name, input);
      if (options['dryRun'] === true) {
        planned.push(request);
        return undefined;
      }
      afterInterrupt = 'The change was on its way: `understudy journal` says whether it happened.';
      const send = timeoutMs === undefined ? await client() : await connect(timeoutMs);
      const answer = await understood(send(name, { ...input, signal }), await open());
      afterInterrupt = '';
      return answer;
    },
    note,
    stillRuns(text) {
      afterInterrupt = text;
    },
  };
}

/** Runs at most once, when first asked. */
function once<Value>(make: () => Promise<Value>): () => Promise<Value> {
  let made: Promise<Value> | undefined;
  return () => (made ??= make());
}

function connectionFlags(options: Readonly<Record<string, unknown>>): SettingsInput['flags'] {
  const { url, tokenFile, context } = options;
  return {
    ...(typeof url === 'string' ? { url } : {}),
    ...(typeof tokenFile === 'string' ? { tokenFile } : {}),
    ...(typeof context === 'string' ? { context } : {}),
  };
}

/** Puts an answer that does not fit the contract into words: the server is another release, or no Understudy at all. */
async function understood<Data>(answer: Promise<Data>, { url }: Settings): Promise<Data> {
  try {
    return await answer;
  } catch (error) {
    if (!(error instanceof Error) || !(error.name === 'ZodError' || error.name === '$ZodError' || error instanceof SyntaxError))
      throw error;
    throw new AppError(
      'upstream.bad_response',
      `${url} answered with something this release does not understand; check that the address is a control plane of the same release (\`understudy doctor\`)`,
      { cause: error },
    );
  }
}
