/**
 * Keeps one gateway from deciding alone. Beside the policy that sees everything, one more runs without each group of
 * gateways, so that with one liar among them one has seen nothing but honest evidence. Only what all of them agree on is
 * acted upon: whatever a single gateway says, it can hold a rollout, never move it. Ledgers depend on it.
 */
import { type Arm, EMPTY_TALLY, mergeTallies, type Tally } from './evidence.ts';
import type { EvidenceAccount } from './evidence-account.ts';
import { type Arms, type ConcurrentBlock, NO_ARMS } from './evidence-pool.ts';
import { FEWEST, type GatewayAgreement, type Member, openGatewayAgreement } from './gateway-agreement.ts';
import type { GatewayParts } from './gateway-parts.ts';
import { NO_GATEWAY } from './gateway-roster.ts';
import { contestedWords, dominanceWords, hiddenHarmWords, unlikeWords } from './gateway-words.ts';
import type { Judgement, Opening, Question, Verdict } from './policy.ts';

/**
 * Groups of gateways, at most; with so many gateways or fewer each one is a group. Each costs a policy, and without one of
 * them 4/5 of the evidence is left, so that a verdict takes a quarter longer at most while traffic is even.
 */
const FOLDS = 5;

/** A gateway that was not heard of for so long is gone: it keeps nobody waiting. */
export const GONE_MS = 600_000;

/** What is asked of an account: the same question about other sums. */
export type Ask = (account: EvidenceAccount) => Question;

export interface GatewayFolds {
  /** Takes a block, and what each gateway brought to it. Comes before the account of everything takes it. */
  absorb(block: ConcurrentBlock, parts: GatewayParts): void;
  /** The verdict to act on. */
  verdict(ask: Ask): Verdict;
  /** The judgement to act on, which names gateways where they make a difference. */
  judge(ask: Ask): Judgement;
}

/** What the policies together say. */
type Consensus =
  /** Act on this account. */
  | { readonly kind: 'plain'; readonly account: EvidenceAccount }
  /** An account without the unlike gateways, which are still there: only harm is acted upon. */
  | { readonly kind: 'aside'; readonly account: EvidenceAccount }
  /** More gateways are unlike the others than can be left out at once. */
  | { readonly kind: 'torn' }
  /** What everything together shows is not shown without these groups. */
  | { readonly kind: 'contested'; readonly verdict: 'harmful' | 'healthy'; readonly groups: readonly number[] };

/** Everything that was seen, what was seen without each group, and what is known of the gateways. */
interface Panel {
  readonly everything: EvidenceAccount;
  readonly folds: ReadonlyMap<number, EvidenceAccount>;
  readonly agreement: Pick<GatewayAgreement, 'strata'>;
}

/** @param everything the account of all gateways, which the caller feeds */
export function openGatewayFolds(opening: Pick<Opening, 'percents' | 'champion'>, everything: EvidenceAccount): GatewayFolds {
  const agreement = openGatewayAgreement(opening);
  const folds = new Map<number, EvidenceAccount>();
  const panel: Panel = { everything, folds, agreement };
  return {
    absorb(block, parts) {
      const isSplit = isDivided(agreement.seat(block, parts));
      for (const group of dividedMembers(panel).map(groupOf)) if (!folds.has(group)) folds.set(group, everything.fork());
      agreement.count(block, parts);
      const pieces = isSplit ? piecesOf(parts, (gateway) => agreement.memberOf(block.stratum, gateway)) : undefined;
      for (const [group, fold] of folds) fold.absorb(pieces === undefined ? block : { ...block, arms: without(pieces, group) });
    },
    verdict: (ask) => verdictOf(consult(panel, ask), ask),
    judge: (ask) => {
      const strata = [...agreement.strata.values()].filter(isDivided);
      const notes = [...unlikeWords(unlikeMembers(panel)), ...dominanceWords(strata)];
      return { ...judgementOf(consult(panel, ask), panel, ask), ...(notes.length === 0 ? {} : { notes }) };
    },
  };
}

function consult(panel: Panel, ask: Ask): Consensus {
  const { everything, folds } = panel;
  const question = ask(everything);
  const unlike = unlikeMembers(panel);
  const isThere = unlike.some(({ heardMs }) => question.atMs - heardMs <= GONE_MS);
  const [group, ...more] = new Set(unlike.map(groupOf));
  const account = group === undefined || more.length > 0 ? undefined : folds.get(group);
  if (account !== undefined) return { kind: isThere ? 'aside' : 'plain', account };
  const verdict = everything.policy.verdict(question);
  const isMove = verdict === 'harmful' || verdict === 'healthy';
  const groups = isMove ? dissenters(panel, verdict, ask) : [];
  if (isThere && (verdict !== 'harmful' || groups.length > 0)) return { kind: 'torn' };
  return isMove && groups.length > 0 ? { kind: 'contested', verdict, groups } : { kind: 'plain', account: everything };
}

/** Groups without which a verdict is not reached. Without one that is in doubt, it has to be reached in full. */
function dissenters(panel: Panel, verdict: Verdict, ask: Ask): readonly number[] {
  const members = dividedMembers(panel).filter(({ isDoubtful }) => isDoubtful);
  const doubtful = new Set(members.map(groupOf));
  const isAgainst = ([group, fold]: readonly [number, EvidenceAccount]): boolean => {
    // The step's minimum sample is asked of all together.
    const question = { ...ask(fold), minSamples: 0, isSecondOpinion: !doubtful.has(group) };
    return fold.policy.verdict(question) !== verdict;
  };
  return [...panel.folds].filter(isAgainst).map(([group]) => group);
}

function verdictOf(consensus: Consensus, ask: Ask): Verdict {
  switch (consensus.kind) {
    case 'plain':
      return consensus.account.policy.verdict(ask(consensus.account));
    case 'aside':
      return consensus.account.policy.verdict(ask(consensus.account)) === 'harmful' ? 'harmful' : 'invalid';
    case 'torn':
      return 'invalid';
    case 'contested':
      return 'undecided';
  }
}

function judgementOf(consensus: Consensus, panel: Panel, ask: Ask): Judgement {
  const { policy } = 'account' in consensus ? consensus.account : panel.everything;
  const judgement = policy.judge(ask('account' in consensus ? consensus.account : panel.everything));
  const reason = unlikeWords(unlikeMembers(panel)).join('; ');
  switch (consensus.kind) {
    case 'plain':
      return { ...judgement, ...hiddenHarm(judgement, panel, ask) };
    case 'aside':
      return judgement.verdict === 'harmful'
        ? judgement
        : { ...judgement, verdict: 'invalid', reason, ifAsked: judgement.verdict };
    case 'torn':
      return { ...judgement, verdict: 'invalid', reason };
    case 'contested':
      return { ...judgement, ...contest(consensus, panel, { ask, because: judgement.reason }) };
  }
}

interface Contesting {
  readonly ask: Ask;
  readonly because: string;
}

/** What differs from the judgement on everything where it is not acted upon. */
function contest(
  { verdict, groups }: Extract<Consensus, { kind: 'contested' }>,
  panel: Panel,
  { ask, because }: Contesting,
): Partial<Judgement> {
  const names = groups.length === 1 ? namesOf(panel, groups) : [];
  const reason = contestedWords(verdict, names, because);
  if (verdict === 'healthy') {
    const isBarred = groups.some((group) => isHarmfulWithout(panel, group, ask));
    return { verdict: 'undecided', reason, ...(isBarred ? { barred: reason } : { ifAsked: 'healthy' }) };
  }
  const [alone = -1] = groups.length === 1 ? groups : [];
  const fold = panel.folds.get(alone);
  const ifAsked = fold === undefined ? {} : { ifAsked: fold.policy.verdict(ask(fold)) };
  return { verdict: 'undecided', reason, barred: reason, ...ifAsked };
}

/** Harm that is shown only while a gateway is left out bars a promotion without proof. */
function hiddenHarm({ verdict, reason }: Judgement, panel: Panel, ask: Ask): Partial<Judgement> {
  if (verdict !== 'undecided' || unlikeMembers(panel).length > 0) return {};
  const groups = [...panel.folds.keys()].filter((group) => isHarmfulWithout(panel, group, ask));
  if (groups.length === 0) return {};
  const barred = hiddenHarmWords(namesOf(panel, groups));
  return { barred, reason: `${barred}; ${reason}` };
}

function isHarmfulWithout({ folds }: Panel, group: number, ask: Ask): boolean {
  const fold = folds.get(group);
  return fold?.policy.verdict(ask(fold)) === 'harmful';
}

function namesOf(panel: Panel, groups: readonly number[]): readonly string[] {
  return dividedMembers(panel)
    .filter((one) => groups.includes(groupOf(one)))
    .map(({ gateway }) => gateway);
}

function dividedMembers({ agreement }: Panel): readonly Member[] {
  return [...agreement.strata.values()].filter(isDivided).flat();
}

function unlikeMembers(panel: Panel): readonly Member[] {
  return dividedMembers(panel).filter(({ unlike }) => unlike !== undefined);
}

function groupOf({ place }: Member): number {
  return place % FOLDS;
}

/** Whether somebody can be outvoted there. */
function isDivided(members: readonly Member[]): boolean {
  return members.length >= FEWEST;
}

/** What each group brought; under −1 what belongs to no gateway. In the order of names, as sums of fractions depend on it. */
function piecesOf(parts: GatewayParts, find: (gateway: string) => Member | undefined): ReadonlyMap<number, Arms> {
  const pieces = new Map<number, Arms>();
  for (const [gateway, arms] of [...parts].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const member = gateway === NO_GATEWAY ? undefined : find(gateway);
    const group = member === undefined ? -1 : groupOf(member);
    const present = pieces.get(group);
    pieces.set(group, present === undefined ? arms : mergeArms(present, arms));
  }
  return pieces;
}

function without(pieces: ReadonlyMap<number, Arms>, left: number): Arms {
  let arms = NO_ARMS;
  for (const [group, piece] of [...pieces].toSorted(([a], [b]) => a - b)) if (group !== left) arms = mergeArms(arms, piece);
  return arms;
}

function mergeArms(left: Arms, right: Arms): Arms {
  const merged = (arm: Arm): Tally =>
    left[arm] === EMPTY_TALLY ? right[arm] : right[arm] === EMPTY_TALLY ? left[arm] : mergeTallies(left[arm], right[arm]);
  return { champion: merged('champion'), challenger: merged('challenger'), shadow: merged('shadow') };
}
