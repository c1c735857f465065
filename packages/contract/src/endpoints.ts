/** Every endpoint of the control API in one table. Server routes, access checks, OpenAPI and the typed client are made from it. */
import type { Endpoint } from './endpoint.ts';
import { ENVIRONMENT_ENDPOINTS } from './environment-endpoints.ts';
import { FEEDBACK_ENDPOINTS } from './feedback-endpoints.ts';
import { FLAG_ENDPOINTS } from './flag-endpoints.ts';
import { MODEL_ENDPOINTS } from './model-endpoints.ts';
import { OBSERVATION_ENDPOINTS } from './observation-endpoints.ts';
import { PEOPLE_ENDPOINTS } from './people-endpoints.ts';
import { ROLLOUT_ENDPOINTS } from './rollout-endpoints.ts';
import { SDK_ENDPOINTS } from './sdk-endpoints.ts';
import { SHADOW_ENDPOINTS } from './shadow-endpoints.ts';

export const ENDPOINTS = {
  ...ENVIRONMENT_ENDPOINTS,
  ...MODEL_ENDPOINTS,
  ...ROLLOUT_ENDPOINTS,
  ...PEOPLE_ENDPOINTS,
  ...FLAG_ENDPOINTS,
  ...OBSERVATION_ENDPOINTS,
  ...FEEDBACK_ENDPOINTS,
  ...SDK_ENDPOINTS,
  ...SHADOW_ENDPOINTS,
} as const satisfies Record<string, Endpoint>;

/** The name of an endpoint; also its operation id in OpenAPI. */
export type EndpointName = keyof typeof ENDPOINTS;
