import { runSeeds } from './run-seeds.ts';
const { found, ...rest } = await runSeeds({ first: 1, every: 1, count: 60 }, { clocks: 'disagree', asksForMore: true, replays: true });
console.log(rest); const n: Record<string, number> = {}; for (const f of found) { n[f.invariant] = (n[f.invariant] ?? 0) + 1; if ((n[f.invariant]??0) < 4) console.log(f.seed, f.invariant, f.detail.slice(0, 240)); } console.log(n);
const r2 = await runSeeds({ first: 1, every: 1, count: 400 }, { clocks: 'agree', asksForMore: true, replays: true });
console.log('late reports', r2.found.length, r2.replayed, r2.found.map(f => f.seed + f.invariant + f.detail.slice(0, 150)).slice(0,5));
