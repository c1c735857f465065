/** A rollout that is held by guards from elsewhere, for tests. */
import type { RolloutView } from '@understudy/contract/views';
import type { GuardReading } from '@understudy/core/policy';
import { NOW_MS, weighedView } from './test-data.ts';

const CHECKS: readonly GuardReading[] = [
  {
    guard: 'check checkout-errors',
    verdict: 'undecided',
    champion: 0.0021,
    challenger: 0.0047,
    limit: 0.0041,
    unit: 'number',
    samples: 14,
    reason:
      'failed 2 of 3 times in a row (fails above 0.0041); 0.0047 (baseline 0.0021), 12s ago; 0.0046 (baseline 0.0022), 42s ago',
  },
  {
    guard: 'check fraud-desk',
    verdict: 'no-data',
    unit: 'number',
    samples: 9,
    reason:
      'provider error since 4m ago, 4 times in a row; the rollout holds; error (HTTP 502), 2s ago; pass (no chargebacks), 5m ago',
  },
];

/** Both checks hold it back: one is failing, the other one cannot be asked. */
export function checkedView(): RolloutView {
  const view = weighedView();
  const reason = CHECKS.map(({ guard, reason: why }) => `the ${guard}: ${why.split('; ').slice(0, 2).join('; ')}`).join('; ');
  const guards = [...(view.now?.guards ?? []).slice(0, 1), ...CHECKS];
  return { ...view, now: { verdict: 'undecided', reason, guards, atMs: NOW_MS } };
}
