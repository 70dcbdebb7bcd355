# /// script
# requires-python = ">=3.11"
# dependencies = ["keras==3.15.1", "torch", "h5py"]
# ///
"""Writes modelpack/inspection/formats/keras_names.json: what a configuration of Keras may name.

    python scripts/make_keras_names.py          # writes it, and prints what has changed
    python scripts/make_keras_names.py --check  # prints what would change, exits 1 if anything

It needs Keras, PyTorch and no TensorFlow: layers that ask for TensorFlow are listed apart. Names
are those that `keras.saving.serialize_keras_object` writes. Classes are all that Keras defines and
that compute or hold settings. Left out are base classes, and classes that run code or read files
that a configuration names.
"""

from __future__ import annotations

import difflib
import inspect
import json
import os
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "torch"

import keras
from keras.src import api_export
from keras.src.ops.operation import Operation

TABLE = Path(__file__).parents[1] / "modelpack" / "inspection" / "formats" / "keras_names.json"
BASES = (
    keras.constraints.Constraint,
    keras.DTypePolicy,
    keras.initializers.Initializer,
    keras.losses.Loss,
    keras.metrics.Metric,
    keras.optimizers.Optimizer,
    keras.optimizers.schedules.LearningRateSchedule,
    keras.quantizers.Quantizer,
    keras.quantizers.QuantizationConfig,
    keras.regularizers.Regularizer,
    Operation,  # layers, models, and operations of keras.ops
)
FUNCTIONS = ("keras.activations", "keras.losses", "keras.metrics", "keras.ops")
CODE = {"FlaxLayer", "JaxLayer", "Lambda", "TFSMLayer", "TorchModuleWrapper"}
"""Classes that run code or read files that a configuration names."""

NO_PARTS = {"Distiller", "FeatureSpace", "Function", "Layer", "Model", "Operation", "Wrapper"}
"""Base classes, and classes that are no part of a Sequential or Functional model."""

CALLABLES = {
    "body", "body_fun", "branches", "call_fn", "combine_fn", "cond", "cond_fun", "elements_fn", "f",
    "false_fn", "fn", "fun", "func", "function", "pred", "primals", "pyfunc", "true_fn",
}  # fmt: skip
"""Parameters of operations and functions that call a function."""

FINDERS = {"deserialize", "get", "serialize"}
"""Functions that look up another one."""

ARGUMENTS: tuple[dict[str, Any], ...] = ({}, {"num_bins": 2})
"""Arguments of layers that ask for TensorFlow when they are created."""


def subclasses(base: type) -> Iterator[type]:
    yield base
    for each in base.__subclasses__():
        yield from subclasses(each)


def is_allowed(cls: type) -> bool:
    """Return whether a class is one of Keras that computes, and takes no function."""
    if not cls.__module__.startswith("keras.src.") or cls.__name__.startswith("_"):
        return False
    if cls.__name__ in CODE | NO_PARTS or (cls in BASES and cls is not keras.DTypePolicy):
        return False
    if ".trainers." in cls.__module__:
        return False
    return ".ops." not in cls.__module__ or not (takes_code(cls.__init__) or takes_code(cls.call))


def takes_code(function: Any) -> bool:
    return bool(CALLABLES & {*inspect.signature(function).parameters})


def needs_tensorflow(cls: type) -> bool:
    """Return whether Keras refuses to create a layer without TensorFlow."""
    for arguments in ARGUMENTS:
        try:
            cls(**arguments)
        except ImportError as error:
            return "tensorflow" in str(error)
        except Exception:  # it needs other arguments
            continue
    return False


def collected() -> dict[str, Any]:
    for cls in {*subclasses(keras.optimizers.Optimizer)}:
        needs_tensorflow(cls)  # an optimizer becomes an object of a class of the backend
    classes: dict[str, set[str]] = defaultdict(set)
    tensorflow = set()
    for cls in {cls for base in BASES for cls in subclasses(base)}:
        if is_allowed(cls):
            public = api_export.get_name_from_symbol(cls)
            module, _, name = (public or f"{cls.__module__}.{cls.__name__}").rpartition(".")
            classes[module].add(name)
            if needs_tensorflow(cls):
                tensorflow.add(name)
    functions: dict[str, set[str]] = defaultdict(set)
    for module in FUNCTIONS:
        for value in vars(sys.modules.get(module) or keras_module(module)).values():
            is_own = inspect.isfunction(value) and value.__module__.startswith("keras.src.")
            if is_own and value.__name__ not in FINDERS and not takes_code(value):
                functions[module].add(value.__name__)
    for module in FUNCTIONS[:3]:
        functions["builtins"] |= functions[module]
    return {
        "keras": keras.__version__,
        "classes": {module: sorted(names) for module, names in sorted(classes.items())},
        "functions": {module: sorted(names) for module, names in sorted(functions.items())},
        "tensorflow": sorted(tensorflow),
    }


def keras_module(name: str) -> Any:
    return getattr(keras, name.partition(".")[2])


def main() -> int:
    old = TABLE.read_text("utf-8") if TABLE.exists() else ""
    new = json.dumps(collected(), indent=1) + "\n"
    sys.stdout.writelines(difflib.unified_diff(old.splitlines(True), new.splitlines(True)))
    if "--check" in sys.argv:
        return int(old != new)
    TABLE.write_text(new, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
