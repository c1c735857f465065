/** What to try while the demo keeps serving: addresses, one prediction, a few commands. `run-demo.ts` depends on it. */
import type { Palette } from './palette.ts';

export interface Farewell {
  readonly controlUrl: string;
  readonly gatewayUrl: string;
  /** Holds the operator's token. */
  readonly tokenFile: string;
  readonly predictToken: string;
  /** One row of digits. */
  readonly features: readonly number[];
}

/** Lines are as long as they must be: they are there to be pasted. */
export function farewellLines(farewell: Farewell, palette: Palette): readonly string[] {
  const { controlUrl, gatewayUrl, tokenFile, predictToken, features } = farewell;
  const said = (text: string) => palette.dim(`# ${text}`);
  return [
    `${palette.bold('Still serving, with light traffic.')} Ctrl-C ends it and removes its data.`,
    '',
    `  API documentation   ${controlUrl}/docs`,
    `  gateway             ${gatewayUrl}`,
    '',
    said('a prediction'),
    `curl -s ${gatewayUrl}/predict/digits -H 'authorization: Bearer ${predictToken}' \\`,
    `  -H 'content-type: application/json' -H 'x-user-id: you' -d '${JSON.stringify({ features })}'`,
    '',
    said('the command line, in another terminal'),
    `export UNDERSTUDY_URL=${controlUrl} UNDERSTUDY_TOKEN_FILE=${tokenFile}`,
    'npm run understudy -- status',
    'npm run understudy -- rollout why digits',
    'npm run understudy -- model history digits',
    'npm run understudy -- rollout start diabetes v4',
    'npm run understudy -- rollout get diabetes -w',
    'npm run understudy -- journal verify',
  ];
}
