"""LightGBM text.

`pandas_categorical`, at the end, is written by LightGBM's Python package: a JSON list that holds,
for each column of categories of the DataFrame it was trained on, the categories in their order. The
trees know their numbers alone.
"""

from __future__ import annotations

import json
import re

from modelpack.types import Field, Scalar, Signature, Task

from ..facts.boosters import Booster
from ..facts.boosters import lightgbm as head_of
from ..facts.columns import Column
from ..invariants import CODE
from ..invariants.lightgbm import model
from ..invariants.objects import InvariantError
from ..invariants.scan import Scan, run
from ..nodes import Malformed, require
from ..pickle.ndarrays import clean
from .model import NativeModel, columns, no_prediction_finding, outputs

_CATEGORICAL = b"\npandas_categorical:"
_COLUMNS = re.compile(rb"\n\[categorical_(?:feature|column): ([0-9,]{1,1000000})\]")
_NUMBERS = re.compile(r"-?\d{1,10}(:-?\d{1,10}){0,100000}")
_CLASSIFIERS = {"binary", "multiclass", "multiclassova"}
_RANKERS = {"lambdarank", "rank_xendcg"}
_SINCE = {"v4": ">=4", "v3": ">=3"}


def read(data: bytes) -> NativeModel:
    """Raises:
    Malformed: the text is not one that LightGBM can be given.
    """
    try:
        data.decode()
        run(Scan(data, 1, model(), text=True))
    except UnicodeDecodeError as error:
        message = "the text of a LightGBM model is not in UTF-8"
        raise Malformed("malformed", message, offset=error.start) from None
    except InvariantError as broken:
        raise Malformed(CODE, str(broken)) from None
    head, lines = head_of(data), _head(data)
    categories, problem = _categories(data)
    objective = lines.get("objective", "").split(" ")[0]
    return NativeModel(
        estimator="lightgbm.basic.Booster",
        framework="lightgbm",
        words="a LightGBM model (text)",
        signature=_signature(head, lines, categories, objective),
        task=_task(objective),
        version=_SINCE.get(lines.get("version", "")),
        problem=no_prediction_finding(problem) if problem else None,
    )


def _head(data: bytes) -> dict[str, str]:
    lines = data.partition(b"\n\n")[0].decode().split("\n")
    return dict(line.split("=", 1) for line in lines if "=" in line)


def _task(objective: str) -> Task:
    if objective in _CLASSIFIERS:
        return "classifier"
    return "unknown" if objective in _RANKERS or not objective else "regressor"


def _signature(
    head: Booster, lines: dict[str, str], categories: dict[int, tuple[Scalar, ...]], objective: str
) -> Signature:
    made, named = columns(head.width or 0, head.names)
    for index, column in enumerate(made):
        column.nullable = True
        found = head.ranges[index] if index < len(head.ranges) else None
        if found:
            column.between(*found)
    _tell_numbers(made, lines.get("feature_infos", "").split(" "))
    for index, values in categories.items():
        if index < len(made):
            made[index].coded(values)
    count = outputs(int(lines["num_class"]), "a LightGBM model")
    several = count > 1
    return Signature(
        inputs=tuple(column.field("number") for column in made),
        outputs=(Field("prediction", "number", (count,) if several else ()),),
        classes=tuple(range(count)) if several and objective in _CLASSIFIERS else None,
        named=named,
    )


def _tell_numbers(made: list[Column], infos: list[str]) -> None:
    """Of a column of categories, its numbers in training stand between colons; -1 is none."""
    for column, info in zip(made, infos, strict=False):
        if column.minimum is None and _NUMBERS.fullmatch(info):
            column.category(sorted(n for n in map(int, info.split(":")) if n >= 0))


def _categories(data: bytes) -> tuple[dict[int, tuple[Scalar, ...]], str]:
    """Column -> the values that it had in a DataFrame; or why that cannot be told."""
    values = _pandas(data)
    told = _COLUMNS.search(data, data.rfind(b"\nend of trees"))
    places = [int(place) for place in told[1].split(b",") if len(place) < 8] if told else []
    if values and len(values) != len(places):
        return {}, (
            f"it was trained on a DataFrame with {len(values)} columns of categories, and the "
            "text does not tell which; save its Booster with joblib"
        )
    return (dict(zip(places, values, strict=True)) if values else {}), ""


def _pandas(data: bytes) -> list[tuple[Scalar, ...]]:
    start = data.rfind(_CATEGORICAL)
    if start < 0:
        return []
    text = data[start + len(_CATEGORICAL) :].partition(b"\n")[0]
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        raise Malformed("malformed", "the categories of a LightGBM model are no JSON") from None
    is_list = isinstance(told, list) and all(isinstance(each, list) and each for each in told)
    require(told is None or is_list, "the categories of a LightGBM model are no lists")
    return [tuple(map(_category, values)) for values in told or ()]


def _category(value: object) -> Scalar:
    is_plain = isinstance(value, str | int | float | bool)
    require(is_plain, "a category of a LightGBM model is no text, number or boolean")
    return clean(value) if isinstance(value, str) else value  # type: ignore[return-value]
