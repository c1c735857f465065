/** Schema errors in the words of a person, and the body that every error is answered with. */
import { z } from 'zod';

/** Each problem with the place it is at, joined into one sentence. At most ten are named. */
export function describeProblems(error: z.ZodError): string {
  const problems = error.issues.slice(0, 10).map((issue) => {
    const place = issue.path.map((part) => (typeof part === 'number' ? `[${part + 1}]` : String(part))).join('.');
    const message =
      issue.code === 'unrecognized_keys' ? `unknown field ${issue.keys.map((key) => `"${key}"`).join(', ')}` : issue.message;
    return place === '' ? message : `${place}: ${message}`;
  });
  if (error.issues.length > problems.length) problems.push(`and ${error.issues.length - problems.length} more`);
  return problems.join('; ');
}

/** What every error of the control API looks like. */
export const Problem = z.strictObject({
  error: z.strictObject({
    code: z.string().meta({ description: 'Stable; every code is in docs/errors.md.' }),
    message: z.string().meta({ description: 'What was attempted, what is wrong, how to fix it.' }),
    requestId: z.string(),
  }),
});
export type Problem = z.infer<typeof Problem>;
