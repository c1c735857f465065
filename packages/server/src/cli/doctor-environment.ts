/** Doctor's checks of what the control plane knows: gateways, versions, models, journal. */
import type { Answer } from '@understudy/contract/client';
import { AppError } from '@understudy/core/errors';
import type { Check, Session } from './session.ts';

type Status = Answer<'getStatus'>;

/** The environment's checks, or the one that says why they cannot be made. */
export async function checkEnvironment(session: Session): Promise<readonly Check[]> {
  try {
    const status = await session.ask('getStatus', {});
    const journal = await session.ask('verifyJournal', {});
    return [
      checkRelease(session, status),
      checkGateways(status),
      checkRevisions(status),
      checkVersions(status),
      ...checkModels(status),
      checkJournal(journal),
    ];
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    const fix = 'look at the log of the control plane';
    return [{ name: 'status', state: 'problem', detail: error.message, fix }];
  }
}

function checkRelease(session: Session, { release }: Status): Check {
  const ours = session.deps.release;
  if (release === ours) return { name: 'release', state: 'ok', detail: `${release} on both sides` };
  const fix = 'use the same release on both sides';
  return { name: 'release', state: 'warning', detail: `the server is ${release}, this command line ${ours}`, fix };
}

function checkGateways({ gateways }: Status): Check {
  const name = 'gateways';
  const away = gateways.filter(({ isConnected }) => !isConnected).map(({ gateway }) => gateway);
  if (gateways.length === 0) {
    const fix = '`understudy serve` brings one along: look at its log for why it does not report';
    return { name, state: 'problem', detail: 'none has ever connected, so nobody serves predictions', fix };
  }
  if (away.length === 0) return { name, state: 'ok', detail: `all ${gateways.length} connected` };
  const fix = 'see whether they run and reach the control plane; they serve meanwhile from their last snapshot';
  const state = away.length === gateways.length ? 'problem' : 'warning';
  return { name, state, detail: `not heard of: ${away.join(', ')}`, fix };
}

function checkRevisions({ gateways, revision }: Status): Check {
  const name = 'revision';
  const behind = gateways.filter((gateway) => gateway.isConnected && gateway.revision < revision);
  if (behind.length === 0) return { name, state: 'ok', detail: `every connected gateway has revision ${revision}` };
  const detail = behind.map((gateway) => `${gateway.gateway} has ${gateway.revision} of ${revision}`).join(', ');
  return { name, state: 'warning', detail, fix: 'run doctor again; a gateway that stays behind says why in its log' };
}

function checkVersions({ gateways }: Status): Check {
  const name = 'versions';
  const failed = gateways.flatMap(({ gateway, readiness }) =>
    readiness
      .filter(({ state }) => state === 'failed')
      .map(({ model, version, detail }) => `${model}/${version} on ${gateway}: ${detail}`),
  );
  if (failed.length === 0) return { name, state: 'ok', detail: 'none failed to load' };
  const fix = 'register a version that loads, or repair its model server: understudy version show <model> <version>';
  return { name, state: 'problem', detail: failed.join('; '), fix };
}

function checkModels({ models }: Status): readonly Check[] {
  if (models.length === 0) {
    const fix = 'create one: understudy model create <model>';
    return [{ name: 'models', state: 'warning', detail: 'there is none yet', fix }];
  }
  const problems = models.flatMap(modelChecks);
  return problems.length > 0
    ? problems
    : [{ name: 'models', state: 'ok', detail: `all ${models.length} have a champion and a fallback` }];
}

function modelChecks({ model, lastKnownGood }: Status['models'][number]): readonly Check[] {
  const name = `model ${model.name}`;
  const checks: Check[] = [];
  if (model.alarm !== undefined) {
    const fix = `promote a good version: understudy version promote ${model.name} <version>`;
    checks.push({ name, state: 'problem', detail: `alarm: ${model.alarm.message}`, fix });
  }
  if (model.killed !== undefined) {
    const detail = `killed by ${model.killed.by}: ${model.killed.reason}`;
    checks.push({ name, state: 'warning', detail, fix: `when it is safe again: understudy unkill ${model.name}` });
  }
  if (model.champion === undefined) {
    const fix = `understudy version promote ${model.name} <version>`;
    checks.push({ name, state: 'problem', detail: 'no champion, so requests are refused', fix });
  } else if (lastKnownGood === undefined) {
    const detail = 'no last known good version: a rollback has nowhere to go';
    checks.push({ name, state: 'warning', detail, fix: 'it appears once a second version has been champion' });
  }
  return checks;
}

function checkJournal({ intact, entries, brokenAtRevision, problem }: Answer<'verifyJournal'>): Check {
  if (intact) return { name: 'journal', state: 'ok', detail: `intact, ${entries} entries` };
  const detail = `changed at revision ${brokenAtRevision ?? '?'}: ${problem ?? 'the hash does not fit'}`;
  return { name: 'journal', state: 'problem', detail, fix: 'somebody changed the store by hand; compare it with a backup' };
}
