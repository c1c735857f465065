"""Loads the digits classifier; used by the rival service and by the script that computes the expected labels."""

from collections.abc import Callable

import numpy
import onnxruntime


def open_classifier(path: str) -> Callable[[list[float]], int]:
    """Returns a function from 64 features to the label. One thread: the whole service has one core."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def classify(features: list[float]) -> int:
        batch = numpy.asarray([features], dtype=numpy.float32)
        (labels,) = session.run(["label"], {"features": batch})
        return int(labels[0])

    return classify
