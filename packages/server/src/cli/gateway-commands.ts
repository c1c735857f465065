/** Commands on gateways: what the control plane knows of them, and what one on this machine is told by its socket when nothing else can be reached. */
import { userInfo } from 'node:os';
import path from 'node:path';
import { KillHere, LocalOutcome, LocalStatus, UnkillHere } from '@understudy/contract/local-socket';
import type { Readiness, Standing } from '@understudy/contract/report';
import type { Command, Input, Option } from './command.ts';
import { askLocally } from './local-gateway.ts';
import type { Session } from './session.ts';
import { agoWords, shellWord, showList, timeWords } from './show.ts';

const SOCKET: Option = {
  flags: '--socket <path>',
  about: "the gateway's socket; understudy-data/gateway.sock when left out",
};
const MODEL = { name: 'model', about: 'name of the model', kind: 'model' } as const;
const DEFAULT_SOCKET = 'understudy-data/gateway.sock';

export const GATEWAY_COMMANDS: readonly Command[] = [
  {
    path: 'gateway list',
    summary: 'Gateways: connected, revision, age, versions loaded',
    examples: ['gateway list'],
    async run(session) {
      await showList(session, await session.ask('listGateways', {}), {
        head: ['gateway', 'state', 'revision', 'confirmed', 'heard of', 'versions'],
        row: ({ gateway, isConnected, revision, seenAtMs, readiness, standing }) => [
          gateway,
          stateWords(isConnected, standing),
          `${revision}`,
          standing === undefined ? '' : agoWords(session, standing.heardAtMs),
          agoWords(session, seenAtMs),
          readiness.map(readinessWords).join(', '),
        ],
        name: ({ gateway }) => gateway,
        empty: 'No gateway has connected yet. `understudy serve` brings one along.',
      });
    },
  },
  {
    path: 'gateway status',
    summary: 'What the gateway on this machine says of itself',
    details: ['Asks its socket, so that it works with every control plane down.'],
    options: [SOCKET],
    examples: ['gateway status', 'gateway status --socket /var/lib/understudy/gateway.sock'],
    run: showLocalStatus,
  },
  {
    path: 'gateway kill',
    summary: 'Everybody at this gateway on the champion, with all else down',
    details: [
      'Asks the socket of the gateway on this machine. It holds until',
      '`gateway unkill`, over restarts too, and is written into the journal',
      'once a control plane can be reached. Rollouts of the model wait.',
      'For all gateways at once: understudy kill.',
    ],
    arguments: [MODEL],
    options: [SOCKET],
    reason: 'required',
    examples: ['gateway kill digits --reason "wrong answers"'],
    async run(session, input) {
      const [model, reason] = [input.argument('model'), input.reason('')];
      const body = KillHere.parse({ model, reason, by: accountName() });
      const outcome = await askLocally(socketOf(session, input), { path: '/kill', body }, LocalOutcome);
      await showLocalOutcome(session, outcome, `understudy gateway unkill ${shellWord(model)}`);
    },
  },
  {
    path: 'gateway unkill',
    summary: 'The gateway on this machine as the control plane says again',
    arguments: [MODEL],
    options: [SOCKET],
    examples: ['gateway unkill digits'],
    async run(session, input) {
      const model = input.argument('model');
      const body = UnkillHere.parse({ model });
      const outcome = await askLocally(socketOf(session, input), { path: '/unkill', body }, LocalOutcome);
      await showLocalOutcome(session, outcome, `understudy gateway kill ${shellWord(model)} --reason "…"`);
    },
  },
];

/** For the record; who may do it is what the socket's permissions say. */
function accountName(): string {
  try {
    return userInfo().username;
  } catch {
    // Containers run under accounts that have no name.
    return `uid ${process.getuid?.() ?? 'unknown'}`;
  }
}

function socketOf({ deps }: Session, input: Input): string {
  return path.resolve(deps.cwd, input.text('socket') ?? DEFAULT_SOCKET);
}

async function showLocalOutcome(session: Session, outcome: LocalOutcome, undo: string): Promise<void> {
  await session.output.show({
    data: outcome,
    text: ({ message }) => `${message}\nundo: ${undo}`,
    names: () => [],
  });
}

async function showLocalStatus(session: Session, input: Input): Promise<void> {
  await session.output.show({
    data: await askLocally(socketOf(session, input), { path: '/status' }, LocalStatus),
    text: ({ gateway, revision, standing, readiness, problems, pendingReports }) => {
      const origin = { 'control-plane': 'from a control plane', 'last-known-good': 'LAST KNOWN GOOD, from the disk' };
      const confirmed =
        standing === undefined
          ? 'no snapshot yet'
          : `revision ${revision}, ${origin[standing.origin]}, confirmed ${agoWords(session, standing.heardAtMs)}`;
      return [
        `${gateway}: ${confirmed}`,
        ...(standing?.refused === undefined
          ? []
          : [`refuses what came since ${timeWords(standing.refused.atMs)}: ${standing.refused.reason}`]),
        ...(standing?.kills ?? []).map(
          ({ model, by, atMs, reason }) => `${model} is KILLED HERE since ${timeWords(atMs)} by ${by}: ${reason}`,
        ),
        ...readiness.map(readinessWords),
        ...problems.map((problem) => `not ready: ${problem}`),
        ...(pendingReports === 0 ? [] : [`${pendingReports} reports wait for a control plane`]),
      ].join('\n');
    },
    names: ({ readiness }) => [...new Set(readiness.map(({ model }) => model))],
  });
}

/** `connected, REFUSES 130, digits KILLED THERE` */
function stateWords(isConnected: boolean, standing: Standing | undefined): string {
  return [
    isConnected ? 'connected' : 'AWAY',
    ...(standing?.origin === 'last-known-good' ? ['LAST KNOWN GOOD'] : []),
    ...(standing?.refused === undefined ? [] : ['REFUSES A SNAPSHOT']),
    ...(standing?.kills ?? []).map(({ model }) => `${model} KILLED THERE`),
  ].join(', ');
}

/** `fraud/v8 ready, cut off` */
function readinessWords({ model, version, state, trial, probe }: Readiness): string {
  const breaker = { closed: [], open: ['CUT OFF'], 'half-open': ['CUT OFF, trying'] }[trial?.breaker.state ?? 'closed'];
  const lease = trial?.leaseOverSinceMs === undefined ? [] : ['LEASE OVER'];
  const failed = probe?.outcome === 'failed' ? ['PROBE FAILED'] : [];
  return [`${model}/${version} ${state}`, ...failed, ...breaker, ...lease].join(', ');
}
