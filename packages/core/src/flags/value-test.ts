/** Turns an operator and its values into a test of one attribute value, for each way of comparing. The compiler depends on it. */
import type { AttributeCondition, Operator } from './condition.ts';
import type { JsonValue } from './context.ts';
import { parseInstant } from './instant.ts';
import { compileNetwork } from './network.ts';
import { compareSemver, type Leniency, parseSemver } from './semver.ts';

/** Compiles a linear-time regular expression that is searched for anywhere in a text; undefined when the pattern is invalid. */
export type CompileRegex = (pattern: string, flags: 'i' | '') => ((text: string) => boolean) | undefined;

/** Whether a value that is there passes. */
export type ValueTest = (value: JsonValue) => boolean;

/** What compiling needs from outside, and where it says what it could not compile. */
export interface TestPorts {
  readonly compileRegex: CompileRegex;
  readonly report: (problem: string) => void;
}

type TextTest = (text: string) => boolean;

/** How each comparison turns attributes and values into what the operators of a family work on. */
interface Reading {
  /** The value's text; undefined when its type does not have one. */
  readonly textOf: (value: JsonValue) => string | undefined;
  readonly numberOf: (value: JsonValue) => number;
  readonly versions: { readonly attribute: Leniency; readonly value: Leniency };
}

const TYPED: Reading = {
  textOf: (value) => (typeof value === 'string' ? value : undefined),
  numberOf: (value) => (typeof value === 'number' ? value : Number.NaN),
  versions: { attribute: 'partial', value: 'partial' },
};

const TEXT: Reading = {
  textOf: plainText,
  numberOf: (value) => Number(plainText(value)),
  versions: { attribute: 'strict', value: 'v-prefix' },
};

const CAST: Reading = {
  textOf: plainText,
  numberOf: (value) => Number.parseFloat(plainText(value)),
  versions: { attribute: 'v-prefix', value: 'v-prefix' },
};

/** The test of an attribute condition, before `not`. */
export function compileValueTest(condition: AttributeCondition, ports: TestPorts): ValueTest {
  const { compare = 'typed', operator } = condition;
  if (operator === 'present') return () => true;
  if (compare === 'cast') return compileCast(condition, ports);
  const test = compileWith(compare === 'text' ? TEXT : TYPED, condition, ports);
  if (compare === 'text') return test;
  return (value) => (Array.isArray(value) ? value.some((element: JsonValue) => test(element)) : test(value));
}

function compileWith(reading: Reading, condition: AttributeCondition, ports: TestPorts): ValueTest {
  const { operator, values } = condition;
  switch (operator) {
    case 'in':
    case 'equals':
      return reading === TYPED ? memberTest(values) : textTest(reading, inList(values.map(plainText)));
    case 'starts-with':
    case 'ends-with':
    case 'contains':
      return textTest(reading, affixTest(operator, condition));
    case 'matches':
      return textTest(reading, regexTest(condition, ports));
    case 'number-equals':
    case 'less-than':
    case 'less-than-or-equal':
    case 'greater-than':
    case 'greater-than-or-equal':
      return numberTest(operator, values, reading);
    case 'before':
    case 'after':
      return instantTest(operator, values);
    case 'semver-equals':
    case 'semver-less-than':
    case 'semver-less-than-or-equal':
    case 'semver-greater-than':
    case 'semver-greater-than-or-equal':
      return semverTest(operator, values, reading);
    case 'in-network':
      return textTest(reading, networkTest(values, ports));
    case 'modulo':
      return moduloTest(values, reading, ports);
    case 'present':
      return () => true;
  }
}

/** Flagsmith compares what the attribute is; the rest of its operators work on texts and numbers as above. */
function compileCast(condition: AttributeCondition, ports: TestPorts): ValueTest {
  const { operator, values } = condition;
  const texts = values.map(plainText);
  switch (operator) {
    case 'in': {
      const isListed = inList(texts);
      return (value) => value !== false && value !== true && value !== 0 && value !== '' && isListed(plainText(value));
    }
    case 'equals':
      return castTest(texts, (attribute, value) => attribute === value);
    case 'less-than':
      return castTest(texts, (attribute, value) => attribute < value);
    case 'less-than-or-equal':
      return castTest(texts, (attribute, value) => attribute <= value);
    case 'greater-than':
      return castTest(texts, (attribute, value) => attribute > value);
    case 'greater-than-or-equal':
      return castTest(texts, (attribute, value) => attribute >= value);
    case 'starts-with':
    case 'ends-with':
    case 'contains':
      return textTest(TYPED, affixTest(operator, condition));
    case 'matches':
    case 'number-equals':
    case 'before':
    case 'after':
    case 'semver-equals':
    case 'semver-less-than':
    case 'semver-less-than-or-equal':
    case 'semver-greater-than':
    case 'semver-greater-than-or-equal':
    case 'in-network':
    case 'modulo':
    case 'present':
      return compileWith(CAST, condition, ports);
  }
}

type Comparable = boolean | number | string;

function castTest(texts: readonly string[], holds: (attribute: Comparable, value: Comparable) => boolean): ValueTest {
  const casts = texts.map((text) => ({
    boolean: text !== 'False' && text !== 'false',
    number: Number.parseFloat(text),
    string: text,
  }));
  return (value) => {
    const attribute = typeof value === 'boolean' || typeof value === 'number' ? value : plainText(value);
    for (const cast of casts) {
      if (typeof attribute === 'boolean' && holds(attribute, cast.boolean)) return true;
      if (typeof attribute === 'number' && holds(attribute, cast.number)) return true;
      if (typeof attribute === 'string' && holds(attribute, cast.string)) return true;
    }
    return false;
  };
}

// A list of a few values is searched faster than a set hashes.
const SMALL_LIST = 4;

function memberTest(values: readonly JsonValue[]): ValueTest {
  const [only] = values;
  if (values.length === 1) return (value) => value === only;
  if (values.length <= SMALL_LIST) return (value) => values.includes(value);
  const members = new Set(values);
  return (value) => members.has(value);
}

function inList(texts: readonly string[]): TextTest {
  const [only] = texts;
  if (texts.length === 1) return (text) => text === only;
  const members = new Set(texts);
  return (text) => members.has(text);
}

function textTest({ textOf }: Reading, test: TextTest): ValueTest {
  return (value) => {
    const text = textOf(value);
    return text !== undefined && test(text);
  };
}

function affixTest(operator: 'starts-with' | 'ends-with' | 'contains', condition: AttributeCondition): TextTest {
  const { ignoreCase = false, compare = 'typed', values } = condition;
  const texts = values.filter((value) => compare !== 'typed' || typeof value === 'string').map(plainText);
  const wanted = ignoreCase ? texts.map((text) => text.toLowerCase()) : texts;
  const read = ignoreCase ? (text: string) => text.toLowerCase() : (text: string) => text;
  switch (operator) {
    case 'starts-with':
      return (text) => wanted.some((value) => read(text).startsWith(value));
    case 'ends-with':
      return (text) => wanted.some((value) => read(text).endsWith(value));
    case 'contains':
      return (text) => wanted.some((value) => read(text).includes(value));
  }
}

function regexTest({ values, ignoreCase = false }: AttributeCondition, { compileRegex, report }: TestPorts): TextTest {
  const tests = values.flatMap((value) => {
    const test = typeof value === 'string' ? compileRegex(value, ignoreCase ? 'i' : '') : undefined;
    if (test === undefined) report(`the pattern ${JSON.stringify(value)} is not a regular expression of RE2 and never matches`);
    return test ?? [];
  });
  return (text) => tests.some((test) => test(text));
}

function numberTest(operator: Operator, values: readonly JsonValue[], { numberOf }: Reading): ValueTest {
  const numbers = values.map(numberOf);
  return (value) => {
    const attribute = numberOf(value);
    return numbers.some((number) => isOrdered(operator, attribute - number));
  };
}

/** Whether a difference is what the operator asks for; never when it is not a number. */
function isOrdered(operator: Operator, difference: number): boolean {
  if (operator.endsWith('equals')) return difference === 0;
  if (operator.endsWith('less-than')) return difference < 0;
  if (operator.endsWith('less-than-or-equal')) return difference <= 0;
  return operator.endsWith('greater-than') ? difference > 0 : difference >= 0;
}

function instantTest(operator: 'before' | 'after', values: readonly JsonValue[]): ValueTest {
  const instants = values.map(instantOf);
  const sign = operator === 'after' ? 1 : -1;
  return (value) => {
    const attribute = instantOf(value);
    return instants.some((instant) => (attribute - instant) * sign > 0);
  };
}

function instantOf(value: JsonValue): number {
  if (typeof value === 'number') return value;
  return (typeof value === 'string' ? parseInstant(value) : undefined) ?? Number.NaN;
}

function semverTest(operator: Operator, values: readonly JsonValue[], { textOf, versions }: Reading): ValueTest {
  const wanted = values.flatMap((value) => parseSemver(textOf(value) ?? '', versions.value) ?? []);
  return (value) => {
    const attribute = parseSemver(textOf(value) ?? '', versions.attribute);
    return attribute !== undefined && wanted.some((version) => isOrdered(operator, compareSemver(attribute, version)));
  };
}

function networkTest(values: readonly JsonValue[], { report }: TestPorts): TextTest {
  const tests = values.flatMap((value) => {
    const test = typeof value === 'string' ? compileNetwork(value.trim()) : undefined;
    if (test === undefined) report(`${JSON.stringify(value)} is not an IP address or network and contains nobody`);
    return test ?? [];
  });
  return (text) => tests.some((test) => test(text));
}

function moduloTest(values: readonly JsonValue[], { numberOf }: Reading, { report }: TestPorts): ValueTest {
  const pairs = values.flatMap((value) => {
    const parts = plainText(value)
      .split('|')
      .map((part) => Number.parseFloat(part));
    const [divisor = Number.NaN, remainder = Number.NaN] = parts;
    if (parts.length === 2 && divisor !== 0 && !Number.isNaN(divisor + remainder)) return { divisor, remainder };
    report(`${JSON.stringify(value)} is not of the form "divisor|remainder" and never matches`);
    return [];
  });
  return (value) => {
    const number = numberOf(value);
    return pairs.some(({ divisor, remainder }) => number % divisor === remainder);
  };
}

/** A value as a template would print it, and a list as its elements with commas. */
function plainText(value: JsonValue): string {
  if (typeof value === 'string') return value;
  return Array.isArray(value) ? value.map((element: JsonValue) => plainText(element)).join(',') : JSON.stringify(value);
}
