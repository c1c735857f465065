// Ours, in a process of its own like every rival: `node understudy-flags.ts FAMILY ROUNDS SECONDS` prints the result of the loop as JSON.
import { type FlagFamily, flagContext, flagUsers, openUnderstudyEvaluator } from './flag-case.ts';
import { loop } from './rivals/flag-evaluators/loop.ts';

const [family, rounds, secondsPerRound] = process.argv.slice(2);
const users = flagUsers().map(flagContext);
const options = { rounds: Number(rounds), secondsPerRound: Number(secondsPerRound) };
console.log(JSON.stringify(await loop(openUnderstudyEvaluator(family as FlagFamily), users, options)));
