/** A provider for OpenFeature's SDK for pages, on flags that the server evaluates. It needs no package of OpenFeature. */
import type { JsonValue } from '@understudy/core/flags/context';
import { ProviderEvents } from './provider-events.ts';
import {
  attributesOf,
  objectDetails,
  type ProviderContext,
  type Resolution,
  resolutionOf,
  ResolutionError,
} from './provider-resolution.ts';
import type { RemoteFlags } from './remote-flags.ts';

/**
 * `OpenFeature.setProviderAndWait(new UnderstudyWebProvider(openRemoteFlags({…})))`. The context of OpenFeature takes the
 * place of the one that the flags were opened with. It closes the flags when it is replaced.
 */
export class UnderstudyWebProvider {
  readonly metadata = { name: 'understudy-web' } as const;
  readonly runsOn = 'client' as const;
  readonly events: ProviderEvents = new ProviderEvents('understudy-web');
  readonly #flags: RemoteFlags;

  constructor(flags: RemoteFlags) {
    this.#flags = flags;
  }

  /** @throws ResolutionError while there are no values; the provider becomes ready by itself when they come */
  async initialize(context: ProviderContext = {}): Promise<void> {
    const { revision, state } = await this.#flags.setContext(attributesOf(context));
    this.#flags.onChange(({ flags }) => this.events.emit('PROVIDER_CONFIGURATION_CHANGED', { flagsChanged: [...flags] }));
    this.#flags.onStatus((status) => {
      if (status.state === 'live') this.events.emit('PROVIDER_READY');
      if (status.state === 'stale') this.events.emit('PROVIDER_STALE', { message: 'the server cannot be reached' });
    });
    if (revision === undefined)
      throw new ResolutionError('PROVIDER_NOT_READY', 'no values came from the server, and none were kept');
    if (state === 'stale') setTimeout(() => this.#tellStale());
  }

  #tellStale(): void {
    if (this.#flags.status().state === 'stale') this.events.emit('PROVIDER_STALE', { message: 'the server cannot be reached' });
  }

  async onContextChange(_before: ProviderContext, after: ProviderContext): Promise<void> {
    await this.#flags.setContext(attributesOf(after));
  }

  resolveBooleanEvaluation(flag: string, fallback: boolean): Resolution<boolean> {
    return resolutionOf(this.#flags.booleanDetails(flag, fallback));
  }

  resolveStringEvaluation(flag: string, fallback: string): Resolution<string> {
    return resolutionOf(this.#flags.stringDetails(flag, fallback));
  }

  resolveNumberEvaluation(flag: string, fallback: number): Resolution<number> {
    return resolutionOf(this.#flags.numberDetails(flag, fallback));
  }

  resolveObjectEvaluation<T extends JsonValue>(flag: string, fallback: T): Resolution<T> {
    return resolutionOf(objectDetails((given) => this.#flags.jsonDetails(flag, given), fallback));
  }

  async onClose(): Promise<void> {
    await this.#flags.close();
  }
}
