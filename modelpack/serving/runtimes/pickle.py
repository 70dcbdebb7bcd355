"""pickle, joblib and skops, restricted to the names inspected."""

from __future__ import annotations

import pickle
from importlib import import_module
from inspect import signature
from typing import Any, BinaryIO, ClassVar, Collection

from modelpack.serving.security.unpickling import Unpickler, check


def load_pickle(stream: BinaryIO, names: Collection[str]) -> Any:
    """The object in the file."""
    return Unpickler(stream, names).load()


# scikit-learn before 0.21 has a joblib of its own; a file is read by the one that its arrays name.
MODULES = ("joblib.numpy_pickle", "sklearn.externals.joblib.numpy_pickle")


def load_joblib(stream: BinaryIO, names: Collection[str]) -> Any:
    """The object in the file."""
    for module in MODULES:
        if f"{module}:NumpyArrayWrapper" in names:
            return _unpickler(import_module(module), stream, names).load()
    return Unpickler(stream, names).load()


def is_copying(built: Any) -> bool:
    """Whether an object copies the arrays of its state: a tree of scikit-learn."""
    kind = type(built)
    return kind.__module__ == "sklearn.tree._tree" and kind.__name__ == "Tree"


def _unpickler(joblib: Any, stream: BinaryIO, names: Collection[str]) -> Any:
    """The unpickler of `joblib`, a module numpy_pickle, restricted to `names`."""

    class ArrayWrapper(joblib.NumpyArrayWrapper):  # type: ignore[misc]
        def read_array(self, unpickler: Any, *more: Any) -> Any:
            # An array of objects is a pickle of its own; joblib before 1.6 lets it name anything.
            if self.dtype.hasobject:
                return Unpickler(unpickler.file_handle, names).load()
            return super().read_array(unpickler, *more)

    class ArrayUnpickler(joblib.NumpyUnpickler):  # type: ignore[misc]
        dispatch: ClassVar[dict[int, Any]] = dict(joblib.NumpyUnpickler.dispatch)

        def load_build(self) -> None:
            built, state = self.stack[-2:]
            super().load_build()
            if is_copying(built) and isinstance(state, dict):
                state.clear()  # else the arrays of all trees are there twice until the end

        dispatch[pickle.BUILD[0]] = load_build

        def find_class(self, module: str, name: str) -> Any:
            check(module, name, names)
            found = super().find_class(module, name)
            return ArrayWrapper if found is joblib.NumpyArrayWrapper else found

    # Since joblib 1.5 it is the caller who asks for native byte order, as joblib.load does.
    is_asked = "ensure_native_byte_order" in signature(joblib.NumpyUnpickler).parameters
    return ArrayUnpickler("", stream, **({"ensure_native_byte_order": True} if is_asked else {}))


def load_skops(stream: BinaryIO, names: Collection[str]) -> Any:
    """The object in the file. Beyond `names`, skops lets through what it trusts by itself."""
    import skops.io  # noqa: PLC0415 - a library that only these files need

    return skops.io.load(stream, trusted=sorted(name.replace(":", ".") for name in names))
