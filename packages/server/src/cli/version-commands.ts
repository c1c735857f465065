/** `understudy version …`: register, look at, promote and judge versions. */
import type { VersionView } from '@understudy/contract/views';
import { UpstreamProtocolChoices, registerVersion } from './register-version.ts';
import type { Command, Input } from './command.ts';
import { confirm } from './confirm.ts';
import { OVERRIDE_FREEZE, overrideOf } from './freeze-commands.ts';
import type { ExitCode } from './exit-codes.ts';
import { renderFacts } from './facts.ts';
import { readBaseline } from './input-values.ts';
import type { Session } from './session.ts';
import { agoWords, shellWord, showList, showOutcome } from './show.ts';
import { UsageError } from './usage-error.ts';

const MODEL = { name: 'model', about: 'name of the model', kind: 'model' } as const;
const VERSION = { name: 'version', about: 'name of the version', kind: 'version' } as const;

export const VERSION_COMMANDS: readonly Command[] = [
  {
    path: 'version register',
    summary: 'Register a version: an ONNX file, a model server, or a service of your own',
    details: ['The file is uploaded first and loaded once to check it.'],
    arguments: [MODEL, { name: 'version', about: 'name of the new version' }],
    options: [
      { flags: '--onnx <file>', about: 'upload this ONNX file' },
      { flags: '--upstream <url>', about: 'address of a model server' },
      { flags: '--protocol <name>', about: 'what the model server speaks', choices: UpstreamProtocolChoices },
      { flags: '--remote-model <name>', about: "the model's name over there" },
      { flags: '--external', about: 'your own service serves it and decides by flag' },
      { flags: '--baseline <file>', about: 'JSON: predictions, or rows of features, of a validation set' },
      { flags: '--validation <file>', about: 'JSON: rows of features; predicted by the version itself' },
      { flags: '--note <text>', about: 'kept with the version' },
    ],
    examples: [
      'version register digits v2 --onnx v2.onnx --validation rows.json',
      'version register fraud v7 --upstream http://m:8000 --protocol mlflow',
    ],
    isChange: true,
    async run(session, input) {
      const view = await registerVersion(session, input);
      await showVersion(session, view);
      if (view === undefined) return;
      const { model, version } = view.version;
      session.note(`next: understudy rollout start ${shellWord(model)} ${shellWord(version)}`);
      session.note(`or, without a rollout: understudy version promote ${shellWord(model)} ${shellWord(version)}`);
    },
  },
  {
    path: 'version list',
    summary: 'List the versions of a model',
    arguments: [MODEL],
    examples: ['version list digits'],
    async run(session, input) {
      const model = input.argument('model');
      await showList(session, await session.ask('listVersions', { params: { model } }), {
        head: ['version', 'role', 'health', 'source', 'baseline', 'gateways', 'registered'],
        row: ({ version, role, readiness }) => [
          version.version,
          role,
          version.health.state,
          version.source.kind,
          version.baseline?.source ?? 'none',
          readinessWords(readiness),
          `${agoWords(session, version.registeredAtMs)} by ${version.registeredBy}`,
        ],
        name: ({ version }) => version.version,
        empty: `There is no version yet. Register one: understudy version register ${model} v1 --onnx model.onnx`,
      });
    },
  },
  {
    path: 'version show',
    summary: 'Show a version',
    arguments: [MODEL, VERSION],
    examples: ['version show digits v2'],
    run: async (session, input) => showVersion(session, await session.ask('getVersion', { params: target(input) })),
  },
  {
    path: 'version promote',
    summary: 'Make a version champion now, without a rollout',
    arguments: [MODEL, VERSION],
    options: [OVERRIDE_FREEZE],
    examples: ['version promote digits v1', 'version promote digits v1 --yes --reason "first version"'],
    isChange: true,
    isConfirmed: true,
    reason: 'optional',
    run: promote,
  },
  healthCommand('healthy'),
  healthCommand('unhealthy'),
  {
    path: 'version unquarantine',
    summary: 'Let the file of an unhealthy version be used again by others',
    details: ['The version itself stays unhealthy; use it when the file was not to blame.'],
    arguments: [MODEL, VERSION],
    examples: ['version unquarantine digits v2 --reason "bad features"'],
    isChange: true,
    reason: 'required',
    async run(session, input) {
      const outcome = await session.change('releaseArtifact', { params: target(input), body: { reason: input.reason('') } });
      await showOutcome(session, outcome);
    },
  },
  {
    path: 'version baseline',
    summary: 'Set what predictions are expected to look like',
    arguments: [MODEL, VERSION],
    options: [
      { flags: '--live', about: 'capture it from live traffic; the version must be champion' },
      { flags: '--from <file>', about: 'JSON: predictions, or rows of features' },
    ],
    examples: ['version baseline digits v1 --live', 'version baseline digits v1 --from validation.json'],
    isChange: true,
    async run(session, input) {
      const file = input.text('from');
      if (input.flag('live') === (file !== undefined)) throw new UsageError('choose one of --live and --from FILE');
      const body = file === undefined ? ({ live: true } as const) : await readBaseline(file);
      await showVersionOnly(session, await session.change('setBaseline', { params: target(input), body }));
    },
  },
];

function healthCommand(state: 'healthy' | 'unhealthy'): Command {
  const isBad = state === 'unhealthy';
  return {
    path: `version mark-${state}`,
    summary: isBad ? 'Never roll back to this version, end a rollout of it' : 'Trust a version again',
    arguments: [MODEL, VERSION],
    examples: [`version mark-${state} digits v2 --reason "${isBad ? 'wrong labels' : 'the labels were repaired'}"`],
    isChange: true,
    reason: isBad ? 'required' : 'optional',
    async run(session, input) {
      const body = { state, reason: input.reason(`marked ${state}`) };
      await showVersionOnly(session, await session.change('setVersionHealth', { params: target(input), body }));
      const opposite = isBad ? 'mark-healthy' : 'mark-unhealthy';
      const { model, version } = target(input);
      if (!session.isDryRun) session.note(`undo: understudy version ${opposite} ${shellWord(model)} ${shellWord(version)}`);
    },
  };
}

async function promote(session: Session, input: Input): Promise<ExitCode | void> {
  const { model, version } = target(input);
  const { champion } = await session.ask('getChampion', { params: { model } });
  const refused = await confirm(session, [
    `${version} becomes champion of ${model} and serves all of its requests at once, without a rollout.`,
    champion === null ? 'There is no champion yet.' : `${champion}, champion now, becomes the fallback.`,
  ]);
  if (refused !== undefined) return refused;
  const body = { overrideFreeze: overrideOf(input), reason: input.reason('promoted without a rollout') };
  const outcome = await session.change('promoteVersion', { params: { model, version }, body });
  const undo = champion === null ? undefined : `understudy model rollback ${shellWord(model)} ${shellWord(version)} --reason "…"`;
  await showOutcome(session, outcome, undo);
}

function target(input: Input): { readonly model: string; readonly version: string } {
  return { model: input.argument('model'), version: input.argument('version') };
}

function readinessWords(readiness: VersionView['readiness']): string {
  const states = Object.values(readiness).map(({ state }) => state);
  const ready = states.filter((state) => state === 'ready').length;
  const failed = states.filter((state) => state === 'failed').length;
  return `${ready} of ${states.length} ready${failed === 0 ? '' : `, ${failed} FAILED`}`;
}

async function showVersionOnly(
  session: Session,
  answer: { readonly version: VersionView['version'] } | undefined,
): Promise<void> {
  if (answer === undefined) return;
  await session.output.show({
    data: answer,
    text: ({ version }) => renderFacts(factsOf(session, version), factOptions(session)),
    names: ({ version }) => [version.version],
  });
}

async function showVersion(session: Session, view: VersionView | undefined): Promise<void> {
  if (view === undefined) return;
  await session.output.show({
    data: view,
    text: ({ version, role, readiness, warnings }) => {
      const gateways = Object.entries(readiness).map(
        ([gateway, { state, detail, probe }]) => `${gateway}: ${state}, ${detail}${probeWords(session, probe)}`,
      );
      const facts = [...factsOf(session, version), ['role', role], ['gateways', gateways], ['warning', warnings]] as const;
      return renderFacts(facts, factOptions(session));
    },
    names: ({ version }) => [version.version],
  });
}

function probeWords(session: Session, probe: VersionView['readiness'][string]['probe']): string {
  return probe === undefined ? '' : `; probe ${probe.outcome} ${agoWords(session, probe.atMs)}: ${probe.detail}`;
}

function factOptions(session: Session): { readonly width: number; readonly palette: Session['palette'] } {
  return { width: session.deps.io.columns, palette: session.palette };
}

function sourceWords(source: VersionView['version']['source']): string {
  switch (source.kind) {
    case 'onnx':
      return `onnx, ${source.bytes} bytes, sha256 ${source.sha256}`;
    case 'upstream':
      return `${source.protocol} at ${source.url}, model ${source.remoteModel}`;
    case 'external':
      return 'external: decided by flag, served by your own service';
  }
}

function quarantineWords({ source, health }: VersionView['version']): string | undefined {
  if (health.state === 'healthy' || source.kind !== 'onnx') return undefined;
  const { released } = health;
  return released === undefined ? 'no other version may be made of its file' : `lifted by ${released.by}: ${released.reason}`;
}

function factsOf(session: Session, version: VersionView['version']): readonly (readonly [string, string | undefined])[] {
  const { source, baseline, health } = version;
  return [
    ['version', `${version.version} of ${version.model}`],
    ['health', health.state === 'healthy' ? 'healthy' : `unhealthy: ${health.reason} (${health.by})`],
    ['quarantine', quarantineWords(version)],
    ['source', sourceWords(source)],
    [
      'baseline',
      baseline === undefined
        ? 'none: drift is not judged'
        : `mean ${baseline.mean.toPrecision(4)}, sd ${baseline.standardDeviation.toPrecision(4)}, ${baseline.count} predictions, ${baseline.source}`,
    ],
    ['note', version.note === '' ? undefined : version.note],
    ['registered', `${agoWords(session, version.registeredAtMs)} by ${version.registeredBy}`],
  ];
}
