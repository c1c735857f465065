/** The release of this program, for people: in the API, in protocol metadata and in `--version`. */
import manifest from '../package.json' with { type: 'json' };

export const RELEASE: string = manifest.version;
