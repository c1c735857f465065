/** Gives values the names that variants need, where another system only has values. Imports depend on it. */
import type { JsonValue } from './context.ts';
import type { FlagType, Variant } from './flag.ts';

/** Collects variants, each pair of value and enabled once, under unique names. */
export interface VariantNames {
  /** @returns the variant's name: the wanted one, with a number behind it when another value has it already */
  readonly nameOf: (wanted: string, value: JsonValue, enabled?: boolean) => string;
  readonly variants: () => readonly Variant[];
}

export function collectVariants(): VariantNames {
  const byContent = new Map<string, Variant>();
  const names = new Set<string>();
  return {
    nameOf(wanted, value, enabled) {
      const content = JSON.stringify([wanted, value, enabled]);
      const known = byContent.get(content);
      if (known !== undefined) return known.name;
      const base = wanted === '' ? 'empty' : wanted;
      let name = base;
      for (let number = 2; names.has(name); number += 1) name = `${base}-${number}`;
      names.add(name);
      byContent.set(content, { name, value, ...(enabled === undefined ? {} : { enabled }) });
      return name;
    },
    variants: () => [...byContent.values()],
  };
}

/** The narrowest type that holds all values. */
export function typeOf(values: readonly JsonValue[]): FlagType {
  const types = new Set(values.map((value) => typeof value));
  const [only] = types;
  return types.size === 1 && (only === 'boolean' || only === 'string' || only === 'number') ? only : 'json';
}

/** What a value is called when nothing else names it. */
export function nameOfValue(value: JsonValue, position: number): string {
  if (typeof value === 'boolean') return String(value);
  return typeof value === 'string' && value !== '' && value.length <= 63 ? value : `variation-${position}`;
}
