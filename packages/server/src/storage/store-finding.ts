/** What `understudy doctor` finds out about the server behind a store. */

/** One finding. */
export interface StoreFinding {
  readonly state: 'ok' | 'warning' | 'problem';
  readonly detail: string;
  readonly fix?: string;
}
