/** What a handler of the control API is: typed by the endpoint table, so that a missing or misfitting one does not compile. */
import type { ENDPOINTS, EndpointName } from '@understudy/contract/endpoints';
import type { Token } from '@understudy/core/token';
import type { z } from 'zod';
import type { Caller, CommandContext } from '../commands/command.ts';
import type { FeedbackIntake } from './feedback.ts';
import type { FlagFeed } from './flag-feed.ts';
import type { Observations } from './observations.ts';
import type { ArtifactIntake, CheckDesk, EngineWindow, HookDesk } from './ports.ts';
import type { SdkSightings } from './sdk-sightings.ts';
import type { OwnListeners } from './upstream-address.ts';

type Of<Name extends EndpointName> = (typeof ENDPOINTS)[Name];

type BodyOf<Schema> = Schema extends z.ZodType
  ? z.output<Schema>
  : Schema extends 'binary'
    ? AsyncIterable<Uint8Array>
    : undefined;

/** A request that has been let in, with every part parsed. */
export interface Call<Name extends EndpointName> {
  readonly params: z.output<Of<Name>['params']>;
  readonly query: z.output<Of<Name>['query']>;
  readonly body: BodyOf<Of<Name>['body']>;
  readonly caller: Caller;
  readonly token: Token;
}

/** What handlers work with; also the context of commands. */
export interface HandlerContext extends CommandContext {
  /** The release of this program, for people. */
  readonly release: string;
  readonly engine: EngineWindow;
  readonly checks: CheckDesk;
  readonly artifacts: ArtifactIntake;
  readonly own: OwnListeners;
  readonly observations: Observations;
  readonly feedback: FeedbackIntake;
  readonly sdks: Pick<SdkSightings, 'list'>;
  readonly flags: Pick<FlagFeed, 'now' | 'refresh'>;
  readonly hooks: HookDesk;
}

export type Handler<Name extends EndpointName> = (
  context: HandlerContext,
  call: Call<Name>,
) => Promise<z.output<Of<Name>['answer']>>;

/** One handler for each endpoint. */
export type Handlers = { readonly [Name in EndpointName]: Handler<Name> };
