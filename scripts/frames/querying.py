"""Sends the rows of a training frame in every format and compares what comes back."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import tritonclient.http as triton

from .packages import get, post
from .sets import Case

RIGHT, BITS, WRONG, REFUSED, UNWRITABLE = "right", "last bits", "wrong", "refused", "unwritable"
EXTRA = "extra-csv"
CLOSE = 1e-6
"""A relative difference below which a number is another rounding and not another answer."""
TYPES = {"BOOL": bool, "BYTES": object, "FP32": np.float32, "FP64": np.float64}
TYPES |= {f"{kind}INT{bits}": np.dtype(f"{kind.lower()}int{bits}").type
          for kind in ("", "U") for bits in (8, 16, 32, 64)}  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """The outcome of one way to send the rows, with the reason or the first difference."""

    way: str
    state: str
    detail: str = ""


def query(case: Case, url: str) -> list[Answer]:
    """Send the rows in every way; in V2 also by tritonclient.

    A model without names knows no column that is one too many: it is not sent any.
    """
    named = get(f"{url}/signature")["named"]
    ways = [way for way in case.document["ways"] if named or way["name"] != EXTRA]
    answers = [_query(case, url, way) for way in ways]
    tensors = next((way for way in case.document["ways"] if way["name"] == "v2"), {})
    if "file" in tensors:
        answers.append(_query_triton(case, url, tensors))
    return answers


def _query(case: Case, url: str, way: dict[str, Any]) -> Answer:
    if "unwritable" in way:
        return Answer(way["name"], UNWRITABLE, way["unwritable"])
    body = (case.folder / way["file"]).read_bytes()
    wants = way["probabilities"] is not None and way["path"] == "/predict"
    query = "?probabilities=true" if wants else ""
    status, document = post(f"{url}{way['path']}{query}", body, way["type"])
    if status == 422 and "header=present" in document.get("detail", ""):
        kind = f"{way['type']}; header=present"  # the hint for lines that may be names or values
        status, document = post(f"{url}{way['path']}{query}", body, kind)
    if status != 200:
        return Answer(way["name"], REFUSED, f"{status}: {document.get('detail')}")
    if way["path"].startswith("/v2"):
        return _compared(way, {"predictions": _rows(document["outputs"][0])})
    return _compared(way, document)


def _query_triton(case: Case, url: str, way: dict[str, Any]) -> Answer:
    document = json.loads((case.folder / way["file"]).read_text())
    way = {**way, "name": "triton"}
    inputs = []
    for tensor in document["inputs"]:
        array = _array(tensor)
        if array is None:
            return Answer("triton", UNWRITABLE, "no missing strings in binary tensors")
        kind = {"float64": "FP64", "object": "BYTES"}.get(str(array.dtype), tensor["datatype"])
        inputs.append(triton.InferInput(tensor["name"], list(array.shape), kind))
        inputs[-1].set_data_from_numpy(array)
    client = triton.InferenceServerClient(url.removeprefix("http://"))
    try:
        result = client.infer("model", inputs, outputs=[triton.InferRequestedOutput("predict")])
    except triton.InferenceServerException as error:
        return Answer("triton", REFUSED, str(error))
    finally:
        client.close()
    array = result.as_numpy("predict")
    if array.dtype == object:
        array = np.vectorize(bytes.decode, otypes=[object])(array)
    return _compared(way, {"predictions": array.tolist()})


def _array(tensor: dict[str, Any]) -> Any:
    """Return the values for tritonclient, with NaN for a missing number; None if impossible."""
    values = tensor["data"]
    if None not in values:
        return np.array(values, TYPES[tensor["datatype"]])
    if tensor["datatype"] in {"BYTES", "BOOL"}:
        return None
    return np.array([math.nan if value is None else value for value in values], float)


def _rows(output: dict[str, Any]) -> list[Any]:
    rows, width = output["shape"][0], math.prod(output["shape"][1:])
    data = output["data"]
    if len(output["shape"]) == 1:
        return data
    return [data[row * width : (row + 1) * width] for row in range(rows)]


def _compared(way: dict[str, Any], document: dict[str, Any]) -> Answer:
    pairs = [("predictions", document["predictions"])]
    if way["probabilities"] is not None and "probabilities" in document:
        pairs.append(("probabilities", document["probabilities"]))
    elif way["probabilities"] is not None and way["path"] == "/predict":
        return Answer(way["name"], WRONG, "the response contains no probabilities")
    state, detail = RIGHT, ""
    for name, found in pairs:
        expected = way[name]
        if len(found) != len(expected):
            return Answer(way["name"], WRONG, f"{len(found)} {name} for {len(expected)} rows")
        for row, (value, other) in enumerate(zip(found, expected, strict=True)):
            if value == other and type(value) is not bool:
                continue
            difference = f"row {row}: {value!r:.80} instead of {other!r:.80}"
            if not is_close(value, other):
                return Answer(way["name"], WRONG, difference)
            if state == RIGHT:
                state, detail = BITS, difference
    return Answer(way["name"], state, detail)


def is_close(value: Any, other: Any) -> bool:
    """Return whether two answers differ by no more than rounding."""
    if isinstance(value, dict) and isinstance(other, dict):
        return value.keys() == other.keys() and all(is_close(value[k], other[k]) for k in value)
    if isinstance(value, list) and isinstance(other, list):
        return len(value) == len(other) and all(map(is_close, value, other))
    if isinstance(value, float) and isinstance(other, float):
        return math.isclose(value, other, rel_tol=CLOSE, abs_tol=1e-12)
    return type(value) is type(other) and value == other
