/** Sends reports to whichever control plane takes them. They count once, so the next one may be tried with what the last one may have taken. */
import { boundedText } from '@understudy/feed/bounded-text';
import type { GatewayReport } from '@understudy/contract/report';
import { ReportRefused } from '../report-refused.ts';

export interface ReportPostOptions {
  readonly urls: readonly string[];
  readonly token: string;
  readonly fetch: typeof fetch;
}

// Statuses that no repetition changes: the report is not one, or is too large.
const FOR_GOOD: ReadonlySet<number> = new Set([400, 413]);

/** @returns sends one report; throws ReportRefused when it will never be taken, and another error when it may be sent again */
export function openReportPost({ urls, token, fetch }: ReportPostOptions) {
  let present = 0;
  return async (report: GatewayReport, signal: AbortSignal): Promise<void> => {
    const url = urls[present % urls.length] ?? '';
    try {
      const response = await fetch(`${url}/gateways/v1/reports`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify(report),
        redirect: 'error',
        signal,
      });
      const { text } = await boundedText(response, 1000);
      if (response.status === 204) return;
      const said = `${url} answers ${response.status} to a report: ${text}`;
      throw FOR_GOOD.has(response.status) ? new ReportRefused(said) : new Error(said);
    } catch (error) {
      if (!(error instanceof ReportRefused)) present += 1;
      throw error;
    }
  };
}
