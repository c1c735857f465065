/** The command was not understood or lacks something. Ends with exit code 2; every command throws it. */
export class UsageError extends Error {
  constructor(message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.name = 'UsageError';
  }
}
