/** Text that should be JSON and is outside data still. Whoever reads what others wrote hands it to a schema. */

/** Undefined for what is no JSON: no schema takes that. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
