/** The end of a report that nobody will ever take. Whoever sends reports throws it, and the gateway gives the report up. */
export class ReportRefused extends Error {
  override readonly name = 'ReportRefused';
}
