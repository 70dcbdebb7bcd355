"""ONNX files that parsers of Protocol Buffers could understand differently.

onnxruntime depends on `protobuf`, which is the second parser here.
"""

import gzip
import io
import random
import struct
from functools import cache

import onnx_models as onnx
import onnxruntime
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet
from mutations import mutants

from modelpack.inspection import formats
from modelpack.inspection.formats import onnx_graph
from modelpack.inspection.inspector import inspect
from modelpack.inspection.nodes import Malformed
from modelpack.serving.runtimes import onnx as serving

MESSAGES = """
Model: int64 ir_version=1, string producer_name=2, string producer_version=3, string domain=4,
  int64 model_version=5, string doc_string=6, Graph graph=7, Opset* opset_import=8,
  bytes* metadata_props=14, Training* training_info=20, Function* functions=25,
  bytes* configuration=26
Opset: string domain=1, int64 version=2
Pair: string key=1, string value=2
Training: Graph initialization=1, Graph algorithm=2, bytes* initialization_binding=3,
  bytes* update_binding=4
Function: string name=1, int64 since_version=2, int32 status=3, string* input=4, string* output=5,
  string* attribute=6, Node* node=7, string doc_string=8, bytes* opset_import=9, string domain=10,
  Attribute* attribute_proto=11, bytes* value_info=12, string overload=13,
  bytes* metadata_props=14
Graph: Node* node=1, string name=2, Tensor* initializer=5, string doc_string=10, Value* input=11,
  Value* output=12, bytes* value_info=13, bytes* quantization_annotation=14,
  Sparse* sparse_initializer=15, bytes* metadata_props=16
Node: string* input=1, string* output=2, string name=3, string op_type=4, Attribute* attribute=5,
  string doc_string=6, string domain=7, string overload=8, bytes* metadata_props=9,
  bytes* device_configurations=10
Attribute: string name=1, float f=2, int64 i=3, bytes s=4, Tensor t=5, Graph g=6, float* floats=7,
  int64* ints=8, bytes* strings=9, Tensor* tensors=10, Graph* graphs=11, string doc_string=13,
  bytes tp=14, bytes* type_protos=15, int32 type=20, string ref_attr_name=21,
  Sparse sparse_tensor=22, Sparse* sparse_tensors=23
Tensor: int64* dims=1, int32 data_type=2, bytes segment=3, float* float_data=4,
  int32* int32_data=5, bytes* string_data=6, int64* int64_data=7, string name=8, bytes raw_data=9,
  double* double_data=10, uint64* uint64_data=11, string doc_string=12, Pair* external_data=13,
  int32 data_location=14, bytes* metadata_props=16
Sparse: Tensor values=1, Tensor indices=2, int64* dims=3
Value: string name=1, Type type=2, string doc_string=3, bytes* metadata_props=4
Type: TensorType tensor_type=1/value, SequenceType sequence_type=4/value, bytes map_type=5/value,
  string denotation=6, bytes opaque_type=7/value, bytes sparse_tensor_type=8/value,
  bytes optional_type=9/value
TensorType: int32 elem_type=1, Shape shape=2
SequenceType: Type elem_type=1
Shape: Dimension* dim=1
Dimension: int64 dim_value=1/value, string dim_param=2/value, string denotation=3
"""
"""As onnx/onnx-ml.proto has them; `*`: repeated, `/`: of a oneof. Enumerations are int32, which is
how they are parsed.
"""


@cache
def model_class():
    file = descriptor_pb2.FileDescriptorProto(name="onnx.test", package="test", syntax="proto2")
    for line in MESSAGES.strip().replace("\n  ", " ").split("\n"):
        name, _, description = line.partition(":")
        message = file.message_type.add(name=name)
        for each in description.split(","):
            kind, _, rest = each.strip().partition(" ")
            rest, _, choice = rest.partition("/")
            label, number = rest.split("=")
            field = message.field.add(name=label, number=int(number))
            field.label = field.LABEL_REPEATED if kind.endswith("*") else field.LABEL_OPTIONAL
            kind = kind.rstrip("*")
            if kind[0].isupper():
                field.type, field.type_name = field.TYPE_MESSAGE, f".test.{kind}"
            else:
                field.type = getattr(field, f"TYPE_{kind.upper()}")
            if choice:
                if not message.oneof_decl:
                    message.oneof_decl.add(name=choice)
                field.oneof_index = 0
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("test.Model"))


def parsed(data):
    return model_class().FromString(data)


def messages(message):
    yield message
    for field, value in message.ListFields():
        if field.message_type:
            for each in value if field.is_repeated else [value]:
                yield from messages(each)


def facts(data):
    """All that is read of a model, in values that compare."""
    model = onnx_graph.read(data)
    operators = [
        (op.kind, op.domain, op.inputs, op.outputs, {
            name: (a.text, a.integers, repr(a.number), repr(a.floats), a.texts)
            for name, a in op.attributes.items()
        })
        for op in model.operators
    ]  # fmt: skip
    return {**vars(model), "operators": operators}


def wide(data):
    """A field whose key has a bit above those of 32, which the parser in C++ cuts off."""
    assert data[0] < 0x80
    return bytes([data[0] | 0x80, 0x80, 0x80, 0x80, 0x10]) + data[1:]


EXTERNAL = onnx.field(13, onnx.field(1, "location") + onnx.field(2, "secret.bin"))
LOCATION = onnx.field(14, 1)
VALUES = onnx.field(1, 1) + onnx.field(2, 2) + onnx.field(8, "W")


def with_tensor(*more):
    """A model with a tensor of these fields among its initial values."""
    return onnx.model(
        [onnx.node("Add", ["X", "W"], ["y"])],
        [onnx.tensor("X", onnx.FLOAT, [None, 2])],
        [onnx.tensor("y", onnx.FLOAT, [None, 2])],
        onnx.field(5, VALUES + b"".join(more)),
    )


def with_attribute(*parts):
    return onnx.model(
        [onnx.node("Abs", ["X"], ["y"], onnx.field(5, onnx.field(1, "a") + b"".join(parts)))],
        [onnx.tensor("X", onnx.FLOAT, [None, 2])],
        [onnx.tensor("y", onnx.FLOAT, [None, 2])],
    )


def with_input(kind):
    return onnx.model(
        [onnx.node("Abs", ["X"], ["y"])],
        [onnx.field(1, "X") + onnx.field(2, kind)],
        [onnx.tensor("y", onnx.FLOAT, [None, 2])],
    )


def with_training(*parts):
    graph = onnx.field(5, VALUES + b"".join(parts))
    return onnx.imputer() + onnx.field(20, onnx.field(1, graph))


RAW = onnx.field(9, b"\0")
TENSOR = onnx.field(1, onnx.field(1, onnx.FLOAT))
SIZES = onnx.field(2, onnx.field(1, onnx.field(1, 2)))
GROUP = onnx.varint(9 << 3 | 3) + onnx.varint(9 << 3 | 4)
HARMLESS = {
    "values inside": with_tensor(RAW),
    "values inside, told": with_tensor(RAW, onnx.field(14, 0)),
    "no values": with_tensor(),
    "a length with zeros before it": with_tensor(b"\x4a\x81\x80\0\0"),
    "packed integers": with_attribute(onnx.field(8, b"\1\2\xff\1")),
    "integers packed and not": with_attribute(onnx.field(8, b"\1\2"), onnx.field(8, -7)),
    "packed numbers": with_attribute(onnx.field(7, struct.pack("<3f", 1, 2, 3))),
    "a text of any bytes": with_attribute(onnx.field(4, b"\xff")),
    "an enumeration below zero": with_attribute(onnx.field(20, -1)),
    "a function": onnx.imputer() + onnx.field(25, onnx.field(1, "f") + onnx.field(10, "own")),
    "training": with_training(RAW),
    "a type without a kind": with_input(b""),
}
HARMFUL = {
    "external data": with_tensor(EXTERNAL, LOCATION),
    "external data, with a wide key": with_tensor(wide(EXTERNAL), wide(LOCATION)),
    "a place, with a wide key": with_tensor(wide(LOCATION)),
    "a place of 33 bits": with_tensor(b"\x70\x81\x80\x80\x80\x10"),
    "a place that is unknown": with_tensor(onnx.field(14, 2)),
    "two places": with_tensor(LOCATION, onnx.field(14, 0)),
    "a key with zeros before it": with_tensor(b"\xf0\0\0"),
    "external data of an attribute": with_attribute(onnx.field(5, VALUES + EXTERNAL)),
    "external data of a sparse tensor": with_attribute(
        onnx.field(22, onnx.field(2, VALUES + EXTERNAL))
    ),
    "external data of training": with_training(EXTERNAL, LOCATION),
    "a tensor in two parts": with_attribute(onnx.field(5, VALUES), onnx.field(5, RAW)),
    "two texts": with_attribute(onnx.field(4, "en_US"), onnx.field(4, "../x")),
    "two numbers": with_attribute(b"\x15\0\0\0\0" * 2),
    "an attribute twice": onnx.model(
        [onnx.node("Abs", ["X"], ["y"], *[onnx.attribute("a", text) for text in ("b", "c")])],
        [onnx.tensor("X", onnx.FLOAT, [None, 2])],
        [onnx.tensor("y", onnx.FLOAT, [None, 2])],
    ),
    "two graphs": onnx.imputer() + onnx.field(7, onnx.field(2, "b")),
    "two versions": onnx.imputer() + onnx.field(1, 3),
    "an unknown field": onnx.imputer() + onnx.field(100, "a"),
    "a field of number 0": onnx.imputer() + b"\0\1",
    "a number where a text belongs": onnx.imputer() + onnx.field(4, 1),
    "a message where a number belongs": onnx.imputer() + onnx.field(5, b"\1"),
    "a group": onnx.imputer() + GROUP,
    "a number of 65 bits": onnx.imputer() + b"\x28" + b"\x80" * 9 + b"\2",
    "a number of eleven bytes": onnx.imputer() + b"\x28" + b"\x80" * 10 + b"\0",
    "a name that is no text": onnx.imputer().replace(b"\1X", b"\1\xff"),
    "two kinds of a type": with_input(TENSOR + onnx.field(4, b"")),
    "a kind of a type in two parts": with_input(TENSOR + onnx.field(1, SIZES)),
    "an element of 33 bits": with_input(onnx.field(1, onnx.field(1, 2**32 + onnx.FLOAT))),
    "two sizes of a dimension": with_input(
        onnx.field(1, onnx.field(1, 1)
                   + onnx.field(2, onnx.field(1, onnx.field(1, 2) + onnx.field(2, "n"))))
    ),
    "a half of a number": with_attribute(onnx.field(7, b"\0\0")),
}  # fmt: skip


def read(data):
    """Return the code of the finding for the data, or None."""
    try:
        formats.read("onnx", iter([data]))
        facts(data)
    except Malformed as problem:
        return problem.code
    return None


@pytest.mark.parametrize("data", HARMLESS.values(), ids=HARMLESS)
def test_unambiguous_files_pass(data):
    assert read(data) is None


@pytest.mark.parametrize("data", HARMFUL.values(), ids=HARMFUL)
def test_files_that_are_ambiguous_are_refused(data):
    assert read(data) in {"malformed", "external-data", "truncated"}


def agree(data):
    """Return whether a file is accepted. Check that the other parser agrees on an accepted one."""
    if read(data) is not None:
        return False
    try:
        model = parsed(data)
    except DecodeError:  # nor does it load
        return False
    found = list(messages(model))
    assert not any(len(UnknownFieldSet(each)) for each in found)
    tensors = [each for each in found if each.DESCRIPTOR.name == "Tensor"]
    assert not any(each.external_data or each.data_location for each in tensors)
    assert facts(model.SerializeToString(deterministic=True)) == facts(data)
    return True


@pytest.mark.parametrize("data", HARMLESS.values(), ids=HARMLESS)
def test_the_parsers_agree(data):
    assert agree(data)


MUTANTS = 5_000


@pytest.mark.parametrize("seed", range(3))
def test_parsers_agree_on_random_changes(seed):
    chance = random.Random(seed)
    files = [*HARMLESS.values(), *HARMFUL.values(), onnx.forest([2, 0, 0]), onnx.lowercase()]
    changed = [mutants(data, chance) for data in files]
    assert sum(agree(next(chance.choice(changed))) for _ in range(MUTANTS)) > MUTANTS / 200


def test_other_parser_finds_hidden_content():
    """Otherwise that parsers agree would mean nothing."""
    for name in ("an unknown field", "a number where a text belongs"):
        assert len(UnknownFieldSet(parsed(HARMFUL[name])))
    assert len(parsed(HARMFUL["external data"]).graph.initializer[0].external_data) == 1
    assert parsed(HARMFUL["two versions"]).ir_version == 3
    assert parsed(HARMFUL["two kinds of a type"]).graph.input[0].type.WhichOneof("value") == (
        "sequence_type"
    )
    with pytest.raises(DecodeError):
        parsed(HARMFUL["a number of eleven bytes"])


def ort(data, folder):
    """The same model in onnxruntime's own format."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(folder / "model.ort")
    options.add_session_config_entry("session.save_model_format", "ORT")
    onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return (folder / "model.ort").read_bytes()


def test_only_onnx_is_served(tmp_path):
    data = onnx.imputer()
    assert serving.load(io.BytesIO(data), ())
    with pytest.raises(Exception, match="INVALID_PROTOBUF"):
        serving.load(io.BytesIO(ort(data, tmp_path)), ())


@pytest.mark.parametrize("written", [bytes, gzip.compress])
def test_onnx_that_onnxruntime_takes_for_its_own_format_is_refused(tmp_path, written):
    """The producer of this model is called ORTM."""
    data = onnx.imputer()
    data = data[:2] + onnx.field(2, "ORTM") + data[data.index(b"\x3a") :]
    assert data[4:8] == b"ORTM"
    (tmp_path / "model.onnx").write_bytes(written(data))
    spec = inspect(tmp_path / "model.onnx")
    assert (spec.format, spec.safety.verdict) == ("ort", "refuse")
    (tmp_path / "model.onnx").write_bytes(written(data.replace(b"ORTM", b"ORTX")))
    assert inspect(tmp_path / "model.onnx").safety.verdict == "pass"
