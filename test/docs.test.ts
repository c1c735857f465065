// The documents stay true: links lead somewhere, tables equal the code, plans in them can be used, the quickstart runs.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readFlagFile, readSegmentFile } from '@understudy/contract/flag-file';
import { planJsonSchema, readPlan } from '@understudy/contract/plan-file';
import { PlanFileCheck } from '@understudy/contract/plan-file-check';
import { PROFILES } from '@understudy/core/flags/bucketing-profile';
import { OPERATORS } from '@understudy/core/flags/condition';
import { BUILT_IN_PLANS } from '@understudy/core/plan';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { ConfigSchema, environmentName, settingNames } from '../packages/server/src/config.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const PAGES = [...markdownIn('docs'), ...readdirSync(ROOT).filter((name) => name.endsWith('.md'))];

function markdownIn(folder: string): readonly string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(folder, name));
}

function read(page: string): string {
  return readFileSync(join(ROOT, page), 'utf8');
}

describe('links', () => {
  it.each(PAGES)('of %s lead to files that exist', (page) => {
    const links = [...read(page).matchAll(/\]\((?!https?:|mailto:|#)([^)#\s]+)/g)].map(([, target]) => target ?? '');
    const missing = links.filter((target) => !existsSync(join(ROOT, dirname(page), target)));
    expect(missing).toEqual([]);
  });

  it('reach every page from the README or from one another', () => {
    const linked = new Set(
      PAGES.flatMap((page) =>
        [...read(page).matchAll(/\]\((?!https?:)([^)#\s]+\.md)/g)].map(([, target]) =>
          relative(ROOT, join(ROOT, dirname(page), target ?? '')),
        ),
      ),
    );
    const orphans = PAGES.filter(
      (page) => page.startsWith('docs') && !page.startsWith(join('docs', 'decisions')) && !linked.has(page),
    );
    expect(orphans).toEqual([]);
  });
});

describe('docs/configuration.md', () => {
  it('has every setting with its variable, default and meaning', () => {
    const rows = settingNames().map((name) => {
      const schema = ConfigSchema.shape[name];
      const flag = `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
      const value = schema.parse(undefined);
      const preset = name === 'gatewayName' ? 'the host name' : value === undefined ? 'none' : `\`${String(value)}\``;
      return `| \`${flag}\` | \`${environmentName(name)}\` | ${preset} | ${schema.meta()?.description ?? ''} |`;
    });
    const table = ['| flag | variable | default | meaning |', '| --- | --- | --- | --- |', ...rows].map(squeeze);
    const [, written = ''] =
      /<!-- settings: begin -->\n([\s\S]*)<!-- settings: end -->/.exec(read('docs/configuration.md')) ?? [];
    expect(written.trim().split('\n').map(squeeze)).toEqual(table);
  });
});

/** Tables are padded by the formatter; the words count. */
function squeeze(row: string): string {
  return row.replaceAll(/ +/g, ' ').replaceAll(/-{3,}/g, '---');
}

describe('docs/plans.md', () => {
  it('shows plans that can be used', () => {
    const blocks = [...read('docs/plans.md').matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text]) => text ?? '');
    expect(blocks.length).toBeGreaterThan(0);
    for (const block of blocks) expect(readPlan(parse(block)).steps.length).toBeGreaterThan(0);
  });

  it('and the page on guards from elsewhere agree on what a check is', () => {
    const [block = ''] = [...read('docs/how-to/guards-from-elsewhere.md').matchAll(/```yaml\n([\s\S]*?)```/g)].map(
      ([, text]) => text,
    );
    expect(readPlan(parse(block)).checks?.map(({ name }) => name)).toEqual(['checkout-errors', 'fraud-desk']);
    for (const field of Object.keys(PlanFileCheck.shape)) expect(read('docs/plans.md')).toContain(`\`${field}`);
  });

  it('names the built-in plans', () => {
    for (const plan of BUILT_IN_PLANS) expect(read('docs/plans.md')).toContain(`| \`${plan.name}\``);
  });

  it('lies beside the JSON Schema that the code gives', () => {
    expect(JSON.parse(read('docs/plan.schema.json'))).toEqual(planJsonSchema());
  });
});

describe('docs/flags.md', () => {
  const page = read('docs/flags.md');

  it('shows flags and segments that can be used', () => {
    const blocks = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text]): unknown => parse(text ?? ''));
    const isFlag = (block: unknown) => typeof block === 'object' && block !== null && 'variants' in block;
    expect(blocks.filter(isFlag).map((block) => readFlagFile(block).document.key)).toEqual(['checkout']);
    const segments = blocks.filter((block) => !isFlag(block));
    expect(segments.map((block) => readSegmentFile(block).document.key)).toEqual(['testers']);
  });

  it('names every operator and every profile', () => {
    for (const name of [...OPERATORS, ...PROFILES]) expect(page).toContain(`\`${name}\``);
  });
});

describe('docs/seed-behaviours.md', () => {
  const proofs = [...read('docs/seed-behaviours.md').matchAll(/`([\w/.-]+\.test\.ts)`(?:: “([^”]+)”)?/g)].map(
    ([, file, title]) => ({
      file: file ?? '',
      title: title ?? '',
    }),
  );

  it('has a proof or the word "open" in every row', () => {
    const rows = read('docs/seed-behaviours.md')
      .split('\n')
      .filter((line) => line.startsWith('|') && !/^\| (?:behaviour|-)/.test(line));
    expect(rows.length).toBeGreaterThan(50);
    expect(rows.filter((row) => !row.includes('.test.ts') && !row.includes('**open**'))).toEqual([]);
  });

  it.each(proofs)('finds "$title" in $file', ({ file, title }) => {
    // A quote inside of a title may be escaped in the source.
    expect(read(file).replaceAll("\\'", "'")).toContain(title);
  });
});
