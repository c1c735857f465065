/** Tells an OpenFeature SDK what happens. Written against its published interface, as the SDK has no dependencies. */

/** What a handler is told. */
// A type and not an interface: OpenFeature's own allows further fields, which an interface does not promise.
export type ProviderEventDetails = { readonly message?: string; readonly flagsChanged?: string[] };

type ToldDetails = ProviderEventDetails & { readonly providerName: string };

type Handler = (details?: ToldDetails) => unknown;

/** The logger of OpenFeature. */
export interface ProviderLogger {
  error(...words: unknown[]): void;
}

/** OpenFeature's names of events. */
export type ProviderEvent =
  | 'PROVIDER_READY'
  | 'PROVIDER_ERROR'
  | 'PROVIDER_CONFIGURATION_CHANGED'
  | 'PROVIDER_STALE'
  | 'PROVIDER_CONTEXT_CHANGED'
  | 'PROVIDER_RECONCILING';

/** What OpenFeature listens on. */
export class ProviderEvents {
  readonly #providerName: string;
  readonly #handlers = new Map<string, Handler[]>();
  #logger: ProviderLogger | undefined;

  constructor(providerName: string) {
    this.#providerName = providerName;
  }

  /** Calls the handlers of an event; one that throws is logged. */
  emit(event: `${ProviderEvent}`, details: ProviderEventDetails = {}): void {
    for (const handler of this.getHandlers(event)) {
      try {
        const done: unknown = handler({ ...details, providerName: this.#providerName });
        Promise.resolve(done).catch((error: unknown) => this.#logger?.error('a handler of a provider event failed', error));
      } catch (error) {
        this.#logger?.error('a handler of a provider event failed', error);
      }
    }
  }

  addHandler(event: `${ProviderEvent}`, handler: Handler): void {
    this.#handlers.set(event, [...this.getHandlers(event), handler]);
  }

  removeHandler(event: `${ProviderEvent}`, handler: Handler): void {
    this.#handlers.set(
      event,
      this.getHandlers(event).filter((one) => one !== handler),
    );
  }

  removeAllHandlers(event?: `${ProviderEvent}`): void {
    if (event === undefined) this.#handlers.clear();
    else this.#handlers.delete(event);
  }

  getHandlers(event: `${ProviderEvent}`): Handler[] {
    return this.#handlers.get(event) ?? [];
  }

  setLogger(logger: ProviderLogger): this {
    this.#logger = logger;
    return this;
  }
}
