/** The API's description, made from the same schemas that requests are checked with, and a page to read it. */
import { fastifySwagger } from '@fastify/swagger';
import fastifySwaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';
import { jsonSchemaTransform } from 'fastify-type-provider-zod';
import { DOCS_POLICY } from './answer-headers.ts';

/** Collects the routes that are added afterwards. */
export async function describeApi(app: FastifyInstance, release: string): Promise<void> {
  await app.register(fastifySwagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Understudy',
        description: 'Safe roll-out of machine-learning model versions. Every error has a code; all are in docs/errors.md.',
        version: release,
      },
      components: {
        securitySchemes: { token: { type: 'http', scheme: 'bearer', description: 'A token such as `us_ID_SECRET`.' } },
      },
    },
    transform: jsonSchemaTransform,
    transformObject: (document) => describeAnyJson('openapiObject' in document ? document.openapiObject : document),
  });
  await app.register(fastifySwaggerUi, {
    routePrefix: '/docs',
    staticCSP: DOCS_POLICY,
    theme: { title: 'Understudy API' },
    // Without the bar that asks for another description.
    uiConfig: { layout: 'BaseLayout', docExpansion: 'list', filter: true },
  });
  app.get('/openapi.json', { schema: { hide: true }, config: { access: 'public' } }, async () => app.swagger());
}

/**
 * JSON of any shape is the one recursive schema we have; without a name it becomes a reference to nothing, and a
 * description of its own would say no more than this.
 */
function describeAnyJson(description: unknown): object {
  const described: object = JSON.parse(JSON.stringify(description), (_key, value: unknown) =>
    isUnnamedReference(value) ? { description: 'Any JSON value.' } : value,
  );
  return described;
}

function isUnnamedReference(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || !('$ref' in value)) return false;
  return typeof value.$ref === 'string' && /\/schema\d+$/.test(value.$ref);
}
