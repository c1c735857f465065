// Describes the machine in one line, without which a figure means little.
import { cpus, release, totalmem } from 'node:os';

export function machineLine(): string {
  const [first, ...others] = cpus();
  const memory = `${Math.round(totalmem() / 2 ** 30)} GB`;
  return `${first?.model.trim() ?? 'unknown processor'}, ${others.length + 1} cores, ${memory}, Linux ${release()}, Node ${process.versions.node}`;
}
