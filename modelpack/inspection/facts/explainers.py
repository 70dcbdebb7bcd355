"""Explainers of SHAP, which people save next to a model or instead of it."""

from __future__ import annotations

import pickletools
import re
from collections.abc import Iterable

from modelpack.types import Finding

from ..allowlist import standing
from ..contracts import class_key
from ..nodes import Blob, Global, Node, ObjectNode
from ..pickle.ndarrays import raw
from ..verdicts import UNKNOWN
from .estimators import EstimatorNode, attributes, estimator_node

CODE = "explainer"

_PATHS = (
    ("model",), ("model", "inner_model"), ("model", "f"), ("model", "original_model"),
    ("_additive_model",),
)  # fmt: skip
"""Attributes in which explainers of some release keep the model, or a method of it."""

_METHODS = {
    "_predict_proba", "decision_function", "predict", "predict_log_proba", "predict_proba",
    "score_samples", "transform",
}  # fmt: skip
_REBUILD = ("numba.core.serialize:custom_rebuild", "numba.core.serialize:_unpickle__CustomPickled")
_MAX_LINK = 2_000
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_FILE = re.compile(r"(.*[/\\])?shap[/\\]links\.py")
_MAX_LINE_TABLE = 64
_TEXTS = {
    "CPUDispatcher", "CodeType", "LambdaType", "__annotations__", "__closure__", "__defaults__",
    "__doc__", "__file__", "__globals__", "__kwdefaults__", "__module__", "__name__", "__package__",
    "__qualname__", "_builtin_type", "_cloudpickle_submodules", "_function_setstate",
    "_make_function", "boundscheck", "can_compile", "direct", "identity", "impl_kind", "locals",
    "log", "logit", "nopython", "np", "numba.cloudpickle.cloudpickle",
    "numba.cloudpickle.cloudpickle_fast", "numba.core.registry", "numpy", "py_func", "shap",
    "shap.links", "sigs", "subimport", "targetoptions", "uuid", "x",
}  # fmt: skip
"""Texts in the pickle of `shap.links.identity` and `logit`, as numba 0.52 to 0.61 writes it."""

_DOCUMENTATION = re.compile(r" ?A (no-op|logit) link function[\w\s.-]*", re.ASCII)
_SPACE = b"\0"
_CODES = {
    b"|\0S\0",  # identity: Python 3.10 and before, 3.12, 3.13
    b"\x97\0|\0S\0",
    b"\x95\0U\0$\0",
    b"t\0j\1|\0d\1|\0\x18\0\x1b\0\x83\1S\0",  # logit: Python 3.6, 3.10, 3.11, 3.12, 3.13
    b"t\0\xa0\1|\0d\1|\0\x18\0\x1b\0\xa1\1S\0",
    b"\x97\0t" + _SPACE * 11 + b"\xa0\1" + _SPACE * 20 + b"|\0d\1|\0z\n\0\0z\x0b\0\0\xa6\1\0\0"
    + b"\xab\1" + _SPACE * 8 + b"S\0",
    b"\x97\0t" + _SPACE * 9 + b"j\3" + _SPACE * 18 + b"|\0d\1|\0z\n\0\0z\x0b\0\0\xab\1" + _SPACE * 6
    + b"S\0",
    b"\x95\0[" + _SPACE * 9 + b"R\3" + _SPACE * 18 + b"U\0S\1U\0-\n\0\0-\x0b\0\0005\1" + _SPACE * 6
    + b"$\0",
}  # fmt: skip
"""Byte code of the two functions, for each Python that numba supports."""

_EXTENSIONS = {"EXT1", "EXT2", "EXT4"}
_RECONSTRUCTORS = {"copyreg:_reconstructor", "copy_reg:_reconstructor"}


def explainer(root: Node, names: Iterable[str]) -> str | None:
    """Return what a file contains if it is an object of SHAP, or None.

    Args:
        root: The value of the pickle; None if it was not read to its end.
        names: The globals of the pickle in order. The class of the value is the first.
    """
    key = class_key(root) if isinstance(root, ObjectNode) else ""
    if root is None or isinstance(root, Global):  # SHAP's own method saves the class first
        key = next((name for name in names if name not in _RECONSTRUCTORS), "")
    module, _, name = key.partition(":")
    if module.partition(".")[0] != "shap":
        return None
    kind = "an explainer" if module.startswith("shap.explainers") else "an object"
    found = f"the file contains {kind} of shap ({name}), which explains predictions and makes none"
    attribute = _model_attribute(root)
    return f"{found}; the model is its attribute {attribute}" if attribute else found


def next_to(objects: Iterable[ObjectNode]) -> str | None:
    """Return a message that names an explainer in a file with a model. None without one."""
    for node in objects:
        module, _, name = class_key(node).partition(":")
        if module.startswith("shap.explainers"):
            return f"the file contains an explainer of shap ({name}) next to the model"
    return None


def only_explains(findings: Iterable[Finding], objects: Iterable[ObjectNode]) -> bool:
    """Return whether the findings are about what explainers contain, and nothing else is called.

    These are classes of unknown libraries, methods of the model, and the link function of SHAP.
    """
    return all(map(_is_expected, findings)) and not any(map(_is_strange, objects))


def _is_expected(finding: Finding) -> bool:
    is_method = (finding.global_ or "").endswith(":getattr") and finding.code == "bad-arguments"
    return is_method or finding.code == UNKNOWN


def _is_strange(node: ObjectNode) -> bool:
    if node.how != "call":
        return False
    if node.cls.name == "getattr":
        changed = node.states or node.appends or node.pairs
        return bool(changed) or not (_is_method(node.args) or _is_link_class(node.args))
    if standing(node.cls.key) == "known":
        return False
    return node.cls.key not in _REBUILD or not _is_link(node)


def _is_method(arguments: tuple[Node, ...]) -> bool:
    """Return whether these are the arguments of getattr for a method of an object."""
    is_pair = len(arguments) == 2 and isinstance(arguments[1], str)
    return is_pair and isinstance(arguments[0], ObjectNode) and arguments[1] in _METHODS


def _is_link_class(arguments: tuple[Node, ...]) -> bool:
    """Return whether these are the arguments for the function of a link of SHAP in protocol 2."""
    owner = arguments[0] if len(arguments) == 2 and arguments[1] in ("f", "finv") else None
    return isinstance(owner, Global) and owner.module in {"shap.common", "shap.utils._legacy"}


def _is_link(node: ObjectNode) -> bool:
    """Return whether numba restores the link function of SHAP, which it saves as byte code."""
    if len(node.args) != 1 or node.kwargs is not None or node.states:
        return False
    inner = node.args[0]
    if node.cls.key == _REBUILD[0]:
        return isinstance(inner, ObjectNode) and inner.cls.key == _REBUILD[1]
    content = None if isinstance(inner, Blob) else raw(inner)
    return content is not None and len(content) <= _MAX_LINK and _is_known_function(content)


def _is_known_function(content: bytes) -> bool:
    """Return whether a nested pickle consists of the texts and the byte code of a known function.

    It is read as a list of opcodes, and not executed.
    """
    try:
        opcodes = list(pickletools.genops(content))
    except ValueError:
        return False
    codes = [part for _, part, _ in opcodes if isinstance(part, bytes)]
    if not codes or codes[0] not in _CODES:
        return False
    return all(kind.name not in _EXTENSIONS and _is_part(part) for kind, part, _ in opcodes)


def _is_part(argument: object) -> bool:
    if isinstance(argument, str):
        patterns = (_UUID, _FILE, _DOCUMENTATION)
        return argument in _TEXTS or any(each.fullmatch(argument) for each in patterns)
    if isinstance(argument, bytes):
        return argument in _CODES or len(argument) <= _MAX_LINE_TABLE
    return argument is None or isinstance(argument, int)


def _model_attribute(root: Node) -> str | None:
    """Return the path of the model in an explainer, as Python reads it, or None."""
    for path in _PATHS:
        node = root
        for name in path:
            node = attributes(node).get(name)
        dotted = ".".join(path)
        if _is_model(node):
            return dotted
        is_method = isinstance(node, ObjectNode) and node.cls.name == "getattr"
        if is_method and _is_method(node.args) and _is_model(node.args[0]):
            return f"{dotted}.__self__"
    return None


def _is_model(node: Node) -> bool:
    part: EstimatorNode | None = estimator_node(node)
    return part is not None
