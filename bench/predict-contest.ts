// Predictions in process: our gateway against the article's service, same model, same requests, one core each.
import { comparisonRow, CPU, failuresRow, figureRows, P50, P99, THROUGHPUT } from './comparison.ts';
import { bodiesOf, DIGITS_MODEL_FILE, readDigitSamples } from './digit-samples.ts';
import type { Contestant } from './harness/contestant.ts';
import { runContest } from './harness/contest.ts';
import { SERVER_CORE } from './harness/running-process.ts';
import { expectedLabels, startArticle } from './rivals/article-rival.ts';
import type { Row } from './row.ts';
import type { SuiteOptions } from './suite.ts';
import { predictedLabelOf, startUnderstudy } from './understudy-server.ts';

const SUBJECT = 'predict';
const MINIMUM_THROUGHPUT_RATIO = 10;
// The first step of a roll-out: both services route, neither can skip the decision.
const CHALLENGER_PERCENT = 10;

export async function runPredictContest(options: SuiteOptions): Promise<readonly Row[]> {
  const samples = await readDigitSamples();
  const labels = await expectedLabels(DIGITS_MODEL_FILE, samples);
  const contestants: Contestant[] = [];
  try {
    if (!options.isRivalsOnly) contestants.push(await startOurs(labels));
    contestants.push(await startArticle({ modelFile: DIGITS_MODEL_FILE, labels, challengerPercent: CHALLENGER_PERCENT }));
    const results = await runContest(contestants, bodiesOf(samples), options);
    const ours = results.find((result) => result.name === 'understudy');
    const article = results.find((result) => result.name === 'article');
    if (article === undefined) throw new Error('the article did not take part');
    const metrics = [P50, P99, CPU];
    if (ours === undefined) return [...figureRows(SUBJECT, article, [THROUGHPUT, ...metrics]), failuresRow(SUBJECT, results)];
    const judged = comparisonRow({
      subject: SUBJECT,
      metric: THROUGHPUT,
      ours,
      rival: article,
      minimumRatio: MINIMUM_THROUGHPUT_RATIO,
    });
    const informing = metrics.map((metric) => comparisonRow({ subject: SUBJECT, metric, ours, rival: article }));
    return [judged, ...informing, failuresRow(SUBJECT, results)];
  } finally {
    for (const contestant of contestants) await contestant.stop();
  }
}

async function startOurs(labels: readonly number[]): Promise<Contestant> {
  const arm = { kind: 'onnx', file: DIGITS_MODEL_FILE } as const;
  const model = { name: 'digits', champion: arm, challenger: arm, challengerPercent: CHALLENGER_PERCENT };
  const server = await startUnderstudy({ models: [model], core: SERVER_CORE });
  return {
    name: 'understudy',
    url: server.predictUrl,
    headers: { authorization: `Bearer ${server.token}` },
    pids: [server.pid],
    complaintAbout: (answer, index) => {
      return predictedLabelOf(answer) === labels[index] ? undefined : `expected the label ${labels[index]}`;
    },
    stop: server.stop,
  };
}
