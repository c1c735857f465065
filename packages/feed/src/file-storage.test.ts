import { randomUUID } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fileStorage } from './file-storage.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'understudy-storage-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

it('keeps the newest text and the one before, and nothing else', async () => {
  const storage = fileStorage(join(folder, 'deep/er'));
  expect(await storage.read()).toEqual({ texts: [], problems: [] });
  for (const text of ['one', 'two', 'three å\n🙂']) await storage.write(text, text);
  expect(await storage.read()).toEqual({ texts: ['three å\n🙂', 'two'], problems: [] });
  expect((await readdir(join(folder, 'deep/er'))).toSorted()).toEqual(['flags.previous.snapshot', 'flags.snapshot']);
});

it('does not push the one before out when another process has kept the same', async () => {
  const [one, other] = [fileStorage(folder), fileStorage(folder)];
  await one.write('old', 'a');
  await one.write('new', 'b');
  await other.write('new, kept a moment later', 'b');
  expect((await one.read()).texts).toEqual(['new', 'old']);
});

it('keeps a whole text when many write at once', async () => {
  const texts = Array.from({ length: 20 }, (_, index) => `text ${index} ${'x'.repeat(10_000)}`);
  await Promise.all(texts.map((text) => fileStorage(folder).write(text, text)));
  const kept = await fileStorage(folder).read();
  expect(kept.problems).toEqual([]);
  expect(kept.texts.length).toBeGreaterThan(0);
  for (const text of kept.texts) expect(texts).toContain(text);
  expect((await readdir(folder)).filter((name) => name.startsWith('.'))).toEqual([]);
});

it('removes what a killed process left in the middle of writing, but not what another one is writing', async () => {
  const [abandoned, present, others] = ['.flags.', '.flags.', '.snapshot.'].map((name) => `${name}${randomUUID()}`);
  for (const file of [abandoned, present, others]) await writeFile(join(folder, file ?? ''), 'half');
  const hourAgo = Date.now() / 1000 - 3600;
  for (const file of [abandoned, others]) await utimes(join(folder, file ?? ''), hourAgo, hourAgo);
  await fileStorage(folder).write('one', 'a');
  expect(await readdir(folder)).toEqual(expect.arrayContaining([present, others, 'flags.snapshot']));
  expect(await readdir(folder)).toHaveLength(3);
});

describe('a damaged file', () => {
  it.each([
    { name: 'cut short', damage: (content: string) => content.slice(0, -1) },
    { name: 'changed in one place', damage: (content: string) => content.replace('newest', 'newesT') },
    { name: 'empty', damage: () => '' },
    { name: 'of another program', damage: () => 'hello\nworld' },
  ])('that is $name is left out, and the one before is used', async ({ damage }) => {
    const storage = fileStorage(folder);
    await storage.write('older', 'a');
    await storage.write('newest', 'b');
    const path = join(folder, 'flags.snapshot');
    await writeFile(path, damage(await readFile(path, 'utf8')));
    const { texts, problems } = await storage.read();
    expect(texts).toEqual(['older']);
    expect(problems).toEqual([expect.stringContaining(`${path} is damaged`)]);
    await storage.write('repaired', 'c');
    expect(await storage.read()).toEqual({ texts: ['repaired', 'older'], problems: [] });
  });
});

it('refuses a name that is a path', () => {
  expect(() => fileStorage(folder, '../elsewhere')).toThrow('cannot begin a file');
});

it('gives only what was written whole, whatever becomes of the files (F21)', async () => {
  const storage = fileStorage(folder);
  const texts = ['older å', 'newest 🙂'.repeat(20)];
  for (const text of texts) await storage.write(text, text);
  const names = ['flags.snapshot', 'flags.previous.snapshot'];
  const whole = new Map<string, Buffer>();
  for (const name of names) whole.set(name, await readFile(join(folder, name)));
  const damage = fc.record({
    name: fc.constantFrom(...names),
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    kind: fc.constantFrom('cut', 'flip', 'zero', 'swap' as const),
    bit: fc.nat(7),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(damage, { minLength: 1, maxLength: 3 }), async (damages) => {
      const files = new Map([...whole].map(([name, bytes]) => [name, Buffer.from(bytes)]));
      for (const { name, at, kind, bit } of damages) {
        const bytes = files.get(name) ?? Buffer.alloc(0);
        const place = Math.min(Math.floor(at * bytes.length), Math.max(0, bytes.length - 1));
        if (kind === 'cut') files.set(name, bytes.subarray(0, place));
        if (kind === 'flip' && bytes.length > 0) bytes[place] = (bytes[place] ?? 0) ^ (1 << bit);
        if (kind === 'zero') bytes.subarray(place, place + 16).fill(0);
        if (kind === 'swap') files.set(name, Buffer.from(whole.get(names.find((other) => other !== name) ?? '') ?? ''));
      }
      for (const [name, bytes] of files) await writeFile(join(folder, name), bytes);
      const kept = await fileStorage(folder).read();
      for (const text of kept.texts) expect(texts).toContain(text);
      expect(kept.texts.length + kept.problems.length).toBe(2);
    }),
    { numRuns: 1000, seed: 21 },
  );
});
