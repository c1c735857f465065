/** Regular expressions that take linear time on every text, so that no pattern in a flag can stop the server. Whoever compiles flags passes it. */
import type { CompileRegex } from '@understudy/core/flags/value-test';
import { RE2JS } from 're2js';

export const compileRegex: CompileRegex = (pattern, flags) => {
  try {
    const regex = RE2JS.compile(pattern, flags === 'i' ? RE2JS.CASE_INSENSITIVE : 0);
    return (text) => regex.matcher(text).find();
  } catch {
    return undefined;
  }
};
