/** Every command of the command line, in the order of the help page. */
import type { Command } from './command.ts';
import { completionCommands } from './completion-commands.ts';
import { CONTEXT_COMMANDS } from './context-commands.ts';
import { DOCTOR_COMMANDS } from './doctor-command.ts';
import { ENVIRONMENT_COMMANDS } from './environment-commands.ts';
import { EVALUATION_COMMANDS } from './evaluation-commands.ts';
import { FEEDBACK_COMMANDS } from './feedback-commands.ts';
import { FLAG_COMMANDS } from './flag-commands.ts';
import { FREEZE_COMMANDS } from './freeze-commands.ts';
import { GATEWAY_COMMANDS } from './gateway-commands.ts';
import { HOOK_COMMANDS } from './hook-commands.ts';
import { MODEL_COMMANDS } from './model-commands.ts';
import { PLAN_COMMANDS } from './plan-commands.ts';
import { REPLAY_COMMANDS } from './replay-command.ts';
import { ROLLOUT_COMMANDS } from './rollout-commands.ts';
import { SDK_COMMANDS } from './sdk-commands.ts';
import { SEGMENT_COMMANDS } from './segment-commands.ts';
import { SHADOW_COMMANDS } from './shadow-commands.ts';
import { SIMULATE_COMMANDS } from './simulate-command.ts';
import { TOKEN_COMMANDS } from './token-commands.ts';
import { VERSION_COMMANDS } from './version-commands.ts';
import { WAY_BACK_COMMANDS } from './way-back-commands.ts';

/** A group of commands that share their first word. */
export interface CommandGroup {
  readonly name: string;
  readonly summary: string;
}

export const GROUPS: readonly CommandGroup[] = [
  { name: 'model', summary: 'Models: create, look at, roll back the champion' },
  { name: 'model golden', summary: 'Golden requests: what a rollback is tried with' },
  { name: 'version', summary: 'Versions: register, promote, mark healthy or unhealthy' },
  { name: 'rollout', summary: 'Rollouts: start, watch, pause, promote, roll back' },
  { name: 'shadow', summary: 'Shadows: copy requests to a version and compare its answers' },
  { name: 'plan', summary: 'Plans of rollouts' },
  { name: 'freeze', summary: 'Times in which no rollout goes forward' },
  { name: 'hook', summary: 'Webhooks: who is told what happens' },
  { name: 'feedback', summary: 'The truth about requests, told later' },
  { name: 'flag', summary: 'Flags: save, switch, ramp, import' },
  { name: 'segment', summary: 'Segments of subjects, for the rules of flags' },
  { name: 'import', summary: 'Take over what other programs keep' },
  { name: 'sdk', summary: 'SDKs of other systems that read flags' },
  { name: 'token', summary: 'Access tokens' },
  { name: 'gateway', summary: 'Gateways' },
  { name: 'store', summary: 'State: copy, back up, restore, verify' },
  { name: 'context', summary: 'Stored addresses' },
];

/** @param extra commands of the process that need the server itself, such as `serve` */
export function allCommands(extra: readonly Command[]): readonly Command[] {
  const commands: readonly Command[] = [
    ...extra,
    ...ENVIRONMENT_COMMANDS,
    ...GATEWAY_COMMANDS,
    ...MODEL_COMMANDS,
    ...WAY_BACK_COMMANDS,
    ...VERSION_COMMANDS,
    ...ROLLOUT_COMMANDS,
    ...SHADOW_COMMANDS,
    ...PLAN_COMMANDS,
    ...FREEZE_COMMANDS,
    ...HOOK_COMMANDS,
    ...FEEDBACK_COMMANDS,
    ...FLAG_COMMANDS,
    ...SEGMENT_COMMANDS,
    ...SDK_COMMANDS,
    ...EVALUATION_COMMANDS,
    ...REPLAY_COMMANDS,
    ...SIMULATE_COMMANDS,
    ...TOKEN_COMMANDS,
    ...CONTEXT_COMMANDS,
    ...DOCTOR_COMMANDS,
    ...completionCommands(() => commands),
  ];
  return commands;
}
