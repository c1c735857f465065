import { EMPTY_TALLY, type Tally } from '@understudy/core/evidence';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { TallyView, tallyOfView, viewOfTally } from './tally-view.ts';

const moments = { count: 2, sum: 1.5, sumSquares: 1.25 };
const FULL: Tally = {
  requests: 9,
  errors: 4,
  timeouts: 1,
  invalid: 1,
  rescued: 2,
  rejected: 3,
  latency: [
    [3, 4],
    [7, 1],
  ],
  coldLatency: [[900, 4]],
  predictions: moments,
  classes: Object.fromEntries([
    ['cat', 2],
    ['__proto__', 3],
    ['constructor', 1],
  ]),
  bins: { '00c0ffee': [0, 2, 3] },
  scores: { rating: moments },
};

it.each([
  { name: 'nothing', tally: EMPTY_TALLY },
  { name: 'everything, names that objects have of their own included', tally: FULL },
])('comes back from an answer with $name', ({ tally }) => {
  // The server encodes an answer, the client parses it.
  const sent = JSON.stringify(z.encode(TallyView, viewOfTally(tally)));
  const back = tallyOfView(TallyView.parse(JSON.parse(sent)));
  expect(back).toEqual(tally);
  expect(Object.entries(back.classes)).toEqual(Object.entries(tally.classes));
});
