"""Programs of `torch.export.save` (.pt2): signature, and checks of all that loading trusts.

`torch.export.load` evaluates text of the program, and unpickles the sample inputs without limits if
they contain more than tensors. So every member of the archive, and every value of the program, must
be one of those that are known to be harmless. Weights are bytes, and only their sizes are checked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from modelpack.types import Field, FieldType, Finding, Signature

from ..facts.columns import Column
from ..facts.signature import MAX_INPUTS
from ..nodes import Malformed, require
from . import torch_archive, torch_schema, torch_text
from .model import NativeModel, outputs, tensors, width_problem
from .torch_archive import CODE, Members

DESCRIPTION = "a program of PyTorch (torch.export)"
SIGNATURE = "torch-signature"

PROGRAM = "models/model.json"
SAMPLES = "data/sample_inputs/model.pt"
_PAYLOADS = {"weights": "weight", "constants": "tensor"}
"""Folder in `data` -> the beginning of its members."""

_MEMBERS = re.compile(
    r"archive_format|archive_version|byteorder|version|\.format_version|\.storage_alignment|"
    r"\.data/(version|serialization_id)|models/model\.json|data/sample_inputs/model\.pt|"
    r"data/weights/(model_weights_config\.json|weight_\d{1,6}|model\.pt)|"
    r"data/constants/(model_constants_config\.json|tensor_\d{1,6}|model\.pt)|extra/.+"
)
_NATIVE_CODE = re.compile(r"data/(aotinductor|executorch|mtia)/")
_OBJECT = re.compile(r"data/(constants|weights)/(custom_obj|opaque_obj|script_obj)")

_NUMBERS, _BOOLEAN = {6: 2, 7: 4, 8: 8, 13: 2}, {12: 1}
_INTEGERS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 28: 2, 34: 4, 35: 8}
ITEM_SIZES = {**_NUMBERS, **_BOOLEAN, **_INTEGERS}
"""ScalarType of PyTorch's schema -> bytes."""

_TYPES: dict[int, FieldType] = {
    **dict.fromkeys(_NUMBERS, "number"), **dict.fromkeys(_BOOLEAN, "boolean"),
    **dict.fromkeys(_INTEGERS, "integer"),
}  # fmt: skip
_MAX_DOCUMENT = 256 * 2**20
_MAX_EXPANDED = 256 * 2**20
"""Bytes of all weights that are more than those in the file (`torch.ones(1).expand(1000)`)."""
_MAX_VALUE = 2**30
_MATRIX = 2

Size = int | str
"""A size, or the expression of an unknown one."""


@dataclass(frozen=True)
class _Input:
    name: str
    dtype: int
    sizes: tuple[Size, ...]

    @property
    def width(self) -> int:
        """The number of columns."""
        return prod(self.shape)

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of a row."""
        return tuple(int(size) for size in self.sizes[1:])


def read(data: bytes) -> NativeModel:
    """Read a program of torch.export.

    Raises:
        Malformed: PyTorch writes no such file, or loading it may run code.
    """
    members = torch_archive.members(data)
    _check_members(members)
    program = _document(members, PROGRAM, torch_schema.PROGRAM)
    for folder, prefix in _PAYLOADS.items():
        _check_payloads(members, folder, prefix)
    samples = _samples(members)
    module = program["graph_module"]
    _check_values(module)
    calls = module["module_call_graph"]
    call = calls[0]["signature"] if calls else None
    if call is None or any(each["signature"] for each in calls[1:]):
        raise Malformed(torch_text.UNSUPPORTED, "the program keeps the calls of its parts")
    count = torch_text.positional_inputs(call["in_spec"])
    inputs = _inputs(module, call.get("forward_arg_names"))
    require(len(inputs) == count, "the program has other inputs than its structure")
    version = torch_text.version(program.get("torch_version"))
    problem = _problem(module, inputs)
    return NativeModel(
        estimator="torch.export.ExportedProgram",
        framework="torch",
        description=DESCRIPTION,
        signature=Signature((), ()) if problem else _signature(module, inputs, samples),
        version=version or None,
        requires={"torch": _reason(version)},
        protocol=program["schema_version"]["major"],
        problem=Finding(SIGNATURE, problem) if problem else None,
        notices=_outputs_notices(module),
    )


def _outputs_notices(module: Mapping[str, Any]) -> tuple[str, ...]:
    count = sum("user_output" in each for each in module["signature"]["output_specs"])
    if count < _MATRIX:
        return ()
    return (
        f"The program returns {count} tensors, and a prediction contains only the first. To "
        "serve all of them, export a module that returns one tensor, such as "
        "torch.cat((first, second), dim=1).",
    )


def _reason(version: str) -> str:
    return f"the file records torch {version}" if version else f"the file is {DESCRIPTION}"


def _check_members(members: Members) -> None:
    for name in members:
        if _NATIVE_CODE.match(name):
            raise Malformed(CODE, f"the archive contains native code: {name[:80]!r}")
        if _OBJECT.match(name):
            raise Malformed(CODE, f"the archive contains a pickled object: {name[:80]!r}")
        if not _MEMBERS.fullmatch(name):
            message = f"the archive contains {name[:80]!r}, which torch.export does not write"
            raise Malformed(torch_text.UNSUPPORTED, message)
    require(
        bytes(members.get("archive_format", b"")) == b"pt2",
        "the archive does not say that it is a pt2",
    )
    order = bytes(members.get("byteorder", b"little"))
    require(order == b"little", "the file is of a machine with another byte order")


def _document(members: Members, name: str, check: Callable[[Any], None]) -> dict[str, Any]:
    """Return a JSON document of the archive that passes a check."""
    content = members.get(name)
    if content is None:
        raise Malformed("malformed", f"the archive has no {name}")
    require(len(content) <= _MAX_DOCUMENT, f"{name} is too large", "too-large")
    try:
        document: dict[str, Any] = json.loads(bytes(content).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise Malformed("malformed", f"{name} is not valid JSON") from error
    check(document)
    return document


def _check_payloads(members: Members, folder: str, prefix: str) -> None:
    """Check that each tensor lies inside of its member, and that none is pickled."""
    legacy = members.get(f"data/{folder}/model.pt")
    if legacy is not None:  # before PyTorch 2.9
        torch_archive.read_tensors(legacy, f"data/{folder}/model.pt")
        return
    name, expanded = f"data/{folder}/model_{folder}_config.json", 0
    for path, payload in _document(members, name, torch_schema.PAYLOADS)["config"].items():
        member, meta = payload["path_name"], payload.get("tensor_meta")
        if (
            payload["use_pickle"]
            or meta is None
            or not re.fullmatch(rf"{prefix}_\d{{1,6}}", member)
        ):
            raise Malformed(CODE, f"the tensor {path[:60]!r} is a pickled object")
        content = members.get(f"data/{folder}/{member}")
        require(content is not None, f"the archive has no {member[:60]!r}")
        end = _end(meta, path)
        require(end <= len(content or b""), f"the tensor {path[:60]!r} has no numbers in the file",
                "broken-invariant")  # fmt: skip
        expanded += max(0, _value_bytes(meta) - len(content or b""))
        require(expanded <= _MAX_EXPANDED, f"the tensor {path[:60]!r} repeats its numbers, and "
                f"takes more than {_MAX_EXPANDED:,} bytes", "limit")  # fmt: skip


def _value_bytes(meta: Mapping[str, Any]) -> int:
    """Return the bytes of a tensor; of one row if their number is unknown."""
    fixed: list[int] = [size["as_int"] for size in meta["sizes"] if "as_int" in size]
    return prod(fixed) * ITEM_SIZES.get(meta["dtype"], 0)


def _check_values(module: Mapping[str, Any]) -> None:
    """Check the sizes of what the operators compute. The service limits the memory, too."""
    for name, meta in module["graph"]["tensor_values"].items():
        message = f"the value {name[:60]!r} of the program has more than {_MAX_VALUE:,} bytes"
        require(_value_bytes(meta) <= _MAX_VALUE, message, "limit")


def _end(meta: Mapping[str, Any], path: str) -> int:
    """Return the offset behind the last number of a tensor in its storage."""
    fixed = [each.get("as_int") for each in (*meta["sizes"], *meta["strides"])]
    start, size = meta["storage_offset"].get("as_int"), ITEM_SIZES.get(meta["dtype"])
    if size is None:
        message = f"the tensor {path[:60]!r} is of a type that modelpack does not read"
        raise Malformed(torch_text.UNSUPPORTED, message)
    integers = [each for each in (*fixed, start) if each is not None]
    is_valid = len(integers) == len(fixed) + 1 and all(0 <= each < 2**40 for each in integers)
    is_valid = is_valid and len(meta["sizes"]) == len(meta["strides"]) <= 16
    require(is_valid, f"the sizes of the tensor {path[:60]!r} are not valid", "broken-invariant")
    sizes, strides = fixed[: len(meta["sizes"])], fixed[len(meta["sizes"]) :]
    if 0 in sizes:
        return 0
    steps = ((length - 1) * stride for length, stride in zip(sizes, strides, strict=True))
    return int((start + sum(steps) + 1) * size)


def _samples(members: Members) -> list[list[float | int | bool] | None]:
    """Return the first row of each sample input, in the order of the inputs."""
    content = members.get(SAMPLES)
    if content is None or not len(content):
        return []
    root, found = torch_archive.read_tensors(content, SAMPLES)
    arguments = root[0] if isinstance(root, tuple) and root else ()
    tensors = map(torch_archive.saved_tensor, arguments if isinstance(arguments, tuple) else ())
    return [torch_archive.first_row(each, found) if each else None for each in tensors]


def _inputs(module: Mapping[str, Any], arguments: Sequence[str] | None) -> list[_Input]:
    """Return the tensors that a caller gives. The others are weights."""
    specs = [spec["user_input"]["arg"] for spec in module["signature"]["input_specs"]
             if "user_input" in spec]  # fmt: skip
    names = [spec["as_tensor"]["name"] for spec in specs if "as_tensor" in spec]
    if len(names) != len(specs):
        message = "the program takes values that are no tensors"
        raise Malformed(torch_text.UNSUPPORTED, message)
    shown = arguments if arguments and len({*arguments}) == len(names) else names
    values = module["graph"]["tensor_values"]
    require(all(name in values for name in names), "an input of the program has no shape")
    metas = [values[name] for name in names]
    return [_Input(name, meta["dtype"], _sizes(meta))
            for name, meta in zip(shown, metas, strict=True)]  # fmt: skip


def _sizes(meta: Mapping[str, Any]) -> tuple[Size, ...]:
    return tuple(
        size["as_int"] if "as_int" in size else size["as_expr"]["expr_str"]
        for size in meta["sizes"]
    )


def _problem(module: Mapping[str, Any], inputs: Sequence[_Input]) -> str | None:
    """Return why the program cannot predict rows of a table."""
    if _is_in_training(module):
        return "it was exported in training mode, in which predictions are random"
    if _changes_weights(module):
        return "it changes its own weights, so predictions would depend on earlier ones"
    return _input_problem(inputs) or _output_problem(module, inputs)


def _input_problem(inputs: Sequence[_Input]) -> str | None:
    if not inputs:
        return "it takes no tensors"
    for each in inputs:
        if reason := _not_a_table(each):
            return f"its input {each.name[:60]!r} {reason}"
    if reason := width_problem([each.shape for each in inputs]):
        return reason
    if len({each.sizes[0] for each in inputs}) > 1:
        return "its inputs have different numbers of rows"
    rows = inputs[0].sizes[0]
    if isinstance(rows, str) and not torch_text.is_symbol(rows):
        return "its number of rows has to be a multiple of another number"
    return None


def _output_problem(module: Mapping[str, Any], inputs: Sequence[_Input]) -> str | None:
    output = _output(module)
    if output and output.sizes and output.sizes[0] == inputs[0].sizes[0]:
        return None
    return "its first output has no number, or list of numbers, for each row"


def _is_in_training(module: Mapping[str, Any]) -> bool:
    arguments = (each for node in module["graph"]["nodes"] for each in node["inputs"])
    return any(
        each.get("name") in ("train", "training") and each["arg"].get("as_bool")
        for each in arguments
    )


_VIEWS = {
    "alias", "detach", "expand", "flatten", "permute", "reshape", "select", "slice", "squeeze", "t",
    "transpose", "unsqueeze", "view",
}  # fmt: skip
"""Operators whose result shares the memory of their first argument."""


def _changes_weights(module: Mapping[str, Any]) -> bool:
    """Return whether an operator writes to a parameter or a buffer."""
    inputs = [spec for spec in module["signature"]["input_specs"] if "user_input" not in spec]
    weights = {next(iter(spec.values()))["arg"]["name"] for spec in inputs}
    for node in module["graph"]["nodes"]:
        operator = node["target"].split(".")[-2]
        first = node["inputs"][0]["arg"].get("as_tensor", {}) if node["inputs"] else {}
        if first.get("name") not in weights:
            continue
        if operator.endswith("_") and not operator.startswith("__"):
            return True
        if operator in _VIEWS:
            weights |= {out["as_tensor"]["name"] for out in node["outputs"] if "as_tensor" in out}
    return False


def _not_a_table(each: _Input) -> str:
    if each.dtype not in _TYPES:
        return "is not a tensor of numbers or booleans"
    if not each.sizes:
        return "is a single number, but modelpack serves rows"
    if not all(isinstance(size, int) and size > 0 for size in each.sizes[1:]):
        return "has no fixed number of columns, or of another dimension than the first"
    if isinstance(each.sizes[0], int) and each.sizes[0] < 1:
        return "has no rows"
    return ""


def _output(module: Mapping[str, Any]) -> _Input | None:
    argument = module["signature"]["output_specs"][:1]
    name = argument[0]["user_output"]["arg"].get("as_tensor", {}).get("name") if argument else ""
    meta = module["graph"]["tensor_values"].get(name)
    if meta is None or meta["dtype"] not in _TYPES:
        return None
    return _Input(name, meta["dtype"], _sizes(meta))


def _signature(
    module: Mapping[str, Any],
    inputs: Sequence[_Input],
    samples: Sequence[list[float | int | bool] | None],
) -> Signature:
    output = _output(module)
    widths = [each.width for each in inputs]
    fields: tuple[Field, ...] = ()
    if sum(widths) <= MAX_INPUTS:
        rows = [*samples, *[None] * len(inputs)]
        pairs = zip(inputs, rows, strict=False)
        columns = [each for pair in pairs for each in _columns(*pair, len(inputs))]
        fields = tuple(column.field("number") for column in columns)
    names = {field.name for field in fields}
    predicted: FieldType = _TYPES[output.dtype] if output else "number"
    return Signature(
        inputs=fields,
        outputs=(Field("prediction", predicted, _shape(output)),),
        layout="array",
        named=len(inputs) > 1 and len(names) == len(fields) > 0,
        tensors=tensors([(each.name, each.shape) for each in inputs]),
    )


def _shape(output: _Input | None) -> tuple[int, ...]:
    """Return the shape of one prediction: a single number for a column."""
    if output is None or len(output.sizes) < _MATRIX or output.sizes[1:] == (1,):
        return ()
    what = "a program of PyTorch"
    return tuple(outputs(size, what) if isinstance(size, int) else -1 for size in output.sizes[1:])


def _columns(each: _Input, sample: Sequence[float | int | bool] | None, count: int) -> list[Column]:
    names = [
        each.name if each.width == 1 else f"{each.name}_{index}" for index in range(each.width)
    ]
    if count == 1 and each.width > 1:
        names = [f"x{index}" for index in range(each.width)]
    columns = [Column(name, _TYPES[each.dtype]) for name in names]
    if sample is not None and len(sample) == len(columns):
        for column, value in zip(columns, sample, strict=True):
            column.example = float(f"{value:.6g}") if isinstance(value, float) else value
    return columns
