"""TorchScript archives: the module that they contain, and checks of its pickle and its code.

An archive records neither the version of PyTorch nor shapes. `torch.jit.load` unpickles with a
reader of its own, which looks up no names of Python.
"""

from __future__ import annotations

import re

from modelpack.types import Field, Finding, Signature

from ..facts.columns import Column
from ..nodes import DictNode, Malformed, Node, ObjectNode, require
from . import torch_archive, torch_text, torchscript_code
from .model import NativeModel, columns
from .torch_archive import ORDERED, PARAMETER, TENSOR, Members, SavedTensor
from .torch_export import SIGNATURE

DESCRIPTION = "a TorchScript model"

_MEMBERS = re.compile(
    r"(data|constants|traced_inputs)(\.pkl|/\d{1,9})|version|byteorder|\.format_version|"
    r"\.storage_alignment|\.data/(serialization_id|version)|extra/.+|"
    r"code/__torch__(/[\w.]+)*(\.py|\.py\.debug_pkl)"
)
_FLOATS = {"d", "e", "f"}
_LISTS = {f"torch.jit._pickle:build_{kind}list" for kind in ("bool", "double", "int", "tensor")}
_TAG = "torch.jit._pickle:restore_type_tag"
_NAMES = frozenset({_TAG, ORDERED, PARAMETER, TENSOR, *_LISTS})


def read(data: bytes) -> NativeModel:
    """Read a TorchScript archive.

    Raises:
        Malformed: PyTorch writes no such file, or its code uses what is not admitted.
    """
    members = torch_archive.members(data)
    for name in members:
        if not _MEMBERS.fullmatch(name):
            message = f"the archive contains {name[:80]!a}, which torch.jit.save does not write"
            raise Malformed(torch_text.UNSUPPORTED, message)
    files = {name: _text(content) for name, content in members.items() if name.endswith(".py")}
    torchscript_code.check(files.values())
    root = torch_archive.read_script(members, "data.pkl", _NAMES)
    torch_archive.read_script(members, "constants.pkl", _NAMES)
    is_module = isinstance(root, ObjectNode) and root.cls.key.startswith("__torch__")
    require(is_module, "the archive contains no module")
    names = torchscript_code.inputs(files, root.cls.key)
    traced = _traced(members, len(names))
    problem = _problem(names, traced)
    return NativeModel(
        estimator="torch.jit.ScriptModule",
        framework="torch",
        description=DESCRIPTION,
        signature=Signature((), ()) if problem else _signature(names, traced),
        requires={"torch": f"the file is {DESCRIPTION}, which records no version"},
        problem=Finding(SIGNATURE, problem) if problem else None,
    )


def _text(content: memoryview) -> str:
    try:
        return bytes(content).decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed("malformed", "the code of the archive is not UTF-8") from error


def _traced(members: Members, count: int) -> list[SavedTensor]:
    """Return the tensors that the module was traced with; none if it was not, or with others."""
    if "traced_inputs.pkl" not in members:
        return []
    root = _untagged(torch_archive.read_script(members, "traced_inputs.pkl", _NAMES))
    keys = root.keys if isinstance(root, DictNode) else []
    value = _untagged(root.values[keys.index("forward")]) if "forward" in keys else None
    listed = value if isinstance(value, list) else []
    tensors = [each for each in map(torch_archive.saved_tensor, listed) if each]
    is_known = len(tensors) == len(listed) == count and all(t.code in _FLOATS for t in tensors)
    return tensors if is_known else []


def _untagged(node: Node) -> Node:
    """Return a list or dict without its type."""
    is_tagged = isinstance(node, ObjectNode) and node.cls.key == _TAG and node.args
    return node.args[0] if is_tagged else node


def _problem(names: list[str], traced: list[SavedTensor]) -> str | None:
    """Return why the module cannot predict rows of a table."""
    expected = 2 if len(names) == 1 else 1
    other = next((each for each in traced if len(each.sizes) != expected), None)
    if other is None:
        return None
    what = "one tensor" if len(names) == 1 else "several tensors"
    return f"it takes {what} of {len(other.sizes)} dimensions, not of {expected}"


def _signature(names: list[str], traced: list[SavedTensor]) -> Signature:
    """Describe the columns of one tensor, if its width is known, or a column for each of several.

    Tracing saves the shapes of inputs, and none of their numbers.
    """
    found = [Column(name) for name in names] if len(names) > 1 else []
    if len(names) == 1 and traced:
        found, _ = columns(traced[0].sizes[1], None)
    fields = tuple(column.field("number") for column in found)
    outputs = (Field("prediction", "number"),)
    return Signature(fields, outputs, layout="array", named=len(names) > 1)
