/** What an import or a rendering could not carry over, in sentences for a person. All imports and renderers depend on it. */
import type { FlagDocuments } from './evaluator.ts';

/** One thing that is not the same on the other side. */
export interface Loss {
  /** Key of the flag or segment it is about. */
  readonly about: string;
  readonly sentence: string;
}

/** Our documents and what did not fit into them. */
export interface Import extends FlagDocuments {
  readonly losses: readonly Loss[];
}

/** Adds a sentence about one flag or segment. */
export type Lose = (sentence: string) => void;

/** Collects what is lost, flag by flag and segment by segment. */
export function openLosses(): { readonly losses: readonly Loss[]; readonly loseAbout: (about: string) => Lose } {
  const losses: Loss[] = [];
  return { losses, loseAbout: (about) => (sentence) => void losses.push({ about, sentence }) };
}
