/** The names of our keys on a Redis server. All keys of an environment lie in one slot of a cluster. */
import type { DocumentKind } from './store.ts';

// A record, so that a kind that is missing does not compile.
const KINDS: Readonly<Record<DocumentKind, DocumentKind>> = {
  flag: 'flag',
  freeze: 'freeze',
  gateway: 'gateway',
  hook: 'hook',
  model: 'model',
  plan: 'plan',
  rollout: 'rollout',
  segment: 'segment',
  token: 'token',
  version: 'version',
};

/** Every kind of document, in the order in which `readAll` gives them. */
export const DOCUMENT_KINDS: readonly DocumentKind[] = Object.values(KINDS);

/** Before the rest of a key: not yet in force. */
export const STAGE = 'staged:';

/** Before the rest of a key that one copy stages. What another one stages never gets mixed with it. */
export function stageOf(copy: string): string {
  return `${STAGE}${copy}:`;
}

/** What every key of an environment matches, and of nothing else of ours. */
export const ENVIRONMENT_PATTERN = '{understudy:*}:*';

/** The environment that a key belongs to and the rest of the key; undefined when it is no key of an environment. */
export function partsOfKey(key: string): { readonly environment: string; readonly rest: string } | undefined {
  const [, encoded, rest] = /^\{understudy:([^}]*)\}:(.*)$/s.exec(key) ?? [];
  return encoded === undefined || rest === undefined ? undefined : { environment: decodeURIComponent(encoded), rest };
}

/** Text: the copy of which everything is staged; it gets its names now. */
export const LOADED_KEY = '{understudy-load}:loaded';
/** Text: the copy that is under way. Goes away by itself when it is not said again. */
export const LOADING_KEY = '{understudy-load}:loading';

/** Hash: name of a secret → its value in base64. Of all environments. */
export const SECRETS_KEY = '{understudy-secrets}:values';
export const stagedSecretsOf = (copy: string): string => `{understudy-secrets}:${stageOf(copy)}values`;
/** What copies stage of secrets. */
export const STAGED_SECRETS_PATTERN = `{understudy-secrets}:${STAGE}*`;
/** As `fence`, for secrets. */
export const SECRETS_FENCE = '{understudy-secrets}:fence';

/** The keys of one environment. */
export interface EnvironmentKeys {
  /** Text: format, revision and hash of the newest journal entry. Whoever changes it has committed. */
  readonly head: string;
  /** Stream: one entry for each commit, its id is the revision. */
  readonly journal: string;
  /** Hash: id → revision and body. */
  readonly documents: (kind: DocumentKind) => string;
  /** Sorted set: the revisions that changed a document. */
  readonly history: (kind: DocumentKind, id: string) => string;
  /** Hash: evaluation window → revision that decided it. */
  readonly windows: (rollout: string) => string;
  /** Stream: decisions on a rollout, their ids are revisions. */
  readonly decisions: (rollout: string) => string;
  /** Hash: key → digest of the request and answer; and a sorted set of their ages. */
  readonly idempotency: string;
  readonly idempotencyAges: string;
  /** Sorted set: which reports were stored, by when they were. */
  readonly reports: string;
  /** Number: the last cursor given to evidence. */
  readonly cursor: string;
  /** Set: models that have evidence. */
  readonly models: string;
  /** Stream: evidence of a model, its ids are cursors. */
  readonly evidence: (model: string) => string;
  /** Sorted sets over evidence: cursors by when it was stored, cursors with models by when it began. */
  readonly evidenceSeen: string;
  readonly evidenceStarts: string;
  /** Number: the moment at which evidence counts as seen at the earliest. */
  readonly evidenceSeal: string;
  /** Hashes: gateway → newest report's status; gateway → its boot and sequence. */
  readonly gateways: string;
  readonly gatewaySequences: string;
  /** Hash: request and name → when it was given and the rest of what was said. Of the requests of one cohort of one model. */
  readonly feedback: (model: string, cohort: number) => string;
  /** Sorted set: cohorts with their models that have feedback, by cohort. */
  readonly feedbackCohorts: string;
  /** Number: grows with every change that does not move the head. */
  readonly activity: string;
  /** Written only so that WAIT has something to wait for. */
  readonly fence: string;
}

/**
 * The text between the braces alone decides about the slot, so it may not hold a brace itself.
 * @param stage where a copy gathers what will get its names when all of it is there
 */
export function keysOf(environment: string, stage = ''): EnvironmentKeys {
  const key = (...parts: readonly string[]): string =>
    `{understudy:${encodeURIComponent(environment)}}:${stage}${parts.join(':')}`;
  return {
    head: key('head'),
    journal: key('journal'),
    documents: (kind) => key('documents', kind),
    history: (kind, id) => key('history', kind, id),
    windows: (rollout) => key('windows', rollout),
    decisions: (rollout) => key('decisions', rollout),
    idempotency: key('idempotency'),
    idempotencyAges: key('idempotency-ages'),
    reports: key('reports'),
    cursor: key('cursor'),
    models: key('models'),
    evidence: (model) => key('evidence', model),
    evidenceSeen: key('evidence-seen'),
    evidenceStarts: key('evidence-starts'),
    evidenceSeal: key('evidence-seal'),
    gateways: key('gateways'),
    gatewaySequences: key('gateway-sequences'),
    feedback: (model, cohort) => key('feedback', String(cohort), model),
    feedbackCohorts: key('feedback-cohorts'),
    activity: key('activity'),
    fence: key('fence'),
  };
}

/** The channel on which stores of one server and database tell each other of commits. */
export function channelOf(database: number): string {
  return `understudy:commits:${database}`;
}
