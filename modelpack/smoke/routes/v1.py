"""KServe's V1 protocol: rows as lists. What V1 answers holds no probabilities."""

from __future__ import annotations

from modelpack.smoke.probe import Probe, predictions_of
from modelpack.smoke.routes.route import Route, Rows, path_of_model
from modelpack.types import Answers


def _lists(probe: Probe, rows: Rows) -> Answers:
    answer = probe.post(f"/v1{path_of_model(probe)}:predict", {"instances": list(rows)})
    return Answers(tuple(predictions_of(answer)))


ROUTES = (Route("POST /v1/models/M:predict, lists", _lists),)
