"""The layers of a Keras model: its inputs and outputs.

Source: functional.py and sequential.py in keras/src/models of Keras 3.15. The names in the
configuration have been checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..nodes import require
from .keras_config import objects, shown_name


@dataclass(frozen=True)
class Input:
    """An input of the model.

    Attributes:
        shape: Without the number of rows, which Keras does not compare with its rows. None for an
            unknown size.
        indices: The number of indices if it reaches an Embedding, or None.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str
    is_dense: bool = True
    indices: int | None = None


_OF_KERAS_2 = {
    "Activation", "ActivityRegularization", "Add", "AlphaDropout", "Average", "AveragePooling1D",
    "BatchNormalization", "CategoryEncoding", "Concatenate", "Conv1D", "Cropping1D", "Dense", "Dot",
    "Dropout", "ELU", "EinsumDense", "Embedding", "Flatten", "Functional", "GaussianDropout",
    "GaussianNoise", "GlobalAveragePooling1D", "GlobalMaxPooling1D", "GroupNormalization",
    "InputLayer", "LayerNormalization", "LeakyReLU", "Masking", "Maximum", "MaxPooling1D", "Model",
    "Multiply", "Normalization", "PReLU", "Permute", "ReLU", "RepeatVector", "Rescaling", "Reshape",
    "Sequential", "Softmax", "Subtract", "TimeDistributed", "UnitNormalization", "UpSampling1D",
    "ZeroPadding1D",
}  # fmt: skip
"""Layers of Keras 2 that Keras 3 loads, and whose predictions are those of Keras 2 to 1e-5."""


def not_of_keras_3(model: Mapping[str, Any]) -> str:
    """Return what of a model of Keras 2 does not load in Keras 3, or computes something else."""
    own = layers(model)
    if model.get("class_name") != "Sequential" and any(map(is_model, own)):
        return "models inside a Functional model"
    for layer in own:
        inner = _config(layer).get("layer")
        for each in (layer, inner) if isinstance(inner, dict) else (layer,):
            if each.get("class_name") not in _OF_KERAS_2:
                return f"its layer {shown_name(None, each.get('class_name'))}"
        if is_model(layer) and (reason := not_of_keras_3(layer)):
            return reason
    changed = (node.get("activation") == "hard_sigmoid" for node in objects(model))
    return "the activation hard_sigmoid" if any(changed) else ""


def is_stateful(model: Mapping[str, Any]) -> bool:
    """Return whether a layer keeps values from one prediction to the next."""
    return any(node.get("stateful") is True for node in objects(model))


def layers(model: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the layers of a Sequential or Functional model; [] of any other."""
    config = model.get("config")
    listed = config.get("layers") if isinstance(config, dict) else config
    is_list = isinstance(listed, list) and all(isinstance(each, dict) for each in listed)
    return list(listed) if is_list else []  # type: ignore[arg-type]


def is_model(layer: Mapping[str, Any]) -> bool:
    """Return whether a layer is a model of layers."""
    return layer.get("class_name") in {"Sequential", "Functional", "Model"}


def inputs(model: Mapping[str, Any]) -> tuple[Input, ...]:
    """Return the inputs in the order in which the service takes them; () if they are unknown.

    A dict of inputs is in the order of its keys, any other structure in its own.
    """
    own = layers(model)
    if model.get("class_name") == "Sequential":
        return _first_inputs(model, own)
    by_name = {_name(layer): layer for layer in own}
    found = []
    for key, name in references(_config(model).get("input_layers")):
        layer = by_name.get(name)
        if layer is None or layer.get("class_name") != "InputLayer":
            return ()
        one = _input(layer, key or name)
        if one is None:
            return ()
        found.append(_with_indices(one, [each for each in own if name in _sources(each)]))
    return tuple(found)


def _first_inputs(model: Mapping[str, Any], own: list[Mapping[str, Any]]) -> tuple[Input, ...]:
    """Return the inputs of a Sequential model."""
    if not own:
        return ()
    first, rest = own[0], own[1:2]
    if is_model(first):
        return inputs(first)
    one = _input(first, _name(first))
    if one is None:
        shape = _config(model).get("build_input_shape") or _build_shape(model)
        one = _shaped(shape, "input", "float32")
    if first.get("class_name") != "InputLayer":
        rest = [first]
    return (_with_indices(one, rest),) if one else ()


def _build_shape(model: Mapping[str, Any]) -> Any:
    build = model.get("build_config")
    return build.get("input_shape") if isinstance(build, dict) else None


def _config(node: Mapping[str, Any]) -> Mapping[str, Any]:
    config = node.get("config")
    return config if isinstance(config, dict) else {}


def _name(layer: Mapping[str, Any]) -> str:
    name = _config(layer).get("name", layer.get("name"))
    return name if isinstance(name, str) else ""


def references(value: Any) -> list[tuple[str, str]]:
    """Return the key and the layer of each tensor in `input_layers` or `output_layers`.

    A tensor is [layer, node, index]. There is one, a list of them, or a dict of them.
    """
    if isinstance(value, dict):
        pairs = [(key, value[key]) for key in sorted(value)]
    elif isinstance(value, list) and value and isinstance(value[0], str):
        pairs = [("", value)]
    else:
        pairs = [("", each) for each in value] if isinstance(value, list) else []
    tensors = [(key, each[0] if isinstance(each, list) and each else None) for key, each in pairs]
    named = [(key, name) for key, name in tensors if isinstance(name, str)]
    return named if len(named) == len(tensors) else []


def _input(layer: Mapping[str, Any], name: str) -> Input | None:
    config = _config(layer)
    shape = config.get("batch_shape") or config.get("batch_input_shape")
    dtype = config.get("dtype")
    dense = not (config.get("sparse") or config.get("ragged"))
    is_input = layer.get("class_name") == "InputLayer"
    return _shaped(shape, name, dtype if is_input and isinstance(dtype, str) else "float32", dense)


def _shaped(shape: Any, name: str, dtype: str, is_dense: bool = True) -> Input | None:
    """Return an input, or None if its shape is not a list of sizes."""
    is_list = isinstance(shape, list) and len(shape) > 0
    if not is_list or not all(each is None or type(each) is int for each in shape):
        return None
    require(all(each is None or each > 0 for each in shape), "an input has no values")
    return Input(name, tuple(shape[1:]), dtype, is_dense)


def _with_indices(one: Input, next_layers: list[Mapping[str, Any]]) -> Input:
    """Return the input with the number of its indices, if an Embedding alone takes it."""
    embeddings = [each for each in next_layers if each.get("class_name") == "Embedding"]
    values = [_config(each).get("input_dim") for each in embeddings]
    sizes = [value for value in values if isinstance(value, int)]
    if not sizes or len(sizes) < len(next_layers):
        return one
    return replace(one, indices=min(sizes))


def _sources(layer: Mapping[str, Any]) -> set[str]:
    """Return the names of the layers that a layer of a Functional model takes values from."""
    found: set[str] = set()
    nodes = layer.get("inbound_nodes")
    for node in _lists(nodes):
        if isinstance(node, dict) and node.get("class_name") == "__keras_tensor__":
            history = _config(node).get("keras_history")
            if isinstance(history, list) and history and isinstance(history[0], str):
                found.add(history[0])
        elif isinstance(node, list) and node and isinstance(node[0], str):
            found.add(node[0])  # of Keras 2
    return found


def _lists(root: Any) -> Iterator[Any]:
    """Yield the lists and objects in a JSON value."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict | list):
            yield node
            waiting += node.values() if isinstance(node, dict) else node


def output_names(model: Mapping[str, Any]) -> list[str]:
    """Return the names of the outputs, which are those of a dict or of layers."""
    if model.get("class_name") == "Sequential":
        own = layers(model)
        last = own[-1] if own else {}
        return output_names(last) if is_model(last) else [_name(last)]
    return [key or name for key, name in references(_config(model).get("output_layers"))]


_UNCHANGED = {"Activation", "ActivityRegularization", "BatchNormalization", "Dropout", "ELU",
              "GaussianDropout", "GaussianNoise", "LayerNormalization", "LeakyReLU", "ReLU",
              "Rescaling", "Softmax"}  # fmt: skip
"""Layers whose result has the shape of their input."""


def output(model: Mapping[str, Any]) -> tuple[int | None, str]:
    """Return the width of the output and its activation. None and "" for unknown ones."""
    activation = ""
    for layer in _last_layers(model):
        kind, config = layer.get("class_name"), _config(layer)
        named = "softmax" if kind == "Softmax" else _activation(config.get("activation"))
        activation = activation or named
        if kind == "Dense" and type(config.get("units")) is int:
            return config["units"], activation
        if kind not in _UNCHANGED:
            break
    return None, activation


def _activation(value: Any) -> str:
    if isinstance(value, dict):
        value = value.get("config") if value.get("class_name") == "function" else ""
    return value if isinstance(value, str) and value != "linear" else ""


def _last_layers(model: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the layers from the last one backwards, as far as each has one source."""
    own = layers(model)
    if model.get("class_name") == "Sequential":
        for layer in reversed(own):
            if is_model(layer):
                yield from _last_layers(layer)
                return
            yield layer
        return
    by_name = {_name(layer): layer for layer in own}
    named = references(_config(model).get("output_layers"))
    name = named[0][1] if named else ""
    for _ in range(len(own)):
        last = by_name.get(name)
        if last is None:
            return
        if is_model(last):
            yield from _last_layers(last)
            return
        yield last
        sources = _sources(last)
        if len(sources) != 1:
            return
        (name,) = sources
