/** A process that plays some seeds and writes what came of them to its output: worlds share nothing, so two cores play twice as many. */
import { runSeeds, type Seeds } from './run-seeds.ts';

const seeds = JSON.parse(process.argv[2] ?? '') as Seeds;
console.log(JSON.stringify(await runSeeds(seeds)));
