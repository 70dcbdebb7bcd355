"""Plans compiled and tried as the service does when it starts."""

from __future__ import annotations

from typing import Any

from modelpack.serving.data.rows import Decoder, DictDecoder
from modelpack.serving.manifest import Field, Manifest
from modelpack.serving.runtimes.estimator import EstimatorRuntime
from modelpack.serving.runtimes.plans import Plan, compile_model, runtime

NUMBERS = [Field(f"x{index}", "number", example=0.5 * index) for index in range(6)]


def manifest(layout: str, fields: list[Field]) -> Manifest:
    return Manifest(
        model={},
        files=(),
        members=(),
        globals=frozenset(),
        method="predict",
        layout=layout,
        inputs=tuple(fields),
        named=True,
        classes=None,
        probabilities=True,
    )


def try_plan(model: Any, layout: str = "array", fields: list[Field] = NUMBERS) -> Any:
    facts = manifest(layout, fields)
    decoder = DictDecoder(fields, 1000) if layout == "dicts" else Decoder(fields, layout, 1000)
    return runtime.accept_plan(EstimatorRuntime(model, facts), facts, decoder.decode)


def replace_functions(monkeypatch, change) -> None:
    """Let `change` replace functions in the parts of plans."""

    def compiled(model: Any, *more: Any) -> Plan:
        plan = compile_model(model, *more)
        batch, row_by_row = dict(plan.batch), dict(plan.row_by_row)
        change(batch, row_by_row)
        return Plan(batch, row_by_row)

    monkeypatch.setattr(runtime, "compile_model", compiled)
