/** Recognises model files that are refused, by their first bytes and their name, and says what to do instead. Upload depends on it. */
import { AppError } from '@understudy/core/errors';

interface Refused {
  readonly looksLike: string;
  /** Loading it can run code of whoever made it. */
  readonly isExecutable: boolean;
  readonly advice: string;
  readonly names: RegExp;
  matches(head: Uint8Array): boolean;
}

const SERVER = 'or keep serving it with a model server and register its address (--upstream)';
const SKLEARN = `export it to ONNX: pip install skl2onnx, then skl2onnx.to_onnx(model, X[:1].astype("float32"), options={"zipmap": False}); ${SERVER}`;
const TORCH = `export it to ONNX: torch.onnx.export(model, example, "model.onnx"); ${SERVER}`;
const KERAS = `export it to ONNX: pip install tf2onnx, then python -m tf2onnx.convert --keras model.h5 --output model.onnx; ${SERVER}`;

const REFUSED: readonly Refused[] = [
  {
    looksLike: 'a pickle',
    isExecutable: true,
    advice: SKLEARN,
    names: /\.(pkl|pickle|sav|joblib|cloudpickle)(\.(gz|z|bz2|xz|lzma))?$/i,
    // Protocols 2 to 5 begin with 0x80 and their number; older ones with an opcode and end with a full stop.
    matches: (head) =>
      (head[0] === 0x80 && (head[1] ?? 99) >= 2 && (head[1] ?? 99) <= 5) ||
      startsWith(head, '(dp', '(lp', 'ccopy_reg', 'c__builtin__', 'cos\n'),
  },
  {
    looksLike: 'a PyTorch file',
    isExecutable: true,
    advice: TORCH,
    names: /\.(pt|pth|ckpt|mar|torchscript)$/i,
    matches: (head) => startsWith(head, 'PK') && includes(head, 'data.pkl'),
  },
  {
    looksLike: 'a Keras file',
    isExecutable: true,
    advice: KERAS,
    names: /\.(h5|hdf5|keras)$/i,
    matches: (head) => startsWith(head, '\u0089HDF'),
  },
  {
    looksLike: 'a NumPy file',
    isExecutable: true,
    advice: SKLEARN,
    names: /\.(npy|npz)$/i,
    matches: (head) => startsWith(head, '\u0093NUMPY'),
  },
  {
    looksLike: 'an archive',
    isExecutable: true,
    advice: `upload the ONNX file inside of it by itself, ${SERVER}`,
    names: /\.(zip|jar|tar|tgz|gz|bz2|xz|7z|whl)$/i,
    matches: (head) => startsWith(head, 'PK', '\u001f\u008b', 'BZh', '\u00fd7zXZ') || includes(head.subarray(257, 262), 'ustar'),
  },
  {
    looksLike: 'weights without a graph',
    isExecutable: false,
    advice: `export the whole model to ONNX, ${SERVER}`,
    names: /\.(safetensors|gguf|ggml)$/i,
    matches: (head) => startsWith(head, 'GGUF') || (head[8] === 0x7b && includes(head, '__metadata__')),
  },
  {
    looksLike: 'a TensorFlow graph',
    isExecutable: false,
    advice: KERAS,
    names: /(\.pb|\.pbtxt|\.tflite)$/i,
    matches: (head) => includes(head.subarray(4, 8), 'TFL3'),
  },
];

/**
 * Refuses what is not a plain ONNX file.
 * @param head the first bytes of the file, at most a kilobyte of them is looked at
 * @param fileName as the caller calls it; only its ending is looked at
 * @throws AppError `artifact.executable_format` or `artifact.unsupported_format`
 */
export function refuseExecutableFormat(head: Uint8Array, fileName?: string): void {
  const found =
    REFUSED.find((format) => format.matches(head)) ??
    REFUSED.find((format) => fileName !== undefined && format.names.test(fileName));
  if (found === undefined) return;
  const why = found.isExecutable
    ? 'loading such a file can run any code that its maker put into it, so it is never loaded here'
    : 'it cannot be run here';
  throw new AppError(
    found.isExecutable ? 'artifact.executable_format' : 'artifact.unsupported_format',
    `the file looks like ${found.looksLike}: ${why}. Instead, ${found.advice}.`,
  );
}

function startsWith(head: Uint8Array, ...texts: readonly string[]): boolean {
  return texts.some((text) => includes(head.subarray(0, text.length), text));
}

function includes(bytes: Uint8Array, text: string): boolean {
  return Buffer.from(bytes).includes(Buffer.from(text, 'latin1'));
}
