/** Takes the reports of SDKs: who they are, and what came of their flags. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ProtocolPorts } from '../flag-world.ts';
import { tagOf } from '../edge/entity-tag.ts';
import { readMetricsReport, readRegistration } from './metrics-report.ts';
import { UnleashProblem } from './problem.ts';
import { hasErrorsAlone, outcomesOf } from './reported-outcomes.ts';
import type { JsonBody } from '../edge/json-body.ts';
import { sightingOf } from './sighting.ts';

export interface IntakeOptions {
  /** Whether the SDKs decide by themselves, as those on servers do. */
  readonly isLocal: boolean;
  /** Whether what they report counts as evidence. */
  readonly isBelieved: boolean;
  /** SDKs differ in what they take for success. */
  readonly status: 200 | 202;
}

/** What routes of reports read. */
export interface ReportRequest {
  Body: JsonBody | undefined;
}

type Handler = (request: FastifyRequest<ReportRequest>, reply: FastifyReply) => Promise<FastifyReply>;

export interface ReportIntake {
  readonly register: Handler;
  readonly metrics: Handler;
}

export function openReportIntake(ports: ProtocolPorts, { isLocal, isBelieved, status }: IntakeOptions): ReportIntake {
  return {
    async register(request, reply) {
      ports.sighted(sightingOf(request, isLocal, readRegistration(request.body?.value)));
      return reply.status(status).send();
    },
    async metrics(request, reply) {
      const report = readMetricsReport(request.body?.value);
      if (report === undefined) throw new UnleashProblem(400, 'metrics are an object with a "bucket"');
      ports.sighted(sightingOf(request, isLocal, report));
      const state = ports.world.now();
      if (state === undefined) throw new UnleashProblem(503, 'Understudy has no flags at the moment to count the metrics for');
      const batch = tagOf(String(request.headers['unleash-connection-id']), request.body?.bytes ?? '');
      const outcomes = isBelieved ? outcomesOf(report, state.documents, { batch, atMs: ports.clock.nowMs() }) : [];
      if (isBelieved && hasErrorsAlone(report)) {
        const problem =
          'understudy_errors is left out: it is a part of understudy_requests, which the application does not count';
        ports.log.warn({ application: report.appName ?? 'unknown', problem }, 'unleash.errors_left_out');
      }
      if (outcomes.length > 0) await take(ports, outcomes);
      return reply.status(status).send();
    },
  };
}

/** SDKs keep what was not taken and send it again with what comes next. */
async function take({ outcomes: sink, log }: ProtocolPorts, outcomes: Parameters<ProtocolPorts['outcomes']['report']>[0]) {
  try {
    await sink.report(outcomes);
  } catch (error) {
    log.warn({ err: error }, 'unleash.outcomes_not_taken');
    throw new UnleashProblem(503, 'the metrics cannot be taken at the moment; send them again later', { cause: error });
  }
}
