/** Numbers as people read them. Everything in the demo that renders text depends on it. */
import type { GuardReading } from '@understudy/core/policy';
import type { Task } from './traffic-tracker.ts';

export function countText(count: number): string {
  return count.toLocaleString('en-US');
}

/** Two decimals below ten, one below a hundred, none above. */
function shortNumber(value: number): string {
  const size = Math.abs(value);
  return size < 10 ? value.toFixed(2) : size < 100 ? value.toFixed(1) : countText(Math.round(value));
}

export function msText(ms: number | undefined): string {
  return ms === undefined ? '-' : `${shortNumber(ms)} ms`;
}

export function secondsText(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

export function percentText(percent: number): string {
  return `${Number(percent.toFixed(1))} %`;
}

/** A score with its unit; `-` when nothing was answered. */
export function scoreText(task: Task, score: number | undefined): string {
  if (score === undefined) return '-';
  return task.kind === 'class' ? `${(score * 100).toFixed(1)} %` : shortNumber(score);
}

/** What the score of a task is called, as the heading of a column. */
export function scoreName(task: Task): string {
  return task.kind === 'class' ? 'right answers' : 'mean error';
}

/** A guard's value without its unit: at most three figures and two decimals, shares in percent. */
export function guardNumber(value: number | undefined, unit: GuardReading['unit']): string {
  if (value === undefined) return '-';
  const shown = unit === 'share' ? value * 100 : value;
  return String(Number(shown < 1 ? shown.toFixed(2) : shown.toPrecision(3)));
}

/** One of several: `1 user`, `2 users`. */
export function plural(count: number, noun: string, nouns = `${noun}s`): string {
  return `${countText(count)} ${count === 1 ? noun : nouns}`;
}
