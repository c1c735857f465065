import { type Client, createClient } from '@understudy/contract/client';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openTestControl, refusal, type TestControl } from './test-control.ts';

let control: TestControl;
let call: Client;
beforeEach(async () => {
  control = await openTestControl();
  const url = await control.api.listen({ host: '127.0.0.1', port: 0 });
  call = createClient({ url, token: control.tokenFor('admin') });
});
afterEach(async () => {
  await control[Symbol.asyncDispose]();
});

const STEPS = [{ traffic: 50 }, { traffic: 100 }];
const WHY = { reason: 'test' };

function planWith(url: string, more: object = {}, auth: object = {}) {
  return { name: 'mine', steps: STEPS, checks: [{ name: 'desk', webhook: { url, ...auth } }], ...more };
}

async function openFraud(): Promise<void> {
  await call('createModel', { body: { name: 'fraud' } });
  for (const version of ['v1', 'v2']) {
    const upstream = { url: 'http://10.0.0.7:8080/', protocol: 'predict' } as const;
    await call('registerVersion', { params: { model: 'fraud' }, body: { version, upstream } });
    if (version === 'v1') await call('promoteVersion', { params: { model: 'fraud', version }, body: WHY });
  }
}

it('refuses to save a plan whose check may not call its address', async () => {
  const body = planWith('http://169.254.169.254/verdict');
  expect(await refusal(call('savePlan', { params: { plan: 'mine' }, body }))).toContain(
    'plan.invalid: cannot save the plan "mine": the check "desk" may not call http://169.254.169.254/verdict: it is link-local',
  );
});

it('tells at the start of a rollout what is wrong with its checks, and starts where the plan only warns', async () => {
  await openFraud();
  const { warnings } = await call('startRollout', {
    body: { model: 'fraud', challenger: 'v2', plan: planWith('https://nobody') },
  });
  expect(warnings).toContain('the check "desk" knows no v1');
});

it('starts nothing where the plan refuses', async () => {
  await openFraud();
  const plan = planWith('https://nobody', { startCheck: 'refuse' });
  expect(await refusal(call('startRollout', { body: { model: 'fraud', challenger: 'v2', plan } }))).toMatch(
    /^rollout\.start_refused: .*the check "desk" knows no v1/,
  );
});

it('never starts without the secret of a check, also when it is tried again', async () => {
  await openFraud();
  const plan = planWith('https://desk', {}, { tokenFrom: 'env:UNDERSTUDY_CHECK_DESK' });
  const wish = call('startRollout', { body: { model: 'fraud', challenger: 'v2', plan } });
  expect(await refusal(wish)).toMatch(/^rollout\.start_refused: .*the check "desk" has no secret to send/);
  const { rollout } = await call('startRollout', { body: { model: 'fraud', challenger: 'v2' } });
  await call('abortRollout', { params: { rollout: rollout.id }, body: WHY });
  const again = call('retryRollout', { params: { rollout: rollout.id }, body: { ...WHY, plan } });
  expect(await refusal(again)).toMatch(/^rollout\.start_refused: .*has no secret to send/);
});
