"""The names and sizes in the configuration of a Keras model, which is JSON.

Source: keras/src/saving/serialization_lib.py of Keras 3.15, and keras/src/legacy of the same
release for files of Keras 2. `keras_names.json` lists the classes and
functions that may be named. `scripts/make_keras_names.py` writes it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from .. import limits
from ..nodes import Malformed, require

CODE, CLASS, TENSORFLOW = "keras-code", "keras-class", "keras-tensorflow"
"""Codes of findings: code of the author, a class that is not Keras', one that needs TensorFlow."""

_MAX_BYTES = 64 * limits.MIB
_MAX_VALUES = 5_000_000
_MAX_DEPTH = 100
_SHOWN = 60
_MAX_NAMED = 3

_CODE = {"Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "__lambda__"}
_VALUES = {"__keras_tensor__", "__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__slice__",
           "__tuple__"}  # fmt: skip
_ARRAYS = {"__tensor__", "__numpy__", "__keras_tensor__"}
_DTYPE = re.compile(r"(bool|b?float(8_\w{4,8}|16|32|64)|u?int(4|8|16|32|64))", re.ASCII)
_SIZES = {"units", "filters", "input_dim", "output_dim", "num_heads", "key_dim", "value_dim",
          "depth_multiplier", "lora_rank", "projection_dim", "intermediate_dim",
          "hidden_dim"}  # fmt: skip
"""Members whose value is a dimension of a weight."""
_KERNELS = {"units", "filters"}
"""Those that are the dimension of a weight, whose other dimension is that of the input."""
_REPEATS = {"factor", "max_tokens", "n", "num_bins", "num_tokens", "padding", "size",
            "target_shape"}  # fmt: skip
_MAX_REPEAT = 10_000_000
"""Members that determine the size of a result without a weight, and their limit."""


@cache
def names() -> Mapping[str, Any]:
    """Return the classes and functions that a configuration may name."""
    text = Path(__file__).with_name("keras_names.json").read_text("utf-8")
    table: Mapping[str, Any] = json.loads(text)
    return table


def parse(data: bytes, what: str) -> dict[str, Any]:
    """Return the JSON object in `data`. `what`: "config.json".

    Raises:
        Malformed: It is no JSON object, has a name twice, or exceeds a limit.
    """
    require(len(data) <= _MAX_BYTES, f"{what} is longer than {_MAX_BYTES:,} bytes", "limit")
    try:
        document = json.loads(data.decode("utf-8"), object_pairs_hook=_unique)
    except RecursionError:
        raise Malformed("limit", f"{what} is nested too deeply") from None
    except ValueError:
        raise Malformed("malformed", f"{what} is not JSON") from None
    require(isinstance(document, dict), f"{what} is not a JSON object")
    return dict(document)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    require(len(members) == len(pairs), "an object of the configuration has a name twice")
    return members


def check_names(model: Mapping[str, Any]) -> None:
    """Check all names in a configuration, without the part that only training needs.

    Raises:
        Malformed: It names code, or a class or function that is not allowed.
    """
    refused: dict[str, list[str]] = {CLASS: [], CODE: [], TENSORFLOW: []}
    for node in objects(model):
        if "class_name" in node:
            _check_name(node, refused)
        if isinstance(node.get("vocabulary"), str):
            refused[CODE].append("a vocabulary in another file")
    for code, texts in refused.items():
        if texts:
            shown = list(dict.fromkeys(texts))
            more = f", and {len(shown) - _MAX_NAMED} more" if len(shown) > _MAX_NAMED else ""
            raise Malformed(code, _MESSAGES[code].format(", ".join(shown[:_MAX_NAMED]) + more))


_MESSAGES = {
    CLASS: "it names {}, which modelpack does not know from Keras",
    CODE: "it contains code of its author or refers to other files: {}",
    TENSORFLOW: "it has layers that only TensorFlow computes: {}",
}


def objects(root: Any) -> Iterator[dict[str, Any]]:
    """Yield all objects of a JSON value."""
    waiting = [(root, 0)]
    count = 0
    while waiting:
        node, depth = waiting.pop()
        require(depth <= _MAX_DEPTH, "the configuration is nested too deeply", "limit")
        values = node.values() if isinstance(node, dict) else node
        if isinstance(node, dict):
            yield node
        inner = [(value, depth + 1) for value in values if isinstance(value, dict | list)]
        count += len(inner)
        require(count <= _MAX_VALUES, "the configuration has too many parts", "limit")
        waiting += inner


def _check_name(node: Mapping[str, Any], refused: dict[str, list[str]]) -> None:
    name, module = node["class_name"], node.get("module")
    require(isinstance(name, str), "a class of the configuration has no name")
    if name in _CODE:
        refused[CODE].append(f"the layer {name}" if name != "__lambda__" else "a lambda")
        return
    if name in _VALUES:
        _check_array(node)
        return
    if name == "function":
        function = node.get("config")
        require(isinstance(function, str), "a function of the configuration has no name")
        registered = node.get("registered_name", function)
        known = names()["functions"].get(module, ()) if isinstance(module, str) else ()
        if function not in known or registered not in (None, function):
            refused[CLASS].append(f"the function {shown_name(module, function)}")
        return
    if "module" in node:
        known = names()["classes"].get(module, ()) if isinstance(module, str) else ()
    else:  # of Keras 2
        known = _plain_names()
    if name not in known or node.get("registered_name") not in (None, name):
        registered = node.get("registered_name")
        is_own = isinstance(registered, str) and name in known
        refused[CLASS].append(f"the class {shown_name(module, registered if is_own else name)}")
    elif name in names()["tensorflow"]:
        refused[TENSORFLOW].append(name)


@cache
def _plain_names() -> frozenset[str]:
    """Return the names of all classes; those of Keras 2 have no module."""
    return frozenset(["Model", *(name for each in names()["classes"].values() for name in each)])


def shown_name(module: Any, name: Any) -> str:
    text = f"{module}.{name}" if isinstance(module, str) else str(name)
    return repr(text[:_SHOWN])[1:-1]


def _check_array(node: Mapping[str, Any]) -> None:
    """Check an array, whose type numpy looks up."""
    if node["class_name"] in _ARRAYS:
        config = node.get("config")
        dtype = config.get("dtype") if isinstance(config, dict) else None
        is_plain = isinstance(dtype, str) and _DTYPE.fullmatch(dtype) is not None
        require(is_plain, "an array of the configuration has an unknown type")


def check_sizes(model: Mapping[str, Any], weights: int) -> None:
    """Check the sizes in a configuration against the numbers in the file.

    Raises:
        Malformed: A dimension of a weight is larger than the file, or a result is huge.
    """
    for node in objects(model):
        _check_kernel(node, weights)
        for name in _SIZES & node.keys():
            for size in _numbers(node[name]):
                message = f"a layer has {size:,} {name}, but the file has {weights:,} numbers"
                require(size <= weights, message, "broken-array")
        for name in {each for each in node if each in _REPEATS or each.endswith("shape")}:
            for size in _numbers(node[name]):
                message = f"a layer has the {name} {size:,}, which is more than {_MAX_REPEAT:,}"
                require(size <= _MAX_REPEAT, message, "limit")


def _check_kernel(node: Mapping[str, Any], weights: int) -> None:
    """Check that the weights of a layer, which Keras creates for its inputs, are in the file."""
    config, build = node.get("config"), node.get("build_config")
    if not isinstance(config, dict) or not isinstance(build, dict):
        return
    inner = build.get("shapes_dict")
    shapes = [build.get("input_shape"), *(inner.values() if isinstance(inner, dict) else ())]
    axis = 1 if config.get("data_format") == "channels_first" else -1
    groups = config.get("groups")
    groups = groups if type(groups) is int and groups > 0 else 1
    for shape in shapes:
        width = shape[axis] if isinstance(shape, list) and len(shape) > 1 else None
        for name in _KERNELS & config.keys() if type(width) is int else ():
            if type(config[name]) is int:
                count = width * config[name] // groups
                message = f"a layer has {width:,} inputs and {config[name]:,} {name}, but the file "
                require(count <= weights, f"{message}has {weights:,} numbers", "broken-array")


def _numbers(value: Any) -> list[int]:
    values = value if isinstance(value, list) else [value]
    flat = [part for each in values for part in (each if isinstance(each, list) else [each])]
    return [each for each in flat if type(each) is int]
