"""Services of fitted models, without a bundle, and the contributions that they find."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from frame_estimators import manifest_for

from modelpack.serving.contributions import Contributions, Explainer
from modelpack.serving.manifest import Member
from modelpack.serving.service import Service
from modelpack.serving.settings import Limits

ROWS = 150
_rng = np.random.default_rng(7)
NUMBERS = pd.DataFrame(
    _rng.normal(size=(ROWS, 4)) * [1, 3, 10, 0.1] + [0, 5, -2, 1], columns=list("abcd")
)
MIXED = pd.DataFrame(
    {
        "age": _rng.normal(40, 10, ROWS),
        "city": _rng.choice(["Oslo", "Rome", "Bern"], ROWS),
        "visits": _rng.integers(0, 9, ROWS),
        "plan": _rng.choice(["free", "paid"], ROWS),
    }
).astype({"city": object, "plan": object})
GAPS = MIXED.assign(age=np.where(_rng.random(ROWS) < 0.2, np.nan, MIXED.age))
SCORE = NUMBERS.a + NUMBERS.b * NUMBERS.d - NUMBERS.c / 5 + _rng.normal(0, 0.3, ROWS)
AMOUNT = np.exp(SCORE / SCORE.std() / 2)
YES = np.where(SCORE.median() < SCORE, "yes", "no")
LEVEL = np.array(["high", "low", "mid"])[np.digitize(SCORE, SCORE.quantile([0.3, 0.7]))]
TESTED = 6


def build_service(
    model: Any, frame: pd.DataFrame, layout: str = "array", task: str = "", **more: Any
) -> Service:
    """Return the service of a model that was fitted on `frame`, whose example is the first row."""
    facts = manifest_for(frame, layout, members=(Member(0, ()),), **more)
    row = json_row(frame, 0)
    inputs = tuple(replace(f, example=v) for f, v in zip(facts.inputs, row, strict=True))
    documents = [
        {"name": f.name, "type": f.type, "example": f.example, "quantiles": None} for f in inputs
    ]
    summary = {
        "signature": {"inputs": documents}, "file": {"size": 1}, "more_files": [], "task": task,
    }  # fmt: skip
    classes = getattr(model, "classes_", None)
    labels = {} if classes is None else {"classes": list(classes)}
    has_proba = facts.probabilities or hasattr(model, "predict_proba")
    facts = replace(facts, inputs=inputs, model=summary, probabilities=has_proba, **labels)
    service = Service(facts, model, Limits())
    service.warm_up()
    assert service.ready
    return service


def json_row(frame: pd.DataFrame, index: int) -> list[Any]:
    row: list[Any] = json.loads(frame.iloc[[index]].to_json(orient="values", double_precision=15))
    return row[0]


def explained(service: Service, frame: pd.DataFrame) -> list[Contributions]:
    """Return the contributions for some rows, the first ones of `frame`."""
    explainer = Explainer(service)
    rows = [json_row(frame, index) for index in range(TESTED)]
    return [explainer.explain(service.decode_rows([row])) for row in rows]


def model_output(model: Any, row: Any, result: Contributions) -> float:
    """Return what the model itself gives for the output that the contributions are of."""
    if result.output == "prediction":
        return float(np.ravel(model.predict(row))[0])
    if result.output == "log_prediction":
        return float(np.log(np.ravel(model.predict(row))[0]))
    number = list(model.classes_).index(result.label)
    if result.output == "probability":
        return float(model.predict_proba(row)[0, number])
    if result.output == "log_odds" and not hasattr(model, "decision_function"):
        chance = model.predict_proba(row)[0, number]
        return float(np.log(chance / (1 - chance)))
    scores = model.decision_function(row)[0]
    return float(scores[number] if np.ndim(scores) else scores * (1 if number else -1))
