/** The kill switch of one gateway, thrown on its own machine: its users of a model are all on the champion, whoever else can be reached. */
import type { Snapshot } from './snapshot.ts';

/** A model that is killed on one gateway. */
export interface LocalKill {
  readonly model: string;
  readonly atMs: number;
  /** Who says so, by the name that they gave. */
  readonly by: string;
  readonly reason: string;
}

/** What a gateway says it has killed by itself, for the record. */
export interface GatewayKills {
  readonly gateway: string;
  readonly kills: readonly LocalKill[];
}

/** The snapshot as a gateway with local kills serves it. */
export function withLocalKills(snapshot: Snapshot, kills: readonly LocalKill[]): Snapshot {
  if (kills.length === 0) return snapshot;
  const killed = new Set(kills.map(({ model }) => model));
  return { ...snapshot, models: snapshot.models.map((model) => (killed.has(model.name) ? { ...model, isKilled: true } : model)) };
}
