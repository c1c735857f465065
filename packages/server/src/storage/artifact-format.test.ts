import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { refuseExecutableFormat } from './artifact-format.ts';

const bytes = (text: string) => Buffer.from(text, 'latin1');
const zipOf = (name: string) => bytes(`PK\x03\x04\x14\0\0\0\0\0${'\0'.repeat(16)}\x10\0\0\0${name}content`);
const tar = bytes(`file${'\0'.repeat(253)}ustar\x0000`);
const ONNX = bytes('\x08\x08\x12\x07pytorch\x1a\x052.5.1:\xa4\x01\n');

function refusalOf(head: Uint8Array, name?: string): unknown {
  try {
    refuseExecutableFormat(head, name);
    return undefined;
  } catch (error) {
    return error;
  }
}

describe('formats that run code', () => {
  it.each([
    { name: 'pickle, protocol 0: dictionary', head: bytes("(dp0\nS'a'\np1\nI1\ns."), like: 'pickle' },
    { name: 'pickle, protocol 0: attack', head: bytes("cos\nsystem\n(S'id'\ntR."), like: 'pickle' },
    { name: 'pickle, protocol 0: attack by instance', head: bytes("(ios\nsystem\nS'id'\n."), like: 'pickle' },
    { name: 'pickle, protocol 0: object', head: bytes('ccopy_reg\n_reconstructor\np0\n(c__main__\nA\n'), like: 'pickle' },
    { name: 'pickle, protocol 0: attack as argument', head: bytes("(cos\nsystem\nS'id'\no."), like: 'pickle' },
    { name: 'pickle, protocol 0: number', head: bytes('I42\n.'), like: 'pickle' },
    { name: 'pickle, protocol 0: text', head: bytes('Vhello\np0\n.'), like: 'pickle' },
    { name: 'pickle, protocol 1', head: bytes('}q\0(U\x01aq\x01K\x01u.'), like: 'pickle' },
    { name: 'pickle, protocol 1: list', head: bytes(']q\0(K\x01K\x02e.'), like: 'pickle' },
    ...[2, 3, 4, 5].map((protocol) => ({
      name: `pickle, protocol ${protocol}`,
      head: bytes(`\x80${String.fromCharCode(protocol)}}q\0.`),
      like: 'pickle',
    })),
    { name: 'joblib, zlib', head: bytes('\x78\x9c\xed\xbd'), like: 'joblib' },
    { name: 'joblib, gzip', head: bytes('\x1f\x8b\x08\0'), like: 'joblib' },
    { name: 'joblib, bzip2', head: bytes('BZh91AY'), like: 'joblib' },
    { name: 'joblib, xz', head: bytes('\xfd7zXZ\0\0'), like: 'joblib' },
    { name: 'joblib, lzma', head: bytes('\x5d\0\0\x80\0'), like: 'joblib' },
    { name: 'joblib, lz4', head: bytes('\x04"M\x18d'), like: 'joblib' },
    { name: 'PyTorch, zip', head: zipOf('archive/data.pkl'), like: 'PyTorch' },
    { name: 'TorchScript', head: zipOf('model/constants.pkl'), like: 'PyTorch' },
    { name: 'PyTorch, legacy', head: bytes('\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.'), like: 'PyTorch' },
    { name: 'TorchServe archive', head: zipOf('MAR-INF/MANIFEST.json'), like: 'TorchServe' },
    { name: 'Keras, HDF5', head: bytes('\x89HDF\r\n\x1a\n\0'), like: 'Keras' },
    { name: 'Keras, zip', head: zipOf('model.weights.h5'), like: 'Keras' },
    { name: 'NumPy', head: bytes('\x93NUMPY\x01\0'), like: 'NumPy' },
    { name: 'NumPy, zip', head: zipOf('weights.npy'), like: 'NumPy' },
    { name: 'jar', head: zipOf('META-INF/MANIFEST.MF'), like: 'Java' },
    { name: 'SavedModel', head: bytes('\x08\x01\x12\xc8\x13\x0a\x86\x02'), like: 'SavedModel' },
    { name: 'ELF', head: bytes('\x7fELF\x02\x01'), like: 'program' },
    { name: 'script', head: bytes('#!/bin/sh\n'), like: 'program' },
  ])('refuses by its bytes, whatever the name: $name', ({ head, like }) => {
    expect(refusalOf(head, 'model.onnx')).toMatchObject({
      code: 'artifact.executable_format',
      message: expect.stringContaining(like),
    });
    expect(refusalOf(head)).toMatchObject({ code: 'artifact.executable_format' });
  });

  it.each([
    'm.pkl',
    'M.PICKLE',
    'm.joblib',
    'm.sav',
    'm.pt',
    'm.pth',
    'm.ckpt',
    'm.h5',
    'm.keras',
    'm.npz',
    'm.mar',
    'm.jar',
    'saved_model.pb',
  ])('refuses by its name, whatever the bytes: %s', (name) => {
    expect(refusalOf(ONNX, name)).toMatchObject({ code: 'artifact.executable_format' });
  });
});

describe('formats that cannot run here', () => {
  it.each([
    { name: 'zip', head: zipOf('model.onnx'), file: 'model.onnx', like: 'zip' },
    { name: 'tar', head: tar, file: undefined, like: 'tar' },
    { name: 'compressed tar', head: bytes('\x1f\x8b\x08\0'), file: 'model.tar.gz', like: 'tar' },
    { name: 'compressed ONNX', head: bytes('\x1f\x8b\x08\0'), file: 'model.onnx.gz', like: 'compressed ONNX' },
    { name: 'safetensors', head: bytes('\x40\0\0\0\0\0\0\0{"a":{"dtype":"F32"'), file: undefined, like: 'safetensors' },
    { name: 'GGUF', head: bytes('GGUF\x03\0\0\0'), file: undefined, like: 'GGUF' },
    { name: 'TensorFlow Lite', head: bytes('\x1c\0\0\0TFL3'), file: undefined, like: 'Lite' },
    { name: 'Git LFS', head: bytes('version https://git-lfs.github.com/spec/v1\n'), file: 'model.onnx', like: 'git lfs pull' },
  ])('refuses $name', ({ head, file, like }) => {
    expect(refusalOf(head, file)).toMatchObject({
      code: 'artifact.unsupported_format',
      message: expect.stringContaining(like),
    });
  });
});

describe('messages', () => {
  it.each([
    { head: bytes('\x80\x05.'), fix: 'skl2onnx.to_onnx' },
    { head: zipOf('archive/data.pkl'), fix: 'torch.onnx.export' },
    { head: bytes('\x89HDF\r\n\x1a\n'), fix: 'tf2onnx' },
    { head: bytes('\x08\x01\x12\xc8\x13\x0a'), fix: 'python -m tf2onnx.convert --saved-model' },
  ])('tell how to export to ONNX ($fix) or to run a server', ({ head, fix }) => {
    expect(refusalOf(head)).toMatchObject({ message: expect.stringContaining(fix) });
    expect(refusalOf(head)).toMatchObject({ message: expect.stringContaining('register its address') });
  });
});

describe('ONNX', () => {
  it.each([
    { name: 'of PyTorch', head: ONNX },
    { name: 'of skl2onnx', head: bytes('\x08\x0a\x12\x08skl2onnx\x1a\x061.18.0"\x07ai.onnx(\0') },
    { name: 'of the first format, with a producer', head: bytes('\x08\x01\x12\x07CNTK2.0\x1a') },
    { name: 'without a producer', head: bytes('\x08\x07:\xa4\x01\n\x10') },
  ])('passes $name', ({ head }) => {
    expect(refusalOf(head, 'model.onnx')).toBeUndefined();
    expect(refusalOf(head)).toBeUndefined();
  });

  it('is never refused for its producer or its version', () => {
    fc.assert(
      fc.property(fc.integer({ min: 3, max: 20 }), fc.string({ minLength: 1, maxLength: 60 }), (version, producer) => {
        const name = Buffer.from(producer);
        const head = Buffer.concat([Buffer.from([0x08, version, 0x12, name.length]), name, bytes('\x1a\x011:')]);
        expect(refusalOf(head, 'model.onnx')).toBeUndefined();
      }),
    );
  });
});
