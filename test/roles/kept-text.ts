/** What the tests of kept files write: a text by its number, of changing length. */

// Several pages and many sectors at most, as the snapshot of an environment with some hundred flags.
const LONGEST = 50_000;

export function textOf(generation: number): string {
  return `${generation} `.repeat(1 + ((generation * 997) % 7919)).slice(0, LONGEST);
}

/** @returns undefined when it is not one of these texts, to the last character */
export function generationOf(text: string | undefined): number | undefined {
  const generation = Number.parseInt(text ?? '', 10);
  return text !== undefined && text === textOf(generation) ? generation : undefined;
}
