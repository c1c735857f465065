// Flagsmith's SDK on an environment from memory instead of a file.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Flagsmith, LocalFileHandler } from 'flagsmith-nodejs';

function handlerOf(document) {
  const folder = mkdtempSync(join(tmpdir(), 'bench-flagsmith-'));
  const file = join(folder, 'environment.json');
  writeFileSync(file, JSON.stringify(document));
  try {
    return new LocalFileHandler(file);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export function openFlagsmith(document) {
  return new Flagsmith({ offlineMode: true, offlineHandler: handlerOf(document) });
}
