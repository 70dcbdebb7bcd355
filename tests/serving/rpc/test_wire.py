"""Requests of many small messages are rejected before they take gigabytes."""

import pytest

from modelpack.serving.problems import Problem
from modelpack.serving.rpc.messages import CLASSES
from modelpack.serving.rpc.wire import MAX_FIELDS, MAX_PARTS, require_few_parts

COUNT = MAX_PARTS + 1
INPUT = CLASSES["Tensor"](name="x", datatype="FP64", shape=[1, 2], contents={"fp64_contents": [1]})


def within(field: int, content: bytes) -> bytes:
    """Return a field of bytes: its number, the length in four bytes, and the content."""
    size = len(content)
    length = bytes([size & 127 | 128, size >> 7 & 127 | 128, size >> 14 & 127 | 128, size >> 21])
    return bytes([field << 3 | 2]) + length + content


@pytest.mark.parametrize("data", [
    b"\x2a\0" * COUNT, b"\x3a\0" * COUNT, b"\x22\0" * COUNT, within(5, b"\x22\0" * COUNT),
    within(6, b"\x12\0" * COUNT), b"\x08\0" * (MAX_FIELDS + 1), within(5, b"\x08\0" * MAX_FIELDS),
    within(5, within(5, b"\x42\0" * MAX_FIELDS)),
], ids=range(8))  # fmt: skip
def test_many_parts_are_rejected(data):
    with pytest.raises(Problem) as error:
        require_few_parts(data)
    assert error.value.status == 413


def test_requests_of_wide_models_and_malformed_ones_pass():
    request = CLASSES["InferRequest"](model_name="model", inputs=[INPUT] * (MAX_PARTS // 2))
    require_few_parts(request.SerializeToString())
    for data in (b"", b"\xff" * 99, b"\x2a", b"\x2a\xff\xff\x7f", b"\x2b" * 9, b"\x0d", b"\x09\1"):
        require_few_parts(data)
