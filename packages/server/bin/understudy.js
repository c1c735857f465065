#!/usr/bin/env node
// The command `understudy`. Written for any Node that knows modules, so that an old one reaches the message.
const major = Number(process.versions.node.split('.')[0]);

if (major < 24) {
  console.error(`understudy needs Node.js 24 or newer, and this is ${process.version}.`);
  console.error('Install a newer Node.js (nodejs.org), or run it in the repository with: npm run understudy --');
  process.exitCode = 1;
} else {
  // Compiled code of the last run is used again: the command line starts in half the time.
  const { enableCompileCache } = await import('node:module');
  enableCompileCache();
  void import('../src/main.ts');
}
