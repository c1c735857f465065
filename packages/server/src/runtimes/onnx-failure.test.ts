import { AppError } from '@understudy/core/errors';
import { expect, it } from 'vitest';
import { errorOf, failureOf, reasonOf } from './onnx-failure.ts';

it.each([
  {
    name: 'a file it cannot parse',
    message: 'Load model from /data/my models/a.onnx failed:Protobuf parsing failed.',
    expected: 'Protobuf parsing failed',
  },
  {
    name: 'a missing file',
    message: "Load model from /data/my models/a.onnx failed:Load model /data/my models/a.onnx failed. File doesn't exist",
    expected: "File doesn't exist",
  },
  {
    name: 'a node without a name',
    message:
      "Non-zero status code returned while running Gather node. Name:'' Status Message: indices element out of data bounds, idx=17",
    expected: 'Gather node: indices element out of data bounds, idx=17',
  },
  {
    name: 'a node whose name looks like a path',
    message: "Non-zero status code returned while running Conv node. Name:'/conv1/Conv' Status Message: bad kernel shape.",
    expected: 'Conv node "/conv1/Conv": bad kernel shape',
  },
  {
    name: 'a position in its sources',
    message:
      "Non-zero status code returned while running Reshape node. Name:'r' Status Message: " +
      '/build/core/providers/cpu/tensor/reshape_helper.h:47 onnxruntime::ReshapeHelper::ReshapeHelper(const TensorShape&, bool) ' +
      'size != 0 was false.\n  Input shape:{1,3}, requested shape:{2}\n',
    expected: 'Reshape node "r": size != 0 was false. Input shape:{1,3}, requested shape:{2}',
  },
  { name: 'another path', message: 'cannot map /var/lib/x/y.bin today', expected: 'cannot map today' },
  { name: 'a Windows path', message: 'cannot map C:\\models\\x\\y.bin today', expected: 'cannot map today' },
  { name: 'a long story', message: 'x'.repeat(1000), expected: `${'x'.repeat(239)}…` },
])('tells $name in one line', ({ message, expected }) => {
  expect(reasonOf(new Error(message), '/data/my models/a.onnx')).toBe(expected);
});

it('keeps code and message on the way between threads', () => {
  const back = errorOf(failureOf(new AppError('model.run_failed', 'no')));
  expect(back).toBeInstanceOf(AppError);
  expect(back).toMatchObject({ code: 'model.run_failed', message: 'no' });
  expect(errorOf(failureOf(new Error('a bug')))).toEqual(new Error('a bug'));
});
