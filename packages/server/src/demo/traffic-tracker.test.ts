import { describe, expect, it } from 'vitest';
import { type Answer, movesBetween, openTracker, scoreOf, type Task } from './traffic-tracker.ts';

const CLASS: Task = { kind: 'class' };
const NUMBER: Task = { kind: 'number', scale: [25, 346] };

function answered(wish: Partial<Extract<Answer, { kind: 'answered' }>>): Answer {
  return { kind: 'answered', user: 1, atMs: 0, order: 0, version: 'v1', isRescued: false, prediction: 7, truth: 7, ...wish };
}

function measureOf(task: Task, answers: readonly Answer[]) {
  const tracker = openTracker(task, 3);
  for (const answer of answers) tracker.add(answer);
  return tracker.measure();
}

describe('openTracker', () => {
  it('counts right and wrong answers, and users, for each version', () => {
    const { versions, answers } = measureOf(CLASS, [
      answered({ user: 1 }),
      answered({ user: 1, prediction: 3, atMs: 10 }),
      answered({ user: 2, prediction: 3, atMs: 20 }),
      answered({ user: 3, version: 'v2' }),
    ]);
    expect(answers).toBe(4);
    expect(versions['v1']).toMatchObject({
      answers: 3,
      users: 2,
      wrong: 2,
      wrongUsers: 2,
      wrongSpan: { firstMs: 10, lastMs: 20 },
    });
    expect(versions['v2']).toMatchObject({ answers: 1, users: 1, wrong: 0 });
  });

  it('calls a number wrong only when it is off the scale', () => {
    const { versions } = measureOf(NUMBER, [
      answered({ prediction: 25, truth: 125 }),
      answered({ prediction: 6000, truth: 100 }),
      answered({ prediction: 24.9, truth: 24.9 }),
    ]);
    expect(versions['v1']).toMatchObject({ wrong: 2, distance: 6000 });
  });

  it('counts a failure as an error of its user, by what was answered', () => {
    const measure = measureOf(CLASS, [
      { kind: 'failed', user: 4, atMs: 30, problem: '500 model.run_failed' },
      { kind: 'failed', user: 4, atMs: 50, problem: '500 model.run_failed' },
      { kind: 'failed', user: 5, atMs: 40, problem: 'SocketError' },
    ]);
    expect(measure).toMatchObject({
      mark: 3,
      answers: 0,
      errors: 3,
      errorUsers: 2,
      errorSpan: { firstMs: 30, lastMs: 50 },
      problems: { '500 model.run_failed': 2, SocketError: 1 },
    });
  });

  it('sees users move between versions, but no move in a rescue or in answers that overtook each other', () => {
    const measure = measureOf(CLASS, [
      answered({ user: 1, order: 1, version: 'v1' }),
      answered({ user: 1, order: 3, version: 'v2' }),
      answered({ user: 1, order: 2, version: 'v1' }),
      answered({ user: 1, order: 4, version: 'v1', isRescued: true }),
      answered({ user: 2, order: 5, version: 'v2' }),
      answered({ user: 2, order: 6, version: 'v1' }),
    ]);
    expect(movesBetween(measure, 'v1', 'v2')).toBe(1);
    expect(movesBetween(measure, 'v2', 'v1')).toBe(1);
    expect(measure.rescued).toBe(1);
  });

  it('adds up what was sent and what was skipped', () => {
    const tracker = openTracker(CLASS, 0);
    tracker.addSent(5, 0);
    tracker.addSent(2, 3);
    expect(tracker.measure()).toMatchObject({ sent: 7, skipped: 3 });
  });
});

describe('scoreOf', () => {
  const version = { answers: 4, users: 4, wrong: 1, wrongUsers: 1, distance: 10 };
  it.each([
    { name: 'is the share of right classes', task: CLASS, version, expected: 0.75 },
    { name: 'is the mean distance of numbers', task: NUMBER, version, expected: 2.5 },
    { name: 'is unknown without an answer', task: NUMBER, version: { ...version, answers: 0 }, expected: undefined },
    { name: 'is unknown for a version that never answered', task: CLASS, version: undefined, expected: undefined },
  ])('$name', ({ task, version: measured, expected }) => {
    expect(scoreOf(task, measured)).toBe(expected);
  });
});
