/** `understudy doctor`: is everything well, and what to do where it is not. The checks of the control plane; the process adds those of the machine. */
import type { Command } from './command.ts';
import { checkEnvironment } from './doctor-environment.ts';
import { EXIT, EXIT_OF, type ExitCode } from './exit-codes.ts';
import { formatDuration } from '@understudy/core/duration';
import { AppError } from '@understudy/core/errors';
import { allows } from '@understudy/core/token';
import { hintOf } from './failure.ts';
import type { Check, Session } from './session.ts';
import { wrap } from './terminal-text.ts';

// The header `date` counts whole seconds, and the answer takes time to arrive.
const CLOCK_TOLERANCE_MS = 5000;
const REACH_TIMEOUT_MS = 5000;

export const DOCTOR_COMMANDS: readonly Command[] = [
  {
    path: 'doctor',
    summary: 'Check everything; say what to do where it is not well',
    details: ['Exit code 0: no problem (there may be warnings); 1: a problem.'],
    examples: ['doctor', 'doctor --json'],
    run: diagnose,
  },
];

async function diagnose(session: Session): Promise<ExitCode> {
  const local = (await session.deps.localChecks?.()) ?? [];
  const checks = [...local, ...(await remoteChecks(session))];
  await session.output.show({
    data: { checks },
    text: (data) => renderChecks(session, data.checks),
    names: (data) => data.checks.filter(({ state }) => state !== 'ok').map(({ name }) => name),
  });
  return checks.some(({ state }) => state === 'problem') ? EXIT.error : EXIT.ok;
}

async function remoteChecks(session: Session): Promise<readonly Check[]> {
  const { url, urlFrom, tokenFrom } = await session.settings();
  const reach = await checkReach(session, url);
  const address: Check = { name: 'address', state: 'ok', detail: `${url} (${urlFrom})` };
  if (reach.some(({ state }) => state === 'problem')) return [address, ...reach];
  const token = await checkToken(session, tokenFrom);
  const isIn = token.every(({ state }) => state !== 'problem');
  return [address, ...reach, ...token, ...(isIn ? await checkEnvironment(session) : [])];
}

/** Whether anything answers, how fast, and how far its clock is from ours. */
async function checkReach(session: Session, url: string): Promise<readonly Check[]> {
  const { clock } = session.deps;
  const beganMs = clock.nowMs();
  try {
    const signal = AbortSignal.any([session.signal, AbortSignal.timeout(REACH_TIMEOUT_MS)]);
    const response = await fetch(`${url}/api/v1/whoami`, { signal });
    await response.body?.cancel();
    const tookMs = clock.nowMs() - beganMs;
    const reached: Check = { name: 'control plane', state: 'ok', detail: `answers in ${formatDuration(tookMs)}` };
    return [reached, checkClock(Date.parse(response.headers.get('date') ?? ''), beganMs + tookMs / 2)];
  } catch (error) {
    const why = error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
    const fix = 'start it with `understudy serve`, or give its address with --url or UNDERSTUDY_URL';
    return [{ name: 'control plane', state: 'problem', detail: `no answer from ${url}: ${why}`, fix }];
  }
}

function checkClock(theirsMs: number, oursMs: number): Check {
  const name = 'clock';
  if (Number.isNaN(theirsMs)) return { name, state: 'warning', detail: 'the server does not say what time it is' };
  const differenceMs = Math.abs(theirsMs - oursMs);
  if (differenceMs <= CLOCK_TOLERANCE_MS) return { name, state: 'ok', detail: 'agrees with the server’s' };
  const detail = `${formatDuration(differenceMs)} ${theirsMs > oursMs ? 'behind' : 'ahead of'} the server’s`;
  return { name, state: 'warning', detail, fix: 'set both machines by NTP; ages shown here are off by as much' };
}

async function checkToken(session: Session, tokenFrom: string | undefined): Promise<readonly Check[]> {
  try {
    const { name, scopes, environment } = await session.ask('whoAmI', {});
    const token: Check = { name: 'token', state: 'ok', detail: `${name} in ${environment} (${tokenFrom ?? 'none needed'})` };
    const mayOperate = allows(scopes, 'operate');
    const detail = `${scopes.join(', ')}${mayOperate ? '' : ': may look, not change'}`;
    const fix = 'ask an admin for a token: understudy token create <name> --scope operate';
    return [token, { name: 'scopes', state: mayOperate ? 'ok' : 'warning', detail, ...(mayOperate ? {} : { fix }) }];
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    const name = EXIT_OF[error.code] === EXIT.unavailable ? 'control plane' : 'token';
    return [{ name, state: 'problem', detail: error.message, fix: hintOf(error.code) ?? 'check the address and the token' }];
  }
}

function renderChecks(session: Session, checks: readonly Check[]): string {
  const { palette } = session;
  const signs = { ok: palette.green('✔ ok     '), warning: palette.yellow('! warning'), problem: palette.red('✖ problem') };
  const width = Math.max(20, session.deps.io.columns - 4);
  const lines = checks.flatMap(({ name, state, detail, fix }) => [
    `${signs[state]}  ${palette.bold(name)}`,
    ...wrap(detail, width).map((line) => `    ${line}`),
    ...(fix === undefined ? [] : wrap(`what to do: ${fix}`, width).map((line) => `    ${line}`)),
  ]);
  const problems = checks.filter(({ state }) => state === 'problem').length;
  const warnings = checks.filter(({ state }) => state === 'warning').length;
  const summary = problems + warnings === 0 ? 'All is well.' : `${problems} problems, ${warnings} warnings.`;
  return [...lines, '', summary].join('\n');
}
