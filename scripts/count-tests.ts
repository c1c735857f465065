// count-tests.ts REPORT — reads Vitest's JSON report and prints `N passed, N failed`; fails unless every test passed.
import { readFileSync } from 'node:fs';
import { z } from 'zod';

const Report = z.object({
  success: z.boolean(),
  numPassedTests: z.int(),
  numFailedTests: z.int(),
  testResults: z.array(z.object({ status: z.string(), assertionResults: z.array(z.object({ status: z.string() })) })),
});

const [file = '.cache/test-report.json'] = process.argv.slice(2);
const report = Report.parse(JSON.parse(readFileSync(file, 'utf8')));
// A file that does not load has no failed test of its own: it counts as one.
const broken = report.testResults.filter(
  ({ status, assertionResults }) => status === 'failed' && !assertionResults.some((result) => result.status === 'failed'),
);
const failed = report.numFailedTests + broken.length;
console.log(`${report.numPassedTests} passed, ${failed} failed`);
if (!report.success || failed > 0 || report.numPassedTests === 0) process.exitCode = 1;
