"""The messages of the Open Inference Protocol and of the health protocol, without generated code.

See https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_grpc.md
and https://github.com/grpc/grpc/blob/master/doc/health-checking.md. Fields are numbered in their
order. Names of messages are not sent, so all are in one package here; a map is sent like a list of
its entries, and an enumeration like an integer.
"""

from __future__ import annotations

from typing import Any, Mapping, Tuple

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

__all__ = ["ANY_ONE", "CLASSES", "MESSAGES", "DecodeError"]

PACKAGE = "modelpack.inference"

Fields = Tuple[str, ...]

MESSAGES: Mapping[str, Fields] = {
    "Empty": (),
    "Live": ("bool live",),
    "Ready": ("bool ready",),
    "Name": ("string name", "string version"),
    "ServerMetadata": ("string name", "string version", "repeated string extensions"),
    "TensorMetadata": ("string name", "string datatype", "repeated int64 shape"),
    "ModelMetadata": (
        "string name",
        "repeated string versions",
        "string platform",
        "repeated TensorMetadata inputs",
        "repeated TensorMetadata outputs",
    ),
    "Parameter": (
        "bool bool_param",
        "int64 int64_param",
        "string string_param",
        "double double_param",
        "uint64 uint64_param",
    ),
    "NamedParameter": ("string key", "Parameter value"),
    "Contents": (
        "repeated bool bool_contents",
        "repeated int32 int_contents",
        "repeated int64 int64_contents",
        "repeated uint32 uint_contents",
        "repeated uint64 uint64_contents",
        "repeated float fp32_contents",
        "repeated double fp64_contents",
        "repeated bytes bytes_contents",
    ),
    "Tensor": (
        "string name",
        "string datatype",
        "repeated int64 shape",
        "repeated NamedParameter parameters",
        "Contents contents",
    ),
    "RequestedOutput": ("string name", "repeated NamedParameter parameters"),
    "InferRequest": (
        "string model_name",
        "string model_version",
        "string id",
        "repeated NamedParameter parameters",
        "repeated Tensor inputs",
        "repeated RequestedOutput outputs",
        "repeated bytes raw_input_contents",
    ),
    "InferResponse": (
        "string model_name",
        "string model_version",
        "string id",
        "repeated NamedParameter parameters",
        "repeated Tensor outputs",
        "repeated bytes raw_output_contents",
    ),
    "HealthRequest": ("string service",),
    "HealthResponse": ("int32 status",),
}
ANY_ONE = "Parameter"
"""The message of which one field is set."""

SCALARS = {
    "double": 1,
    "float": 2,
    "int64": 3,
    "uint64": 4,
    "int32": 5,
    "bool": 8,
    "string": 9,
    "bytes": 12,
    "uint32": 13,
}
"""The numbers of the types in `FieldDescriptorProto.Type`."""
MESSAGE = 11
OPTIONAL, REPEATED = 1, 3


def _file() -> Any:
    """Return the description of all messages."""
    file = descriptor_pb2.FileDescriptorProto(
        name="modelpack/inference.proto", package=PACKAGE, syntax="proto3"
    )
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        if name == ANY_ONE:
            message.oneof_decl.add(name="choice")
        for number, text in enumerate(fields, 1):
            *repeated, type_, field_name = text.split()
            field = message.field.add(name=field_name, number=number)
            field.label = REPEATED if repeated else OPTIONAL
            if type_ in SCALARS:
                field.type = SCALARS[type_]
            else:
                field.type, field.type_name = MESSAGE, f".{PACKAGE}.{type_}"
            if name == ANY_ONE:
                field.oneof_index = 0
    return file


def _classes() -> dict[str, Any]:
    """Return the class of each message, in a pool of their own."""
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(_file().SerializeToString())
    if hasattr(message_factory, "GetMessageClass"):
        create = message_factory.GetMessageClass
    else:  # releases before 4.22
        create = message_factory.MessageFactory(pool).GetPrototype
    return {name: create(pool.FindMessageTypeByName(f"{PACKAGE}.{name}")) for name in MESSAGES}


CLASSES = _classes()
