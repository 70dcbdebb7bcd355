"""Audit events of one process, as texts that are the same in each run."""

from __future__ import annotations

import ast
import hashlib
import os
import re
import sys
import sysconfig
from collections.abc import Collection
from contextlib import suppress
from types import CodeType
from typing import Any

from modelpack.inspection.formulas import NotAFormula, parse

IGNORED = (
    "object.", "sys._getframe", "sys.unraisablehook", "sys.excepthook", "gc.", "builtins.id",
    "cpython.", "array.", "code.__new__", "function.__new__", "mmap.__new__", "time.", "marshal.",
    "ctypes.call_function", "ctypes.cdata", "ctypes.addressof", "ctypes.get_errno",
    "ctypes.set_errno", "ctypes.string_at", "ctypes.create_string_buffer", "_thread.", "weakref.",
)  # fmt: skip
"""Events that are no action beyond the memory of the process. Code objects are reported when they
are executed."""

LIBRARIES = {
    "catboost", "category_encoders", "dateutil", "formulaic", "joblib", "lightgbm", "lz4",
    "modelpack", "narwhals", "numexpr", "numpy", "onnxruntime", "pandas", "patsy", "pyarrow",
    "pytz", "scipy", "six", "skops", "sklearn", "statsmodels", "threadpoolctl", "tzdata", "wrapt",
    "xgboost",
}  # fmt: skip
"""Packages of the distributions that the models require, whose own modules may be imported."""

_PATHS = sysconfig.get_paths()
FOLDERS = tuple(
    {os.path.realpath(_PATHS[key]) + os.sep for key in ("stdlib", "platstdlib", "purelib")}
    | {_PATHS[key] + os.sep for key in ("stdlib", "purelib", "platlib")}
)
_READING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_READERS = re.compile(
    r"LGBM_Booster(Get|Predict|Calc)\w*|XGBooster(Get|Predict)\w*"
    r"|XGDMatrix(Get|Set|Free|CreateFrom(Dense|CSR|Columnar))\w*|XGBoosterFree|LGBM_NetworkFree"
)
"""Functions of boosters that read or free memory, and are looked up when first called."""
_ADDRESS = re.compile(r"0x[0-9a-f]+")


class Watch:
    """Collect the events of this process that are not normal for a model.

    Args:
        names: The "module:name" that unpickling may look up.
        own: Folder of the model, replaced in texts.
    """

    def __init__(self, names: Collection[str], own: str) -> None:
        self.events: dict[str, None] = {}
        self._names = names
        self._own = own
        self._has_formulas = any(name.startswith("statsmodels.") for name in names)
        self._is_on = False
        self._terms: set[str] = set()  # digests of the code of terms of formulas

    def start(self) -> None:
        self._is_on = True
        sys.addaudithook(self._hear)

    def stop(self) -> list[str]:
        self._is_on = False
        return list(self.events)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._is_on or event.startswith(IGNORED):
            return
        self._is_on = False  # the description itself may cause events
        try:
            text = self._describe(event, arguments)
        finally:
            self._is_on = True
        if text is not None:
            self.events[_ADDRESS.sub("0x", text.replace(self._own, "<model>"))[:300]] = None

    def _describe(self, event: str, arguments: tuple[Any, ...]) -> str | None:
        """Return the event as a text, None if it is normal for any model."""
        first = arguments[0] if arguments else None
        if event in {"exec", "compile", "open"}:
            return getattr(self, f"_{event}")(*arguments)
        if event == "import":
            is_normal = str(first).partition(".")[0] in LIBRARIES
        elif event == "os.listdir":
            is_normal = first in sys.path  # as importing does after a change in the folder
        elif event == "pickle.find_class":
            is_normal = f"{first}:{arguments[1]}" in self._names
        elif event.startswith("ctypes.dlsym"):
            is_normal = bool(_READERS.fullmatch(str(arguments[-1])))
            arguments = arguments[-1:]
        else:
            is_normal = False
        shown = " ".join(map(ascii, arguments[:2]))
        return None if is_normal else f"{event} {shown}"

    def _exec(self, code: CodeType) -> str | None:
        if code.co_name == "<module>" and code.co_filename.startswith(FOLDERS):
            return None
        digest = _digest(_code(code))
        is_term = digest in self._terms
        return None if is_term else f"exec {code.co_filename} {code.co_name} {digest}"

    def _compile(self, source: Any, filename: Any) -> str | None:
        text = source.decode("utf-8", "replace") if isinstance(source, bytes) else str(source)
        if source is None and str(filename).startswith(FOLDERS):
            return None
        if _is_literal(text) or (self._has_formulas and self._is_term(text)):
            return None
        return f"compile {filename} {_digest(text)} {text[:100]!a}"

    def _is_term(self, source: str) -> bool:
        """Return whether the grammar of formulas accepts this, and remember its code."""
        try:
            parse(f"y ~ {source}")
        except NotAFormula:
            return False
        with suppress(SyntaxError):
            self._terms.add(_digest(_code(compile(source, "<string>", "eval"))))
        return True

    def _open(self, path: Any, mode: Any, flags: Any) -> str | None:
        if isinstance(path, int):
            return None
        path_text = os.fsdecode(path) if isinstance(path, str | bytes) else repr(path)
        is_read = not flags & _READING if isinstance(flags, int) else mode in {"r", "rb"}
        if is_read and path_text.startswith(FOLDERS):
            return None
        return f"open {path_text!a} {mode} {'to read' if is_read else 'to write'}"


def _is_literal(source: str) -> bool:
    """Return whether this is a dict or a number, as in headers of arrays and in dtypes such as
    "2f8,f4". If it is executed, too, that is a separate event.
    """
    try:
        return isinstance(ast.literal_eval(source), dict | int)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:12]


def _code(code: CodeType) -> str:
    constants = [_code(each) if isinstance(each, CodeType) else each for each in code.co_consts]
    return repr((code.co_code, code.co_names, constants))
