"""Estimators that share all with a fitted one, but do a part of their work otherwise.

What releases of scikit-learn do differently is then done by the release that is there.
"""

from __future__ import annotations

from typing import Any, Callable


def twin(model: Any, **others: Any) -> Any:
    """As `model`, with `others` in place of its attributes or methods. `model` stays as it is."""
    made = object.__new__(type(model))
    made.__dict__.update(model.__dict__, **others)
    return made


def nameless(model: Any) -> Any:
    """As `model`, but for the names of its inputs: without a word it takes arrays."""
    made = twin(model)
    made.__dict__.pop("feature_names_in_", None)
    return made


def same(given: Any) -> Any:
    """In place of a method: what it computes is already there."""
    return given


def after(step: Callable[[Any], Any], method: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def call(block: Any) -> Any:
        return method(step(block))

    return call
