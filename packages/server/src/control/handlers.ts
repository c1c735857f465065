/** The handler of every endpoint. The type makes an endpoint without one a compile error. */
import type { Handlers } from './call.ts';
import { ENVIRONMENT_HANDLERS } from './environment-handlers.ts';
import { FLAG_HANDLERS } from './flag-handlers.ts';
import { MODEL_HANDLERS } from './model-handlers.ts';
import { PEOPLE_HANDLERS } from './people-handlers.ts';
import { PLAN_HANDLERS } from './plan-handlers.ts';
import { REPORTING_HANDLERS } from './reporting-handlers.ts';
import { ROLLOUT_HANDLERS } from './rollout-handlers.ts';
import { SHADOW_HANDLERS } from './shadow-handlers.ts';
import { TOKEN_HANDLERS } from './token-handlers.ts';
import { VERSION_HANDLERS } from './version-handlers.ts';

export const HANDLERS: Handlers = {
  ...ENVIRONMENT_HANDLERS,
  ...TOKEN_HANDLERS,
  ...MODEL_HANDLERS,
  ...VERSION_HANDLERS,
  ...ROLLOUT_HANDLERS,
  ...PEOPLE_HANDLERS,
  ...PLAN_HANDLERS,
  ...REPORTING_HANDLERS,
  ...SHADOW_HANDLERS,
  ...FLAG_HANDLERS,
};
