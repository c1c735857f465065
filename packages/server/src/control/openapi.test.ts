import { ENDPOINTS } from '@understudy/contract/endpoints';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { openTestControl, type TestControl } from './test-control.ts';

const Operation = z.looseObject({
  operationId: z.string(),
  summary: z.string(),
  description: z.string(),
  tags: z.array(z.string()),
  security: z.array(z.record(z.string(), z.array(z.string()))),
  parameters: z.array(z.looseObject({ name: z.string(), in: z.enum(['path', 'query', 'header']) })).optional(),
  requestBody: z.looseObject({ content: z.record(z.string(), z.unknown()) }).optional(),
  responses: z.record(z.string(), z.unknown()),
});

const Description = z.looseObject({
  openapi: z.string(),
  info: z.looseObject({ title: z.string(), version: z.string() }),
  components: z.looseObject({ securitySchemes: z.record(z.string(), z.unknown()) }),
  paths: z.record(z.string(), z.record(z.string(), Operation)),
});

let control: TestControl;
let text: string;
let description: z.infer<typeof Description>;

beforeAll(async () => {
  control = await openTestControl();
  text = (await control.api.inject('/openapi.json')).body;
  description = Description.parse(JSON.parse(text));
});

afterAll(async () => {
  await control[Symbol.asyncDispose]();
});

/** Every reference in a document. */
function refsIn(value: unknown): readonly string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, item]) => (key === '$ref' && typeof item === 'string' ? [item] : refsIn(item)));
}

function resolve(ref: string): unknown {
  let found: unknown = description;
  for (const part of ref.replace(/^#\//, '').split('/')) found = (found as Record<string, unknown> | undefined)?.[part];
  return found;
}

describe('the description of the API', () => {
  it('is OpenAPI 3.1 of this release', () => {
    expect(description.openapi).toBe('3.1.0');
    expect(description.info).toMatchObject({ title: 'Understudy', version: '1.2.3' });
    expect(description.components.securitySchemes).toMatchObject({ token: { type: 'http', scheme: 'bearer' } });
  });

  it('has every endpoint under its name, and nothing else', () => {
    const described = Object.entries(description.paths).flatMap(([path, operations]) =>
      Object.entries(operations).map(([method, { operationId }]) => `${operationId}: ${method.toUpperCase()} ${path}`),
    );
    const expected = Object.entries(ENDPOINTS).map(
      ([name, { method, path }]) => `${name}: ${method} /api/v1${path.replaceAll(/:([a-z]+)/g, '{$1}')}`,
    );
    expect(described.toSorted()).toEqual(expected.toSorted());
  });

  it('names the token, the scope, the answer and the errors of every endpoint', () => {
    for (const operation of Object.values(description.paths).flatMap((one) => Object.values(one))) {
      expect(operation.security).toEqual([{ token: [] }]);
      expect(operation.description).toMatch(/^Needs the scope `(feedback|read|operate|admin)`\.$/);
      expect(Object.keys(operation.responses)).toEqual(['200', '4XX', '5XX']);
    }
  });

  it('has every parameter of a path', () => {
    for (const [path, operations] of Object.entries(description.paths)) {
      const named = [...path.matchAll(/\{([a-z]+)\}/g)].map(([, name]) => name);
      for (const { parameters = [] } of Object.values(operations)) {
        expect(parameters.filter((one) => one.in === 'path').map((one) => one.name)).toEqual(named);
      }
    }
  });

  it('names the idempotency key of changes, and the bytes of an upload', () => {
    const headersOf = (path: string, method: string) =>
      description.paths[path]?.[method]?.parameters?.filter((one) => one.in === 'header').map((one) => one.name);
    expect(headersOf('/api/v1/models', 'post')).toEqual(['idempotency-key']);
    expect(headersOf('/api/v1/artifacts', 'post')).toEqual([]);
    expect(description.paths['/api/v1/artifacts']?.['post']?.requestBody?.content).toEqual({
      'application/octet-stream': { schema: { type: 'string', format: 'binary' } },
    });
  });

  it('refers to nothing that is not there', () => {
    for (const ref of refsIn(description)) expect([ref, resolve(ref)]).not.toEqual([ref, undefined]);
    expect(text).not.toContain('__SCHEMA__');
    expect(text).not.toContain('$defs');
  });
});
