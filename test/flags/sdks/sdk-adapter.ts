/** What every SDK is asked in the scenarios, whatever it calls it. The adapters implement it. */

/** Somebody who uses a service. */
export interface SdkUser {
  readonly key: string;
  readonly attributes?: Readonly<Record<string, string | number>>;
}

/** Keys and address of the server; the secrets are in the form of each family. */
export interface SdkPlace {
  readonly controlUrl: string;
  readonly keys: Readonly<Record<'unleash' | 'unleashClient' | 'launchdarkly' | 'flagsmith' | 'openfeature', string>>;
}

/** One SDK in one process of a service. */
export interface OpenSdk {
  /** The value of a text flag; undefined when the SDK gives its caller's default. */
  valueOf(flag: string, user: SdkUser): Promise<string | undefined>;
  /** A boolean flag, `false` being the default. */
  isOn(flag: string, user: SdkUser): Promise<boolean>;
  close(): Promise<void>;
}

/** An SDK that can be started any number of times. */
export interface SdkAdapter {
  readonly name: string;
  /** What it goes on with when the server is away: the flags, the answers for its user, or nothing, since each question is a call. */
  readonly keeps: 'flags' | 'answers' | 'nothing';
  /** Whether it hashes as rollouts do, so that its users are those of the gateway. */
  readonly sharesRolloutHash: boolean;
  /** Whether it gets flags by itself after it was started in vain. */
  readonly recovers: boolean;
  /** Resolves when the SDK says that it is ready; without a server, when it has given up waiting. */
  start(place: SdkPlace): Promise<OpenSdk>;
}

/** What a service passes as its default, to be told from every value of a flag. */
export const NO_VALUE = 'the default of the caller';

export function known(value: unknown): string | undefined {
  return typeof value === 'string' && value !== NO_VALUE ? value : undefined;
}
