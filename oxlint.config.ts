// What the linter holds. The import rule is the table below; test/architecture.test.ts proves that every row still bites.
// A regex here must be plain: the linter drops a pattern with a look-ahead without saying so.
import { defineConfig, type OxlintOverride } from 'oxlint';

interface ImportBan {
  readonly regex?: string;
  readonly group?: string[];
  readonly message: string;
}

const WHY = 'Imports point down, never sideways or up: docs/decisions/0002-packages-and-import-rule.md.';

// Folders of packages/server/src, each with the folders below it that it may import.
const SERVER_FOLDERS: Readonly<Record<string, readonly string[]>> = {
  control: ['commands', 'storage'],
  engine: ['commands', 'storage'],
  hooks: ['commands', 'storage'],
  checks: ['commands', 'storage'],
  protocols: [],
  gateway: ['runtimes'],
  commands: ['storage'],
  runtimes: [],
  storage: [],
  cli: [],
  demo: [],
  followers: ['commands', 'storage'],
  remote: [],
};

const serverPackages: ImportBan = {
  regex: '^@understudy/(sdk|server|dashboard)(/|$)',
  message: `server imports only the packages contract, core and feed, and its own files by relative path. ${WHY}`,
};
const leavePackage: ImportBan = {
  regex: '(^|/)packages/|/node_modules/|\\.\\./(core|contract|feed|server|sdk|dashboard)/(src|bin)/',
  message: `import another package by its name. ${WHY}`,
};
const wiring: ImportBan = {
  regex: '^\\.\\.?/(.*/)?(compose|compose-control|compose-gateway|main|serve|demo-command|import-command|store-commands)\\.ts$',
  message: `compose*.ts, main.ts, serve.ts, demo-command.ts, import-command.ts and store-commands.ts are the top: they import the folders, nothing imports them. ${WHY}`,
};
const drivers: ImportBan = {
  regex: '^(better-sqlite3|node:sqlite|kysely|pg|ioredis|redis)(/|$)',
  message: `only storage talks to a database. ${WHY}`,
};
const environment: ImportBan = {
  regex: '^(node:)?process$',
  message: 'use the global `process`, so that the rule on process.env (only config.ts reads it) can see it.',
};

const rootLeaf: ImportBan = {
  regex: `^\\./(${Object.keys(SERVER_FOLDERS).join('|')})(/|$)`,
  message: `only compose*.ts, main.ts, serve.ts, demo-command.ts, import-command.ts and store-commands.ts may import the folders. ${WHY}`,
};

function folderBans(folder: string, below: readonly string[]): ImportBan[] {
  const banned = Object.keys(SERVER_FOLDERS).filter((other) => other !== folder && !below.includes(other));
  const allowed = ['contract', 'core', 'feed', ...below].join(', ');
  const folders: ImportBan = {
    regex: `\\.\\./(${banned.join('|')})(/|$)`,
    message: `${folder} may import only ${allowed}. ${WHY}`,
  };
  const bans = [serverPackages, leavePackage, wiring, environment, folders];
  return folder === 'storage' ? bans : [...bans, drivers];
}

/** @param besides what a single file may import besides core, as patterns that lift the ban */
function sdkBans(besides: string[]): ImportBan[] {
  return [
    {
      group: [
        '*',
        '!./*',
        '!@understudy',
        '!@understudy/core',
        '!@understudy/core/**',
        '!@understudy/feed',
        '!@understudy/feed/**',
        ...besides,
      ],
      message: `sdk imports only core and feed: it has no dependencies. ${WHY}`,
    },
    { regex: '^@understudy/(contract|sdk|server|dashboard)(/|$)', message: `sdk imports only core and feed. ${WHY}` },
  ];
}

/** @param besides what a single file may import, as patterns that lift the ban */
function feedBans(besides: string[]): ImportBan[] {
  return [{ group: ['*', '!./*', ...besides], message: `feed imports only its own files: it has no dependencies. ${WHY}` }];
}

function imports(files: string[], patterns: ImportBan[]): OxlintOverride {
  return { files, rules: { 'no-restricted-imports': ['error', { patterns }] } };
}

const PURE = 'core is pure: pass the time, the random number or the bucket as an argument.';
const IMPURE_GLOBALS =
  'Date process globalThis console performance crypto fetch Buffer setTimeout setInterval setImmediate clearTimeout clearInterval queueMicrotask';

const ENV_BAN = {
  object: 'process',
  property: 'env',
  message: 'only config.ts reads the environment; take the value as an argument.',
};

const TESTS = ['**/*.test.ts', '**/*.contract.ts', 'test/**', 'bench/**', 'examples/**'];

export default defineConfig({
  plugins: ['eslint', 'typescript', 'unicorn', 'oxc', 'import', 'promise'],
  options: { typeAware: true, denyWarnings: true, reportUnusedDisableDirectives: 'error' },
  categories: { correctness: 'error' },
  ignorePatterns: ['node_modules', 'dist', '.cache', 'coverage'],
  rules: {
    'eslint/eqeqeq': 'error',
    'eslint/no-var': 'error',
    'eslint/prefer-const': 'error',
    'eslint/no-console': 'error',
    // Our schemas have fields called `then`; only a function under that name is a trap, and the type checker sees those.
    'unicorn/no-thenable': 'off',
    'eslint/max-lines': ['error', { max: 400 }],
    'eslint/max-lines-per-function': ['error', { max: 60 }],
    'eslint/max-params': ['error', { max: 3 }],
    'eslint/no-restricted-properties': ['error', ENV_BAN],
    'import/no-cycle': 'error',
    'import/no-default-export': 'error',
    'import/no-self-import': 'error',
    'typescript/no-explicit-any': 'error',
    'typescript/no-non-null-assertion': 'error',
    'typescript/no-require-imports': 'error',
    'typescript/ban-ts-comment': 'error',
    // Its ban on `import('…').T` closes the one door that no-restricted-imports does not watch.
    'typescript/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports', disallowTypeAnnotations: true }],
    'typescript/switch-exhaustiveness-check': 'error',
    'typescript/no-floating-promises': 'error',
    'typescript/no-misused-promises': 'error',
    'typescript/no-unsafe-type-assertion': 'error',
    'typescript/only-throw-error': 'error',
    'unicorn/filename-case': ['error', { case: 'kebabCase' }],
  },
  overrides: [
    {
      files: ['packages/core/src/**'],
      rules: {
        'no-restricted-imports': [
          'error',
          {
            patterns: [
              { regex: '\\.\\./', message: `core imports only its own files. ${WHY}` },
              { group: ['*', '!./*', '!./*/*'], message: `core imports only its own files. ${WHY}` },
            ],
          },
        ],
        'no-restricted-globals': ['error', ...IMPURE_GLOBALS.split(' ').map((name) => ({ name, message: PURE }))],
        'no-restricted-properties': ['error', ENV_BAN, { object: 'Math', property: 'random', message: PURE }],
      },
    },
    // Folders of core see each other and the files above them, and nothing outside.
    imports(['packages/core/src/*/**'], [{ regex: '^[^.]|\\.\\./\\.\\.', message: `core imports only its own files. ${WHY}` }]),
    imports(
      ['packages/contract/src/**'],
      [
        {
          group: ['*', '!./*', '!zod', '!@understudy', '!@understudy/core', '!@understudy/core/**'],
          message: `contract imports only core and zod. ${WHY}`,
        },
        {
          regex: '^@understudy/(contract|feed|sdk|server|dashboard)(/|$)',
          message: `contract imports only core and zod. ${WHY}`,
        },
      ],
    ),
    imports(['packages/sdk/src/**'], sdkBans([])),
    // Inlined at build, so that the published package has no dependencies all the same.
    imports(['packages/sdk/src/linear-regex.ts'], sdkBans(['!re2js'])),
    imports(['packages/feed/src/**'], feedBans([])),
    // Of the SDK only the entry for servers has it; browsers get nothing of it.
    imports(['packages/feed/src/file-storage.ts'], feedBans(['!node:crypto', '!node:fs', '!node:fs/promises', '!node:path'])),
    // Root files other than the wiring (clock.ts, config.ts, log.ts …) are leaves that every folder may import.
    imports(['packages/server/src/*.ts'], [serverPackages, leavePackage, wiring, environment, drivers, rootLeaf]),
    imports(
      ['packages/server/src/{compose,compose-control,compose-gateway,main,serve,demo-command,import-command,store-commands}.ts'],
      [serverPackages, leavePackage, environment],
    ),
    ...Object.entries(SERVER_FOLDERS).map(([folder, below]) =>
      imports([`packages/server/src/${folder}/**`], folderBans(folder, below)),
    ),
    imports(
      ['packages/server/src/cli/*.ts'],
      [...folderBans('cli', []), { regex: '^\\.\\./', message: `cli imports only contract, core and its own folder. ${WHY}` }],
    ),
    { files: ['**/config.ts'], rules: { 'no-restricted-properties': 'off' } },
    {
      files: ['packages/server/bin/**', 'packages/server/src/cli/**', 'packages/server/src/main.ts', 'scripts/**'],
      rules: { 'no-console': 'off' },
    },
    {
      files: TESTS,
      rules: {
        'no-console': 'off',
        'max-lines': 'off',
        'max-lines-per-function': 'off',
        'no-restricted-properties': 'off',
        'typescript/no-unsafe-type-assertion': 'off',
      },
    },
    // A test may wire its subject to a real backend; a test of core stays with core, the test tools and files of vectors.
    imports(['packages/{contract,feed,sdk}/src/**/*.test.ts', 'packages/server/src/**/*.{test,contract}.ts'], [leavePackage]),
    imports(
      ['packages/core/src/**/*.test.ts'],
      [
        {
          regex: '^(\\.\\./.*\\.ts$|@understudy/)',
          message: `a test of core imports core, vitest, fast-check and node:*. ${WHY}`,
        },
      ],
    ),
    imports(
      ['packages/core/src/*/**/*.test.ts'],
      [
        {
          regex: '^(\\.\\./\\.\\..*\\.ts$|@understudy/)',
          message: `a test of core imports core, vitest, fast-check and node:*. ${WHY}`,
        },
      ],
    ),
    { files: ['packages/core/src/**/*.test.ts'], rules: { 'no-restricted-globals': 'off' } },
    { files: ['*.config.ts'], rules: { 'import/no-default-export': 'off' } },
  ],
});
