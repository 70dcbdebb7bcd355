"""Requests of many small messages or integers are rejected before they take gigabytes."""

import tracemalloc

import pytest

from modelpack.serving.problems import Problem
from modelpack.serving.rpc import translation
from modelpack.serving.rpc.messages import CLASSES
from modelpack.serving.rpc.wire import MAX_FIELDS, MAX_PARTS, require_fitting

BODY = 16 * 2**20
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
        require_fitting(data, BODY)
    assert error.value.status == 413


def test_requests_of_wide_models_and_malformed_ones_pass():
    request = CLASSES["InferRequest"](model_name="model", inputs=[INPUT] * (MAX_PARTS // 2))
    require_fitting(request.SerializeToString(), BODY)
    for data in (b"", b"\xff" * 99, b"\x2a", b"\x2a\xff\xff\x7f", b"\x2b" * 9, b"\x0d", b"\x09\1"):
        require_fitting(data, BODY)


def integers(datatype, field, values):
    tensor = CLASSES["Tensor"](name="x", datatype=datatype, shape=[len(values), 1])
    getattr(tensor.contents, field).extend(values)
    return CLASSES["InferRequest"](model_name="model", inputs=[tensor])


@pytest.mark.parametrize(("datatype", "field", "size"), [
    ("INT8", "int_contents", 4), ("INT64", "int64_contents", 8), ("UINT16", "uint_contents", 4),
    ("UINT64", "uint64_contents", 8),
])  # fmt: skip
def test_integers_are_rejected_by_the_memory_that_they_take(datatype, field, size):
    data = integers(datatype, field, [1] * 1000).SerializeToString()
    require_fitting(data, 1000 * size)
    with pytest.raises(Problem) as error:
        require_fitting(data, 1000 * size - 1)
    assert error.value.status == 413
    long = integers(datatype, field, [100_000] * 1000).SerializeToString()  # three bytes each
    require_fitting(long, 1000 * size)


@pytest.mark.parametrize(("datatype", "field"), [
    ("INT8", "int_contents"), ("INT64", "int64_contents"), ("FP32", "fp32_contents"),
    ("FP64", "fp64_contents"), ("BOOL", "bool_contents"),
])  # fmt: skip
def test_elements_are_converted_without_objects(datatype, field):
    count = 200_000
    value = {"BOOL": True, "FP32": 0.1, "FP64": 0.1}.get(datatype, 100)
    request = integers(datatype, field, [value] * count)
    tracemalloc.start()
    try:
        body = translation.body(request)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    size = len(body.content) - body.json_size
    assert (size, peak < 4 * count + 3 * size) == (count * (size // count), True)


def test_elements_out_of_range_are_named():
    with pytest.raises(Problem, match="from -128 to 127, got -129") as error:
        translation.body(integers("INT8", "int_contents", [1, -129]))
    assert error.value.status == 400
