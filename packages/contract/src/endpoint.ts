/** The shape of one endpoint of the control API, and the inputs that several of them share. */
import { z } from 'zod';
import { Name, type ScopeSchema } from './documents.ts';

/** Why a change is made. */
export const Reason = z.string().min(1).max(2000).meta({ description: 'Why; kept in the journal.' });
export const WithReason = z.strictObject({ reason: Reason });
/** Going forward although it is frozen. */
export const OverrideFreeze = z
  .boolean()
  .default(false)
  .meta({ description: 'Do it this once although a freeze holds; kept in the journal with the reason.' });
/** How many rows of a list to answer with. */
export const Limit = z.coerce.number().int().min(1).max(1000).default(100);
export const OfModel = z.strictObject({ model: Name });
const Nothing = z.strictObject({});

/** The text of an answer in another form than JSON. */
export type Rendering = (answer: unknown, params: unknown) => string;

/** One endpoint: its address, who may call it, and what goes in and out. */
export interface Endpoint {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Below `/api/v1`; `:name` is a parameter. */
  readonly path: string;
  readonly scope: z.infer<typeof ScopeSchema>;
  readonly summary: string;
  readonly params: z.ZodObject;
  readonly query: z.ZodObject;
  /** `binary` takes a stream of bytes. */
  readonly body: z.ZodType | 'none' | 'binary';
  /** Largest body; 1 MiB when left out. */
  readonly maxBodyBytes?: number;
  readonly answer: z.ZodType;
  /** Media types beside JSON that the answer can be asked for in, by `Accept`. */
  readonly renderings?: Readonly<Record<string, Rendering>>;
}

/** What most endpoints have none of. */
export const base = { params: Nothing, query: Nothing, body: 'none' } as const;
