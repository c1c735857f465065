// The image: a recipe without errors, on the Node of the tests, for a user that is not root, of files that are there.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { validate } from 'dockerfile-utils';
import { describe, expect, it } from 'vitest';
import { buildContext, DOCKERFILE, readRecipe, ROOT, type Step } from './image-recipe.ts';

const stages = readRecipe();
const final = stages.at(-1)?.steps ?? [];
const sent = buildContext();

function stepsOf<K extends Step['kind']>(kind: K, steps: readonly Step[] = final): StepOf<K>[] {
  return steps.filter((step): step is StepOf<K> => step.kind === kind);
}
type StepOf<K extends Step['kind']> = Step extends infer S
  ? S extends { kind: infer J }
    ? K extends J
      ? S
      : never
    : never
  : never;

describe('deploy/Dockerfile', () => {
  it('has nothing that the linter of Dockerfiles minds', () => {
    expect(validate(DOCKERFILE)).toEqual([]);
    expect(validate(DOCKERFILE.replace('USER 1000', 'USR 1000'))).toHaveLength(1);
  });

  it('builds on the very Node that the tests run with', () => {
    const node = readFileSync(join(ROOT, '.node-version'), 'utf8').trim();
    for (const { base } of stages) expect(base).toMatch(new RegExp(`^node:${node.replaceAll('.', '\\.')}-[a-z]+-slim$`));
  });

  it('installs for every workspace that the lockfile knows, without scripts and without tools', () => {
    const { workspaces } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { workspaces: string[] };
    const [packages] = stages;
    const copied = stepsOf('copy', packages?.steps).flatMap(({ sources }) => sources);
    expect(workspaces.filter((where) => !copied.includes(`${where}/package.json`))).toEqual([]);
    const [install] = stepsOf('run', packages?.steps);
    for (const flag of ['--ignore-scripts', '--omit=dev']) expect(install?.command).toContain(flag);
  });

  it('carries the sources of everything that the server stands on', () => {
    const copied = stepsOf('copy').flatMap(({ sources }) => sources);
    const needed = ['server', 'contract', 'core', 'feed'].map((name) => `packages/${name}`);
    expect(needed.filter((where) => !copied.some((source) => source === where || source === `${where}/src`))).toEqual([]);
    expect(sent).toContain('packages/server/src/main.ts');
  });

  it('copies only what exists and what .dockerignore lets through', () => {
    const copies = stages.flatMap(({ steps }) => stepsOf('copy', steps)).filter(({ from }) => from === undefined);
    expect(copies.length).toBeGreaterThan(5);
    for (const source of copies.flatMap(({ sources }) => sources)) {
      expect(existsSync(join(ROOT, source)), source).toBe(true);
      expect(
        sent.some((path) => path === source || path.startsWith(`${source}/`)),
        source,
      ).toBe(true);
    }
  });

  it('runs as a user that is not root, named by number so that Kubernetes can tell', () => {
    expect(stepsOf('user').map(({ text }) => text)).toEqual(['1000:1000']);
  });

  it('ends on SIGTERM, says whether it is healthy, and leaves signals to the program itself', () => {
    expect(stepsOf('stopsignal').map(({ text }) => text)).toEqual(['SIGTERM']);
    expect(stepsOf('healthcheck').map(({ words }) => words)).toEqual([['node', '/app/deploy/healthcheck.ts']]);
    expect(stepsOf('entrypoint').map(({ words }) => words)).toEqual([['understudy']]);
    expect(statSync(join(ROOT, 'packages/server/bin/understudy.js')).mode & 0o111).toBe(0o111);
  });

  it('is labelled with the version of the release', () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
    expect(stepsOf('label')[0]?.text).toContain(`org.opencontainers.image.version="${version}"`);
    expect(DOCKERFILE).toContain(`-t understudy:${version} .`);
  });
});

describe('.dockerignore', () => {
  it('names what is sent, and leaves out tests, tools and whatever else lies around', () => {
    expect(sent.filter((path) => /\.(?:test|contract)\.ts$|testdata/.test(path))).toEqual([]);
    const roots = new Set(sent.map((path) => path.replace(/\/.*/, '')));
    expect([...roots].toSorted()).toEqual(['.npmrc', 'LICENSE', 'deploy', 'package-lock.json', 'package.json', 'packages']);
    const lines = readFileSync(join(ROOT, '.dockerignore'), 'utf8').split('\n');
    expect(lines.find((line) => !line.startsWith('#'))).toBe('*');
    expect(readdirSync(join(ROOT, 'deploy')).length).toBeGreaterThan(2);
    expect(sent.filter((path) => path.startsWith('deploy/'))).toEqual(['deploy/healthcheck.ts']);
  });
});
