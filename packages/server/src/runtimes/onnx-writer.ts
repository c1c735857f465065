/** Writes tiny ONNX files, so that tests can have models that no example has: odd types, endless loops, weights elsewhere. */

/** ONNX's numbers for element types. */
export const ELEMENT = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int16: 5,
  int32: 6,
  int64: 7,
  string: 8,
  bool: 9,
  float16: 10,
  float64: 11,
} as const;
export type Element = keyof typeof ELEMENT;

/** A named input or output; a text in the shape is a free dimension of that name. `map` stands for a sequence of maps. */
export interface OnnxValue {
  readonly name: string;
  readonly type: Element | 'map';
  readonly shape: readonly (number | string)[];
}

export interface OnnxNode {
  readonly operator: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly domain?: 'ai.onnx.ml';
  readonly attributes?: Readonly<Record<string, number | readonly number[] | OnnxGraph>>;
}

/** A constant; `location` puts its data into another file, which nobody writes. */
export interface OnnxConstant {
  readonly name: string;
  readonly type: Element;
  readonly shape: readonly number[];
  readonly bytes?: Uint8Array;
  readonly location?: string;
}

export interface OnnxGraph {
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  readonly nodes: readonly OnnxNode[];
  readonly constants?: readonly OnnxConstant[];
}

const IR_VERSION = 8;
const OPSET = 17;
const ML_OPSET = 3;
const EXTERNAL = 1;

// Field numbers below are those of onnx.proto3 (github.com/onnx/onnx).
export function writeOnnx(graph: OnnxGraph): Uint8Array {
  return bytes(
    number(1, IR_VERSION),
    message(8, text(1, ''), number(2, OPSET)),
    message(8, text(1, 'ai.onnx.ml'), number(2, ML_OPSET)),
    message(7, graphOf(graph)),
  );
}

function graphOf({ nodes, inputs, outputs, constants = [] }: OnnxGraph): Uint8Array {
  return bytes(
    ...nodes.map((node) => message(1, nodeOf(node))),
    text(2, 'graph'),
    ...constants.map((constant) => message(5, constantOf(constant))),
    ...inputs.map((value) => message(11, valueOf(value))),
    ...outputs.map((value) => message(12, valueOf(value))),
  );
}

function nodeOf({ operator, inputs, outputs, domain, attributes = {} }: OnnxNode): Uint8Array {
  return bytes(
    ...inputs.map((name) => text(1, name)),
    ...outputs.map((name) => text(2, name)),
    text(4, operator),
    ...Object.entries(attributes).map(([name, value]) => message(5, text(1, name), attributeOf(value))),
    ...(domain === undefined ? [] : [text(7, domain)]),
  );
}

function attributeOf(value: number | readonly number[] | OnnxGraph): Uint8Array {
  if (typeof value === 'number') return bytes(number(3, value), number(20, 2));
  if ('nodes' in value) return bytes(message(6, graphOf(value)), number(20, 5));
  return bytes(...value.map((item) => number(8, item)), number(20, 7));
}

function constantOf({ name, type, shape, bytes: data, location }: OnnxConstant): Uint8Array {
  return bytes(
    ...shape.map((size) => number(1, size)),
    number(2, ELEMENT[type]),
    text(8, name),
    ...(data === undefined ? [] : [message(9, data)]),
    ...(location === undefined ? [] : [message(13, text(1, 'location'), text(2, location)), number(14, EXTERNAL)]),
  );
}

function valueOf({ name, type, shape }: OnnxValue): Uint8Array {
  return bytes(text(1, name), message(2, type === 'map' ? sequenceOfMaps() : tensorOf(type, shape)));
}

function tensorOf(type: Element, shape: OnnxValue['shape']): Uint8Array {
  const sizes = shape.map((size) => message(1, typeof size === 'number' ? number(1, size) : text(2, size)));
  return message(1, number(1, ELEMENT[type]), message(2, ...sizes));
}

function sequenceOfMaps(): Uint8Array {
  return message(4, message(1, message(5, number(1, ELEMENT.int64), message(2, tensorOf('float32', [])))));
}

function bytes(...parts: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(parts);
}

function message(field: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const content = bytes(...parts);
  return bytes(varint(field * 8 + 2), varint(content.length), content);
}

function text(field: number, value: string): Uint8Array {
  return message(field, Buffer.from(value));
}

function number(field: number, value: number): Uint8Array {
  return bytes(varint(field * 8), varint(value));
}

function varint(value: number): Uint8Array {
  const out: number[] = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) out.push((rest % 128) + 128);
  return Uint8Array.from([...out, rest]);
}
