"""Records of the estimators in files: their classes and attributes, as plain values.

This is the first half of a compiled model, made without loading the files. docs/compiled.md
specifies the forms of values.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from modelpack.errors import ModelRefusedError
from modelpack.types import Member, Recording

from . import booster_records
from .facts.estimators import attributes
from .formats.trees import Table, Unrecordable
from .nodes import DictNode, Global, Node, ObjectNode, class_key, constructed_class, is_constructed
from .parser import ParsedFile, parse_file
from .pickle.dtypes import Dtype
from .pickle.ndarrays import Array, dict_get, scalar, view

_TREE = "sklearn.tree._tree:Tree"
_TREE_ARGUMENTS = ("n_features", "n_classes", "n_outputs")
_RECORDED = ("sklearn.", "scipy.sparse.", *booster_records.CLASSES)
_TRIPLET = "sklearn.impute._iterative:_ImputerTriplet"
_TRIPLET_ARGUMENTS = ("feat_idx", "neighbor_feat_idx", "estimator")
_NEIGHBORS = re.compile(r"sklearn\.neighbors\.\w+:(KDTree|BallTree)(64)?", re.ASCII)
_NEIGHBORS_STATE = ("data", "idx_array", "node_data", "node_bounds")
_OTHERS = {
    "scipy.interpolate.interpolate:interp1d",
    "scipy.interpolate._interpolate:interp1d",
    "scipy.interpolate._bsplines:BSpline",
}
_FUNCTION = re.compile(
    r"numpy(?:\._?core(?:\.\w*umath)?)?:(log|log1p|log2|log10|sqrt|cbrt|exp|expm1)", re.ASCII
)
_UFUNC = "numpy.core:_ufunc_reconstruct"
_SCALAR_TYPES = {
    **{f"numpy:{kind}{8 * size}": f"<{kind[0]}{size}" for kind in ("int", "uint", "float")
       for size in (1, 2, 4, 8)},
    "builtins:float": "<f8", "builtins:int": "<i8", "builtins:bool": "|b1",
    "numpy:object_": "|O", "builtins:object": "|O",
}  # fmt: skip
_MAX_INTEGER_BITS = 63
_MAX_USES = 4
"""Arrays of other forms that may share one value of the file, so that files do not grow."""


def record_files(paths: Sequence[str], members: Sequence[Member]) -> Recording:
    """Read files without loading them, and record their estimators.

    Args:
        paths: The files of the model.
        members: The objects in them that rows pass through.

    Raises:
        ModelRefusedError: A file was changed after its inspection, so a member is missing.
        Unrecordable: A member is not an estimator of scikit-learn, LightGBM or XGBoost, or
            contains itself.
    """
    recorder = _Recorder()
    files: dict[int, ParsedFile] = {}
    for member in members:
        if member.file not in files:
            files[member.file] = parse_file(Path(paths[member.file]), ())
        file = files[member.file]
        if file.native is not None:
            number = recorder.add(*booster_records.native(file))
        else:
            try:
                number = recorder.estimator(_part(file.root, member.path))
            except RecursionError as error:
                raise Unrecordable("a value that contains itself") from error
        recorder.recording.members.append(number)
    return recorder.recording


def _part(node: Node, path: Sequence[str | int]) -> Node:
    """Return the value at these keys of dicts and positions of lists."""
    try:
        for key in path:
            node = dict_get(node, str(key)) if isinstance(node, DictNode) else node[key]
    except (LookupError, TypeError) as error:
        raise ModelRefusedError(
            f"The model file contains nothing at {list(path)}.", hint="Package the model again."
        ) from error
    return node


class _Recorder:
    def __init__(self) -> None:
        self.recording = Recording()
        self._numbers: dict[int, int] = {}
        self._kept: list[Node] = []  # so that no identity is used again
        self._open: set[int] = set()
        self._arrays: dict[tuple[str, bytes], int] = {}
        self._uses: Counter[int] = Counter()
        self._digests: dict[int, tuple[bytes, bytes]] = {}

    def estimator(self, node: Node) -> int:
        """Record an estimator, and return its number.

        Raises:
            Unrecordable: It is something else.
        """
        if not isinstance(node, ObjectNode) or not _is_recordable(node):
            raise Unrecordable(_type_name(node))
        if id(node) in self._open:
            raise Unrecordable("an object that contains itself")
        if id(node) not in self._numbers:
            self._open.add(id(node))
            self._numbers[id(node)] = self.add(_key(node), _attributes(node))
            self._open.discard(id(node))
            self._kept.append(node)
        return self._numbers[id(node)]

    def add(self, cls: str, attributes_: Mapping[str, Node]) -> int:
        """Add a record with the attributes that have a form, and return its number."""
        recorded, omitted = {}, {}
        for name, value in attributes_.items():
            try:
                recorded[name] = self._value(value)
            except Unrecordable as error:
                omitted[name] = str(error)
        self.recording.records.append({"class": cls, "attributes": recorded, "omitted": omitted})
        return len(self.recording.records) - 1

    def _value(self, node: Node) -> Any:
        for accepts, convert in self._forms:
            if accepts(node):
                return convert(self, node)
        array = view(node)
        if array is not None:
            return self._array(array)
        if isinstance(node, ObjectNode):
            return {"record": self.estimator(node)}
        raise Unrecordable(_type_name(node))

    def _float(self, value: float) -> Any:
        return value if math.isfinite(value) else {"float": str(value)}

    def _list(self, values: list[Node]) -> Any:
        return [self._value(value) for value in values]

    def _tuple(self, values: tuple[Node, ...]) -> Any:
        return {"tuple": [self._value(value) for value in values]}

    def _dict(self, node: DictNode) -> Any:
        pairs = zip(node.keys, node.values, strict=True)
        return {"dict": [[self._value(key), self._value(value)] for key, value in pairs]}

    def _global(self, node: Global) -> Any:
        if match := _FUNCTION.fullmatch(node.key):
            return {"function": f"numpy.{match[1]}"}
        if node.key in _SCALAR_TYPES:
            return {"dtype": _SCALAR_TYPES[node.key]}
        raise Unrecordable(node.dotted)

    def _ufunc(self, node: ObjectNode) -> Any:
        """Return a function that old releases of numpy save by the names of its module."""
        match = _FUNCTION.fullmatch(":".join(map(str, node.args)))
        if match is None:
            raise Unrecordable(" of ".join(map(str, node.args[::-1])))
        return {"function": f"numpy.{match[1]}"}

    def _dtype(self, node: ObjectNode) -> Any:
        return {"dtype": _descr(node.dtype)}

    def _scalar(self, node: ObjectNode) -> Any:
        value = scalar(node)
        if value is None:
            raise Unrecordable("a scalar of numpy")
        return self._value(value)

    def _slice(self, node: ObjectNode) -> Any:
        return {"slice": [self._value(each) for each in node.args]}

    def _array(self, array: Array) -> Any:
        if array.items is not None:
            values = [self._value(item) for item in array.items]
            return {"objects": values, "shape": list(array.shape)}
        size = array.size * array.dtype.itemsize
        if array.data is None or len(array.data) != size or array.dtype.kind not in "biufSUV":
            raise Unrecordable("an array")
        return self._numbers_of(_descr(array.dtype), array.fortran, array.shape, array.data)

    def _table(self, table: Table) -> Any:
        return self._numbers_of(table.descr, False, (table.count,), table.content)

    def _numbers_of(
        self, descr: Any, is_fortran: bool, shape: Sequence[int], content: bytes
    ) -> dict[str, int]:
        header = {
            "descr": descr, "fortran": is_fortran, "shape": list(shape), "size": len(content),
        }  # fmt: skip
        key = repr(header), self._digest(content)
        if key not in self._arrays:
            self._uses[id(content)] += 1
            if self._uses[id(content)] > _MAX_USES:
                raise Unrecordable("an array whose values many arrays share")
            self._arrays[key] = len(self.recording.arrays)
            self.recording.arrays.append(header)
            self.recording.contents.append(content)
        return {"array": self._arrays[key]}

    def _digest(self, content: bytes) -> bytes:
        """Return the digest of a value, which is computed once. The value stays in memory."""
        if id(content) not in self._digests:
            self._digests[id(content)] = content, hashlib.sha256(content).digest()
        return self._digests[id(content)][1]

    _forms: tuple[tuple[Callable[[Node], bool], Callable[[_Recorder, Any], Any]], ...] = (
        (lambda node: node is None or isinstance(node, bool | str), lambda _, node: node),
        (
            lambda node: type(node) is int and node.bit_length() <= _MAX_INTEGER_BITS,
            lambda _, node: node,
        ),
        (lambda node: isinstance(node, float), _float),
        (lambda node: isinstance(node, list), _list),
        (lambda node: isinstance(node, tuple), _tuple),
        (lambda node: isinstance(node, DictNode), _dict),
        (lambda node: isinstance(node, Table), _table),
        (lambda node: isinstance(node, Global), _global),
        (lambda node: isinstance(node, ObjectNode) and node.cls.key == _UFUNC, _ufunc),
        (lambda node: isinstance(node, ObjectNode) and isinstance(node.dtype, Dtype), _dtype),
        (lambda node: isinstance(node, ObjectNode) and node.cls.name == "scalar", _scalar),
        (
            lambda node: isinstance(node, ObjectNode) and node.cls.key.endswith(":slice"),
            _slice,
        ),
    )


def _attributes(node: ObjectNode) -> dict[str, Any]:
    if booster_records.is_booster(node):
        return booster_records.pickled(node)
    return {**_unnamed(node), **attributes(node)}


def _unnamed(node: ObjectNode) -> dict[str, Node]:
    """Return what an object stores in the order of its arguments or of its state."""
    key = _key(node)
    if key == _TREE:
        return dict(zip(_TREE_ARGUMENTS, node.args, strict=False))
    if key == _TRIPLET:
        return dict(zip(_TRIPLET_ARGUMENTS, node.args, strict=False))
    state = node.states[-1] if node.states else None
    if _NEIGHBORS.fullmatch(key) and isinstance(state, tuple):
        return dict(zip(_NEIGHBORS_STATE, state, strict=False))
    return {}


def _key(node: ObjectNode) -> str:
    """Return the class of an object. That of a tree of neighbors is an argument of `newObj`."""
    if node.cls.name == "newObj" and node.args and isinstance(node.args[0], Global):
        return node.args[0].key
    return class_key(node)


def _is_recordable(node: ObjectNode) -> bool:
    key = _key(node)
    if key == _TREE or _NEIGHBORS.fullmatch(key):
        return True
    cls = constructed_class(node)
    is_instance = is_constructed(node) and isinstance(cls, Global)
    return is_instance and (key.startswith(_RECORDED) or key in _OTHERS)


def _type_name(node: Node) -> str:
    if isinstance(node, ObjectNode):
        return class_key(node).replace(":", ".") or node.cls.dotted
    return f"a {type(node).__name__}"


def _descr(dtype: Dtype) -> Any:
    """Return a dtype as in the header of a .npy file: "<f8", or a list of fields with padding.

    Raises:
        Unrecordable: It contains objects, or fields that overlap.
    """
    if dtype.has_objects and dtype.kind == "O" and not dtype.fields:
        return "|O"
    if dtype.has_objects or (dtype.kind == "V" and not dtype.fields):
        raise Unrecordable("an array of objects with fields")
    if not dtype.fields:
        order = "|" if dtype.itemsize == 1 or dtype.kind == "S" else "<>"[dtype.big_endian]
        count = dtype.itemsize // 4 if dtype.kind == "U" else dtype.itemsize
        return f"{order}{dtype.kind}{count}"
    parts, position = [], 0
    for name, offset, part in sorted(dtype.fields, key=lambda each: each[1]):
        if offset < position or part.fields:
            raise Unrecordable("an array whose fields overlap")
        if offset > position:
            parts.append(["", f"|V{offset - position}"])
        parts.append([name, _descr(part)])
        position = offset + part.itemsize
    if position < dtype.itemsize:
        parts.append(["", f"|V{dtype.itemsize - position}"])
    return parts
