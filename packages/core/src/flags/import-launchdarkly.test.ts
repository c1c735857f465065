import { expect, it } from 'vitest';
import { importLaunchDarkly } from './import-launchdarkly.ts';
import type { LaunchDarklyFlag } from './launchdarkly-model.ts';

const PLAIN: LaunchDarklyFlag = {
  key: 'f',
  on: true,
  salt: 's',
  variations: ['v1', 'v2'],
  rules: [{ variation: 1, clauses: [], trackEvents: false }],
  fallthrough: { variation: 0 },
  trackEvents: false,
  trackEventsFallthrough: false,
};
const RULE = { variation: 1, clauses: [] };

it.each<{ name: string; flag: Partial<LaunchDarklyFlag>; says: readonly string[] }>([
  { name: 'none', flag: {}, says: [] },
  { name: 'a sampling ratio of all', flag: { samplingRatio: 1 }, says: [] },
  { name: 'events of all evaluations', flag: { trackEvents: true }, says: ['trackEvents'] },
  { name: 'events of the fallthrough', flag: { trackEventsFallthrough: true }, says: ['trackEventsFallthrough'] },
  {
    name: 'events of rules',
    flag: { rules: [RULE, { ...RULE, trackEvents: true }, { ...RULE, trackEvents: true }] },
    says: ['trackEvents of rule 2, 3'],
  },
  { name: 'debugging', flag: { debugEventsUntilDate: 1_700_000_000_000 }, says: ['debugEventsUntilDate'] },
  {
    name: 'several',
    flag: { trackEvents: true, excludeFromSummaries: true, samplingRatio: 10 },
    says: ['trackEvents; excludeFromSummaries; samplingRatio'],
  },
  { name: 'a migration', flag: { migration: { checkRatio: 1 } }, says: ['migration flag'] },
])('an import says that event settings stay behind: $name', ({ flag, says }) => {
  const { losses } = importLaunchDarkly({ flags: { f: { ...PLAIN, ...flag } } });
  expect(losses).toEqual(says.map((what) => ({ about: 'f', sentence: expect.stringContaining(what) })));
});
