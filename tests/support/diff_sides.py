"""Two sides of a diff, built without an engine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

from engine_bundles import SPEC
from hypothesis import strategies as st

from modelpack.comparison import (
    ImageSummary,
    LayerSummary,
    ModelAnswers,
    QueriedRows,
    Side,
    predictions,
)
from modelpack.oci.filesystem import Entry
from modelpack.types import (
    Environment,
    Field,
    FieldType,
    Signature,
)

AGE, CITY = Field("age", "number"), Field("city", "string", categories=("Oslo", "Rome"))


LABEL = Field("prediction", "string")


PLAIN = Signature((AGE, CITY), (LABEL,), ("no", "yes"), named=True, probabilities=True)


ENVIRONMENT = Environment("3.11", "linux/amd64", {"numpy": "2.3.4"}, {"numpy": "file"}, "numpy")


NOT_QUERIED = predictions.not_compared(["nobody asked"])


def inputs(*fields: Field, named: bool = True) -> Signature:
    return replace(PLAIN, inputs=fields, named=named)


def side(**changes: Any) -> Side:
    return replace(Side("name", "bundle", replace(SPEC, signature=PLAIN), ENVIRONMENT), **changes)


FILE = Entry("app/model.pkl", "file", 0o444, 0, 0, 10, 0, sha256="aa")


def image(files: list[Entry], *layers: str, **config: Any) -> Side:
    parts = tuple(LayerSummary(layer, f"COPY {layer}", 1_000) for layer in layers)
    entries = {entry.path: entry for entry in files}
    return side(image=ImageSummary({"os": "linux", "config": config}, parts, entries))


def model_answers(
    predicted: list[Any], probabilities: list[Any] | None = None, *classes: str
) -> ModelAnswers:
    chances = None if probabilities is None else tuple(probabilities)
    return ModelAnswers((None,) * len(predicted), tuple(predicted), chances, classes or None)


def queried_rows(rows: int, **options: Any) -> QueriedRows:
    return QueriedRows(tuple((number,) for number in range(rows)), **options)


names = st.sampled_from(["a", "b", "c", "d"])


scalars = st.one_of(st.booleans(), st.integers(0, 3), names)


fields = st.builds(
    Field,
    name=names,
    type=st.sampled_from(get_args(FieldType)),
    shape=st.sampled_from([(), (2,)]),
    categories=st.none() | st.lists(scalars, max_size=3, unique_by=repr).map(tuple),
    nullable=st.booleans(),
    minimum=st.none() | st.just(0.5),
    maximum=st.none() | st.just(1.5),
)
