"""The forms in which MLflow's JSON holds rows: exactly one of `dataframe_split`,
`dataframe_records`, `instances` and `inputs`.

Source: https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally/#inference-server-specification
"""

from __future__ import annotations

from typing import Any, Callable

from . import misfits, tables
from .extras import Extras
from .problems import Problem
from .rows import Decoder
from .service import Service

SPLIT = {"columns", "index", "data"}
PARAMS = "params"


def rows(service: Service, document: Any, ignored: Extras = None) -> list[Any]:
    """The rows of a document, as lists or by name. A bare list of rows is taken too: it is what
    SageMaker's own clients send. `ignored`: as in `Service.table`.

    Raises:
        Problem: 422 it has none of the forms, or more than one, or members besides.
    """
    if isinstance(document, list):
        return document
    members = set(document) - {PARAMS} if isinstance(document, dict) else set()
    if len(members) != 1 or not members <= FORMS.keys():
        forms = ", ".join(FORMS)
        raise Problem(422, f"Expected an object with exactly one of {forms}, and {PARAMS}.")
    (form,) = members
    return FORMS[form](service, document[form], ignored)


def _split(service: Service, table: Any, ignored: Extras) -> list[Any]:
    """{"columns": [...], "data": [[...], ...]}; "index" tells nothing."""
    if not isinstance(table, dict) or "data" not in table or not set(table) <= SPLIT:
        raise Problem(422, 'Expected "dataframe_split" with "columns", "data" and perhaps "index".')
    data = table["data"]
    if not isinstance(data, list) or not all(type(row) is list for row in data):
        raise Problem(422, 'Expected a list of rows, each a list, as the "data".')
    if table.get("columns") is None or not data:
        return data
    names = _names(table["columns"], len(data[0]))
    return _by_name(service.decoder(len(names)), names, data, ignored)


def _records(service: Service, records: Any, ignored: Extras) -> list[Any]:  # noqa: ARG001
    """[{name: value}, ...]; the names are numbers where pandas has none."""
    if not isinstance(records, list) or not all(type(row) is dict for row in records):
        raise Problem(422, 'Expected a list of objects as "dataframe_records".')
    numbers = [str(number) for number in range(len(records[0]))] if records else []
    if service.manifest.named or not numbers or any(row.keys() != set(numbers) for row in records):
        return records
    return [[row[number] for number in numbers] for row in records]


def _instances(service: Service, instances: Any, ignored: Extras) -> list[Any]:  # noqa: ARG001
    if not isinstance(instances, list):
        raise Problem(422, 'Expected a list of rows as "instances".')
    return instances


def _inputs(service: Service, inputs: Any, ignored: Extras) -> list[Any]:
    """A list of rows, or columns by name; or of one row its values by name."""
    if isinstance(inputs, list):
        return inputs
    if not isinstance(inputs, dict):
        raise Problem(422, 'Expected a list of rows, or columns by name, as "inputs".')
    lists = [value for value in inputs.values() if type(value) is list]
    if not lists:
        return [inputs]
    if len(lists) < len(inputs) or len(set(map(len, lists))) > 1:
        raise Problem(422, 'Expected columns of equal length as "inputs".')
    names = list(inputs)
    rows = list(map(list, zip(*lists)))
    return _by_name(service.decoder(len(names)), names, rows, ignored)


FORMS: dict[str, Callable[[Service, Any, Extras], list[Any]]] = {
    "dataframe_split": _split,
    "dataframe_records": _records,
    "instances": _instances,
    "inputs": _inputs,
}


def _names(columns: Any, width: int) -> list[str]:
    """They are numbers where pandas has none. `width`: of the first row."""
    if isinstance(columns, list) and len(columns) != width:
        raise misfits.of_width(0, len(columns), width)
    if not isinstance(columns, list) or not all(type(name) in (str, int) for name in columns):
        raise Problem(422, 'Expected a list of names as the "columns".')
    return list(map(str, columns))


def _by_name(decoder: Decoder, names: list[str], data: list[Any], ignored: Extras) -> list[Any]:
    kept = tables.inputs(decoder, names, len(names), ignored)
    for index, row in enumerate(data):
        if len(row) != len(names):
            raise misfits.of_width(index, len(names), len(row))
    if kept is not None:
        names, data = tables.taken(names, kept), [tables.taken(row, kept) for row in data]
    return data if decoder.in_order(names) else [dict(zip(names, row)) for row in data]
