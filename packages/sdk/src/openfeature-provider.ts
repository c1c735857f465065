/** A provider for OpenFeature's SDK for servers, on flags that are evaluated locally. It needs no package of OpenFeature. */
import { versionFlagKey } from '@understudy/core/flags/rollout-flags';
import type { JsonValue } from '@understudy/core/flags/context';
import type { Flags } from './open-flags.ts';
import type { OutcomeFacts } from './outcome.ts';
import { ProviderEvents } from './provider-events.ts';
import {
  attributesOf,
  objectDetails,
  type ProviderContext,
  type Resolution,
  resolutionOf,
  ResolutionError,
} from './provider-resolution.ts';

/** What `track` is told about a request. */
export interface TrackedFacts {
  /** The prediction; of a score, its value. */
  readonly value?: number;
  readonly [name: string]: unknown;
}

/**
 * `OpenFeature.setProviderAndWait(new UnderstudyProvider(openFlags({…})))`. It closes the flags when it is replaced.
 *
 * `track('fraud', context, { value, latencyMs, failed, prediction, scores })` reports what came of a request that the flag of the model
 * "fraud" decided; `track('fraud:clicked', context, { value: 1 })` a score that is known later. Flags need `outcomes` for it.
 */
export class UnderstudyProvider {
  readonly metadata = { name: 'understudy' } as const;
  readonly runsOn = 'server' as const;
  readonly events: ProviderEvents = new ProviderEvents('understudy');
  readonly #flags: Flags;

  constructor(flags: Flags) {
    this.#flags = flags;
  }

  /** @throws ResolutionError while there are no flags; the provider becomes ready by itself when they come */
  async initialize(): Promise<void> {
    const { state, revision } = await this.#flags.ready;
    this.#flags.onChange(({ flags }) => this.events.emit('PROVIDER_CONFIGURATION_CHANGED', { flagsChanged: [...flags] }));
    this.#flags.onStatus((status) => {
      if (status.state === 'live') this.events.emit('PROVIDER_READY');
      if (status.state === 'stale') this.events.emit('PROVIDER_STALE', { message: 'the server cannot be reached' });
      if (status.state === 'closed') this.events.emit('PROVIDER_ERROR', { message: 'the flags were closed' });
    });
    if (revision === undefined)
      throw new ResolutionError('PROVIDER_NOT_READY', 'no flags came from the server, and none were kept');
    // After this promise, which makes the provider ready.
    if (state === 'stale') setTimeout(() => this.#tellStale());
  }

  #tellStale(): void {
    if (this.#flags.status().state === 'stale') this.events.emit('PROVIDER_STALE', { message: 'the server cannot be reached' });
  }

  async resolveBooleanEvaluation(flag: string, fallback: boolean, context: ProviderContext): Promise<Resolution<boolean>> {
    return resolutionOf(this.#flags.booleanDetails(flag, attributesOf(context), fallback));
  }

  async resolveStringEvaluation(flag: string, fallback: string, context: ProviderContext): Promise<Resolution<string>> {
    return resolutionOf(this.#flags.stringDetails(flag, attributesOf(context), fallback));
  }

  async resolveNumberEvaluation(flag: string, fallback: number, context: ProviderContext): Promise<Resolution<number>> {
    return resolutionOf(this.#flags.numberDetails(flag, attributesOf(context), fallback));
  }

  async resolveObjectEvaluation<T extends JsonValue>(
    flag: string,
    fallback: T,
    context: ProviderContext,
  ): Promise<Resolution<T>> {
    const subject = attributesOf(context);
    return resolutionOf(objectDetails((given) => this.#flags.jsonDetails(flag, subject, given), fallback));
  }

  /** Never throws. An event that is about no model of ours is no concern of this provider. */
  track(event: string, context: ProviderContext, { value, ...details }: TrackedFacts = {}): void {
    const [model = '', score] = event.split(':', 2);
    const subject = attributesOf(context);
    const known = this.#flags.stringDetails(versionFlagKey(model), subject, '');
    if (known.errorCode !== undefined) return;
    const decision = this.#flags.version(model, subject, known.value);
    if (score === undefined) decision.report(factsOf(value, details));
    else decision.score(score, value ?? Number.NaN);
  }

  async onClose(): Promise<void> {
    await this.#flags.close();
  }
}

/** What is known by these names; whether it makes sense is checked where it is written. */
function factsOf(value: number | undefined, details: Readonly<Record<string, unknown>>): OutcomeFacts {
  const { latencyMs, failed, prediction = value, scores } = details;
  return {
    ...(typeof latencyMs === 'number' ? { latencyMs } : {}),
    ...(isFailed(failed) ? { failed } : {}),
    ...(typeof prediction === 'number' || typeof prediction === 'string' ? { prediction } : {}),
    ...(isScores(scores) ? { scores } : {}),
  };
}

function isFailed(value: unknown): value is NonNullable<OutcomeFacts['failed']> {
  return typeof value === 'boolean' || value === 'failed' || value === 'timeout' || value === 'invalid' || value === 'rejected';
}

function isScores(value: unknown): value is Record<string, number> {
  return typeof value === 'object' && value !== null && Object.values(value).every((score) => typeof score === 'number');
}
