"""LightGBM text.

LightGBM's Python package writes `pandas_categorical` at the end. It is a JSON list with the ordered
categories of each categorical column of the DataFrame. The trees contain only their numbers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from modelpack.types import Field, Scalar, Signature, Task

from ..facts.boosters import Booster
from ..facts.boosters import lightgbm as facts_of
from ..facts.categories import lightgbm_columns
from ..facts.columns import Column
from ..invariants import CODE
from ..invariants.lightgbm import CutError, model
from ..invariants.objects import InvariantError
from ..invariants.scan import Scan, run
from ..nodes import Malformed, require
from ..text import clean
from .model import NativeModel, columns, no_prediction_finding, outputs

_CATEGORICAL = b"\npandas_categorical:"
_COLUMNS = re.compile(rb"\n\[categorical_(?:feature|column): ([0-9,]{1,1000000})\]")
_NUMBERS = re.compile(r"-?\d{1,10}(:-?\d{1,10}){0,100000}")
_CLASSIFIERS = {"binary", "multiclass", "multiclassova"}
_RANKERS = {"lambdarank", "rank_xendcg"}
_SINCE = {"v4": ">=4", "v3": ">=3"}


def read(data: bytes) -> NativeModel:
    """Read a text file of LightGBM.

    Raises:
        Malformed: LightGBM would not load the text, or would read outside its arrays.
    """
    try:
        data.decode()
        run(Scan(data, 1, model(), text=True))
    except UnicodeDecodeError as error:
        message = "the text of a LightGBM model is not in UTF-8"
        raise Malformed("malformed", message, offset=error.start) from None
    except InvariantError as broken:
        code = "truncated" if isinstance(broken, CutError) else CODE
        raise Malformed(code, str(broken)) from None
    facts, lines = facts_of(data), _head(data)
    categories, problem = _categories(data, facts.infos)
    objective = lines.get("objective", "").split(" ")[0]
    return NativeModel(
        estimator="lightgbm.basic.Booster",
        framework="lightgbm",
        description="a LightGBM model (text)",
        signature=_signature(facts, lines, categories, objective),
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
    facts: Booster, lines: dict[str, str], categories: dict[int, tuple[Scalar, ...]], objective: str
) -> Signature:
    inputs, named = columns(facts.width or 0, facts.names)
    for index, column in enumerate(inputs):
        column.nullable = True
        limits = facts.ranges[index] if index < len(facts.ranges) else None
        if limits:
            column.between(*limits)
    _describe_numbers(inputs, lines.get("feature_infos", "").split(" "))
    for index, values in categories.items():
        if index < len(inputs):
            inputs[index].coded(values)
    count = outputs(int(lines["num_class"]), "a LightGBM model")
    several = count > 1
    return Signature(
        inputs=tuple(column.field("number") for column in inputs),
        outputs=(Field("prediction", "number", (count,) if several else ()),),
        classes=tuple(range(count)) if several and objective in _CLASSIFIERS else None,
        named=named,
    )


def _describe_numbers(inputs: list[Column], infos: list[str]) -> None:
    """Record the numbers of categorical columns: "0:2:1" in `infos`, where -1 is "missing"."""
    for column, info in zip(inputs, infos, strict=False):
        if column.minimum is None and _NUMBERS.fullmatch(info):
            column.category(sorted(n for n in map(int, info.split(":")) if n >= 0))


def _categories(data: bytes, infos: Sequence[str]) -> tuple[dict[int, tuple[Scalar, ...]], str]:
    """Return column -> its values in the DataFrame, and why that is unknown ("" if it is not).

    LightGBM before 2.2 does not record the columns, which follow from `infos` if one choice fits.
    """
    values = _pandas(data)
    match = _COLUMNS.search(data, data.rfind(b"\nend of trees"))
    indices = [int(index) for index in match[1].split(b",") if len(index) < 8] if match else []
    if values and len(values) != len(indices):
        indices = lightgbm_columns(values, infos) or []
    if len(values) > len(indices):
        return {}, (
            f"it was trained on a DataFrame with {len(values)} categorical columns, and the text "
            "does not record which; save its Booster with joblib, and give rows of a DataFrame: "
            "--example rows.parquet"
        )
    return (dict(zip(indices, values, strict=True)) if values else {}), ""


def categories(data: bytes) -> dict[int, tuple[Scalar, ...]]:
    """Return column -> its values in the DataFrame, as far as the text records them."""
    return _categories(data, facts_of(data).infos)[0]


def _pandas(data: bytes) -> list[tuple[Scalar, ...]]:
    """Return the categories of each categorical column of the DataFrame."""
    start = data.rfind(_CATEGORICAL)
    if start < 0:
        return []
    text, end, _ = data[start + len(_CATEGORICAL) :].partition(b"\n")
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        require(bool(end), "the categories of a LightGBM model end too early", "truncated")
        raise Malformed("malformed", "the categories of a LightGBM model are not JSON") from None
    is_list = isinstance(parsed, list) and all(isinstance(each, list) and each for each in parsed)
    require(parsed is None or is_list, "the categories of a LightGBM model are not lists")
    return [tuple(map(_category, values)) for values in parsed or ()]


def _category(value: object) -> Scalar:
    is_plain = isinstance(value, str | int | float | bool)
    require(is_plain, "a category of a LightGBM model is not a string, number or boolean")
    return clean(value) if isinstance(value, str) else value  # type: ignore[return-value]
