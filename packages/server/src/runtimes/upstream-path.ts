/** Where each wire protocol has its endpoints on a model server. */
import type { UpstreamProtocol } from '@understudy/core/model-version';

/** A path below the server's base address. */
export interface UpstreamPaths {
  readonly predict: string;
  /** Asked when the version is opened. */
  readonly probe: string;
  /** Whether the protocol promises 200 at `probe` for a model that is ready; if not, any answer shows that the server lives. */
  readonly isProbeBinding: boolean;
}

/** The endpoints of a remote model. With the plain protocol an empty name means a server of one model: `POST /predict`. */
export function pathsOf(protocol: UpstreamProtocol, remoteModel: string): UpstreamPaths {
  const name = encodeURIComponent(remoteModel);
  switch (protocol) {
    case 'predict':
      return { predict: name === '' ? '/predict' : `/predict/${name}`, probe: '/', isProbeBinding: false };
    case 'open-inference':
      return { predict: `/v2/models/${name}/infer`, probe: `/v2/models/${name}/ready`, isProbeBinding: true };
    case 'tensorflow':
      return { predict: `/v1/models/${name}:predict`, probe: `/v1/models/${name}`, isProbeBinding: true };
    case 'mlflow':
      return { predict: '/invocations', probe: '/ping', isProbeBinding: false };
  }
}
