/** Requests against their schemas, and what is wrong with them in the words of a person. */
import { describeProblems } from '@understudy/contract/problems';
import { AppError } from '@understudy/core/errors';
import type { FastifySchemaCompiler } from 'fastify';
import { z } from 'zod';

const PART_NAMES: Readonly<Record<string, string>> = {
  params: 'the address',
  querystring: 'the query',
  headers: 'the headers',
  body: 'the body',
};

type Issue = z.core.$ZodIssue;

/** Parses one part of a request; the handler gets the parsed value. */
export const compileRequestSchema: FastifySchemaCompiler<z.ZodType> = ({ schema, httpPart }) => {
  const part = PART_NAMES[httpPart ?? ''] ?? 'the request';
  return (data: unknown) => {
    // Fastify calls an absent body null.
    if (httpPart === 'body' && data === null && !schema.safeParse(null).success) {
      return { error: new AppError('request.invalid', 'the body is missing; send JSON with content-type application/json') };
    }
    const parsed = schema.safeParse(data);
    if (parsed.success) return { value: parsed.data };
    const problems = describeProblems(new z.ZodError(parsed.error.issues.flatMap(plainIssues)));
    return { error: new AppError('request.invalid', `${part} cannot be used: ${problems}`) };
  };
};

/** A union says only that nothing fits; the alternative that comes closest says why. */
function plainIssues(issue: Issue): Issue[] {
  if (issue.code !== 'invalid_union' || issue.errors.length === 0) return [issue];
  const alternatives = issue.errors.map((issues) => issues.flatMap(plainIssues));
  const [closest = []] = alternatives.toSorted((a, b) => distanceOf(a) - distanceOf(b));
  return closest.map((inner) => ({ ...inner, path: [...issue.path, ...inner.path] }));
}

function distanceOf(issues: readonly Issue[]): number {
  let distance = 0;
  for (const issue of issues) {
    // Another kind of value altogether is further away than any number of wrong fields.
    if (issue.code === 'invalid_type' && issue.path.length === 0) distance += 100;
    else distance += issue.code === 'unrecognized_keys' ? issue.keys.length : 1;
  }
  return distance;
}
