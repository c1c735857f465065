// The manifests: each fits its type in the API of Kubernetes, unknown fields refused, and what they refer to is there.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { Deployment, StatefulSet } from 'kubernetes-types/apps/v1.js';
import type { HorizontalPodAutoscaler } from 'kubernetes-types/autoscaling/v2.js';
import type { Container, Namespace, PersistentVolumeClaim, PodSpec, Service } from 'kubernetes-types/core/v1.js';
import type { NetworkPolicy } from 'kubernetes-types/networking/v1.js';
import type { PodDisruptionBudget } from 'kubernetes-types/policy/v1.js';
import { describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { ROOT } from './image-recipe.ts';

const FOLDER = join(ROOT, 'deploy/kubernetes');

type Manifest =
  | Kind<'Deployment', Deployment>
  | Kind<'HorizontalPodAutoscaler', HorizontalPodAutoscaler>
  | Kind<'Namespace', Namespace>
  | Kind<'NetworkPolicy', NetworkPolicy>
  | Kind<'PersistentVolumeClaim', PersistentVolumeClaim>
  | Kind<'PodDisruptionBudget', PodDisruptionBudget>
  | Kind<'Service', Service>
  | Kind<'StatefulSet', StatefulSet>;
type Kind<K extends string, T> = T & { readonly kind: K };

// Where kubernetes-types keeps each kind; the compiler then compares whole manifests with them.
const MODULES: Readonly<Record<Manifest['kind'], string>> = {
  Deployment: 'apps/v1',
  HorizontalPodAutoscaler: 'autoscaling/v2',
  Namespace: 'core/v1',
  NetworkPolicy: 'networking/v1',
  PersistentVolumeClaim: 'core/v1',
  PodDisruptionBudget: 'policy/v1',
  Service: 'core/v1',
  StatefulSet: 'apps/v1',
};

// Of the Prometheus Operator, which is no part of Kubernetes.
const ServiceMonitor = z.strictObject({
  apiVersion: z.literal('monitoring.coreos.com/v1'),
  kind: z.literal('ServiceMonitor'),
  metadata: z.strictObject({ name: z.string() }),
  spec: z.strictObject({
    selector: z.strictObject({ matchLabels: z.record(z.string(), z.string()) }),
    endpoints: z.array(
      z.strictObject({
        port: z.string(),
        path: z.literal('/metrics'),
        authorization: z.strictObject({ credentials: z.strictObject({ name: z.string(), key: z.string() }) }),
      }),
    ),
  }),
});

const files = readdirSync(FOLDER, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.yaml'));
const plainFiles = files.filter((name) => !name.endsWith('kustomization.yaml') && !name.startsWith('monitoring'));
const manifests = plainFiles.flatMap((name) =>
  parseAllDocuments(readFileSync(join(FOLDER, name), 'utf8'), { uniqueKeys: true }).map((document) => {
    expect(document.errors, name).toEqual([]);
    return document.toJS() as Manifest;
  }),
);

function ofKind<K extends Manifest['kind']>(kind: K): Extract<Manifest, { kind: K }>[] {
  return manifests.filter((manifest): manifest is Extract<Manifest, { kind: K }> => manifest.kind === kind);
}

interface Workload {
  readonly name: string;
  readonly pod: PodSpec;
  readonly container: Container;
  readonly labels: Readonly<Record<string, string>>;
  readonly selector: Readonly<Record<string, string>>;
  readonly claims: readonly string[];
}

const workloads = [...ofKind('Deployment'), ...ofKind('StatefulSet')].map(({ metadata, spec }): Workload => {
  const pod = spec?.template.spec;
  const [container, ...more] = pod?.containers ?? [];
  if (pod === undefined || container === undefined || more.length > 0) throw new Error('a pod here has one container');
  return {
    name: metadata?.name ?? '',
    pod,
    container,
    labels: spec?.template.metadata?.labels ?? {},
    selector: spec?.selector.matchLabels ?? {},
    claims:
      spec !== undefined && 'volumeClaimTemplates' in spec
        ? (spec.volumeClaimTemplates ?? []).map((claim) => claim.metadata?.name ?? '')
        : [],
  };
});

/** The workloads whose pods carry all of the labels. */
function selectedBy(selector: Readonly<Record<string, string>> | undefined): string[] {
  const wanted = Object.entries(selector ?? {});
  expect(wanted.length).toBeGreaterThan(0);
  return workloads.filter(({ labels }) => wanted.every(([key, value]) => labels[key] === value)).map(({ name }) => name);
}

describe('types', () => {
  /** What the compiler says when the manifests are taken for values of their types. */
  function complaintsAbout(values: readonly Manifest[]): string {
    const folder = join(ROOT, '.cache/deploy-types');
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    const lines = values.map((manifest, index) => {
      const type = `import('kubernetes-types/${MODULES[manifest.kind]}.js').${manifest.kind}`;
      return `export const value${index}: ${type} = ${JSON.stringify(manifest, undefined, 1)};`;
    });
    writeFileSync(join(folder, 'manifests.ts'), lines.join('\n'));
    const options = [
      '--noEmit',
      '--strict',
      '--exactOptionalPropertyTypes',
      '--types',
      '',
      '--module',
      'nodenext',
      '--ignoreConfig',
    ];
    try {
      return execFileSync('tsc', [...options, join(folder, 'manifests.ts')], { encoding: 'utf8', cwd: ROOT });
    } catch (error) {
      return (error as { stdout: string }).stdout;
    }
  }

  it('fit in every manifest', () => {
    expect(manifests.length).toBeGreaterThanOrEqual(12);
    expect(complaintsAbout(manifests)).toBe('');
  });

  it.each([
    { mistake: 'a misspelt field', from: '"readOnlyRootFilesystem"', to: '"readOnlyRootFileSystem"', complaint: 'TS2353' },
    { mistake: 'a text for a number', from: '"replicas":3', to: '"replicas":"3"', complaint: 'TS2322' },
    { mistake: 'a list for an object', from: '"requests":{', to: '"requests":[],"claims":{', complaint: 'TS2322' },
    { mistake: 'the wrong version of the API', from: '"apps/v1"', to: '"apps/v1beta1"', complaint: 'TS2322' },
  ])('do not fit with $mistake', ({ from, to, complaint }) => {
    const right = JSON.stringify(ofKind('StatefulSet'));
    expect(right).toContain(from);
    expect(complaintsAbout(JSON.parse(right.replace(from, to)) as Manifest[])).toContain(complaint);
  });
});

describe('kustomizations', () => {
  const Kustomization = z.strictObject({
    apiVersion: z.enum(['kustomize.config.k8s.io/v1beta1', 'kustomize.config.k8s.io/v1alpha1']),
    kind: z.enum(['Kustomization', 'Component']),
    namespace: z.literal('understudy').optional(),
    resources: z.array(z.string()),
    images: z.array(z.strictObject({ name: z.string(), newTag: z.string() })).optional(),
    patches: z
      .array(z.strictObject({ target: z.strictObject({ kind: z.string(), name: z.string() }), patch: z.string() }))
      .optional(),
  });
  const read = (name: string) => Kustomization.parse(parse(readFileSync(join(FOLDER, name), 'utf8')));

  it('list every file that lies beside them', () => {
    const listed = files
      .filter((name) => name.endsWith('kustomization.yaml'))
      .flatMap((name) => read(name).resources.map((resource) => join(name, '..', resource)));
    expect(listed.toSorted()).toEqual(files.filter((name) => !name.endsWith('kustomization.yaml')).toSorted());
  });

  it('give the image its release, never `latest`', () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
    expect(read('kustomization.yaml').images).toEqual([{ name: 'understudy', newTag: version }]);
    expect(new Set(workloads.map(({ container }) => container.image))).toEqual(new Set(['understudy']));
  });

  it('patch what there is', () => {
    const [patch] = read('autoscaling/kustomization.yaml').patches ?? [];
    expect(patch?.target).toEqual({ kind: 'StatefulSet', name: 'gateway' });
    expect(parse(patch?.patch ?? '')).toEqual([{ op: 'remove', path: '/spec/replicas' }]);
    expect(ofKind('StatefulSet')[0]?.spec?.replicas).toBe(3);
  });
});

describe('references', () => {
  it('of workloads, services, budgets and policies select their own pods', () => {
    expect(workloads.map(({ name }) => name).toSorted()).toEqual(['control', 'gateway']);
    for (const { name, selector } of workloads) expect(selectedBy(selector)).toEqual([name]);
    const expected = { control: ['control'], gateway: ['gateway'], gateways: ['gateway'] };
    const services = ofKind('Service').map(({ metadata, spec }) => [metadata?.name, selectedBy(spec?.selector)]);
    expect(Object.fromEntries(services)).toEqual(expected);
    for (const { metadata, spec } of ofKind('PodDisruptionBudget')) {
      expect(selectedBy(spec?.selector?.matchLabels)).toEqual([metadata?.name]);
      expect(spec?.maxUnavailable).toBe(1);
    }
    for (const { metadata, spec } of ofKind('NetworkPolicy')) {
      expect(selectedBy(spec?.podSelector?.matchLabels)).toEqual([metadata?.name]);
    }
    for (const { name, pod } of workloads) {
      expect(pod.topologySpreadConstraints?.flatMap(({ labelSelector }) => selectedBy(labelSelector?.matchLabels))).toEqual([
        name,
      ]);
    }
  });

  it('of ports and probes lead to ports that have that name', () => {
    const portOf = (of: string) => workloads.find(({ name }) => name === of)?.container.ports;
    expect(portOf('control')).toEqual([{ name: 'http', containerPort: 7070 }]);
    expect(portOf('gateway')).toEqual([{ name: 'http', containerPort: 7071 }]);
    for (const { spec } of ofKind('Service')) expect(spec?.ports?.map(({ targetPort }) => targetPort)).toEqual(['http']);
    for (const { container } of workloads) {
      const { startupProbe, livenessProbe, readinessProbe } = container;
      expect(startupProbe?.httpGet).toEqual({ path: '/healthz', port: 'http' });
      expect(livenessProbe?.httpGet).toEqual({ path: '/healthz', port: 'http' });
      expect(readinessProbe?.httpGet).toEqual({ path: '/readyz', port: 'http' });
    }
    const ports = ofKind('NetworkPolicy').flatMap(({ spec }) => spec?.ingress?.flatMap(({ ports: open }) => open) ?? []);
    expect(ports).toEqual([{ port: 'http' }, { port: 'http' }]);
  });

  it('of volumes and secrets lead to what is there or to what the page says to make', () => {
    const page = readFileSync(join(ROOT, 'docs/how-to/deploy.md'), 'utf8');
    const claims = ofKind('PersistentVolumeClaim').map(({ metadata }) => metadata?.name);
    for (const { pod, container, claims: own } of workloads) {
      const volumes = [...(pod.volumes ?? []).map(({ name }) => name), ...own];
      expect((container.volumeMounts ?? []).map(({ name }) => name).toSorted()).toEqual(volumes.toSorted());
      for (const { persistentVolumeClaim } of pod.volumes ?? []) {
        if (persistentVolumeClaim !== undefined) expect(claims).toContain(persistentVolumeClaim.claimName);
      }
      const secrets = [
        ...(pod.volumes ?? []).map(({ secret }) => ({ name: secret?.secretName, key: 'token' })),
        ...(container.env ?? []).map(({ valueFrom }) => ({
          name: valueFrom?.secretKeyRef?.name,
          key: valueFrom?.secretKeyRef?.key,
        })),
      ].filter(({ name }) => name !== undefined);
      expect(secrets).toHaveLength(1);
      for (const { name, key } of secrets) {
        expect(page).toMatch(new RegExp(`create secret generic ${name} .*--from-(?:literal|file)=${key}=`));
      }
    }
  });

  it('of the autoscaler and of the service monitor lead to the gateways and to the control planes', () => {
    expect(ofKind('HorizontalPodAutoscaler')[0]?.spec?.scaleTargetRef).toEqual({
      apiVersion: 'apps/v1',
      kind: 'StatefulSet',
      name: 'gateway',
    });
    const monitor = ServiceMonitor.parse(parse(readFileSync(join(FOLDER, 'monitoring/service-monitor.yaml'), 'utf8')));
    const labelled = ofKind('Service').filter(({ metadata }) =>
      Object.entries(monitor.spec.selector.matchLabels).every(([key, value]) => metadata?.labels?.[key] === value),
    );
    expect(labelled.map(({ metadata }) => metadata?.name)).toEqual(['control']);
    expect(labelled[0]?.spec?.ports?.[0]?.name).toBe(monitor.spec.endpoints[0]?.port);
  });
});

describe('workloads', () => {
  it.each(workloads)('$name runs without a privilege, on a file system that it cannot change', ({ pod, container }) => {
    expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
    expect(container.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
    expect(pod.automountServiceAccountToken).toBe(false);
    expect(container.resources?.requests?.['cpu']).toMatch(/^\d+m?$/);
    expect(container.resources?.limits?.['memory']).toMatch(/^\d+Gi$/);
  });

  it.each(workloads)('$name is given time for its drain', ({ pod, container }) => {
    const graceMs = Number(container.env?.find(({ name }) => name === 'UNDERSTUDY_DRAIN_GRACE_MS')?.value ?? '5000');
    // Then 30 s for what has begun.
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(graceMs / 1000 + 30);
  });

  it('write only to their volume', () => {
    for (const { container } of workloads) {
      const writable = (container.volumeMounts ?? [])
        .filter(({ readOnly }) => readOnly !== true)
        .map(({ mountPath }) => mountPath);
      expect(writable).toEqual(['/data']);
      expect(container.env).toContainEqual({ name: 'UNDERSTUDY_DATA', value: '/data' });
    }
  });

  it('are two control planes that share model files and three gateways that share nothing', () => {
    expect(ofKind('Deployment')[0]?.spec?.replicas).toBe(2);
    expect(ofKind('PersistentVolumeClaim')[0]?.spec?.accessModes).toEqual(['ReadWriteMany']);
    const [gateway] = ofKind('StatefulSet');
    expect(gateway?.spec?.volumeClaimTemplates?.[0]?.spec?.accessModes).toEqual(['ReadWriteOnce']);
    const headless = ofKind('Service').find(({ metadata }) => metadata?.name === gateway?.spec?.serviceName);
    expect(headless?.spec?.clusterIP).toBe('None');
  });

  it('lie in a folder that says nothing of where they were written', () => {
    for (const name of files) expect(readFileSync(join(FOLDER, name), 'utf8')).not.toContain(relative('/', ROOT));
  });
});
