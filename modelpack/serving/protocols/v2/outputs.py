"""Results to tensors; classification extension."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Iterable, Iterator, Mapping, Sequence

import numpy as np

from ...data import results as data_results
from ...data import validation
from ...inference import JSON, InferenceResponse
from ...problems import Problem
from ...runtimes import estimator
from ...service import Service
from . import datatypes
from .requests import LENGTH_HEADER, Inference, RequestedOutput

OF_KINDS = {"b": "BOOL", "i": "INT64", "u": "INT64", "f": "FP64", "U": datatypes.BYTES}
OF_TYPES = {"number": "FP64", "integer": "INT64", "boolean": "BOOL"}
BEYOND = 2**63
ALIAS = "output-0"
"""What the prediction is called by KServe's own servers, and therefore by its clients."""


class Outputs:
    """What can be asked for: each of the service's methods by its name; of a model with several
    outputs, whose methods give a list of arrays, each of them too, as `predict_proba_0`.
    """

    def __init__(self, service: Service) -> None:
        self.service = service
        self._told: list[dict[str, Any]] | None = None

    def metadata(self) -> list[dict[str, Any]]:
        """The tensors by what the model gives for its example; found once."""
        if self._told is None:
            self._told = [told for method in self.service.methods for told in self._of(method)]
        return self._told

    def _of(self, method: str) -> Iterator[dict[str, Any]]:
        example = self.service.manifest.example
        try:
            rows = self.service.decode_rows([example or []])
            result = estimator.contained(self.service.runner.call, method, rows)
            parts = [(name, self._tensor(array)) for name, array in self._parts(method, result)]
        except Exception:  # what is not known of a model that has no answer to its example
            yield {"name": method, "datatype": self._datatype(method), "shape": [-1]}
            return
        for name, (datatype, values) in parts:
            yield {"name": name, "datatype": datatype, "shape": [-1, *values.shape[1:]]}

    def _tensor(self, result: Any) -> tuple[str, np.ndarray]:
        return tensor(data_results.of_rows(result, 1, self.service.limits.answer_values))

    def _datatype(self, method: str) -> str:
        told = self.service.manifest.model["signature"]["outputs"]
        if method != self.service.manifest.method or not told:
            return "FP64"
        return OF_TYPES.get(told[0]["type"], datatypes.BYTES)

    def methods(self, wanted: Sequence[RequestedOutput]) -> tuple[str, ...]:
        """The methods that give what was asked for.

        Raises:
            Problem: 400 an output is unknown.
        """
        return tuple(dict.fromkeys(self._method(each.name) for each in wanted))

    def of(
        self, wanted: Sequence[RequestedOutput], results: Mapping[str, Any]
    ) -> Iterator[tuple[RequestedOutput, np.ndarray]]:
        """The arrays (n_rows, ...) of what was asked for, from what the methods gave.

        Raises:
            Problem: 400 an output is unknown.
        """
        for each in wanted:
            method = self._method(each.name)
            parts = dict(self._parts(method, results[method]))
            if each.name == ALIAS:
                parts = {ALIAS: parts[self.service.manifest.method]}
            if each.name not in parts and each.name != method:
                raise self._unknown(each.name)
            for name in [each.name] if each.name in parts else parts:
                yield replace(each, name=name), self._shown(each, name, parts[name])

    def _parts(self, method: str, result: Any) -> Iterable[tuple[str, Any]]:
        """The arrays in a result, which is a list only where the model has several outputs."""
        if method != self.service.manifest.method and data_results.is_several(result):
            return [(f"{method}_{index}", each) for index, each in enumerate(result)]
        return [(method, result)]

    def _shown(self, wanted: RequestedOutput, name: str, values: np.ndarray) -> np.ndarray:
        if not wanted.classes:
            return values
        known = labels(self.service.runner.classes, name, values.shape[-1])
        return classify(values, wanted.classes, known)

    def _method(self, name: str) -> str:
        if name == ALIAS:
            return self.service.manifest.method
        stem, _, number = name.rpartition("_")
        for method in (name, stem if number.isdigit() else name):
            if method in self.service.methods:
                return method
        raise self._unknown(name)

    def _unknown(self, name: str) -> Problem:
        known = ", ".join(each["name"] for each in self.metadata())
        return Problem(400, f"The outputs are {known}; got {validation.describe_value(name)}.")


def tensor(array: np.ndarray) -> tuple[str, np.ndarray]:
    """The datatype of an array, and the array as it is sent: integers and floats of 64 bits,
    booleans, and texts as objects. Infinity is NaN.
    """
    if array.dtype.kind == "O":
        array = _plain(array)
    datatype = OF_KINDS.get(array.dtype.kind, datatypes.BYTES)
    if array.dtype.kind == "u" and array.size and int(array.max()) >= BEYOND:
        datatype = "UINT64"
    if datatype == datatypes.BYTES:
        texts = np.empty(array.shape, object)
        texts.ravel()[:] = [data_results.label(value) for value in array.ravel().tolist()]
        return datatype, texts
    array = data_results.finite(array)
    return datatype, array.astype(bool if datatype == "BOOL" else datatypes.DTYPES[datatype])


def _plain(array: np.ndarray) -> np.ndarray:
    """An array of objects as one of booleans or numbers, where they all are."""
    values = [v.item() if isinstance(v, np.generic) else v for v in array.ravel().tolist()]
    kinds = set(map(type, values))
    plain = np.empty(array.shape, object)
    plain.ravel()[:] = values
    if kinds == {bool}:
        return plain.astype(bool)
    if kinds == {int} and all(-BEYOND <= value < BEYOND for value in values):
        return plain.astype(np.int64)
    return plain.astype(np.float64) if kinds and kinds <= {float, type(None)} else plain


def reply(
    service: Service, asked: Inference, results: Iterable[tuple[RequestedOutput, np.ndarray]]
) -> InferenceResponse:
    """The body: JSON, and the binary data of what was asked for so."""
    told, binary = [], []
    for wanted, array in results:
        datatype, values = tensor(array)
        document: dict[str, Any] = {
            "name": wanted.name,
            "datatype": datatype,
            "shape": list(values.shape),
        }
        if wanted.binary:
            binary.append(datatypes.to_binary(datatype, values))
            document["parameters"] = {"binary_data_size": len(binary[-1])}
        else:
            document["data"] = values.ravel().tolist()
        told.append(document)
    header = data_results.dump(_document(service, asked.id, told))
    if not binary:
        return InferenceResponse(header, JSON)
    headers = {LENGTH_HEADER: str(len(header))}
    return InferenceResponse(b"".join([header, *binary]), "application/octet-stream", headers)


def _document(service: Service, id_: str | None, told: list[dict[str, Any]]) -> dict[str, Any]:
    known = {} if id_ is None else {"id": id_}
    return {"model_name": service.name, "model_version": service.version, **known, "outputs": told}


# Follows Triton's extension for classification, https://github.com/triton-inference-
# server/server/blob/main/docs/protocol/extension_classification.md
MATRIX = 2
MOST = 100_000
"""Texts of one output: each is made by itself."""


def classify(values: np.ndarray, count: int, labels: Sequence[str] | None) -> np.ndarray:
    """The texts (n_rows, count) `VALUE:POSITION:LABEL` of values (n_rows, n_classes), the largest
    first; of all of them, where there are fewer.

    Raises:
        Problem: 400 they are no numbers, or one a row; 422 there would be too many texts.
    """
    if values.ndim != MATRIX or values.dtype.kind not in "fiu":
        raise Problem(400, "classification: expected an output with a number a class.")
    if len(values) * min(count, values.shape[1]) > MOST:
        raise Problem(422, f"More than {MOST} classifications. Ask for fewer, or send fewer rows.")
    order = np.argsort(-values, axis=1, kind="stable")[:, :count]
    texts = np.empty(order.shape, object)
    for row, positions in enumerate(order.tolist()):
        for place, position in enumerate(positions):
            texts[row, place] = _text(values[row, position].item(), position, labels)
    return texts


def _text(value: float, position: int, labels: Sequence[str] | None) -> str:
    text = f"{value}:{position}"
    return f"{text}:{labels[position]}" if labels else text


def labels(classes: Any, name: str, width: int) -> list[str] | None:
    """The labels of an output of so many classes, where `classes` has them: those of the model, or
    of several outputs a list of such, of which `name` tells the number.
    """
    nested = isinstance(classes, list) and len(classes) > 0 and np.ndim(classes[0]) > 0
    number = name.rpartition("_")[2]
    if nested and number.isdigit() and int(number) < len(classes):
        classes = classes[int(number)]
    elif nested or classes is None:
        return None
    known = [data_results.label(each) for each in np.asarray(classes).tolist()]
    return known if len(known) == width else None
