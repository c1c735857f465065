/**
 * Which gateway of a rollout is unlike all the others: what it says cannot be chance, so its machine or its reports are
 * broken, or it lies. Compared are counts of one step, within a stratum, from three gateways on: of two, nobody can tell.
 *
 * α: in a rollout of honest gateways one is taken for a liar with at most {@link FALSE_ALARM}, however often it is looked
 * at. Honest gateways may have any traffic and any champion's rates; what is the same on all of them, up to a tolerance, is
 * what the challenger adds.
 */
import type { Tally } from './evidence.ts';
import type { GatewayParts } from './gateway-parts.ts';
import { MAX_GATEWAYS, openGatewayRoster, type Seat } from './gateway-roster.ts';
import { countOf, type Histogram, mergeHistograms, quantileOf, bucketOfLatency } from './histogram.ts';
import type { Opening } from './policy.ts';
import { logEvidence } from './sequential/e-process.ts';
import { type ContrastTolerance, logContrastEvidence } from './sequential/contrast-test.ts';
import { countFrom } from './sequential/latency-threshold.ts';
import type { ArmPair, RateCounts } from './sequential/margin.ts';
import { betOnSampleRatio, openSampleRatio } from './sequential/sample-ratio.ts';

/** Chance that honest gateways of one rollout are ever taken for liars. */
export const FALSE_ALARM = 0.001;

/** Fewer gateways in a stratum than this cannot outvote one. */
export const FEWEST = 3;

/** What a gateway, or several, did in the present step. */
export interface GatewayCounts {
  readonly failed: ArmPair<RateCounts>;
  /** Of the answers that were timed since it is known what is slow. */
  readonly slow: ArmPair<RateCounts>;
}

/** In what a gateway is unlike the others. */
export type Oddity = 'share' | 'failures' | 'latency';

/** A gateway that was found to be unlike the others, with what was counted at that moment. */
export interface UnlikeGateway {
  readonly gateway: string;
  readonly oddity: Oddity;
  readonly own: GatewayCounts;
  readonly others: GatewayCounts;
  readonly otherGateways: number;
}

/** A gateway of a rollout. */
export interface Member extends Seat {
  /** Begin of the newest interval that it brought evidence for. */
  readonly heardMs: number;
  readonly counts: GatewayCounts;
  /** More speaks for its being unlike the others than against it: too little to blame it, enough to be careful. */
  readonly isDoubtful: boolean;
  /** It was found to be unlike the others, and stays so for this rollout. */
  readonly unlike?: UnlikeGateway;
}

/** An interval of one stratum, as far as it matters here. */
export interface Interval {
  readonly startMs: number;
  readonly step: number;
  readonly stratum: string;
}

export interface GatewayAgreement {
  /** Makes the gateways of a block known, before it is counted. @returns all of its stratum */
  seat(interval: Interval, parts: GatewayParts): readonly Member[];
  /** Who is meant by a name in a block; undefined for what belongs to no gateway. */
  memberOf(stratum: string, gateway: string): Member | undefined;
  /** Counts a block whose gateways are seated, and compares. Late blocks of an earlier step are left out. */
  count(interval: Interval, parts: GatewayParts): void;
  /** Everybody, by stratum. */
  readonly strata: ReadonlyMap<string, readonly Member[]>;
}

// A challenger at more than 1.5 times the odds that the boundary gives. Subjects that send many requests make the share of
// one gateway less even than that of all. Fewer than planned is no oddity: a breaker, or a lease that is over, does that.
const SHARE_TOLERANCE = 0.5;

// A challenger may add errors in proportion to the champion's or a share of its own: twice the odds, or half a percent more,
// are no oddity. Latency depends on where a gateway stands, so it is given more room.
const TOLERANCES = {
  failures: { oddsRatio: 2, difference: 0.005 },
  latency: { oddsRatio: 3, difference: 0.1 },
} as const satisfies Record<string, ContrastTolerance>;

const ODDITIES = 3;

// ln of the evidence from which on one is careful. Comparisons of both arms pay for the four rates that nobody knows, so that
// less than nothing is found where nothing is; a share is compared with a known one.
const DOUBTS: Readonly<Record<Oddity, number>> = { share: Math.log(20), failures: 0, latency: 0 };

// Slow is what the champion's slowest tenth is, so that a step shows some of it on every gateway.
const SLOW_QUANTILE = 0.9;
const SLOW_FROM = 200;

// An exact comparison takes a millisecond: it is made each time that a gateway has a fifth more requests.
const GROWTH = 1.2;

const NOTHING: ArmPair<RateCounts> = { champion: { count: 0, bad: 0 }, challenger: { count: 0, bad: 0 } };
const NO_COUNTS: GatewayCounts = { failed: NOTHING, slow: NOTHING };
const UNCOMPARED = { counts: NO_COUNTS, isDoubtful: false, dueAt: 0 };

interface MutableMember extends Member {
  heardMs: number;
  counts: GatewayCounts;
  isDoubtful: boolean;
  unlike?: UnlikeGateway;
  /** Requests in this step from which on it is compared again. */
  dueAt: number;
}

/** Opens a comparison of gateways of which none is known yet. */
export function openGatewayAgreement({ percents, champion }: Pick<Opening, 'percents' | 'champion'>): GatewayAgreement {
  const roster = openGatewayRoster<MutableMember>((seat) => ({ ...seat, heardMs: 0, ...UNCOMPARED }));
  const enough = Math.log((MAX_GATEWAYS * Math.max(1, percents.length) * ODDITIES) / FALSE_ALARM);
  let step = -1;
  let past: Histogram = champion.latency;
  let slowFrom = slowLineOf(past);

  /** Where slow begins follows from the past alone, and then stays: counts by two lines could not be added up. */
  function learnSlow(parts: GatewayParts): void {
    if (slowFrom !== undefined) return;
    for (const arms of parts.values()) past = mergeHistograms(past, arms.champion.latency);
    slowFrom = slowLineOf(past);
    if (slowFrom !== undefined) past = [];
  }

  return {
    strata: roster.strata,
    memberOf: (stratum, gateway) => roster.find(stratum, gateway),
    seat: ({ stratum }, parts) => roster.seat(stratum, parts),
    count(interval, parts) {
      if (interval.step < 0 || interval.step < step) return;
      if (interval.step > step) for (const one of [...roster.strata.values()].flat()) Object.assign(one, UNCOMPARED);
      ({ step } = interval);
      const percent = percents[step] ?? 100;
      for (const [gateway, arms] of parts) {
        const member = roster.find(interval.stratum, gateway);
        if (member === undefined) continue;
        member.heardMs = Math.max(member.heardMs, interval.startMs);
        const ours = percent === 0 ? arms.shadow : arms.challenger;
        member.counts = addCounts(member.counts, countsOf(arms.champion, ours, slowFrom));
      }
      compare(roster.strata.get(interval.stratum) ?? [], { percent, enough });
      learnSlow(parts);
    },
  };
}

interface Comparing {
  /** Share of subjects on the challenger. */
  readonly percent: number;
  /** ln of the evidence that finds a gateway. */
  readonly enough: number;
}

/** Finds one at a time, the most unlike first: it may be why others looked so. */
function compare(members: readonly MutableMember[], { percent, enough }: Comparing): void {
  for (;;) {
    const trusted = members.filter((one) => one.unlike === undefined && requestsOf(one.counts) > 0);
    if (trusted.length < FEWEST) return;
    const all = trusted.reduce((sum, one) => addCounts(sum, one.counts), NO_COUNTS);
    let found: Finding | undefined;
    for (const member of trusted) {
      if (requestsOf(member.counts) < member.dueAt) continue;
      const finding = oddityOf(member, { all, percent });
      member.dueAt = requestsOf(member.counts) * GROWTH;
      member.isDoubtful = finding.isDoubtful;
      if (finding.evidence >= enough) found = finding;
    }
    if (found === undefined) return;
    // One that is due may only look odd because of another one that is not.
    const findings = trusted.map((member) => oddityOf(member, { all, percent }));
    const { member, oddity, others } = findings.reduce((a, b) => (b.evidence > a.evidence ? b : a), found);
    member.unlike = { gateway: member.gateway, oddity, own: member.counts, others, otherGateways: trusted.length - 1 };
    for (const one of trusted) one.dueAt = 0;
  }
}

/** Requests of both arms. */
export function requestsOf({ failed: { champion, challenger } }: GatewayCounts): number {
  return champion.count + challenger.count;
}

/** The counts of both together. */
function addCounts(left: GatewayCounts, right: GatewayCounts): GatewayCounts {
  return { failed: combine(left.failed, right.failed, 1), slow: combine(left.slow, right.slow, 1) };
}

function subtractCounts(all: GatewayCounts, part: GatewayCounts): GatewayCounts {
  return { failed: combine(all.failed, part.failed, -1), slow: combine(all.slow, part.slow, -1) };
}

interface Finding {
  readonly member: MutableMember;
  readonly oddity: Oddity;
  readonly others: GatewayCounts;
  /** ln of the evidence. */
  readonly evidence: number;
  readonly isDoubtful: boolean;
}

interface Surroundings {
  /** Counts of all together. */
  readonly all: GatewayCounts;
  /** Share of subjects on the challenger. */
  readonly percent: number;
}

/** In what a gateway is most unlike all the others, however little that may be. */
function oddityOf(member: MutableMember, { all, percent }: Surroundings): Finding {
  const own = member.counts;
  const others = subtractCounts(all, own);
  let found: Finding = { member, oddity: 'share', others, evidence: -Infinity, isDoubtful: false };
  for (const [oddity, evidence] of odditiesOf({ own, others, percent })) {
    const isDoubtful = found.isDoubtful || evidence >= DOUBTS[oddity];
    found = evidence > found.evidence ? { member, oddity, others, evidence, isDoubtful } : { ...found, isDoubtful };
  }
  return found;
}

interface Comparison extends Omit<Surroundings, 'all'> {
  readonly own: GatewayCounts;
  readonly others: GatewayCounts;
}

function* odditiesOf({ own, others, percent }: Comparison): Generator<readonly [Oddity, number]> {
  if (percent > 0 && percent < 100) {
    // Where all get another share than planned, nobody is unlike the others, and the policy says so.
    const isPlanned = shareEvidence(others, percent) < DOUBTS.share;
    if (isPlanned) yield ['share', shareEvidence(own, percent)];
  }
  yield ['failures', logContrastEvidence({ one: own.failed, others: others.failed }, TOLERANCES.failures, DOUBTS.failures)];
  yield ['latency', logContrastEvidence({ one: own.slow, others: others.slow }, TOLERANCES.latency, DOUBTS.latency)];
}

/** Of more requests to the challenger than the boundary lets through. */
function shareEvidence({ failed: { champion, challenger } }: GatewayCounts, percent: number): number {
  const share = percent / 100;
  if (challenger.count * (1 - share) <= champion.count * share) return -Infinity;
  const counts = { champion: champion.count, challenger: challenger.count };
  return logEvidence(betOnSampleRatio(openSampleRatio(), { share, tolerance: SHARE_TOLERANCE }, counts));
}

function countsOf(champion: Tally, challenger: Tally, slowFrom: number | undefined): GatewayCounts {
  const failed = { champion: failuresOf(champion), challenger: failuresOf(challenger) };
  if (slowFrom === undefined) return { failed, slow: NOTHING };
  return { failed, slow: { champion: slowOf(champion, slowFrom), challenger: slowOf(challenger, slowFrom) } };
}

function failuresOf({ requests, errors }: Tally): RateCounts {
  return { count: requests, bad: Math.min(requests, errors) };
}

function slowOf({ latency }: Tally, slowFrom: number): RateCounts {
  return { count: countOf(latency), bad: countFrom(latency, slowFrom) };
}

function slowLineOf(past: Histogram): number | undefined {
  const quantile = countOf(past) < SLOW_FROM ? undefined : quantileOf(past, SLOW_QUANTILE);
  return quantile === undefined ? undefined : bucketOfLatency(quantile) + 1;
}

function combine(left: ArmPair<RateCounts>, right: ArmPair<RateCounts>, sign: 1 | -1): ArmPair<RateCounts> {
  const both = (a: RateCounts, b: RateCounts): RateCounts => ({ count: a.count + sign * b.count, bad: a.bad + sign * b.bad });
  return { champion: both(left.champion, right.champion), challenger: both(left.challenger, right.challenger) };
}
