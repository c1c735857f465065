/** Gateway reports in a Redis store: evidence blocks, and who was heard of. */
import type { GatewayReport, ServiceReport } from '@understudy/contract/report';
import { byBytes } from './byte-order.ts';
import { jsonText } from './canonical-json.ts';
import { type EnvironmentKeys, keysOf } from './redis-keys.ts';
import type { RedisLink, RedisRead, ScriptRun } from './redis-link.ts';
import type { ReplicaWait } from './redis-replicas.ts';
import { hashOf, jsonOf, numberOf, scoreOf, type StreamEntry, streamOf, textsOf } from './redis-replies.ts';
import { REPORT_SCRIPT, SEAL_SCRIPT } from './redis-scripts.ts';
import { blockText, evidenceOfRow, gatewayOfRow, gatewayStateText } from './rows.ts';
import type { EvidenceQuery, GatewayStatus, Store, StoredEvidence } from './store.ts';

export function openEvidence(
  link: RedisLink,
  untilReplicated: ReplicaWait,
): Pick<Store, 'appendReport' | 'sealEvidence' | 'evidence' | 'gateways'> {
  return {
    appendReport: async (environment, report, seenAtMs) => {
      const attempt = 'store a report';
      const { answer, isRepeated } = await link.run(attempt, reportRun(environment, report, seenAtMs));
      // A server that forgets evidence while engines that have counted it live on would give the same cursor twice.
      await untilReplicated(attempt, keysOf(environment).fence);
      // When an answer was lost, the report that is there already is the one that was sent.
      return numberOf(answer) === 1 || isRepeated ? 'stored' : 'duplicate';
    },
    sealEvidence: async (environment, atMs) => {
      await link.run('seal evidence', { script: SEAL_SCRIPT, keys: [keysOf(environment).evidenceSeal], args: [scoreOf(atMs)] });
    },
    evidence: (environment, query) => readEvidence(link, environment, query),
    gateways: async (environment) => {
      const [reply] = await link.send('read the gateways', [['hgetall', keysOf(environment).gateways]]);
      return hashOf(reply)
        .toSorted(([a], [b]) => byBytes(a, b))
        .map(([gateway, text]) => gatewayOf(gateway, text));
    },
  };
}

function reportRun(environment: string, report: GatewayReport | ServiceReport, seenAtMs: number): ScriptRun {
  const keys = keysOf(environment);
  const { gateway, boot, sequence, blocks } = report;
  const status =
    'readiness' in report
      ? jsonText({ boot, revision: report.revision, seen_at_ms: seenAtMs, readiness: gatewayStateText(report) })
      : '';
  return {
    script: REPORT_SCRIPT,
    keys: [
      keys.reports,
      keys.cursor,
      keys.models,
      keys.evidenceSeen,
      keys.evidenceStarts,
      keys.gateways,
      keys.gatewaySequences,
      keys.activity,
      keys.evidenceSeal,
      ...blocks.map(({ model }) => keys.evidence(model)),
    ],
    args: [
      JSON.stringify([gateway, boot, sequence]),
      scoreOf(seenAtMs),
      gateway,
      boot,
      String(sequence),
      status,
      ...blocks.flatMap((block) => [block.model, scoreOf(block.startMs), blockText(block)]),
    ],
  };
}

async function readEvidence(link: RedisLink, environment: string, query: EvidenceQuery): Promise<readonly StoredEvidence[]> {
  const { limit, model } = query;
  const keys = keysOf(environment);
  const after = Math.max(query.afterCursor, await cursorBefore(link, keys, query.sinceMs));
  if (limit <= 0 || !Number.isFinite(after)) return [];
  if (model === undefined) return (await readBlocks(link, keys, { after, limit })).map(evidenceOf);
  const [reply] = await link.send('read evidence', [blocksOf(keys, model, { after, limit })]);
  return streamOf(reply).map(evidenceOf);
}

interface Page {
  readonly after: number;
  readonly limit: number;
}

function blocksOf(keys: EnvironmentKeys, model: string, { after, limit }: Page): RedisRead {
  return ['xrange', keys.evidence(model), `${after + 1}-0`, '+', 'COUNT', String(limit)];
}

/** Evidence of all models in the order of cursors, as it is stored. */
export async function readBlocks(link: RedisLink, keys: EnvironmentKeys, page: Page): Promise<readonly StreamEntry[]> {
  const models: RedisRead = ['smembers', keys.models];
  let known = textsOf((await link.send('read evidence', [models]))[0]);
  for (;;) {
    const reads = known.map((model) => blocksOf(keys, model, page));
    const [names, ...replies] = await link.readTogether('read evidence', [models, ...reads]);
    const present = textsOf(names);
    // Models are never removed. Without the evidence of one that is new, a reader would go past it.
    if (present.length === known.length) {
      const all = replies.flatMap((reply) => streamOf(reply));
      return all.toSorted((a, b) => a.number - b.number).slice(0, page.limit);
    }
    known = present;
  }
}

/** As evidence is never seen earlier than what has a smaller cursor, everything after this one was seen since. */
async function cursorBefore(link: RedisLink, keys: EnvironmentKeys, sinceMs: number | undefined): Promise<number> {
  if (sinceMs === undefined) return 0;
  const [reply] = await link.send('read evidence', [
    ['zrangebyscore', keys.evidenceSeen, scoreOf(sinceMs), '+inf', 'LIMIT', '0', '1'],
  ]);
  const [first] = textsOf(reply);
  return first === undefined ? Infinity : Number(first) - 1;
}

export function evidenceOf({ number: cursor, fields }: StreamEntry): StoredEvidence {
  return evidenceOfRow({ cursor, seen_at_ms: Number(fields['seen']), block: fields['block'] });
}

function gatewayOf(gateway: string, text: string): GatewayStatus {
  const status = jsonOf(text);
  return gatewayOfRow(typeof status === 'object' && status !== null ? { gateway, ...status } : status);
}
