"""The versions of the diabetes model, ONNX files that run in this process. Every service of this folder serves them."""

from collections.abc import Sequence
from pathlib import Path

import onnxruntime

FOLDER = Path(__file__).resolve().parent.parent / "models" / "diabetes"


class Versions:
    """Loaded versions by name. Several threads may predict at once."""

    def __init__(self, names: Sequence[str]) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        # Errors reach the caller as exceptions; the library would print each of them as well.
        options.log_severity_level = 4
        self._sessions = {name: onnxruntime.InferenceSession(FOLDER / f"{name}.onnx", options) for name in names}

    def __contains__(self, name: str) -> bool:
        return name in self._sessions

    def predict(self, name: str, features: Sequence[float]) -> float:
        """How far the disease will have progressed after a year. Raises what onnxruntime raises when the version fails."""
        (predictions,) = self._sessions[name].run(None, {"features": [features]})
        return float(predictions[0][0])
