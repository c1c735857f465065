/** What people are told about gateways of a rollout that make a difference: sentences for reasons and warnings. */
import { type GatewayCounts, type Member, type Oddity, requestsOf, type UnlikeGateway } from './gateway-agreement.ts';
import type { RateCounts } from './sequential/margin.ts';
import { countWords, valueWords } from './sequential/words.ts';

const WAY_OUT =
  'look at that machine and restart it, or take its token away with `understudy token revoke`; its own breaker protects its ' +
  'users meanwhile, and the rollout goes on once it has not been heard of for 10m, or goes a step when a person asks for one ' +
  'with `understudy rollout step`';

/** One sentence for each gateway that was set aside. */
export function unlikeWords(members: readonly Member[]): readonly string[] {
  return members.flatMap(({ unlike }) => (unlike === undefined ? [] : [`${findingWords(unlike)}; ${WAY_OUT}`]));
}

/**
 * Why a verdict is not acted upon.
 * @param gateways the group without which it is not reached; empty when there are several such groups
 */
export function contestedWords(verdict: 'harmful' | 'healthy', gateways: readonly string[], reason: string): string {
  const shown = verdict === 'harmful' ? 'harm is shown' : 'every guard is proven safe';
  if (gateways.length === 0) {
    return `${shown} by all gateways together and not yet when any one of them is left out, so it takes some more requests: ${reason}`;
  }
  return `${shown} only with what ${nameWords(gateways)} reported, and no gateway decides alone; if this lasts, look at ${itsMachine(gateways)}: ${reason}`;
}

/** What is said where harm is shown by all but a group of gateways. */
export function hiddenHarmWords(gateways: readonly string[]): string {
  return `harm is shown once ${nameWords(gateways)} is left out; if this lasts, look at ${itsMachine(gateways)}`;
}

/** One sentence where a gateway brings more than half of what is known: nobody can outvote it, nor can it decide. */
export function dominanceWords(strata: readonly (readonly Member[])[]): readonly string[] {
  return strata.flatMap((members) => {
    const all = members.reduce((sum, { counts }) => sum + requestsOf(counts), 0);
    const found = members.find(({ counts, unlike }) => unlike === undefined && 2 * requestsOf(counts) > all);
    if (found === undefined) return [];
    const share = valueWords(requestsOf(found.counts) / all, 'share');
    return [
      `gateway "${found.gateway}" brings ${share} of the requests of this step; as no gateway decides alone, decisions wait for the other ${members.length - 1}; where that takes too long, give it a stratum of its own (--stratum)`,
    ];
  });
}

function findingWords({ gateway, oddity, own, others, otherGateways }: UnlikeGateway): string {
  return `gateway "${gateway}" is unlike the others and set aside: ${WHAT[oddity](own)}, of the other ${otherGateways} gateways ${WHAT[oddity](others)}`;
}

const WHAT: Readonly<Record<Oddity, (counts: GatewayCounts) => string>> = {
  share: (counts) =>
    `${countWords(counts.failed.challenger.count)} of ${countWords(requestsOf(counts))} requests went to the challenger`,
  failures: ({ failed }) =>
    `${rateWords(failed.challenger)} requests to the challenger failed and ${rateWords(failed.champion)} to the champion`,
  latency: ({ slow }) =>
    `${rateWords(slow.challenger)} answers of the challenger were slow and ${rateWords(slow.champion)} of the champion`,
};

function rateWords({ count, bad }: RateCounts): string {
  return `${countWords(bad)} of ${countWords(count)}`;
}

function nameWords(gateways: readonly string[]): string {
  const names = gateways.map((gateway) => `"${gateway}"`).join(', ');
  return gateways.length === 1 ? `gateway ${names}` : `one of the gateways ${names}`;
}

function itsMachine(gateways: readonly string[]): string {
  return gateways.length === 1 ? 'that machine' : 'those machines';
}
