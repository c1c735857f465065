// What a user of the published package writes. Runs in a folder that has nothing but the installed tarball, on every Node it promises.
import { fileStorage, openFlags, reportOutcomes, createUnderstudy } from '@understudy/sdk';
import { openRemoteFlags } from '@understudy/sdk/browser';
import { UnderstudyProvider } from '@understudy/sdk/openfeature';

const { url, gatewayUrl, serverKey, clientKey, feedbackKey, users } = JSON.parse(process.argv[2]);
const problems = [];
const onProblem = (problem) => problems.push(problem);

const outcomes = reportOutcomes({ url, key: feedbackKey, reporter: 'consumer', onProblem });
const flags = openFlags({ url, key: serverKey, storage: fileStorage('kept'), outcomes, onProblem });
const status = await flags.ready;
const values = users.map((user) => flags.string('checkout', { key: user, mail: `${user}@example.com` }, 'none'));

const decision = flags.version('ship', 'user-1', 'v0');
decision.report({ latencyMs: 3.5, prediction: 'cat' });
await outcomes.close();

const provider = new UnderstudyProvider(flags);
await provider.initialize();
const resolved = await provider.resolveStringEvaluation('checkout', 'none', {
  targetingKey: users[0],
  mail: `${users[0]}@example.com`,
});

const remote = openRemoteFlags({ url, key: clientKey, context: { key: users[0], mail: `${users[0]}@example.com` }, onProblem });
await remote.ready;
const remotely = remote.string('checkout', 'none');
await remote.close();
await provider.onClose();

// The server is not asked: what was kept is enough.
const cold = openFlags({ url, key: serverKey, storage: fileStorage('kept'), onProblem }, { ...portsWithoutNetwork() });
const coldStatus = await cold.ready;
const coldValues = users.map((user) => cold.string('checkout', { key: user, mail: `${user}@example.com` }, 'none'));
await cold.close();

const refused = await createUnderstudy({ gatewayUrl })
  .predict('nothing', [[1]])
  .catch(({ code }) => code);

function portsWithoutNetwork() {
  return {
    fetch: () => Promise.reject(new Error('no network')),
    nowMs: Date.now,
    random: Math.random,
    after(ms, call) {
      const timer = setTimeout(() => call(), ms);
      return () => clearTimeout(timer);
    },
  };
}

process.stdout.write(
  JSON.stringify({
    node: process.version,
    state: status.state,
    values,
    version: decision.version,
    sent: outcomes.status(),
    resolved,
    remotely,
    cold: { state: coldStatus.state, source: coldStatus.source, isSame: JSON.stringify(coldValues) === JSON.stringify(values) },
    refused,
    problems: problems.filter(({ message }) => !message.includes('no network')),
  }),
);
