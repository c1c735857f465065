/** Checks answers against the published OpenAPI of OFREP, which is not part of this repository. The tests of OFREP depend on it. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { parse } from 'yaml';

const base = process.env['UNDERSTUDY_CONFORMANCE'] ?? path.resolve(import.meta.dirname, '../../../../../../shared/conformance');
const file = path.join(base, 'openapi/ofrep-0.3.0.yaml');

/** Why answers are not checked here; undefined when they are. */
export const ABSENT = existsSync(file)
  ? undefined
  : `no OpenAPI at ${file}: set UNDERSTUDY_CONFORMANCE to the folder that holds "openapi"`;

/** Notes what is wrong with answers. */
export interface AnswerCheck {
  /** A `fetch` that checks every answer on its way. */
  readonly fetch: typeof fetch;
  /** A sentence for each answer that is not as published. */
  readonly violations: readonly string[];
  /** How many bodies were checked. */
  readonly checked: () => number;
  /** Checks a value against one of the published schemas. @returns what is wrong */
  readonly against: (schema: string, value: unknown) => string | undefined;
}

export function openAnswerCheck(): AnswerCheck {
  const violations: string[] = [];
  let checked = 0;
  const validator = ABSENT === undefined ? openValidator() : undefined;
  const against = (pointer: string, value: unknown): string | undefined => {
    const validate = validator?.(pointer);
    return validate === undefined || validate(value) === true ? undefined : JSON.stringify({ value, errors: validate.errors });
  };
  return {
    violations,
    checked: () => checked,
    against: (schema, value) => against(`#/components/schemas/${schema}`, value),
    async fetch(input, init) {
      const response = await fetch(input, init);
      const place = new URL(response.url).pathname.endsWith('/evaluate/flags') ? 'flags' : 'flags/{key}';
      const pointer = schemaOf(place, response.status);
      if (pointer === 'unlisted') violations.push(`${place} answers ${response.status}, which is not published`);
      if (pointer === 'unlisted' || pointer === 'empty') return response;
      checked += 1;
      const problem = against(pointer, await response.clone().json());
      if (problem !== undefined) violations.push(`${place} ${response.status}: ${problem}`);
      return response;
    },
  };
}

/** Which schema a body must meet, by the published table of statuses. 503 is ours: the flags are not loaded. */
function schemaOf(place: 'flags' | 'flags/{key}', status: number): string {
  if (status === 304 || status === 401 || status === 403 || status === 503) return 'empty';
  const escaped = `~1ofrep~1v1~1evaluate~1${place.replaceAll('/', '~1')}`;
  const known = place === 'flags' ? [200, 400, 500] : [200, 400, 404, 500];
  if (!known.includes(status)) return 'unlisted';
  return `#/paths/${encodeURI(escaped)}/post/responses/${status}/content/application~1json/schema`;
}

function openValidator(): (pointer: string) => ValidateFunction {
  const published: Published = parse(readFileSync(file, 'utf8'));
  repair(published);
  const ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true });
  ajv.addSchema({ $id: 'ofrep', ...published });
  const compiled = new Map<string, ValidateFunction>();
  return (pointer) => {
    const validate = compiled.get(pointer) ?? ajv.compile({ $ref: `ofrep${pointer}` });
    compiled.set(pointer, validate);
    return validate;
  };
}

interface Published {
  readonly components: {
    readonly schemas: {
      readonly evaluationSuccess: { allOf: [object, { oneOf?: object[]; anyOf?: object[] }] };
      codeDefaultFlag: object;
    };
  };
}

/**
 * As it is published, no answer with a value is valid: of the kinds of flags exactly one must fit, but an answer that
 * leaves the value to the code has a schema that everything fits, and a whole number fits two. What their descriptions
 * say is meant: any kind may fit, and the one without a value has none.
 */
function repair({ components: { schemas } }: Published): void {
  const [, kinds] = schemas.evaluationSuccess.allOf;
  schemas.evaluationSuccess.allOf[1] = { anyOf: kinds.oneOf ?? [] };
  schemas.codeDefaultFlag = { type: 'object', not: { required: ['value'] } };
}
