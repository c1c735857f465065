import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { inspectOnnx } from './onnx-inspect.ts';
import { type OnnxGraph, writeOnnx } from './onnx-writer.ts';

const EXAMPLES = fileURLToPath(new URL('../../../../examples/models/', import.meta.url));
const LABEL = { name: 'label', dataType: 'INT64', shape: [-1] };
const PROBABILITIES = { name: 'probabilities', dataType: 'FP32', shape: [-1, 10] };
const FEATURES = { name: 'features', type: 'float32', shape: ['', 2] } as const;

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'understudy inspect-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

async function fileOf(content: Uint8Array | string): Promise<string> {
  const path = join(folder, 'model.onnx');
  await writeFile(path, content);
  return path;
}

function identity(type: 'float32' | 'float16' | 'string', names: readonly string[]): OnnxGraph {
  return {
    inputs: [{ name: 'x', type, shape: ['', 2] }],
    outputs: names.map((name) => ({ name, type, shape: ['', 2] })),
    nodes: names.map((name) => ({ operator: 'Identity', inputs: ['x'], outputs: [name] })),
  };
}

it.each(['v1', 'v2', 'v3', 'v4', 'v5'])('reads the signature of digits %s', async (version) => {
  expect(await inspectOnnx(join(EXAMPLES, 'digits', `${version}.onnx`))).toEqual({
    inputs: [{ name: 'features', dataType: 'FP32', shape: [-1, 64] }],
    outputs: [LABEL, PROBABILITIES],
    prediction: 'label',
  });
});

it.each(['v1', 'v2', 'v3', 'v4', 'v5'])('reads the signature of diabetes %s', async (version) => {
  expect(await inspectOnnx(join(EXAMPLES, 'diabetes', `${version}.onnx`))).toEqual({
    inputs: [{ name: 'features', dataType: 'FP32', shape: [-1, 10] }],
    outputs: [{ name: 'prediction', dataType: 'FP32', shape: [-1, 1] }],
    prediction: 'prediction',
  });
});

it.each([
  { name: 'the best known name wherever it stands', outputs: ['output', 'a', 'prediction'], expected: 'prediction' },
  { name: 'skl2onnx’s name for a regressor', outputs: ['a', 'variable'], expected: 'variable' },
  { name: 'the first output when no name is known', outputs: ['b', 'a'], expected: 'b' },
])('takes as prediction $name', async ({ outputs, expected }) => {
  const signature = await inspectOnnx(await fileOf(writeOnnx(identity('float32', outputs))));
  expect(signature.prediction).toBe(expected);
});

it('takes the first numeric output as prediction before one of texts', async () => {
  const graph: OnnxGraph = {
    inputs: [{ name: 't', type: 'string', shape: [''] }, FEATURES],
    outputs: [
      { name: 'words', type: 'string', shape: [''] },
      { name: 'score', type: 'float32', shape: ['', 2] },
    ],
    nodes: [
      { operator: 'Identity', inputs: ['t'], outputs: ['words'] },
      { operator: 'Identity', inputs: ['features'], outputs: ['score'] },
    ],
  };
  expect((await inspectOnnx(await fileOf(writeOnnx(graph)))).prediction).toBe('score');
});

it.each([
  { name: 'text', content: 'features,label\n1,2\n' },
  { name: 'a pickle', content: Buffer.from('\u0080\u0004\u0095csklearn.linear_model\nRidge\n.', 'latin1') },
])('refuses $name in one clean line', async ({ content }) => {
  await expect(inspectOnnx(await fileOf(content))).rejects.toMatchObject({
    code: 'artifact.invalid',
    message:
      'onnxruntime cannot load the model (Protobuf parsing failed): check that the file is a whole ONNX model and loads with onnxruntime in Python',
  });
});

it('refuses a truncated model', async () => {
  const whole = await readFile(join(EXAMPLES, 'digits', 'v2.onnx'));
  await expect(inspectOnnx(await fileOf(whole.subarray(0, 20_000)))).rejects.toMatchObject({ code: 'artifact.invalid' });
});

it('refuses an empty graph and a missing file without showing the path', async () => {
  const empty = inspectOnnx(await fileOf(writeOnnx({ inputs: [], outputs: [], nodes: [] })));
  await expect(empty).rejects.toMatchObject({ code: expect.stringMatching(/^artifact\./) });
  const missing = inspectOnnx(join(folder, 'no such file.onnx'));
  await expect(missing).rejects.toMatchObject({ code: 'artifact.invalid', message: expect.not.stringContaining(folder) });
});

it('refuses maps and says how to export without them', async () => {
  const graph: OnnxGraph = {
    inputs: [FEATURES],
    outputs: [{ name: 'output_probability', type: 'map', shape: [] }],
    nodes: [
      {
        operator: 'ZipMap',
        domain: 'ai.onnx.ml',
        inputs: ['features'],
        outputs: ['output_probability'],
        attributes: { classlabels_int64s: [0, 1] },
      },
    ],
  };
  await expect(inspectOnnx(await fileOf(writeOnnx(graph)))).rejects.toMatchObject({
    code: 'artifact.unsupported_format',
    message:
      'output "output_probability" is a map or a sequence, and only tensors can be served: ' +
      "export the model without it (skl2onnx: options={'zipmap': False})",
  });
});

it('refuses element types that no request can carry', async () => {
  await expect(inspectOnnx(await fileOf(writeOnnx(identity('float16', ['y']))))).rejects.toMatchObject({
    code: 'artifact.unsupported_format',
    message: 'input "x" has element type float16, which cannot be served: cast it inside the model, to float32 for example',
  });
});

it.each(['weights.bin', '../weights.bin', '/etc/hostname'])('refuses weights in another file: %s', async (location) => {
  const graph: OnnxGraph = {
    inputs: [FEATURES],
    outputs: [{ name: 'output', type: 'float32', shape: ['', 2] }],
    nodes: [{ operator: 'Add', inputs: ['features', 'w'], outputs: ['output'] }],
    constants: [{ name: 'w', type: 'float32', shape: [2], location }],
  };
  await expect(inspectOnnx(await fileOf(writeOnnx(graph)))).rejects.toMatchObject({
    code: 'artifact.invalid',
    message: expect.stringMatching(/its weights are in a second file; save it as one file/),
  });
});

it('stops a model that never ends', async () => {
  const body: OnnxGraph = {
    inputs: [
      { name: 'turn', type: 'int64', shape: [] },
      { name: 'go_before', type: 'bool', shape: [] },
      { name: 'x_before', type: 'float32', shape: ['', 2] },
    ],
    outputs: [
      { name: 'go_after', type: 'bool', shape: [] },
      { name: 'x_after', type: 'float32', shape: ['', 2] },
    ],
    nodes: [
      { operator: 'Identity', inputs: ['go_before'], outputs: ['go_after'] },
      { operator: 'Identity', inputs: ['x_before'], outputs: ['x_after'] },
    ],
  };
  const graph: OnnxGraph = {
    inputs: [FEATURES],
    outputs: [{ name: 'output', type: 'float32', shape: ['', 2] }],
    nodes: [{ operator: 'Loop', inputs: ['', 'go', 'features'], outputs: ['output'], attributes: { body } }],
    constants: [{ name: 'go', type: 'bool', shape: [], bytes: Uint8Array.of(1) }],
  };
  await expect(inspectOnnx(await fileOf(writeOnnx(graph)), { timeLimitMs: 1500 })).rejects.toMatchObject({
    code: 'artifact.invalid',
    message: 'the model did not load and run once within 1500 ms: make it smaller or faster',
  });
});
