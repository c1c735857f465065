/**
 * Keeps one numbered text after the other, as a gateway keeps its snapshots, and acknowledges each once it is kept. The
 * tests of kept files run it, kill it and cut its power. Arguments: the folder, the number of the first text, how many.
 */
import { writeSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { fileStorage } from '@understudy/feed/file-storage';
import { textOf } from './kept-text.ts';

const [folder = '', first, count] = process.argv.slice(2);
const storage = fileStorage(folder, 'snapshot');
// Killed processes keep nothing for the next one by themselves.
flushCompileCache();
writeSync(1, 'ready\n');
for (let generation = Number(first); generation < Number(first) + Number(count); generation += 1) {
  await storage.write(textOf(generation), String(generation));
  writeSync(1, `ack ${generation}\n`);
}
