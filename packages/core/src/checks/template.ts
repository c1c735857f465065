/** Places in a query that are filled in for each rollout: `{{model}}`, `{{champion}}`, `{{challenger}}`, `{{rollout}}`, `{{step}}`. */

/** What a query is about. */
export interface CheckSubject {
  readonly model: string;
  readonly champion: string;
  readonly challenger: string;
  readonly rollout: string;
  /** Counted from 1, as people do; 0 before the first. */
  readonly step: number;
}

const PLACES: readonly (keyof CheckSubject)[] = ['model', 'champion', 'challenger', 'rollout', 'step'];
const PLACE = /\{\{\s*([^{}]*?)\s*\}\}/g;

/**
 * Fills in a template. Values are escaped for strings of PromQL in quotes: what is filled in cannot end the string that it is
 * in. The raw strings in backticks know no escapes, so no value keeps a backtick as it is.
 */
export function fillTemplate(template: string, subject: CheckSubject): string {
  return template.replaceAll(PLACE, (whole, name: string) => {
    const place = PLACES.find((known) => known === name);
    return place === undefined ? whole : escapeForPromql(String(subject[place]));
  });
}

/** The names of the places in a template, of those too that nothing is filled into. */
export function placesIn(template: string): readonly string[] {
  return [...template.matchAll(PLACE)].map(([, name = '']) => name);
}

/** @returns what is wrong with the places of a template, as the end of a sentence about its check */
export function templateProblems(template: string): string[] {
  const unknown = placesIn(template).filter((name) => !isPlace(name));
  const rest = template.replaceAll(PLACE, '');
  return [
    ...unknown.map((name) => `has a place {{${name}}} that nothing is filled into; there are ${PLACES.join(', ')}`),
    ...(rest.includes('{{') ? ['has a {{ without its }}'] : []),
  ];
}

function isPlace(name: string): boolean {
  return PLACES.some((place) => place === name);
}

function escapeForPromql(value: string): string {
  return value.replaceAll(/[\\"'`\p{Cc}]/gu, (char) => {
    if (char === '\\' || char === '"' || char === "'") return `\\${char}`;
    return `\\x${(char.codePointAt(0) ?? 0).toString(16).padStart(2, '0')}`;
  });
}
