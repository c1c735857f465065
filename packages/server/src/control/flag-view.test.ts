import { flagsOfRollout } from '@understudy/core/flags/rollout-flags';
import { DEFAULT_ROUTING, DEFAULT_WATCH, type Model } from '@understudy/core/model';
import { expect, it } from 'vitest';
import { viewFlags } from './flag-view.ts';

const MODEL: Model = {
  name: 'fraud',
  champion: 'v1',
  routing: DEFAULT_ROUTING,
  watch: DEFAULT_WATCH,
  terms: [],
  createdAtMs: 0,
  rolloutCount: 0,
};

it.each([
  { exposures: undefined, notes: [] },
  { exposures: 1, notes: [expect.stringContaining('SDKs have given it 1 time since')] },
  { exposures: 12, notes: [expect.stringContaining('SDKs have given it 12 times since')] },
])('a flag that was given $exposures times and never judged says so', ({ exposures, notes }) => {
  const following = flagsOfRollout(MODEL).flags.map((flag) => ({ flag, model: 'fraud', losses: [] }));
  const [view] = viewFlags({ flags: [], segments: [], following, reservedFor: new Map() }, (model) =>
    model === 'fraud' ? exposures : 99,
  );
  expect(view?.notes).toEqual(notes);
});
