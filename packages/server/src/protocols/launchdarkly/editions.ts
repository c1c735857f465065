/** The newest edition, made when somebody needs it, and told to the open streams. */
import { stateOf } from '../edge/admission.ts';
import type { FlagState, ProtocolPorts } from '../flag-world.ts';
import { type Edition, editionOf, newsOf } from './edition.ts';
import type { Streams } from './streams.ts';

export interface Editions {
  /** @throws AppError while no flags are loaded */
  current(): Edition;
  close(): void;
}

export function openEditions(
  { world, clock, log }: Pick<ProtocolPorts, 'world' | 'clock' | 'log'>,
  streams: Pick<Streams, 'size' | 'send'>,
): Editions {
  let edition: Edition | undefined;
  const advance = (state: FlagState): Edition => {
    const before = edition;
    const after = editionOf(state, clock.nowMs(), before);
    edition = after;
    const known = new Set(before?.losses.map(textOf));
    for (const loss of after.losses) if (!known.has(textOf(loss))) log.info(loss, 'launchdarkly.not_the_same');
    const news = before === undefined ? undefined : newsOf(before, after);
    if (news !== undefined) streams.send(news);
    return after;
  };
  const stop = world.onChange((state) => {
    // Nobody pays for a protocol that nobody speaks.
    if (streams.size === 0) return;
    try {
      advance(state);
    } catch (error) {
      // Streams keep what they have; the next change, or the next SDK to ask, tries again.
      log.warn({ err: error, revision: state.revision }, 'launchdarkly.rendering_failed');
    }
  });
  return {
    current() {
      const state = stateOf({ world });
      return edition === undefined || edition.state !== state ? advance(state) : edition;
    },
    close: stop,
  };
}

function textOf({ about, sentence }: Edition['losses'][number]): string {
  return `${about}: ${sentence}`;
}
