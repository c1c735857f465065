"""What every example graph shares: opset, input and output names, and how to run one; used by the scripts beside it."""

from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

# Old enough for every onnxruntime release of the last years, new enough for every operator used here.
OPSET = 17
ML_OPSET = 3
IR_VERSION = 8


@dataclass(frozen=True)
class Split:
    train_x: np.ndarray
    train_y: np.ndarray
    validation_x: np.ndarray
    validation_y: np.ndarray
    heldout_x: np.ndarray
    heldout_y: np.ndarray


@dataclass(frozen=True)
class Version:
    name: str
    shows: str
    graph: onnx.ModelProto
    offline: np.ndarray  # what the training pipeline in Python answers on the validation rows


class GraphBuilder:
    """Collects nodes and constants; `add` returns the name of the node's output."""

    def __init__(self):
        self.nodes = []
        self.constants = []

    def constant(self, name, value, dtype=np.float32):
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype=dtype), name))
        return name

    def add(self, operator, inputs, output, **attributes):
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def build(self, name, feature_count, outputs):
        features = helper.make_tensor_value_info('features', TensorProto.FLOAT, [None, feature_count])
        graph = helper.make_graph(self.nodes, name, [features], outputs, self.constants)
        return finish(helper.make_model(graph, opset_imports=[helper.make_opsetid('', OPSET)]))


def classifier_outputs(class_count):
    return [
        helper.make_tensor_value_info('label', TensorProto.INT64, [None]),
        helper.make_tensor_value_info('probabilities', TensorProto.FLOAT, [None, class_count]),
    ]


def regressor_outputs():
    return [helper.make_tensor_value_info('prediction', TensorProto.FLOAT, [None, 1])]


def finish(model):
    """Pins the IR version, lists each opset once, and lets the onnx checker refuse a malformed graph."""
    model.ir_version = IR_VERSION
    versions = {opset.domain: opset.version for opset in model.opset_import}
    del model.opset_import[:]
    model.opset_import.extend(helper.make_opsetid(domain, versions[domain]) for domain in sorted(versions))
    onnx.checker.check_model(model, full_check=True)
    return model


def rename_outputs(model, new_names):
    """Gives the outputs of a converted model the names all versions share; `new_names` maps old to new."""
    for node in model.graph.node:
        for names in (node.input, node.output):
            for index, name in enumerate(names):
                names[index] = new_names.get(name, name)
    for output in model.graph.output:
        output.name = new_names.get(output.name, output.name)
    return model


def open_session(path_or_bytes):
    """One thread and silent: `verify.py` provokes errors on purpose, and the runtime would print each one."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return ort.InferenceSession(path_or_bytes, options, providers=['CPUExecutionProvider'])


def run(session, rows):
    """Answers the first output, flattened: labels or values, one per row."""
    return session.run(None, {'features': np.asarray(rows, dtype=np.float32)})[0].reshape(-1)
