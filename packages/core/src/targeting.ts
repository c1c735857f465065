/** Conditions over what a request says about itself (headers, cookies, JSON fields). Routing rules are made of them. */

/** Where a text is read from in a request. A JSON path is a chain of object keys such as `user.id`. */
export type RequestField =
  | { readonly from: 'header'; readonly name: string }
  | { readonly from: 'cookie'; readonly name: string }
  | { readonly from: 'json'; readonly path: string }
  | { readonly from: 'api-key' };

/** One test of one field. An absent field satisfies only `not-in` and `absent`. */
export interface Condition {
  readonly field: RequestField;
  readonly operator: 'in' | 'not-in' | 'starts-with' | 'ends-with' | 'contains' | 'present' | 'absent';
  /** The texts compared with; not used by `present` and `absent`. */
  readonly values: readonly string[];
}

/** Sends the requests that meet every condition to one arm, before any percentage. */
export interface RoutingRule {
  readonly id: string;
  readonly all: readonly Condition[];
  readonly serve: 'champion' | 'challenger';
}

/**
 * The first rule that the request meets, in the order given.
 * @param read returns the text of a field, undefined when the request does not have it
 */
export function matchRule(
  rules: readonly RoutingRule[],
  read: (field: RequestField) => string | undefined,
): RoutingRule | undefined {
  return rules.find((rule) => rule.all.every((condition) => isMet(condition, read(condition.field))));
}

/** Whether a field's text satisfies a condition. */
export function isMet(condition: Condition, text: string | undefined): boolean {
  if (text === undefined) return condition.operator === 'absent' || condition.operator === 'not-in';
  switch (condition.operator) {
    case 'in':
      return condition.values.includes(text);
    case 'not-in':
      return !condition.values.includes(text);
    case 'starts-with':
      return condition.values.some((value) => text.startsWith(value));
    case 'ends-with':
      return condition.values.some((value) => text.endsWith(value));
    case 'contains':
      return condition.values.some((value) => text.includes(value));
    case 'present':
      return true;
    case 'absent':
      return false;
  }
}
