/** A place for secrets that several processes share, such as the key that signs request ids. Network stores are one. */

export interface SecretKeeper {
  /**
   * The secret of that name. Where there is none, `proposed` becomes it; of two processes that propose one at once both
   * get the same. It is in no document, no journal and no answer of the API.
   */
  keepSecret(name: string, proposed: Uint8Array): Promise<Uint8Array>;
}
