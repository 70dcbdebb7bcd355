"""Checks of arguments that operators of PyTorch lack.

Some read beyond short tensors, and a division of the smallest integer by -1 ends the process.
"""

from __future__ import annotations

from typing import Any, Callable

_DIVISIONS = {"div", "div_", "divide", "floor_divide", "fmod", "remainder"}
_GATES = {"gru": 3, "lstm": 4, "rnn_relu": 1, "rnn_tanh": 1}
"""Recurrent operators -> the parts of each weight."""
_MAX_LIMIT = 2**53
"""Of a range: the number of integers in it is computed by a division."""
_TRUE_DIVISIONS = {"div", "div_", "divide"}
"""Those whose result is a float, unless their overload has a rounding mode."""


def add_checks(module: Any) -> Any:
    """Let the module of a program check the arguments of its operators."""
    import torch  # noqa: PLC0415 - a library that only these files need

    checks: dict[Any, Callable[..., Any]] = {
        torch.ops.aten._native_batch_norm_legit_no_training.default: _checked_normalization,
        torch.ops.aten.scaled_dot_product_attention.default: _checked_attention,
        **dict.fromkeys(_GATES, _checked_recurrence),
        "arange": _checked_range,
        "embedding_bag": _checked_bags,
    }
    is_changed = False
    for node in module.graph.nodes:
        name = getattr(getattr(node.target, "overloadpacket", None), "__name__", "")
        check = checks.get(node.target) or checks.get(name)
        if check is None and _may_overflow(name, node):
            check = _checked_division
        if check is not None:
            node.target = check(node.target)
            is_changed = True
    if is_changed:
        module.recompile()
    return module


def _checked_normalization(function: Callable[..., Any]) -> Callable[..., Any]:
    import torch  # noqa: PLC0415 - a library that only these files need

    def normalize(input: Any, *arguments: Any, **named: Any) -> Any:
        tensors = [each for each in (*arguments, *named.values()) if torch.is_tensor(each)]
        if any(each.shape != input.shape[1:2] for each in tensors):
            raise ValueError("a normalization has other sizes than its values")
        return function(input, *arguments, **named)

    return normalize


def _checked_attention(function: Callable[..., Any]) -> Callable[..., Any]:
    def attend(query: Any, key: Any, value: Any, *arguments: Any, **named: Any) -> Any:
        if key.shape[-2] != value.shape[-2] or key.shape[-1] != query.shape[-1]:
            raise ValueError("an attention has keys of other sizes than its values")
        return function(query, key, value, *arguments, **named)

    return attend


def _checked_recurrence(function: Callable[..., Any]) -> Callable[..., Any]:
    gates = _GATES[function.overloadpacket.__name__]  # type: ignore[attr-defined]

    def recur(input: Any, hx: Any, params: Any, *settings: Any) -> Any:
        has_biases, layers, _, _, bidirectional, batch_first = settings
        directions, kinds = 2 if bidirectional else 1, 4 if has_biases else 2
        states = list(hx) if isinstance(hx, (list, tuple)) else [hx]
        is_valid = len(states) == (2 if gates == 4 else 1) and input.ndim == states[0].ndim == 3
        is_valid = is_valid and layers > 0 and layers * directions * kinds == len(params)
        if is_valid:
            size, batch = states[0].shape[2], input.shape[0 if batch_first else 1]
            is_valid = {each.shape for each in states} == {(layers * directions, batch, size)}
            for index, each in enumerate(params):
                layer, kind = index // (directions * kinds), index % kinds
                width = size if kind == 1 else size * directions if layer else input.shape[2]
                is_valid &= each.shape == ((gates * size, width) if kind < 2 else (gates * size,))
        if not is_valid:
            raise ValueError("a recurrent layer has weights of other sizes than its values")
        return function(input, hx, params, *settings)

    return recur


def _checked_bags(function: Callable[..., Any]) -> Callable[..., Any]:
    def embed(weight: Any, indices: Any, offsets: Any, *settings: Any) -> Any:
        """Sum rows of `weight` for each part of `indices`, which begins at an offset."""
        is_valid = (weight.ndim, indices.ndim, offsets.ndim) == (2, 1, 1) and len(offsets) > 0
        if is_valid and len(offsets) > 1:
            is_valid = bool((offsets[1:] >= offsets[:-1]).all())
        is_valid = is_valid and offsets[0] == 0 and bool(offsets[-1] <= len(indices))
        if is_valid and len(indices):
            is_valid = bool(indices.min() >= 0 and indices.max() < len(weight))
        if not is_valid:
            raise ValueError("indices of embeddings, or their offsets, are out of range")
        return function(weight, indices, offsets, *settings)

    return embed


def _checked_range(function: Callable[..., Any]) -> Callable[..., Any]:
    def arange(*limits: Any, **named: Any) -> Any:
        if any(isinstance(each, int) and abs(each) > _MAX_LIMIT for each in limits):
            raise ValueError("the limits of a range of integers are out of range")
        return function(*limits, **named)

    return arange


def _may_overflow(name: str, node: Any) -> bool:
    """Return whether a node of a program may divide an integer by -1."""
    is_float = name in _TRUE_DIVISIONS and "mode" not in node.target._overloadname
    if name not in _DIVISIONS or is_float:
        return False
    divisor = node.args[1] if len(node.args) > 1 else None
    return type(divisor) not in (int, float) or divisor == -1


def _checked_division(function: Callable[..., Any]) -> Callable[..., Any]:
    import torch  # noqa: PLC0415 - a library that only these files need

    def divide(self: Any, other: Any, *arguments: Any, **named: Any) -> Any:
        kind = torch.result_type(self, other)
        if kind in (torch.int32, torch.int64):
            lowest = torch.iinfo(kind).min
            dividend, divisor = (torch.as_tensor(each, dtype=kind) for each in (self, other))
            if ((dividend == lowest) & (divisor == -1)).any():
                raise ValueError(f"{lowest} divided by -1 is out of range")
        return function(self, other, *arguments, **named)

    return divide
