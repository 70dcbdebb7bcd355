"""The fields of the ONNX messages that are read.

Source: onnx/onnx-ml.proto of IR version 14, which has the fields of all earlier versions. Messages
that are not read are declared as bytes.
"""

from __future__ import annotations

from ..encodings.protobuf import BYTES, DOUBLE, FLOAT, INTEGER, NARROW, many, schema

_PARTS, _INTEGERS = many(BYTES), many(INTEGER)

MODEL = schema({
    1: INTEGER,  # ir_version
    2: BYTES,  # producer_name
    3: BYTES,  # producer_version
    4: BYTES,  # domain
    5: INTEGER,  # model_version
    6: BYTES,  # doc_string
    7: BYTES,  # graph
    8: _PARTS,  # opset_import
    14: _PARTS,  # metadata_props
    20: _PARTS,  # training_info
    25: _PARTS,  # functions
    26: _PARTS,  # configuration
})  # fmt: skip
OPSET = schema({1: BYTES, 2: INTEGER})
"""domain, version"""

TRAINING = schema({1: BYTES, 2: BYTES, 3: _PARTS, 4: _PARTS})
"""initialization, algorithm, initialization_binding, update_binding"""

FUNCTION = schema({
    1: BYTES,  # name
    2: INTEGER,  # since_version, until IR version 8
    3: NARROW,  # status, until IR version 8
    4: _PARTS,  # input
    5: _PARTS,  # output
    6: _PARTS,  # attribute
    7: _PARTS,  # node
    8: BYTES,  # doc_string
    9: _PARTS,  # opset_import
    10: BYTES,  # domain
    11: _PARTS,  # attribute_proto
    12: _PARTS,  # value_info
    13: BYTES,  # overload
    14: _PARTS,  # metadata_props
})  # fmt: skip
GRAPH = schema({
    1: _PARTS,  # node
    2: BYTES,  # name
    5: _PARTS,  # initializer
    10: BYTES,  # doc_string
    11: _PARTS,  # input
    12: _PARTS,  # output
    13: _PARTS,  # value_info
    14: _PARTS,  # quantization_annotation
    15: _PARTS,  # sparse_initializer
    16: _PARTS,  # metadata_props
})  # fmt: skip
NODE = schema({
    1: _PARTS,  # input
    2: _PARTS,  # output
    3: BYTES,  # name
    4: BYTES,  # op_type
    5: _PARTS,  # attribute
    6: BYTES,  # doc_string
    7: BYTES,  # domain
    8: BYTES,  # overload
    9: _PARTS,  # metadata_props
    10: _PARTS,  # device_configurations
})  # fmt: skip
ATTRIBUTE = schema({
    1: BYTES,  # name
    2: FLOAT,  # f
    3: INTEGER,  # i
    4: BYTES,  # s
    5: BYTES,  # t
    6: BYTES,  # g
    7: many(FLOAT),  # floats
    8: _INTEGERS,  # ints
    9: _PARTS,  # strings
    10: _PARTS,  # tensors
    11: _PARTS,  # graphs
    13: BYTES,  # doc_string
    14: BYTES,  # tp
    15: _PARTS,  # type_protos
    20: NARROW,  # type
    21: BYTES,  # ref_attr_name
    22: BYTES,  # sparse_tensor
    23: _PARTS,  # sparse_tensors
})  # fmt: skip
TENSOR = schema({
    1: _INTEGERS,  # dims
    2: NARROW,  # data_type
    3: BYTES,  # segment
    4: many(FLOAT),  # float_data
    5: _INTEGERS,  # int32_data
    6: _PARTS,  # string_data
    7: _INTEGERS,  # int64_data
    8: BYTES,  # name
    9: BYTES,  # raw_data
    10: many(DOUBLE),  # double_data
    11: _INTEGERS,  # uint64_data
    12: BYTES,  # doc_string
    13: _PARTS,  # external_data
    14: NARROW,  # data_location
    16: _PARTS,  # metadata_props
})  # fmt: skip
SPARSE = schema({1: BYTES, 2: BYTES, 3: _INTEGERS})
"""values, indices, dims"""

VALUE = schema({1: BYTES, 2: BYTES, 3: BYTES, 4: _PARTS})
"""name, type, doc_string, metadata_props"""

TYPE_KINDS = frozenset({1, 4, 5, 7, 8, 9})
TYPE = schema({6: BYTES, **dict.fromkeys(TYPE_KINDS, BYTES)})
"""One of tensor, sequence, map, opaque, sparse tensor, optional; and denotation"""

TENSOR_TYPE = schema({1: NARROW, 2: BYTES})
"""elem_type, shape"""

SEQUENCE_TYPE = schema({1: BYTES})
"""elem_type"""

SHAPE = schema({1: _PARTS})
"""dim"""

DIMENSION = schema({1: INTEGER, 2: BYTES, 3: BYTES})
"""dim_value or dim_param, denotation"""
