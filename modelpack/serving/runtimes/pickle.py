"""pickle, joblib and skops, restricted to the names inspected."""

from __future__ import annotations

import pickle
from importlib import import_module
from inspect import signature
from typing import Any, BinaryIO, ClassVar, Collection

from modelpack.serving.security.unpickling import ENCODING, Unpickler, check


def load_pickle(stream: BinaryIO, names: Collection[str]) -> Any:
    return Unpickler(stream, names).load()


MODULES = ("joblib.numpy_pickle", "sklearn.externals.joblib.numpy_pickle")
"""joblib, and the copy of it in scikit-learn before 0.21. A file names the one that wrote it."""


def load_joblib(stream: BinaryIO, names: Collection[str]) -> Any:
    """Load the object of a file of joblib."""
    for module in MODULES:
        if f"{module}:NumpyArrayWrapper" in names:
            return _unpickler(import_module(module), stream, names).load()
    return Unpickler(stream, names).load()


def is_copying(instance: Any) -> bool:
    """Return whether an object copies the arrays of its state, as a tree of scikit-learn does."""
    kind = type(instance)
    return kind.__module__ == "sklearn.tree._tree" and kind.__name__ == "Tree"


def _unpickler(joblib: Any, stream: BinaryIO, names: Collection[str]) -> Any:
    """Create the unpickler of `joblib`, a module `numpy_pickle`, restricted to `names`."""

    class ArrayWrapper(joblib.NumpyArrayWrapper):  # type: ignore[misc]
        def read_array(self, unpickler: Any, *more: Any) -> Any:
            # An array of objects is a separate pickle, which joblib before 1.6 does not restrict.
            if self.dtype.hasobject:
                return Unpickler(unpickler.file_handle, names).load()
            return super().read_array(unpickler, *more)

    class ArrayUnpickler(joblib.NumpyUnpickler):  # type: ignore[misc]
        dispatch: ClassVar[dict[int, Any]] = dict(joblib.NumpyUnpickler.dispatch)

        def load_build(self) -> None:
            instance, state = self.stack[-2:]
            super().load_build()
            if is_copying(instance) and isinstance(state, dict):
                state.clear()  # the memo keeps the arrays of all trees until the end

        dispatch[pickle.BUILD[0]] = load_build

        def find_class(self, module: str, name: str) -> Any:
            check(module, name, names)
            cls = super().find_class(module, name)
            return ArrayWrapper if cls is joblib.NumpyArrayWrapper else cls

    # Since joblib 1.5 the caller requests native byte order, as joblib.load does.
    has_option = "ensure_native_byte_order" in signature(joblib.NumpyUnpickler).parameters
    options = {"ensure_native_byte_order": True} if has_option else {}
    unpickler = ArrayUnpickler("", stream, **options)
    unpickler.encoding = ENCODING
    return unpickler


def load_skops(stream: BinaryIO, names: Collection[str]) -> Any:
    """Load the object of a file of skops, which also allows the names that skops itself trusts."""
    import skops.io  # noqa: PLC0415 - a library that only these files need

    return skops.io.load(stream, trusted=sorted(name.replace(":", ".") for name in names))
