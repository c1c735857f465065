/** A shadow on a screen: what became of its copies, how its answers compare, and where they differ most. */
import type { CopiesView, PairsView } from '@understudy/contract/copies-view';
import type { ShadowView } from '@understudy/contract/shadow-endpoints';
import type { PairExample, PairSide } from '@understudy/core/pairs';
import { type Fact, type FactOptions, renderFacts } from './facts.ts';
import { renderGuards } from './guard-lines.ts';
import { countWords } from './rollout-words.ts';

export function renderShadow(view: ShadowView, options: FactOptions): string {
  const { model, copies, rollout, now, warnings } = view;
  const shadow = copies === undefined ? 'nothing is copied' : `${copies.version}, ${copies.percent} % of the subjects`;
  const header: readonly Fact[] = [
    ['model', model],
    ['shadow', shadow],
    ['by', copies === undefined ? undefined : rollout === undefined ? 'a standing setting' : `rollout ${rollout}`],
    ['says', now === undefined ? undefined : `${now.verdict}: ${now.reason}`],
  ];
  const parts = [
    renderFacts([...header, ...(copies === undefined ? [] : copiesFacts(copies))], options),
    renderGuards(now?.guards ?? [], { ...options, withReasons: true }),
    renderFacts([['warning', warnings]], options),
  ];
  return parts.filter((part) => part !== '').join('\n\n');
}

/** What became of copies and what they showed, as facts; `rollout get` and `rollout why` show them as well. */
export function copiesFacts({ delivered, failed, timeouts, dropped, pairs, worst }: CopiesView): readonly Fact[] {
  const lost = Object.entries(dropped).map(([reason, count]) => `${countWords(count)} ${reason}`);
  return [
    [
      'copies',
      `${countWords(delivered)} delivered, ${countWords(failed)} failed, ${countWords(timeouts)} timed out, dropped: ${lost.length === 0 ? 'none' : lost.join(', ')}`,
    ],
    ['pairs', pairsWords(pairs)],
    ['segments', pairs.segments.map(segmentWords)],
    ['worst', worst.map(exampleWords)],
  ];
}

/** One pair in a line: both predictions, both latencies. */
export function exampleWords({ requestId, champion, shadow }: PairExample): string {
  return `${sideWords(champion)}, shadow ${sideWords(shadow)} (${requestId})`;
}

function sideWords({ version, prediction, ms, failure }: PairSide): string {
  const said = failure ?? (prediction === undefined ? 'an answer' : String(prediction));
  return `${version} ${said} in ${ms.toFixed(1)} ms`;
}

function pairsWords({ count, failures, agreement, difference, flips, slowdown }: PairsView): readonly string[] {
  if (count === 0) return ['none yet'];
  const lines = [`${countWords(count)} requests that both versions got`];
  if (agreement !== undefined) lines.push(`agreement ${percent(agreement.value)} (${span(agreement.interval)})`);
  if (failures !== undefined) {
    const { champion, shadow, difference: more } = failures;
    lines.push(
      `failed: champion ${percent(champion)}, shadow ${percent(shadow)}, ${percent(more.value)} more (${span(more.interval)})`,
    );
  }
  if (difference !== undefined) {
    const { p5, p50, p95 } = difference.quantiles;
    lines.push(
      `shadow - champion: mean ${figures(difference.mean)}, p5 ${figures(p5)}, p50 ${figures(p50)}, p95 ${figures(p95)}`,
    );
  }
  const [most] = flips;
  if (most !== undefined) lines.push(`most frequent flip: ${most[0]} to ${most[1]}, ${countWords(most[2])} times`);
  if (slowdown !== undefined) {
    lines.push(`takes ${figures(slowdown.p50)} times as long at the median, ${figures(slowdown.p95)} times at p95`);
  }
  return lines;
}

function segmentWords({ name, count, agreement, failures }: PairsView['segments'][number]): string {
  const agree = agreement === undefined ? '' : `, agreement ${percent(agreement.value)} (${span(agreement.interval)})`;
  const fail = failures === undefined ? '' : `, ${percent(failures.difference.value)} more failures`;
  return `${name}: ${countWords(count)} pairs${agree}${fail}`;
}

function span([low, high]: readonly [number, number]): string {
  return `${percent(low)} to ${percent(high)}`;
}

function percent(share: number): string {
  return `${Number((share * 100).toFixed(2))} %`;
}

function figures(value: number): string {
  return String(Number(value.toPrecision(3)));
}
