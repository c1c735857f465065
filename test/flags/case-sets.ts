// Finds the public case sets that are not part of this repository.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '../..');

/** A folder of cases, or why it is not there. */
export type CaseSet = { readonly folder: string; readonly files: readonly string[] } | { readonly absent: string };

/** Looks below `UNDERSTUDY_CONFORMANCE`, else below `../shared/conformance`. */
export function findCaseSet(name: string): CaseSet {
  const base = process.env['UNDERSTUDY_CONFORMANCE'] ?? path.join(root, '../shared/conformance');
  const folder = path.join(base, name);
  if (!existsSync(folder)) {
    return { absent: `no cases at ${folder}: set UNDERSTUDY_CONFORMANCE to the folder that holds "${name}"` };
  }
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => /\.(ya?ml|jsonc?|json5)$/.test(file));
  return { folder, files: files.toSorted() };
}

export function readCase(folder: string, file: string): string {
  return readFileSync(path.join(folder, file), 'utf8');
}
