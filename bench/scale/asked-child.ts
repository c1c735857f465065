// A child on the core of the load that says what it has seen when it is asked, for the rows of the suite `scale`.
import { join } from 'node:path';
import { REPOSITORY_FOLDER } from '../harness/folders.ts';
import { LOAD_CORE, startProcess } from '../harness/running-process.ts';

export interface AskedChild<Answer> {
  /** What it says without being asked, when it has begun. */
  readonly first: Promise<Answer>;
  /** What it says next; one question at a time. */
  ask(): Promise<Answer>;
  stop(): Promise<void>;
}

/** @param name of its file: `gateways` is `gateways.child.ts` */
export async function startAsked<Answer>(name: string, argument: object): Promise<AskedChild<Answer>> {
  let answer = Promise.withResolvers<Answer>();
  const child = await startProcess({
    name,
    command: process.execPath,
    args: [join(REPOSITORY_FOLDER, `bench/scale/${name}.child.ts`), JSON.stringify(argument)],
    core: LOAD_CORE,
    onMessage: (message) => answer.resolve(message as Answer),
  });
  return {
    first: answer.promise,
    ask() {
      answer = Promise.withResolvers();
      child.send({});
      return answer.promise;
    },
    stop: () => child.stop(),
  };
}
