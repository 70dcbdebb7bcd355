"""The schema of a program of `torch.export`, with a check for each value.

Source: torch/_export/serde/schema.py of PyTorch 2.8 to 2.13, whose loader checks hardly any type: a
text in the place of a number would reach `sympy`, or generated code. Every value has a check here,
and an unknown key is an error. Left out, and so refused, are graphs in arguments (`as_graph`),
operators as arguments, objects of other classes and complex numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..nodes import Malformed, require
from . import torch_text as text

Check = Callable[[Any], None]

_INT64 = 2**63
_MAX_TYPE = 35
_FLOATS = {"Infinity", "-Infinity", "NaN"}


def integer(value: Any) -> None:
    require(type(value) is int and -_INT64 <= value < _INT64, "an integer of the program is none")


def boolean(value: Any) -> None:
    require(type(value) is bool, "a boolean of the program is none")


def number(value: Any) -> None:
    is_number = type(value) in (int, float) or (isinstance(value, str) and value in _FLOATS)
    require(is_number, "a number of the program is none")


def string(value: Any) -> None:
    require(isinstance(value, str), "a text of the program is none")


def code(value: Any) -> None:
    """Require the number of a type, a layout or a memory format."""
    require(type(value) is int and 0 <= value <= _MAX_TYPE, "a type of the program is unknown")


def nothing(value: Any) -> None:
    require(value in (True, False, None), "an empty argument of the program has a value")


def device(value: Any) -> None:
    record(type=string, index=maybe(integer))(value)
    if value["type"] != "cpu":
        message = f"the program is for the device {value['type'][:20]!a}"
        raise Malformed(text.UNSUPPORTED, f"{message}, and images have none")


def maybe(check: Check) -> Check:
    return lambda value: None if value is None else check(value)


def many(check: Check) -> Check:
    def checked(value: Any) -> None:
        require(isinstance(value, list), "a list of the program is none")
        for each in value:
            check(each)

    return checked


def mapping(key_check: Check, check: Check) -> Check:
    def checked(value: Any) -> None:
        require(isinstance(value, dict), "a mapping of the program is none")
        for key, each in value.items():
            key_check(key)
            check(each)

    return checked


def record(**fields: Check) -> Check:
    """Return the check of a class. A field of `maybe` may be missing."""

    def checked(value: Any) -> None:
        _require_known(value, fields)
        for key, check in fields.items():
            check(value.get(key))

    return checked


def union(**kinds: Check) -> Check:
    """Return the check of a class with exactly one of several fields."""

    def checked(value: Any) -> None:
        _require_known(value, kinds)
        require(len(value) == 1, "a value of the program is of several kinds")
        for key, each in value.items():
            kinds[key](each)

    return checked


def _require_known(value: Any, fields: Mapping[str, Check]) -> None:
    require(isinstance(value, dict), "a part of the program is not an object")
    for key in value.keys() - fields.keys():
        message = f"the program contains {key[:60]!a}, which modelpack does not read"
        raise Malformed(text.UNSUPPORTED, message)


def _metadata(value: Any) -> None:
    require(value is None or isinstance(value, dict), "the metadata of the program is no mapping")
    for key, each in (value or {}).items():
        text.metadata(key, each)


_EXPRESSION = record(
    expr_str=text.expression,
    hint=maybe(union(as_int=integer, as_bool=boolean, as_float=number)),
)
_SYM_INT = union(as_expr=_EXPRESSION, as_int=integer)
_SYM_BOOL = union(as_expr=_EXPRESSION, as_bool=boolean)
_SYM_FLOAT = union(as_float=number)
TENSOR_META = record(
    dtype=code,
    sizes=many(_SYM_INT),
    requires_grad=boolean,
    device=device,
    strides=many(_SYM_INT),
    storage_offset=_SYM_INT,
    layout=code,
)
_TENSOR = record(name=text.name)
_INT_ARGUMENT = union(as_name=text.name, as_int=integer)
_BOOL_ARGUMENT = union(as_name=text.name, as_bool=boolean)
_FLOAT_ARGUMENT = union(as_name=text.name, as_float=number)
_OPTIONAL_TENSOR = union(as_tensor=_TENSOR, as_none=nothing)
_ARGUMENT = union(
    as_none=nothing,
    as_tensor=_TENSOR,
    as_tensors=many(_TENSOR),
    as_int=integer,
    as_ints=many(integer),
    as_float=number,
    as_floats=many(number),
    as_string=string,
    as_strings=many(string),
    as_sym_int=_INT_ARGUMENT,
    as_sym_ints=many(_INT_ARGUMENT),
    as_scalar_type=code,
    as_memory_format=code,
    as_layout=code,
    as_device=device,
    as_bool=boolean,
    as_bools=many(boolean),
    as_sym_bool=_BOOL_ARGUMENT,
    as_sym_bools=many(_BOOL_ARGUMENT),
    as_optional_tensors=many(_OPTIONAL_TENSOR),
    as_optional_tensor=_OPTIONAL_TENSOR,
    as_sym_float=_FLOAT_ARGUMENT,
    as_sym_floats=many(_FLOAT_ARGUMENT),
)
_NODE = record(
    target=text.target,
    inputs=many(record(name=maybe(string), arg=_ARGUMENT, kind=maybe(code))),
    outputs=many(_ARGUMENT),
    metadata=_metadata,
    is_hop_single_tensor_return=maybe(boolean),
    name=maybe(text.name),
)
_GRAPH = record(
    inputs=many(_ARGUMENT),
    outputs=many(_ARGUMENT),
    nodes=many(_NODE),
    tensor_values=mapping(text.name, TENSOR_META),
    sym_int_values=mapping(text.name, _SYM_INT),
    sym_bool_values=mapping(text.name, _SYM_BOOL),
    is_single_tensor_return=maybe(boolean),
    custom_obj_values=maybe(mapping(text.name, union())),
    sym_float_values=maybe(mapping(text.name, _SYM_FLOAT)),
)
_INPUT_SPEC = union(
    user_input=record(arg=_ARGUMENT),
    parameter=record(arg=_TENSOR, parameter_name=text.path),
    buffer=record(arg=_TENSOR, buffer_name=text.path, persistent=boolean),
    tensor_constant=record(arg=_TENSOR, tensor_constant_name=text.path),
)
_OUTPUT_SPEC = union(user_output=record(arg=_ARGUMENT))
_CALL = record(
    inputs=many(_ARGUMENT),
    outputs=many(_ARGUMENT),
    in_spec=string,
    out_spec=text.output_structure,
    forward_arg_names=maybe(many(text.name)),
)
_GRAPH_MODULE = record(
    graph=_GRAPH,
    signature=record(input_specs=many(_INPUT_SPEC), output_specs=many(_OUTPUT_SPEC)),
    module_call_graph=many(record(fqn=text.path, signature=maybe(_CALL))),
    metadata=_metadata,
    treespec_namedtuple_fields=maybe(mapping(text.path, union())),
)
_VERIFIERS = {"ATEN", "CORE_ATEN", "EDGE", "TRAINING"}


def _verifier(value: Any) -> None:
    require(isinstance(value, str) and value in _VERIFIERS, "the dialect of the program is unknown")


PROGRAM = record(
    graph_module=_GRAPH_MODULE,
    opset_version=mapping(text.path, integer),
    range_constraints=mapping(text.symbol, record(min_val=maybe(integer), max_val=maybe(integer))),
    schema_version=record(major=integer, minor=integer),
    verifiers=maybe(many(_verifier)),
    torch_version=maybe(string),
    guards_code=maybe(many(text.guard)),
)
PAYLOADS = record(
    config=mapping(
        text.path,
        record(
            path_name=string, is_param=boolean, use_pickle=boolean, tensor_meta=maybe(TENSOR_META)
        ),
    )
)
