"""ONNX, run by onnxruntime."""

from __future__ import annotations

import os
from typing import Any, BinaryIO, Collection


def load(stream: BinaryIO, _names: Collection[str]) -> Any:
    """A session of one thread: it starts no others, which would not survive the fork. The library
    itself starts one that sends telemetry, as soon as it is imported, unless it is told not to;
    workers would wait for it at their end. The format is set, because
    it would take a file of ONNX with certain four bytes for its own format, which is not inspected.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime  # noqa: PLC0415 - a library that only these files need

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.load_model_format", "ONNX")
    providers = ["CPUExecutionProvider"]
    return onnxruntime.InferenceSession(stream.read(), options, providers=providers)
