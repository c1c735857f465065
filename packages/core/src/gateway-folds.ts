/**
 * Keeps one gateway from deciding alone. Beside the policy that sees everything, one more runs without each group of
 * gateways, so that with one liar among them one has seen nothing but honest evidence. Only what all of them agree on is
 * acted upon: whatever a single gateway says, it can hold a rollout, never move it. Ledgers depend on it.
 */
import { type Arm, EMPTY_TALLY, mergeTallies, type Tally } from './evidence.ts';
import type { EvidenceAccount } from './evidence-account.ts';
import type { ConcurrentBlock } from './evidence-pool.ts';
import { FEWEST, type GatewayParts, type Member, NO_GATEWAY, openGatewayAgreement } from './gateway-agreement.ts';
import { contestedWords, dominanceWords, hiddenHarmWords, unlikeWords } from './gateway-words.ts';
import type { Judgement, Opening, Question, Verdict } from './policy.ts';

/**
 * Groups of gateways, at most; with so many gateways or fewer each one is a group. Each costs a policy, and without one of
 * them 4/5 of the evidence is left, so that a verdict takes a quarter longer at most while traffic is even.
 */
export const FOLDS = 5;

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

type Arms = Readonly<Record<Arm, Tally>>;

const NO_ARMS: Arms = { champion: EMPTY_TALLY, challenger: EMPTY_TALLY, shadow: EMPTY_TALLY };

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

/** @param everything the account of all gateways, which the caller feeds */
export function openGatewayFolds(opening: Pick<Opening, 'percents' | 'champion'>, everything: EvidenceAccount): GatewayFolds {
  const agreement = openGatewayAgreement(opening);
  const folds = new Map<number, EvidenceAccount>();

  const unlikeMembers = (): readonly Member[] =>
    folds.size === 0 ? [] : [...agreement.strata.values()].flat().filter((one) => one.unlike !== undefined);

  function consult(ask: Ask): Consensus {
    const unlike = unlikeMembers();
    const groups = new Set(unlike.map(groupOf));
    const question = ask(everything);
    const isThere = unlike.some(({ heardMs }) => question.atMs - heardMs <= GONE_MS);
    const [group] = groups;
    const account = group === undefined || groups.size > 1 ? undefined : folds.get(group);
    if (account !== undefined) return { kind: isThere ? 'aside' : 'plain', account };
    const verdict = everything.policy.verdict(question);
    const isMove = verdict === 'harmful' || verdict === 'healthy';
    const against = isMove ? dissenters(verdict, ask) : [];
    if (isThere && (verdict !== 'harmful' || against.length > 0)) return { kind: 'torn' };
    return isMove && against.length > 0
      ? { kind: 'contested', verdict, groups: against }
      : { kind: 'plain', account: everything };
  }

  /** Groups without which a verdict is not reached. Without one that is in doubt, it has to be reached in full. */
  function dissenters(verdict: Verdict, ask: Ask): readonly number[] {
    const doubtful = new Set(
      divided()
        .filter(({ isDoubtful }) => isDoubtful)
        .map(groupOf),
    );
    const isAgainst = ([group, fold]: readonly [number, EvidenceAccount]): boolean => {
      // The step's minimum sample is asked of all together.
      const question = { ...ask(fold), minSamples: 0, isSecondOpinion: !doubtful.has(group) };
      return fold.policy.verdict(question) !== verdict;
    };
    return [...folds].filter(isAgainst).map(([group]) => group);
  }

  const isHarmfulWithout = (group: number, ask: Ask): boolean => {
    const fold = folds.get(group);
    return fold?.policy.verdict(ask(fold)) === 'harmful';
  };

  /** What differs from the judgement on everything where it is not acted upon. */
  function contest({ verdict, groups }: Extract<Consensus, { kind: 'contested' }>, ask: Ask): Partial<Judgement> {
    const { reason: because } = everything.policy.judge(ask(everything));
    const names = groups.length === 1 ? namesOf(groups) : [];
    const reason = contestedWords(verdict, names, because);
    const [first = -1] = groups;
    const alone = groups.length === 1 ? folds.get(first) : undefined;
    if (verdict === 'harmful') {
      const ifAsked = alone === undefined ? {} : { ifAsked: alone.policy.verdict(ask(alone)) };
      return { verdict: 'undecided', reason, barred: reason, ...ifAsked };
    }
    const isBarred = groups.some((group) => isHarmfulWithout(group, ask));
    return { verdict: 'undecided', reason, ...(isBarred ? { barred: reason } : { ifAsked: 'healthy' }) };
  }

  /** Harm that is shown only while a gateway is left out bars a promotion without proof. */
  function hiddenHarm({ verdict, reason }: Judgement, ask: Ask): Partial<Judgement> {
    if (verdict !== 'undecided') return {};
    const groups = [...folds.keys()].filter((group) => isHarmfulWithout(group, ask));
    if (groups.length === 0) return {};
    const barred = hiddenHarmWords(namesOf(groups));
    return { barred, reason: `${barred}; ${reason}` };
  }

  const namesOf = (groups: readonly number[]): readonly string[] =>
    divided()
      .filter((one) => groups.includes(groupOf(one)))
      .map(({ gateway }) => gateway);

  const divided = (): readonly Member[] => [...agreement.strata.values()].filter(isDivided).flat();

  return {
    absorb(block, parts) {
      const isSplit = isDivided(agreement.seat(block, parts));
      for (const member of divided()) {
        const group = groupOf(member);
        if (!folds.has(group)) folds.set(group, everything.fork());
      }
      agreement.count(block, parts);
      const pieces = isSplit ? piecesOf(parts, (gateway) => agreement.memberOf(block.stratum, gateway)) : undefined;
      for (const [group, fold] of folds) fold.absorb(pieces === undefined ? block : { ...block, arms: without(pieces, group) });
    },
    verdict(ask) {
      const consensus = consult(ask);
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
    },
    judge(ask) {
      const consensus = consult(ask);
      const unlike = unlikeMembers();
      const words = unlikeWords(unlike);
      const notes = [...words, ...dominanceWords([...agreement.strata.values()].filter(isDivided))];
      const noted = notes.length === 0 ? {} : { notes };
      switch (consensus.kind) {
        case 'plain': {
          const judgement = consensus.account.policy.judge(ask(consensus.account));
          return { ...judgement, ...noted, ...hiddenHarm(judgement, ask) };
        }
        case 'aside': {
          const { account } = consensus;
          const judgement = account.policy.judge(ask(account));
          if (judgement.verdict === 'harmful') return { ...judgement, ...noted };
          return { ...judgement, ...noted, verdict: 'invalid', reason: words.join('; '), ifAsked: judgement.verdict };
        }
        case 'torn': {
          const judgement = everything.policy.judge(ask(everything));
          return { ...judgement, ...noted, verdict: 'invalid', reason: words.join('; ') };
        }
        case 'contested':
          return { ...everything.policy.judge(ask(everything)), ...noted, ...contest(consensus, ask) };
      }
    },
  };
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
