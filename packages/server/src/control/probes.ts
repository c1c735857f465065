/** What load balancers and Prometheus ask: is the process up, can it work, how is it doing. */
import { AppError } from '@understudy/core/errors';
import type { FastifyInstance } from 'fastify';
import type { Store } from '../storage/store.ts';
import type { Access } from './access.ts';
import type { MetricsPage } from './ports.ts';

export interface ProbeContext {
  readonly store: Pick<Store, 'revision'>;
  readonly environment: string;
  readonly metrics: MetricsPage;
  /** Whether the process has been asked to stop. */
  readonly isDraining: () => boolean;
  readonly metricsAccess: Access;
}

export function addProbes(app: FastifyInstance, context: ProbeContext): void {
  const { store, environment, metrics, isDraining, metricsAccess } = context;
  const open = { schema: { hide: true }, config: { access: 'public' } } as const;
  app.get('/healthz', open, async () => ({ status: 'up' }));
  app.get('/readyz', open, async () => {
    if (isDraining()) throw new AppError('request.shutting_down', 'this process is shutting down');
    await store.revision(environment);
    return { status: 'ready' };
  });
  app.get('/metrics', { schema: { hide: true }, config: { access: metricsAccess } }, async (_request, reply) => {
    const page = await metrics();
    return reply.type(page.type).send(page.text);
  });
}
