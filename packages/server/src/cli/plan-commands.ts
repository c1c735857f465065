/** `understudy plan …`: look at, check and save plans. Checking needs no server. */
import type { PlanFile } from '@understudy/contract/plan-file';
import { DEFAULT_HOLD_BACK_PERCENT } from '@understudy/core/bake';
import type { Command } from './command.ts';
import { UsageError } from './usage-error.ts';
import { readPlanFile } from './plan-source.ts';
import type { Session } from './session.ts';
import { showList } from './show.ts';

const FILE = { name: 'file', about: 'YAML or JSON' } as const;

export const PLAN_COMMANDS: readonly Command[] = [
  {
    path: 'plan list',
    summary: 'List built-in and saved plans',
    examples: ['plan list'],
    async run(session) {
      await showList(session, await session.ask('listPlans', {}), {
        head: ['plan', 'steps', 'check every'],
        row: (plan) => [plan.name, staircaseOf(plan), plan.checkEvery],
        name: ({ name }) => name,
        empty: 'There is no plan.',
      });
    },
  },
  {
    path: 'plan show',
    summary: 'Print a plan as YAML, to read or to edit',
    arguments: [{ name: 'plan', about: 'name of the plan', kind: 'plan' }],
    examples: ['plan show standard', 'plan show standard > plan.yaml'],
    async run(session, input) {
      await showPlan(session, await session.ask('getPlan', { params: { plan: input.argument('plan') } }));
    },
  },
  {
    path: 'plan validate',
    summary: 'Check a plan file, without a server',
    arguments: [FILE],
    examples: ['plan validate plan.yaml'],
    async run(session, input) {
      const plan = await readPlanFile(input.argument('file'));
      await session.output.show({
        data: plan,
        text: (plan) => `The plan "${plan.name}" can be used: ${staircaseOf(plan)}.`,
        names: ({ name }) => [name],
      });
    },
  },
  {
    path: 'plan schema',
    summary: 'Print the JSON Schema of plan files, for editors',
    examples: ['plan schema > plan.schema.json'],
    async run(session) {
      const { planJsonSchema } = await import('@understudy/contract/plan-file');
      const data = planJsonSchema();
      await session.output.show({ data, text: (schema) => JSON.stringify(schema, undefined, 2), names: () => ['plan'] });
    },
  },
  {
    path: 'plan save',
    summary: 'Save a plan on the server; live rollouts keep theirs',
    arguments: [FILE],
    options: [{ flags: '--name <name>', about: 'save it under this name instead of its own' }],
    examples: ['plan save plan.yaml'],
    isChange: true,
    async run(session, input) {
      const plan = await readPlanFile(input.argument('file'));
      const name = input.text('name') ?? plan.name;
      if (name === '') throw new UsageError('--name is empty');
      const saved = await session.change('savePlan', { params: { plan: name }, body: { ...plan, name } });
      if (saved === undefined) return;
      await showPlan(session, saved);
      session.note(`next: understudy rollout start <model> <challenger> --plan ${saved.name}`);
    },
  },
];

async function showPlan<Plan extends { readonly name: string }>(session: Session, plan: Plan): Promise<void> {
  const { stringify } = await import('yaml');
  await session.output.show({ data: plan, text: (data) => stringify(data), names: ({ name }) => [name] });
}

function staircaseOf({ steps, bake }: Pick<PlanFile, 'steps' | 'bake'>): string {
  const words = steps.map(stepWords);
  const baking =
    bake === undefined ? [] : [`bake with ${bake.holdBack ?? DEFAULT_HOLD_BACK_PERCENT} % held back for ${bake.hold}`];
  return [...words.slice(0, -1), ...baking, ...words.slice(-1)].join(', ');
}

function stepWords({ hold, ...step }: PlanFile['steps'][number]): string {
  const { traffic = 0, shadow } = step;
  const share = shadow === undefined ? `${traffic} %` : `shadow ${shadow} %`;
  return hold === undefined || hold === '0s' || hold === '0ms' ? share : `${share} for ${hold}`;
}
