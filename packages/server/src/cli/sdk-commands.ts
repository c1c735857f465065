/** `understudy sdk …`: which SDKs of other systems read flags here, and what to know about them. */
import type { Command } from './command.ts';
import { agoWords, showList } from './show.ts';

export const SDK_COMMANDS: readonly Command[] = [
  {
    path: 'sdk list',
    summary: 'List the SDKs that read flags, and warn about other hashes',
    details: [
      'Those that the control plane has heard of since it started, newest first.',
      'An SDK that evaluates by itself hashes as its family does: when a flag is',
      'split by another hash, its users may get other variants there.',
    ],
    examples: ['sdk list', 'sdk list --json'],
    async run(session) {
      const sdks = await session.ask('listSdks', {});
      await showList(session, sdks, {
        head: ['family', 'sdk', 'application', 'evaluates', 'last seen', 'since', 'warnings'],
        row: ({ family, sdk, application, isLocal, seenAtMs, firstSeenAtMs, warnings }) => [
          family,
          sdk,
          application,
          isLocal ? 'by itself' : 'here',
          agoWords(session, seenAtMs),
          agoWords(session, firstSeenAtMs),
          warnings.length === 0 ? 'none' : `${warnings.length}`,
        ],
        name: ({ sdk }) => sdk,
        empty: 'No SDK has asked for flags yet. Create a key for one: understudy token create <name> --sdk <family>',
      });
      for (const { sdk, application, warnings } of sdks) {
        for (const warning of warnings) session.note(`warning: ${sdk} of "${application}": ${warning}`);
      }
    },
  },
];
