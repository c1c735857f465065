// The error for something the machine lacks: `main.ts` turns it into exit code 2, so that it is never a skipped row.

export class MissingDependency extends Error {
  override readonly name = 'MissingDependency';
}
