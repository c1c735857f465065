/** `understudy model …`: create, look at, change and roll back models. */
import type { CallInput } from '@understudy/contract/client';
import type { ModelView } from '@understudy/contract/views';
import { AppError } from '@understudy/core/errors';
import type { Command, Input, Option } from './command.ts';
import { renderFacts } from './facts.ts';
import { renderGuards } from './guard-lines.ts';
import { durationOf, momentOf, namedNumberOf, numberOf, readDataFile, requestFieldOf, shareOf } from './input-values.ts';
import type { Session } from './session.ts';
import { agoWords, shellWord, showList, showOutcome, timeWords } from './show.ts';
import { UsageError } from './usage-error.ts';

const MODEL = { name: 'model', about: 'name of the model', kind: 'model' } as const;

const SETTINGS: readonly Option[] = [
  {
    flags: '--subject <field>',
    about: 'sticky key: header:NAME, cookie:NAME, json:PATH, api-key; first found counts',
    isRepeatable: true,
  },
  { flags: '--deadline <time>', about: 'for a whole request, such as 5s' },
  { flags: '--p95 <time>', about: 'champion watch: limit of p95 latency' },
  { flags: '--max-errors <share>', about: 'champion watch: limit of errors, such as 5%' },
  { flags: '--max-drift <sd>', about: 'champion watch: limit of drift in standard deviations' },
  { flags: '--labels <name=level>', about: 'champion watch: lowest mean of labels that are due', isRepeatable: true },
  { flags: '--cooldown <time>', about: 'champion watch: pause after a rollback' },
  { flags: '--labels-due <time>', about: 'labels of a request are due so long after it, such as 24h' },
  { flags: '--settings <file>', about: 'YAML with routing, watch and labelsDueMs' },
];

export const MODEL_COMMANDS: readonly Command[] = [
  {
    path: 'model create',
    summary: 'Create a model',
    arguments: [{ name: 'model', about: 'name of the new model' }],
    options: SETTINGS,
    examples: ['model create digits', 'model create fraud --subject header:x-user-id --subject cookie:uid'],
    isChange: true,
    async run(session, input) {
      const body = { name: input.argument('model'), ...(await settingsOf(input)) };
      const view = await session.change('createModel', { body });
      await showModel(session, view);
      if (view !== undefined)
        session.note(`next: understudy version register ${shellWord(view.model.name)} v1 --onnx model.onnx`);
    },
  },
  {
    path: 'model list',
    summary: 'List the models',
    examples: ['model list', 'model list -o name'],
    run: async (session) => showModels(session, await session.ask('listModels', {})),
  },
  {
    path: 'model show',
    summary: 'Show a model: champion, fallback, watch, alarms',
    arguments: [MODEL],
    examples: ['model show digits', 'model show digits --json'],
    async run(session, input) {
      await showModel(session, await session.ask('getModel', { params: { model: input.argument('model') } }));
    },
  },
  {
    path: 'model update',
    summary: 'Change routing or watch; what is not named stays as it is',
    arguments: [MODEL],
    options: SETTINGS,
    examples: ['model update digits --deadline 2s', 'model update digits --p95 300ms --max-errors 2%'],
    isChange: true,
    reason: 'optional',
    async run(session, input) {
      const settings = await settingsOf(input);
      if (Object.keys(settings).length === 0)
        throw new UsageError('nothing to change: name at least one setting, such as --deadline 2s');
      const body = { ...settings, reason: input.reason('model update') };
      await showModel(session, await session.change('updateModel', { params: { model: input.argument('model') }, body }));
    },
  },
  {
    path: 'model history',
    summary: 'Who was champion from when to when',
    arguments: [MODEL],
    examples: ['model history digits'],
    async run(session, input) {
      const { model } = await session.ask('getModel', { params: { model: input.argument('model') } });
      await showList(session, model.terms.toReversed(), {
        head: ['version', 'from', 'until', 'began with'],
        row: (term) => [
          term.version,
          timeWords(term.fromMs),
          term.untilMs === undefined ? 'now' : timeWords(term.untilMs),
          term.began,
        ],
        name: (term) => term.version,
        empty: 'No version has been champion yet.',
      });
    },
  },
  {
    path: 'model champion',
    summary: 'Who is champion now, or was at a moment',
    arguments: [MODEL],
    options: [{ flags: '--at <time>', about: 'ISO 8601, or 2h for two hours ago' }],
    examples: ['model champion digits', 'model champion digits --at 2026-01-31T12:00:00Z -o name'],
    async run(session, input) {
      const at = input.text('at');
      const query = at === undefined ? {} : { at: momentOf(at, session.deps.clock.nowMs()) };
      const data = await session.ask('getChampion', { params: { model: input.argument('model') }, query });
      await session.output.show({
        data,
        text: ({ champion, atMs }) => `${champion ?? 'nobody'} (at ${timeWords(atMs)})`,
        names: ({ champion }) => (champion === null ? [] : [champion]),
      });
    },
  },
  {
    path: 'model rollback',
    summary: 'Send the champion back to the last known good version',
    details: [
      'Acts at once and asks nothing. The version that fails is named in the',
      'request, so that a rollback that happened meanwhile is not repeated.',
    ],
    arguments: [
      MODEL,
      { name: 'version', about: 'the version that fails; the champion when left out', kind: 'version', isOptional: true },
    ],
    options: [
      { flags: '--to <version>', about: 'go to this version instead', kind: 'version' },
      { flags: '--force', about: 'let --to be unhealthy or never served' },
    ],
    examples: ['model rollback digits --reason "accuracy fell"', 'model rollback digits v7 --to v5 --reason "v6 is bad too"'],
    isChange: true,
    reason: 'required',
    run: rollBack,
  },
];

async function rollBack(session: Session, input: Input): Promise<void> {
  const model = input.argument('model');
  const version = input.optionalArgument('version') ?? (await championOf(session, model));
  const to = input.text('to');
  if (input.flag('force') && to === undefined)
    throw new UsageError('--force needs --to: it lets the version you choose be unsafe');
  const body = {
    version,
    reason: input.reason(''),
    ...(to === undefined ? {} : { to }),
    ...(input.flag('force') ? { force: true } : {}),
  };
  const outcome = await session.change('rollBackModel', { params: { model }, body });
  const undo = `understudy version mark-healthy ${shellWord(model)} ${shellWord(version)} && understudy version promote ${shellWord(model)} ${shellWord(version)}`;
  await showOutcome(session, outcome, undo);
}

async function championOf(session: Session, model: string): Promise<string> {
  const { champion } = await session.ask('getChampion', { params: { model } });
  if (champion === null) {
    throw new AppError(
      'model.no_champion',
      `cannot roll "${model}" back: it has no champion. Promote a version first: understudy version promote ${model} <version>`,
    );
  }
  session.note(`champion of ${model} now: ${champion}`);
  return champion;
}

async function settingsOf(input: Input): Promise<Omit<CallInput<'createModel'>['body'], 'name'>> {
  const file = input.text('settings');
  const { readSettingsFile } = await import('./settings-file.ts');
  const fromFile = file === undefined ? {} : readSettingsFile(file, await readDataFile(file));
  const subject = input.list('subject').map(requestFieldOf);
  const deadline = input.text('deadline');
  const routing = {
    ...fromFile.routing,
    ...(subject.length === 0 ? {} : { subject }),
    ...(deadline === undefined ? {} : { deadlineMs: durationOf(deadline, '--deadline') }),
  };
  const limits = { ...fromFile.watch?.limits, ...limitsOf(input) };
  const [cooldown, labelsDue] = [input.text('cooldown'), input.text('labelsDue')];
  const levels = input.list('labels').map((text) => namedNumberOf(text, '--labels'));
  const labelsDueMs = labelsDue === undefined ? fromFile.labelsDueMs : durationOf(labelsDue, '--labels-due');
  const watch = {
    ...fromFile.watch,
    ...(Object.keys(limits).length === 0 ? {} : { limits }),
    ...(levels.length === 0 ? {} : { labels: Object.fromEntries(levels) }),
    ...(cooldown === undefined ? {} : { cooldownMs: durationOf(cooldown, '--cooldown') }),
  };
  return {
    ...(Object.keys(routing).length === 0 ? {} : { routing }),
    ...(Object.keys(watch).length === 0 ? {} : { watch }),
    ...(labelsDueMs === undefined ? {} : { labelsDueMs }),
  };
}

function limitsOf(input: Input): { p95LatencyMs?: number; errorRate?: number; meanDrift?: number } {
  const [p95, errors, drift] = [input.text('p95'), input.text('maxErrors'), input.text('maxDrift')];
  return {
    ...(p95 === undefined ? {} : { p95LatencyMs: durationOf(p95, '--p95') }),
    ...(errors === undefined ? {} : { errorRate: shareOf(errors, '--max-errors') }),
    ...(drift === undefined ? {} : { meanDrift: numberOf(drift, '--max-drift') }),
  };
}

async function showModels(session: Session, models: readonly ModelView[]): Promise<void> {
  await showList(session, models, {
    ...MODEL_COLUMNS,
    name: ({ model }) => model.name,
    empty: 'There is no model yet. Create one: understudy model create <model>',
  });
}

/** The columns of a list of models; `status` shows the same. */
export const MODEL_COLUMNS = {
  head: ['model', 'champion', 'fallback', 'challenger', 'rollout', 'state'],
  row: (view: ModelView) => [
    view.model.name,
    view.model.champion,
    view.lastKnownGood,
    `${view.challengerPercent} %`,
    view.model.liveRollout,
    modelState(view),
  ],
} as const;

function modelState({ model, watch }: ModelView): string {
  if (model.alarm !== undefined) return `ALARM: ${model.alarm.message}`;
  if (model.killed !== undefined) return `killed by ${model.killed.by}: ${model.killed.reason}`;
  if (model.champion === undefined) return 'no champion';
  return watch?.state ?? 'not watched yet';
}

async function showModel(session: Session, view: ModelView | undefined): Promise<void> {
  if (view === undefined) return;
  await session.output.show({ data: view, text: (data) => renderModel(session, data), names: ({ model }) => [model.name] });
}

function renderModel(session: Session, view: ModelView): string {
  const { model, watch, lastKnownGood, challengerPercent } = view;
  const { killed, lastRollback } = model;
  const options = { width: session.deps.io.columns, palette: session.palette };
  const facts = renderFacts(
    [
      ['model', model.name],
      ['champion', model.champion ?? 'nobody'],
      ['fallback', lastKnownGood ?? 'none: a rollback has nowhere to go'],
      ['way back', wayBackWords(view)],
      ['warning', view.wayBack?.warnings],
      ['state', modelState(view)],
      [
        'rollout',
        model.liveRollout === undefined ? 'none live' : `${model.liveRollout}, ${challengerPercent} % on the challenger`,
      ],
      ['killed', killed === undefined ? undefined : `${agoWords(session, killed.atMs)} by ${killed.by}: ${killed.reason}`],
      [
        'last rollback',
        lastRollback === undefined
          ? undefined
          : `${agoWords(session, lastRollback.atMs)}, ${lastRollback.failed} to ${lastRollback.restored} by ${lastRollback.by}: ${lastRollback.reason}`,
      ],
      ['subject', model.routing.subject.map(fieldWords).join(', then ')],
      ['rules', `${model.routing.rules.length}`],
      ['deadline', `${model.routing.deadlineMs} ms`],
      ['watch', watch === undefined ? 'has not looked yet' : `${watch.state}: ${watch.reason}`],
    ],
    options,
  );
  const guards = renderGuards(watch?.guards ?? [], { ...options, withReasons: true });
  return guards === '' ? facts : `${facts}\n\n${guards}`;
}

function wayBackWords({ model, wayBack, goldenRequests = 0 }: ModelView): string | undefined {
  if (wayBack === undefined) return undefined;
  const words = {
    works: 'a rollback would work now',
    doubtful: 'a rollback would probably work',
    fails: 'a rollback would NOT work',
  };
  const tried = goldenRequests === 0 ? 'no golden requests' : `${goldenRequests} golden requests`;
  return `${words[wayBack.outcome]}, ${tried} (understudy model drill ${shellWord(model.name)})`;
}

function fieldWords(field: ModelView['model']['routing']['subject'][number]): string {
  if (field.from === 'api-key') return 'api-key';
  return `${field.from}:${field.from === 'json' ? field.path : field.name}`;
}
