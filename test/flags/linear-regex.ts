// The regular expressions that flags are tested with: RE2's, in linear time, as the server and the SDK pass them.
import type { CompileRegex } from '@understudy/core/flags/value-test';
import { RE2JS } from 're2js';

export const compileLinearRegex: CompileRegex = (pattern, flags) => {
  try {
    const regex = RE2JS.compile(pattern, flags === 'i' ? RE2JS.CASE_INSENSITIVE : 0);
    return (text) => regex.matcher(text).find();
  } catch {
    return undefined;
  }
};
