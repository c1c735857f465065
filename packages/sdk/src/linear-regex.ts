/**
 * Regular expressions that take linear time, in the syntax that the server compiles them with: the language's own would
 * match other texts, and a pattern could stop the process. The library is inlined at build.
 */
import type { CompileRegex } from '@understudy/core/flags/value-test';
import { RE2JS } from 're2js';

/** Undefined when the pattern is invalid. */
export const compileRegex: CompileRegex = (pattern, flags) => {
  try {
    const regex = RE2JS.compile(pattern, flags === 'i' ? RE2JS.CASE_INSENSITIVE : 0);
    return (text) => regex.matcher(text).find();
  } catch {
    return undefined;
  }
};
