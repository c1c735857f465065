import { describe, expect, it } from 'vitest';
import { type Arm, EMPTY_TALLY, type Tally } from './evidence.ts';
import { FALSE_ALARM, type GatewayAgreement, openGatewayAgreement, type UnlikeGateway } from './gateway-agreement.ts';
import { MAX_GATEWAYS, NO_GATEWAY, OTHER_GATEWAYS } from './gateway-roster.ts';
import { logistic, logit } from './sequential/log-odds.ts';
import { type Random, randomOf } from './simulation/random.ts';

const PERCENTS = [10, 25, 50];
const PAST: Tally = {
  ...EMPTY_TALLY,
  latency: [
    [0, 900],
    [99, 100],
  ],
};

interface Counted {
  readonly requests: number;
  readonly errors?: number;
  readonly slow?: number;
}

function tallyOf({ requests, errors = 0, slow = 0 }: Counted): Tally {
  const latency = [[0, requests - slow] as const, [500, slow] as const].filter(([, count]) => count > 0);
  return { ...EMPTY_TALLY, requests, errors, latency };
}

type Told = Readonly<Record<string, readonly [champion: Counted, challenger: Counted]>>;

/** One interval after another, each as told. */
function told(agreement: GatewayAgreement, intervals: readonly Told[], { step = 0, stratum = '', fromMs = 0 } = {}): void {
  intervals.forEach((interval, index) => {
    const parts = new Map<string, Readonly<Record<Arm, Tally>>>(
      Object.entries(interval).map(([name, [champion, challenger]]) => [
        name,
        { champion: tallyOf(champion), challenger: tallyOf(challenger), shadow: EMPTY_TALLY },
      ]),
    );
    const where = { startMs: fromMs + index * 1000, step, stratum };
    agreement.seat(where, parts);
    agreement.count(where, parts);
  });
}

const open = (): GatewayAgreement => openGatewayAgreement({ percents: PERCENTS, champion: PAST });

function unlikeIn(agreement: GatewayAgreement): readonly UnlikeGateway[] {
  return [...agreement.strata.values()].flat().flatMap(({ unlike }) => (unlike === undefined ? [] : [unlike]));
}

const WELL: Told[string] = [
  { requests: 9000, errors: 90, slow: 900 },
  { requests: 1000, errors: 10, slow: 100 },
];

const LIES: readonly { readonly name: string; readonly said: Told[string]; readonly oddity: string }[] = [
  {
    name: 'says that all fails',
    said: [
      { requests: 9000, errors: 90, slow: 900 },
      { requests: 1000, errors: 1000, slow: 100 },
    ],
    oddity: 'failures',
  },
  {
    name: 'hides failures of the champion',
    said: [
      { requests: 90_000, slow: 9000 },
      { requests: 10_000, errors: 1000, slow: 1000 },
    ],
    oddity: 'failures',
  },
  {
    name: 'says that all is slow',
    said: [
      { requests: 9000, errors: 90, slow: 900 },
      { requests: 1000, errors: 10, slow: 1000 },
    ],
    oddity: 'latency',
  },
  {
    name: 'counts its challenger twice',
    said: [
      { requests: 9000, errors: 90, slow: 900 },
      { requests: 2000, errors: 20, slow: 200 },
    ],
    oddity: 'share',
  },
];

describe('a gateway that is unlike the others', () => {
  it.each(LIES)('$name, and is found', ({ said, oddity }) => {
    const agreement = open();
    told(agreement, [{ a: WELL, b: WELL, c: WELL, liar: said }]);
    expect(unlikeIn(agreement)).toMatchObject([{ gateway: 'liar', oddity, otherGateways: 3 }]);
  });

  it.each(LIES)('$name, and is not found among two, where nobody can tell who lies', ({ said }) => {
    const agreement = open();
    told(agreement, [{ a: WELL, liar: said }]);
    expect(unlikeIn(agreement)).toEqual([]);
  });

  it('is found among three, and nobody in its place', () => {
    for (const { said } of LIES) {
      const agreement = open();
      told(agreement, [{ a: WELL, b: WELL, liar: said }]);
      expect(unlikeIn(agreement).map(({ gateway }) => gateway)).toEqual(['liar']);
    }
  });

  it('stays found, with what was counted then, in the steps to come', () => {
    const agreement = open();
    const [lie] = LIES;
    told(agreement, [{ a: WELL, b: WELL, c: WELL, liar: lie?.said ?? WELL }]);
    const before = unlikeIn(agreement);
    told(agreement, [{ a: WELL, b: WELL, c: WELL, liar: WELL }], { step: 1 });
    expect(unlikeIn(agreement)).toEqual(before);
    expect(before[0]?.own.failed.challenger).toEqual({ count: 1000, bad: 1000 });
    expect(before[0]?.others.failed.challenger).toEqual({ count: 3000, bad: 30 });
  });

  it('is not one that gives the challenger less than planned: breakers and leases do', () => {
    const agreement = open();
    const cutOff: Told[string] = [{ requests: 9900, errors: 99, slow: 990 }, { requests: 0 }];
    told(agreement, [{ a: WELL, b: WELL, c: WELL, d: cutOff }]);
    expect(unlikeIn(agreement)).toEqual([]);
  });

  it('is nobody where all get another share than planned', () => {
    const agreement = open();
    const twice = LIES[3]?.said ?? WELL;
    told(agreement, [{ a: twice, b: twice, c: twice, d: twice }]);
    expect(unlikeIn(agreement)).toEqual([]);
  });

  it('is nobody where the challenger is bad on all of them, and champions differ', () => {
    const agreement = open();
    const bad = (rate: number): Told[string] => [
      { requests: 90_000, errors: 90_000 * rate },
      { requests: 10_000, errors: 10_000 * Math.min(1, 2 * rate) },
    ];
    told(agreement, [{ a: bad(0.01), b: bad(0.02), c: bad(0.1), d: bad(0.2) }]);
    expect(unlikeIn(agreement)).toEqual([]);
  });

  it('is looked for in its own stratum', () => {
    const [lie] = LIES;
    const agreement = open();
    for (const [stratum, told_] of [
      ['eu', { a: WELL, b: WELL }],
      ['us', { c: lie?.said ?? WELL, d: WELL }],
    ] as const) {
      told(agreement, [told_], { stratum });
    }
    expect(unlikeIn(agreement)).toEqual([]);
    told(agreement, [{ e: WELL }], { stratum: 'us' });
    expect(unlikeIn(agreement).map(({ gateway }) => gateway)).toEqual(['c']);
  });
});

describe('what is counted', () => {
  it('is that of the present step, and nothing of a step before', () => {
    const agreement = open();
    told(agreement, [{ a: WELL, b: WELL, c: WELL }], { step: 1 });
    told(agreement, [{ a: [{ requests: 5 }, { requests: 5, errors: 5 }] }], { step: 0 });
    told(agreement, [{ a: [{ requests: 1 }, { requests: 2 }] }], { step: 2 });
    expect(agreement.memberOf('', 'a')?.counts.failed).toEqual({
      champion: { count: 1, bad: 0 },
      challenger: { count: 2, bad: 0 },
    });
  });

  it('is nobody’s where no gateway was named', () => {
    const agreement = open();
    told(agreement, [{ [NO_GATEWAY]: WELL }]);
    expect([...agreement.strata.values()].flat()).toEqual([]);
    expect(agreement.memberOf('', NO_GATEWAY)).toBeUndefined();
  });

  it('is kept of as many gateways as are told apart; the rest of a stratum count as one, new strata not at all', () => {
    const agreement = open();
    const names = Array.from({ length: 5 * MAX_GATEWAYS }, (_, index) => `gw-${String(index).padStart(4, '0')}`);
    told(agreement, [Object.fromEntries(names.map((name) => [name, WELL]))]);
    for (let stratum = 0; stratum < 300; stratum += 1)
      told(agreement, [{ x: WELL, y: WELL, z: WELL }], { stratum: `s${stratum}` });
    expect([...agreement.strata.values()].flat()).toHaveLength(MAX_GATEWAYS + 1);
    expect(agreement.memberOf('', 'gw-0999')?.gateway).toBe(OTHER_GATEWAYS);
    expect(agreement.memberOf('', 'gw-0999')?.counts.failed.champion.count).toBe(9000 * 4 * MAX_GATEWAYS);
    expect(agreement.memberOf('s7', 'x')).toBeUndefined();
  });

  it('gives everybody a place in the order in which they came, and by name when they came together', () => {
    const agreement = open();
    told(agreement, [
      { b: WELL, a: WELL },
      { c: WELL, b: WELL },
    ]);
    expect((agreement.strata.get('') ?? []).map(({ gateway, place, heardMs }) => [gateway, place, heardMs])).toEqual([
      ['a', 0, 0],
      ['b', 1, 1000],
      ['c', 2, 1000],
    ]);
  });
});

describe('honest gateways', () => {
  /** Any number of them with uneven traffic; champions differ, what the challenger adds does not. */
  function playHonest(seed: number): GatewayAgreement {
    const random = randomOf(seed, 'honest');
    const pick = (values: readonly number[]): number => values[Math.floor(random.uniform() * values.length)] ?? 0;
    const gateways = 1 + Math.floor(random.uniform() ** 2 * 50);
    const [base, worse, spread] = [pick([0.0005, 0.005, 0.02, 0.1, 0.4]), pick([0, 0, Math.log(2), Math.log(6)]), pick([0, 1])];
    const fleet = Array.from({ length: gateways }, (_, index) => ({
      name: `gw-${index}`,
      rate: Math.min(200, 10 * Math.exp(1.2 * random.normal())),
      fails: logit(base) + spread * random.normal(),
      slow: logit(0.1) + spread * random.normal(),
    }));
    const agreement = open();
    for (let interval = 0; interval < 30; interval += 1) {
      const step = Math.floor(interval / 10);
      const percent = PERCENTS[step] ?? 0;
      const said = fleet.map(({ name, rate, fails, slow }) => {
        const toChallenger = random.poisson((rate * percent) / 100);
        const toChampion = random.poisson((rate * (100 - percent)) / 100);
        return [
          name,
          [
            draw(random, toChampion, { fails: logistic(fails), slow: logistic(slow) }),
            draw(random, toChallenger, { fails: logistic(fails + worse), slow: logistic(slow + worse / 2) }),
          ],
        ] as const;
      });
      told(agreement, [Object.fromEntries(said)], { step, fromMs: interval * 1000 });
    }
    return agreement;
  }

  function draw(random: Random, requests: number, { fails, slow }: { readonly fails: number; readonly slow: number }): Counted {
    const counted = { requests, errors: 0, slow: 0 };
    for (let request = 0; request < requests; request += 1) {
      if (random.uniform() < fails) counted.errors += 1;
      if (random.uniform() < slow) counted.slow += 1;
    }
    return counted;
  }

  it('are taken for liars no more often than promised, and hardly ever in doubt', () => {
    const rollouts = 400;
    let [alarms, doubts, gateways] = [0, 0, 0];
    for (let seed = 0; seed < rollouts; seed += 1) {
      const members = [...playHonest(seed).strata.values()].flat();
      if (members.some(({ unlike }) => unlike !== undefined)) alarms += 1;
      doubts += members.filter(({ isDoubtful }) => isDoubtful).length;
      gateways += members.length;
    }
    expect(alarms / rollouts).toBeLessThanOrEqual(FALSE_ALARM);
    expect(doubts / gateways).toBeLessThan(0.001);
  }, 120_000);
});
