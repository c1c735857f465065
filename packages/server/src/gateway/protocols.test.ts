import { readFileSync } from 'node:fs';
import { DEFAULT_ROUTING } from '@understudy/core/model';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type Answer,
  exampleVersion,
  MODELS_FOLDER,
  openExample,
  openRig,
  type Rig,
  snapshotOf,
  tokenOf,
} from './gateway-rig.contract.ts';

interface Samples {
  readonly features: readonly (readonly number[])[];
}

const digits = (JSON.parse(readFileSync(`${MODELS_FOLDER}digits/requests.json`, 'utf8')) as Samples).features.slice(0, 3);
const shifted = (JSON.parse(readFileSync(`${MODELS_FOLDER}digits/requests-shifted.json`, 'utf8')) as Samples).features;
const diabetes = (JSON.parse(readFileSync(`${MODELS_FOLDER}diabetes/requests.json`, 'utf8')) as Samples).features.slice(0, 3);
const operator = tokenOf('op', ['predict', 'operate']);

let rig: Rig;
const model = (name: 'digits' | 'diabetes', challenger: string) => ({
  name,
  champion: 'v2',
  isKilled: false,
  routing: DEFAULT_ROUTING,
  versions: ['v2', challenger].map((version) => exampleVersion(name, version)),
  rollout: { id: `${name}-1`, challenger, step: 0, boundary: name === 'digits' ? 100_000 : 0, salt: name },
});

beforeAll(async () => {
  const snapshot = snapshotOf(1, [model('digits', 'v5'), model('diabetes', 'v1')], [operator.token]);
  rig = await openRig({ snapshot, openRuntime: openExample });
  expect(rig.gateway.problems()).toEqual([]);
});

afterAll(() => rig[Symbol.asyncDispose]());

const labels = async (): Promise<number[]> => {
  const { json } = await rig.post('/predict/digits', { features: digits });
  return (json as { predictions: number[] }).predictions;
};

describe('plain', () => {
  it('answers one row with one prediction and several with several', async () => {
    const one = await rig.post('/predict/digits', { features: digits[0] });
    const many = await rig.post('/predict/digits', { features: digits });
    expect(one.json).toMatchObject({ prediction: (await labels())[0], model: 'digits', version: 'v5', arm: 'challenger' });
    expect(many.json).toMatchObject({ predictions: await labels(), outputs: { label: await labels() } });
    expect((many.json as { outputs: { probabilities: number[][] } }).outputs.probabilities[2]).toHaveLength(10);
  });

  it('takes inputs by name', async () => {
    expect((await rig.post('/predict/digits', { inputs: { features: digits[0] } })).json).toMatchObject({
      prediction: (await labels())[0],
    });
    expect((await rig.post('/predict/digits', { inputs: { features: digits } })).json).toMatchObject({
      predictions: await labels(),
    });
  });

  it('makes a bare value of an output of one column', async () => {
    const { json } = await rig.post('/predict/diabetes', { features: diabetes[0] });
    expect(typeof (json as { prediction: unknown }).prediction).toBe('number');
  });

  it.each([
    { name: 'no JSON object', body: [1], message: 'the body is no JSON object' },
    { name: 'neither form', body: { rows: [] }, message: 'neither "features" nor "inputs"' },
    { name: 'both forms', body: { features: [], inputs: {} }, message: 'both' },
    { name: 'a text', body: { features: ['1'] }, message: 'found the text "1"' },
    { name: 'too few features', body: { features: [1, 2] }, message: 'must be 64' },
    {
      name: 'rows of different lengths',
      body: { features: [[1, 2], [3]] },
      message: 'an array of 1 values where 2 were expected',
    },
    { name: 'a row among values', body: { features: [1, [2]] }, message: 'nested to different depths' },
    {
      name: 'a number that the type cannot hold',
      body: { features: [[...Array.from({ length: 63 }, () => 0), 1e39]] },
      message: 'FP32 cannot hold',
    },
    {
      name: 'an unknown input',
      body: { inputs: { pixels: [] } },
      message: 'no input "pixels". The model expects "features" (FP32 [any, 64])',
    },
    { name: 'no input', body: { inputs: {} }, message: 'input "features" is missing' },
    { name: 'no rows', body: { features: [] }, message: 'dimension' },
  ])('refuses $name and says what is expected', async ({ body, message }) => {
    const answer = await rig.post('/predict/digits', body);
    expect(answer).toMatchObject({
      status: 400,
      json: { error: { code: 'request.invalid', message: expect.stringContaining(message) } },
    });
  });

  it('rescues the rows that a real challenger throws on', async () => {
    const inked = shifted.find((row) => Math.max(...row) > 16);
    const answer = await rig.post('/predict/digits', { features: inked });
    expect(answer).toMatchObject({ status: 200, json: { version: 'v2' } });
    expect(answer.headers['x-understudy-reason']).toBe('rescued');
  });
});

describe('Open Inference Protocol', () => {
  const input = { name: 'features', shape: [1, 64], datatype: 'FP32', data: digits[0] };
  const infer = (body: unknown, path = '/v2/models/digits/infer', headers = {}): Promise<Answer> => rig.post(path, body, headers);

  it('echoes the id and answers flat data with its shape', async () => {
    const { json } = await infer({ id: 'a-1', inputs: [input] });
    expect(json).toMatchObject({
      id: 'a-1',
      model_name: 'digits',
      model_version: 'v5',
      outputs: [
        { name: 'label', datatype: 'INT64', shape: [1], data: [(await labels())[0]] },
        { name: 'probabilities', datatype: 'FP32', shape: [1, 10] },
      ],
    });
  });

  it('answers only the outputs asked for', async () => {
    const { json } = await infer({ inputs: [input], outputs: [{ name: 'probabilities' }] });
    expect(
      (json as { outputs: { name: string; data: number[] }[] }).outputs.map(({ name, data }) => [name, data.length]),
    ).toEqual([['probabilities', 10]]);
  });

  it('reads nested data like flat data', async () => {
    const [flat, nested] = [
      await infer({ inputs: [{ ...input, shape: [3, 64], data: digits.flat() }] }),
      await infer({ inputs: [{ ...input, shape: [3, 64], data: digits }] }),
    ];
    expect(nested.json).toEqual(flat.json);
  });

  it.each([
    { name: 'another datatype', body: { inputs: [{ ...input, datatype: 'FP64' }] }, message: 'the model takes "FP32"' },
    {
      name: 'a shape that is not the data’s',
      body: { inputs: [{ ...input, shape: [2, 64] }] },
      message: '64 values for a shape of [2, 64]',
    },
    { name: 'an impossible shape', body: { inputs: [{ ...input, shape: [1e9, 1e9] }] }, message: '64 values for a shape' },
    { name: 'a negative dimension', body: { inputs: [{ ...input, shape: [-1, 64] }] }, message: 'dimension' },
    {
      name: 'binary data',
      body: { inputs: [{ ...input, parameters: { binary_data_size: 256 } }] },
      message: 'send "data" as JSON',
    },
    { name: 'an unknown output', body: { inputs: [input], outputs: [{ name: 'x' }] }, message: 'only "label", "probabilities"' },
    { name: 'an unknown input', body: { inputs: [{ ...input, name: 'x' }] }, message: 'no input "x"' },
    { name: 'no inputs', body: {}, message: 'no array "inputs"' },
  ])('refuses $name in its own shape', async ({ body, message }) => {
    const answer = await infer(body);
    expect(answer).toMatchObject({ status: 400, json: { error: expect.stringContaining(message) } });
    expect(answer.headers['x-understudy-error']).toBe('request.invalid');
  });

  it('serves a version in the path to those who may operate', async () => {
    expect((await infer({ inputs: [input] }, '/v2/models/digits/versions/v2/infer')).status).toBe(403);
    const answer = await infer({ inputs: [input] }, '/v2/models/digits/versions/v2/infer', { authorization: operator.text });
    expect(answer.json).toMatchObject({ model_version: 'v2' });
    expect(answer.headers['x-understudy-reason']).toBe('forced');
  });

  it('describes server and models', async () => {
    expect((await rig.get('/v2')).json).toEqual({ name: 'understudy', version: '0.1.0', extensions: [] });
    expect((await rig.get('/v2/models/digits')).json).toMatchObject({
      name: 'digits',
      versions: ['v2', 'v5'],
      platform: 'onnx_onnxv1',
      inputs: [{ name: 'features', datatype: 'FP32', shape: [-1, 64] }],
    });
    expect((await rig.get('/v2/models/digits/versions/v5/ready')).json).toEqual({ name: 'digits', ready: true });
    expect(await rig.get('/v2/models/digits/versions/v9')).toMatchObject({
      status: 404,
      json: { error: expect.stringContaining('v9') },
    });
    expect(await rig.get('/v2/models/unknown')).toMatchObject({
      status: 404,
      json: { error: expect.stringContaining('"digits", "diabetes"') },
    });
  });
});

describe('TensorFlow Serving and KServe v1', () => {
  const predict = (body: unknown, name = 'digits'): Promise<Answer> => rig.post(`/v1/models/${name}:predict`, body);

  it('answers rows with rows and columns with columns', async () => {
    const rows = (await predict({ instances: digits })).json as { predictions: { label: number; probabilities: number[] }[] };
    expect(rows.predictions.map(({ label }) => label)).toEqual(await labels());
    expect(rows.predictions[0]?.probabilities).toHaveLength(10);
    expect((await predict({ instances: digits.map((features) => ({ features })) })).json).toEqual(rows);
    expect((await predict({ inputs: digits })).json).toMatchObject({ outputs: { label: await labels() } });
    expect((await predict({ inputs: { features: digits }, signature_name: 'serving_default' })).json).toMatchObject({
      outputs: { label: await labels() },
    });
  });

  it('leaves the name out where there is one output', async () => {
    const { json } = await predict({ instances: diabetes }, 'diabetes');
    expect((json as { predictions: number[][] }).predictions.map((row) => row.length)).toEqual([1, 1, 1]);
  });

  it.each([
    { name: 'another signature', body: { instances: digits, signature_name: 'train' }, message: 'only "serving_default"' },
    { name: 'both formats', body: { instances: digits, inputs: digits }, message: 'both' },
    { name: 'no rows', body: { instances: [] }, message: 'no array of rows' },
    { name: 'rows without an input', body: { instances: [{ x: 1 }] }, message: 'row 0 has no "features"' },
  ])('refuses $name in its own shape', async ({ body, message }) => {
    expect(await predict(body)).toMatchObject({ status: 400, json: { error: expect.stringContaining(message) } });
  });

  it('tells the status in the words of both', async () => {
    expect((await rig.get('/v1/models/digits')).json).toMatchObject({
      name: 'digits',
      ready: true,
      model_version_status: [
        { version: 'v2', state: 'AVAILABLE' },
        { version: 'v5', state: 'AVAILABLE' },
      ],
    });
    expect((await rig.get('/v1/models')).json).toEqual({ models: ['digits', 'diabetes'] });
    expect((await rig.post('/v1/models/digits:classify', {})).status).toBe(404);
  });
});

describe('MLflow', () => {
  const columns = Array.from({ length: 64 }, (_, index) => `pixel_${index}`);
  const score = (body: unknown, headers: Record<string, string> = { 'x-understudy-model': 'digits' }): Promise<Answer> =>
    rig.post('/invocations', body, headers);

  it.each([
    { name: 'dataframe_split', body: { dataframe_split: { columns, data: digits, index: [0, 1, 2] } } },
    {
      name: 'dataframe_records',
      body: { dataframe_records: digits.map((row) => Object.fromEntries(row.map((value, index) => [columns[index], value]))) },
    },
    { name: 'instances', body: { instances: digits } },
    { name: 'inputs', body: { inputs: digits } },
    { name: 'inputs by name', body: { inputs: { features: digits } } },
  ])('scores $name', async ({ body }) => {
    expect((await score(body)).json).toEqual({ predictions: await labels() });
  });

  it('takes the model from the path, and asks for it where there are several', async () => {
    expect((await rig.post('/models/digits/invocations', { inputs: digits })).json).toEqual({ predictions: await labels() });
    expect(await score({ inputs: digits }, {})).toMatchObject({
      status: 400,
      json: { error_code: 'BAD_REQUEST', message: expect.stringContaining('x-understudy-model') },
    });
  });

  it.each([
    { name: 'no format', body: {}, message: 'none of dataframe_split' },
    { name: 'two formats', body: { inputs: digits, instances: digits }, message: 'several of' },
    { name: 'a row of another length', body: { dataframe_split: { columns, data: [[1]] } }, message: 'row 0' },
    { name: 'records of other columns', body: { dataframe_records: [{ a: 1 }, { b: 1 }] }, message: 'record 1 has no "a"' },
  ])('refuses $name in its own shape', async ({ body, message }) => {
    expect(await score(body)).toMatchObject({
      status: 400,
      json: { error_code: 'BAD_REQUEST', message: expect.stringContaining(message) },
    });
  });

  it('tells its release', async () => {
    expect((await rig.get('/version')).text).toBe('0.1.0');
  });
});

describe('every protocol', () => {
  it.each([
    { path: '/predict/nope', shape: { error: { code: 'model.not_found' } } },
    { path: '/v2/models/nope/infer', shape: { error: expect.stringContaining('"nope"') } },
    { path: '/v1/models/nope:predict', shape: { error: expect.stringContaining('"nope"') } },
    { path: '/models/nope/invocations', shape: { error_code: 'RESOURCE_DOES_NOT_EXIST' } },
  ])('says in its own shape that there is no model: $path', async ({ path, shape }) => {
    const answer = await rig.post(path, {});
    expect(answer).toMatchObject({ status: 404, json: shape });
    expect(answer.headers['x-understudy-error']).toBe('model.not_found');
  });

  it.each(['text/plain', 'application/octet-stream', 'application/jsonp', 'multipart/form-data; boundary=x'])(
    'refuses the content type %s',
    async (type) => {
      const answer = await rig.post('/predict/digits', { features: digits[0] }, { 'content-type': type });
      expect(answer).toMatchObject({ status: 415, json: { error: { code: 'request.unsupported_media_type' } } });
    },
  );

  it('takes parameters of the content type', async () => {
    const answer = await rig.post(
      '/predict/digits',
      { features: digits[0] },
      { 'content-type': 'Application/JSON; charset=utf-8' },
    );
    expect(answer.status).toBe(200);
  });

  it('takes the right method only', async () => {
    expect(await rig.get('/predict/digits')).toMatchObject({
      status: 405,
      json: { error: { code: 'request.method_not_allowed' } },
    });
    expect((await rig.post('/readyz', {})).status).toBe(405);
    expect((await rig.post('/nothing', {})).status).toBe(404);
  });
});
