/** Recognises model files that are not ONNX by their first bytes and their name, and says what to do with them. */
import { AppError } from '@understudy/core/errors';

interface Format {
  /** Completes "this looks like …". */
  readonly looksLike: string;
  /** Runs code when it is loaded; otherwise there is only nothing here that can run it. */
  readonly isExecutable: boolean;
  readonly why: string;
  readonly export: string;
  readonly matches: (head: Head) => boolean;
}

/** The beginning of a file: as text of one character per byte, so that patterns can be matched, and its lower-case name. */
interface Head {
  readonly bytes: string;
  readonly name: string;
}

const OWN_SERVER =
  'or run the model in a server of its own (MLflow, TorchServe, TensorFlow Serving, Triton, BentoML) and register its address';
const RUNS_CODE = 'loading such a file runs whatever code it contains';

const EXPORT_SKLEARN = 'export it to ONNX: `skl2onnx.to_onnx(model, X[:1]).SerializeToString()`';
const EXPORT_TORCH = 'export it to ONNX: `torch.onnx.export(model.eval(), (example,), "model.onnx")`';
const EXPORT_KERAS =
  'export it to ONNX: `model.export("model.onnx", format="onnx")`, or `tf2onnx.convert.from_keras(model, output_path="model.onnx")`';
const EXPORT_TENSORFLOW = 'export it to ONNX: `python -m tf2onnx.convert --saved-model DIRECTORY --output model.onnx`';
const UPLOAD_INSIDE = 'unpack it and upload the ONNX file that is inside';

const named =
  (...endings: readonly string[]) =>
  ({ name }: Head) =>
    endings.some((ending) => name.endsWith(ending));
const begins =
  (...starts: readonly string[]) =>
  ({ bytes }: Head) =>
    starts.some((start) => bytes.startsWith(start));
const either =
  (...tests: readonly Format['matches'][]) =>
  (head: Head) =>
    tests.some((test) => test(head));
const both =
  (...tests: readonly Format['matches'][]) =>
  (head: Head) =>
    tests.every((test) => test(head));
const holds =
  (...parts: readonly string[]) =>
  ({ bytes }: Head) =>
    parts.some((part) => bytes.includes(part));

const isZip = begins('PK\x03\x04', 'PK\x05\x06', 'PK\x07\x08');
const isTar = ({ bytes }: Head) => bytes.startsWith('ustar', 257);
// zlib, gzip, bzip2, xz, lzma, lz4 and zstd: what `joblib.dump(…, compress=…)` writes.
const isCompressed = either(
  // oxlint-disable-next-line no-control-regex -- these are the bytes of the format
  ({ bytes }) => /^\x78[\x01\x5e\x9c\xda]/.test(bytes),
  begins('\x1f\x8b', 'BZh', '\xfd7zXZ\0', '\x5d\0\0', '\x04"M\x18', '\x28\xb5\x2f\xfd'),
);
// PROTO of protocols 2 to 5; for 0 and 1, which have no mark, the ways in which a container or an object begins.
const isPickle = ({ bytes }: Head) =>
  // oxlint-disable-next-line no-control-regex -- these are the bytes of the format
  /^\x80[\x02-\x05]/.test(bytes) ||
  /^(?:c[\w.]+\n[\w.]+\n|\((?:c[\w.]+\n|i[\w.]+\n|[dlt](?:p\d+\n|q|\.)|[SV].*\np\d|I-?\d+\n|F[\d.e+-]+\n|lp\d)|[\]})][q.]|(?:I-?\d+|F[\d.e+-]+|[SV].*)\n(?:p\d+\n)?\.)/.test(
    bytes,
  );
// SavedModel: schema version 1, then a meta graph whose first field is a message; ONNX has its producer's name there.
// oxlint-disable-next-line no-control-regex -- these are the bytes of the format
const isSavedModel = ({ bytes }: Head) => /^\x08\x01\x12[\x80-\xff]*[\0-\x7f]\x0a/.test(bytes);
// A length of at most 16 MB in eight bytes, and the JSON that it is the length of.
const isSafetensors = ({ bytes }: Head) => /^[^]{3}\0\0\0\0\0\{\s*"/.test(bytes);

/** First match wins: what the bytes say goes before what a name says, and a special archive before archives at large. */
const FORMATS: readonly Format[] = [
  {
    looksLike: 'a Git LFS pointer, not the file itself',
    isExecutable: false,
    why: 'it holds only the address of the model',
    export: 'run `git lfs pull` and upload the file again',
    matches: begins('version https://git-lfs'),
  },
  {
    looksLike: 'a PyTorch file (.pt, .pth)',
    isExecutable: true,
    why: `it holds a pickle, and ${RUNS_CODE}`,
    export: EXPORT_TORCH,
    matches: either(
      begins('\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19'),
      both(isZip, holds('data.pkl', 'constants.pkl')),
      named('.pt', '.pth', '.ckpt', '.pt2'),
    ),
  },
  {
    looksLike: 'a TorchServe archive (.mar)',
    isExecutable: true,
    why: 'it holds Python code',
    export: EXPORT_TORCH,
    matches: either(both(isZip, holds('MAR-INF/')), named('.mar')),
  },
  {
    looksLike: 'a Java archive (.jar)',
    isExecutable: true,
    why: 'it holds programs',
    export: 'export the model to ONNX with its own library',
    matches: either(both(isZip, holds('META-INF/MANIFEST')), named('.jar', '.war')),
  },
  {
    looksLike: 'a Keras file (.h5, .keras)',
    isExecutable: true,
    why: `its Lambda layers are Python code, and ${RUNS_CODE}`,
    export: EXPORT_KERAS,
    matches: either(begins('\x89HDF\r\n\x1a\n'), both(isZip, holds('model.weights.h5')), named('.h5', '.hdf5', '.keras')),
  },
  {
    looksLike: 'a NumPy file (.npy, .npz)',
    isExecutable: true,
    why: `its arrays may hold pickled objects, and ${RUNS_CODE}; it is no model either`,
    export: 'export the model itself to ONNX',
    matches: either(begins('\x93NUMPY'), both(isZip, holds('.npy')), named('.npy', '.npz')),
  },
  {
    looksLike: 'a Python pickle',
    isExecutable: true,
    why: RUNS_CODE,
    export: EXPORT_SKLEARN,
    matches: either(isPickle, named('.pkl', '.pickle', '.dill', '.sav', '.p')),
  },
  {
    looksLike: 'a compressed ONNX file',
    isExecutable: false,
    why: 'files are stored as they are',
    export: UPLOAD_INSIDE,
    matches: both(isCompressed, ({ name }) => name.includes('.onnx.')),
  },
  {
    looksLike: 'a joblib file',
    isExecutable: true,
    why: `it is a pickle, often compressed, and ${RUNS_CODE}`,
    export: EXPORT_SKLEARN,
    matches: either(
      both(isCompressed, (head) => !named('.tgz', '.tar.gz', '.tar.bz2', '.tar.xz')(head)),
      named('.joblib', '.jl'),
    ),
  },
  {
    looksLike: 'a TensorFlow SavedModel or graph (.pb)',
    isExecutable: true,
    why: 'its operations can read and write files',
    export: EXPORT_TENSORFLOW,
    matches: either(isSavedModel, named('.pb', '.pbtxt')),
  },
  {
    looksLike: 'a program',
    isExecutable: true,
    why: 'it is code and no model',
    export: 'upload an ONNX file',
    matches: either(begins('\x7fELF', '#!', '\xcf\xfa\xed\xfe', '\xca\xfe\xba\xbe'), both(begins('MZ'), holds('PE\0\0'))),
  },
  {
    looksLike: 'a zip archive',
    isExecutable: false,
    why: 'an archive may hold anything',
    export: UPLOAD_INSIDE,
    matches: either(isZip, named('.zip')),
  },
  {
    looksLike: 'a tar archive',
    isExecutable: false,
    why: 'an archive may hold anything',
    export: UPLOAD_INSIDE,
    matches: either(isTar, named('.tar', '.tgz', '.tar.gz', '.tar.bz2', '.tar.xz')),
  },
  {
    looksLike: 'a safetensors file',
    isExecutable: false,
    why: 'it holds weights without the computation',
    export: EXPORT_TORCH,
    matches: either(isSafetensors, named('.safetensors')),
  },
  {
    looksLike: 'a GGUF file',
    isExecutable: false,
    why: 'large language models run in servers of their own',
    export: 'serve it with llama.cpp or vLLM',
    matches: either(begins('GGUF'), named('.gguf', '.ggml')),
  },
  {
    looksLike: 'a TensorFlow Lite file',
    isExecutable: false,
    why: 'only ONNX files run here',
    export: 'convert it: `python -m tf2onnx.convert --tflite model.tflite --output model.onnx`',
    matches: either(({ bytes }) => bytes.startsWith('TFL3', 4), named('.tflite')),
  },
];

/**
 * Lets everything pass that could be an ONNX file.
 * @param head the first bytes of the file; 1 024 are enough
 * @param fileName as the sender calls it; only read
 * @throws AppError `artifact.executable_format` or `artifact.unsupported_format`, saying how to export the model
 */
export function refuseExecutableFormat(head: Uint8Array, fileName?: string): void {
  const seen: Head = { bytes: Buffer.from(head.subarray(0, 4096)).toString('latin1'), name: (fileName ?? '').toLowerCase() };
  const format = FORMATS.find(({ matches }) => matches(seen));
  if (format === undefined) return;
  throw new AppError(
    format.isExecutable ? 'artifact.executable_format' : 'artifact.unsupported_format',
    `cannot store this file: it looks like ${format.looksLike}, and ${format.why}. Instead, ${format.export}, ${OWN_SERVER}.`,
  );
}
