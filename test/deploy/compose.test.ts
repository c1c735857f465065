// The compose file: only fields that are known here, and what they refer to is there.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { ROOT } from './image-recipe.ts';

const FOLDER = join(ROOT, 'deploy/compose');
const Duration = z.string().regex(/^\d+s$/);

const Service = z.strictObject({
  image: z.string().regex(/^[^:]+:(?!latest).+$|^\$\{UNDERSTUDY_IMAGE:-understudy:\d+\.\d+\.\d+\}$/),
  entrypoint: z.array(z.string()).optional(),
  read_only: z.literal(true).optional(),
  cap_drop: z.tuple([z.literal('ALL')]).optional(),
  security_opt: z.tuple([z.literal('no-new-privileges:true')]).optional(),
  restart: z.literal('unless-stopped'),
  stop_grace_period: Duration,
  environment: z.record(z.string(), z.string()).optional(),
  secrets: z.array(z.string()).optional(),
  volumes: z.array(z.string()),
  networks: z.array(z.string()).default(['default']),
  ports: z.array(z.string()).optional(),
  depends_on: z.record(z.string(), z.strictObject({ condition: z.literal('service_healthy') })).optional(),
  healthcheck: z
    .strictObject({ test: z.array(z.string()), interval: Duration, timeout: Duration, retries: z.number().int() })
    .optional(),
  shm_size: z.string().optional(),
  deploy: z.strictObject({
    resources: z.strictObject({
      limits: z.strictObject({ cpus: z.string().regex(/^\d/), memory: z.string().regex(/^\d+[mg]$/) }),
    }),
  }),
});
const Compose = z.object({
  name: z.string(),
  services: z.record(z.string(), Service),
  networks: z.record(z.string(), z.strictObject({ internal: z.boolean() })),
  volumes: z.record(z.string(), z.null()),
  secrets: z.record(z.string(), z.strictObject({ file: z.string() })),
});

const raw: unknown = parse(readFileSync(join(FOLDER, 'compose.yaml'), 'utf8'), { merge: true });
const compose = Compose.parse(raw);
const services = Object.entries(compose.services);
const ours = services.filter(([name]) => /^(?:control|gateway)-/.test(name));

describe('deploy/compose/compose.yaml', () => {
  it('has two control planes, three gateways, a database and a load balancer', () => {
    const names = ['control-1', 'control-2', 'gateway-1', 'gateway-2', 'gateway-3', 'haproxy', 'postgres'];
    expect(services.map(([name]) => name).toSorted()).toEqual(names);
    expect(Object.keys(raw as object).filter((key) => !key.startsWith('x-'))).toEqual(Object.keys(compose));
  });

  it('refers only to volumes, secrets, networks and services that it has, and has none for nothing', () => {
    const used = { volumes: new Set<string>(), secrets: new Set<string>(), networks: new Set<string>() };
    for (const [name, service] of services) {
      for (const other of Object.keys(service.depends_on ?? {})) expect(compose.services, name).toHaveProperty(other);
      for (const [source = ''] of service.volumes.map((volume) => volume.split(':'))) {
        if (source.startsWith('.')) expect(existsSync(join(FOLDER, source)), source).toBe(true);
        else used.volumes.add(source);
      }
      for (const secret of service.secrets ?? []) used.secrets.add(secret);
      for (const network of service.networks) used.networks.add(network);
    }
    expect([...used.volumes].toSorted()).toEqual(Object.keys(compose.volumes).toSorted());
    expect([...used.secrets].toSorted()).toEqual(Object.keys(compose.secrets).toSorted());
    expect([...used.networks].toSorted()).toEqual([...Object.keys(compose.networks), 'default'].toSorted());
  });

  it('gives the control planes one folder of model files, and each gateway one of its own', () => {
    const folders = (kind: string) =>
      ours.filter(([name]) => name.startsWith(kind)).map(([name, { volumes }]) => `${name}=${volumes.join()}`);
    expect(folders('control')).toEqual(['control-1=models:/data', 'control-2=models:/data']);
    expect(folders('gateway')).toEqual([1, 2, 3].map((n) => `gateway-${n}=gateway-${n}:/data`));
    for (const [, { environment }] of ours) expect(environment?.['UNDERSTUDY_DATA']).toBe('/data');
  });

  it('names gateways so that the one token speaks for all of them', () => {
    const gateways = ours.filter(([name]) => name.startsWith('gateway'));
    for (const [name, { environment }] of gateways) {
      expect(environment?.['UNDERSTUDY_GATEWAY_NAME']).toBe(name);
      expect(environment?.['UNDERSTUDY_CONTROL_URL']).toBe('http://control-1:7070,http://control-2:7070');
      expect(environment?.['UNDERSTUDY_CONTROL_TOKEN_FILE']).toBe('/run/secrets/gateway-token');
    }
    expect(readFileSync(join(FOLDER, 'up.sh'), 'utf8')).toContain('understudy token create gateway --scope gateway');
  });

  it('lets a gateway start with everything else down', () => {
    for (const [name, service] of ours.filter(([each]) => each.startsWith('gateway'))) {
      expect(service.depends_on, name).toBeUndefined();
    }
  });

  it('hardens everything that has no need to change itself, and publishes the load balancer only, on this machine', () => {
    for (const [name, service] of services.filter(([each]) => each !== 'postgres')) {
      expect(service, name).toMatchObject({ read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] });
    }
    expect(services.filter(([, { ports }]) => ports !== undefined).map(([name]) => name)).toEqual(['haproxy']);
    for (const port of compose.services['haproxy']?.ports ?? []) expect(port).toMatch(/^127\.0\.0\.1:/);
    expect(compose.services['postgres']?.networks).toEqual(['database']);
    expect(compose.networks['database']?.internal).toBe(true);
  });

  it('waits for a drain before it kills', () => {
    // 5 s of grace and 30 s for what has begun.
    for (const [name, { stop_grace_period: period }] of ours) expect(Number.parseInt(period, 10), name).toBeGreaterThan(35);
  });

  it('has no secret in it', () => {
    for (const [, { environment }] of services) {
      for (const [variable, value] of Object.entries(environment ?? {})) {
        if (/PASSWORD|TOKEN/.test(variable)) expect(value, variable).toMatch(/^\/run\/secrets\//);
      }
    }
    expect(compose.services['control-1']?.environment?.['UNDERSTUDY_STORE']).not.toMatch(/:[^/]+@/);
    expect(readFileSync(join(FOLDER, '.gitignore'), 'utf8')).toBe('secrets/\n');
  });
});

describe('deploy/compose/up.sh', () => {
  it('has nothing that shellcheck minds', () => {
    expect(execFileSync('shellcheck', [join(FOLDER, 'up.sh')], { encoding: 'utf8' })).toBe('');
  });
});
