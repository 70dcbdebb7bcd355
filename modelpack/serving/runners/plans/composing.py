"""Estimators that are made of others, one after the other."""

from __future__ import annotations

from typing import Any, Callable

from .compiler import Compiler, Compilers, Part

Step = Callable[[Any], Any]


def pipeline(model: Any, compiler: Compiler) -> Part:
    *first, last = [step for _, step in model.steps if step is not None and step != "passthrough"]
    transforms: list[Step] = [compiler.part(step)["transform"] for step in first]
    return {name: _after(transforms, method) for name, method in compiler.part(last).items()}


def _after(transforms: list[Step], method: Step) -> Step:
    def call(block: Any) -> Any:
        for transform in transforms:
            block = transform(block)
        return method(block)

    return call


COMPILERS: Compilers = {"Pipeline": pipeline}
