"""Conversion of results to tensors, and the classification extension."""

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
from .requests import LENGTH_HEADER, RequestedOutput

DATATYPE_BY_DTYPE_KIND = {
    "b": "BOOL",
    "i": "INT64",
    "u": "INT64",
    "f": "FP64",
    "U": datatypes.BYTES,
}
DATATYPE_BY_TYPE = {"number": "FP64", "integer": "INT64", "boolean": "BOOL"}
BEYOND = 2**63
ALIAS = "output-0"
"""The name of the prediction in KServe's own servers, which its clients request."""


class Outputs:
    """The outputs that clients can request.

    Each method of the service is an output. If a method returns a list of arrays, one for each
    output of the model, each array is an output, too: `predict_proba_0`.
    """

    def __init__(self, service: Service) -> None:
        self.service = service
        self._metadata: list[dict[str, Any]] | None = None

    def metadata(self) -> list[dict[str, Any]]:
        """Return the output tensors, as the model returns them for its example."""
        if self._metadata is None:
            methods = self.service.methods
            self._metadata = [tensor for method in methods for tensor in self._describe(method)]
        return self._metadata

    def _describe(self, method: str) -> Iterator[dict[str, Any]]:
        example = self.service.manifest.example
        try:
            rows = self.service.decode_rows([example or []])
            result = estimator.contained(self.service.runner.call, method, rows)
            parts = [(name, self._tensor(array)) for name, array in self._parts(method, result)]
        except Exception:  # the model has no example, or fails on it
            yield {"name": method, "datatype": self._datatype(method), "shape": [-1]}
            return
        for name, (datatype, values) in parts:
            yield {"name": name, "datatype": datatype, "shape": [-1, *values.shape[1:]]}

    def _tensor(self, result: Any) -> tuple[str, np.ndarray]:
        return tensor(data_results.require_rows(result, 1, self.service.limits.answer_values))

    def _datatype(self, method: str) -> str:
        signature = self.service.manifest.model["signature"]["outputs"]
        if method != self.service.manifest.method or not signature:
            return "FP64"
        return DATATYPE_BY_TYPE.get(signature[0]["type"], datatypes.BYTES)

    def methods(self, requested: Sequence[RequestedOutput]) -> tuple[str, ...]:
        """Return the methods that return the requested outputs. Raise a Problem 400 for others."""
        return tuple(dict.fromkeys(self._method(output.name) for output in requested))

    def select(
        self, requested: Sequence[RequestedOutput], results: Mapping[str, Any]
    ) -> Iterator[tuple[RequestedOutput, np.ndarray]]:
        """Yield the requested outputs, and their arrays (n_rows, ...) from {method: result}.

        Raises:
            Problem: 400, an output is unknown.
        """
        for output in requested:
            method = self._method(output.name)
            parts = dict(self._parts(method, results[method]))
            if output.name == ALIAS:
                parts = {ALIAS: parts[self.service.manifest.method]}
            if output.name not in parts and output.name != method:
                raise self._unknown(output.name)
            for name in [output.name] if output.name in parts else parts:
                yield replace(output, name=name), self._classified(output, name, parts[name])

    def _parts(self, method: str, result: Any) -> Iterable[tuple[str, Any]]:
        """Return the named arrays of a result."""
        if method != self.service.manifest.method and data_results.is_list_of_outputs(result):
            return [(f"{method}_{index}", each) for index, each in enumerate(result)]
        return [(method, result)]

    def _classified(self, output: RequestedOutput, name: str, values: np.ndarray) -> np.ndarray:
        if not output.classes:
            return values
        known = labels(self.service.runner.classes, name, values.shape[-1])
        return classify(values, output.classes, known)

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
        got = validation.describe_value(name)
        return Problem(400, f"Expected one of the outputs {known}, got {got}.")


def tensor(array: np.ndarray) -> tuple[str, np.ndarray]:
    """Return the datatype of an array, and the array as it is sent.

    Integers and floats have 64 bits, texts are objects, and infinity is NaN.
    """
    if array.dtype.kind == "O":
        array = _typed(array)
    datatype = DATATYPE_BY_DTYPE_KIND.get(array.dtype.kind, datatypes.BYTES)
    if array.dtype.kind == "u" and array.size and int(array.max()) >= BEYOND:
        datatype = "UINT64"
    if datatype == datatypes.BYTES:
        texts = np.empty(array.shape, object)
        texts.ravel()[:] = [data_results.label(value) for value in array.ravel().tolist()]
        return datatype, texts
    array = data_results.replace_infinity(array)
    return datatype, array.astype(bool if datatype == "BOOL" else datatypes.DTYPES[datatype])


def _typed(array: np.ndarray) -> np.ndarray:
    """Return an array of objects as booleans or numbers if all of them are."""
    values = [v.item() if isinstance(v, np.generic) else v for v in array.ravel().tolist()]
    kinds = set(map(type, values))
    objects = np.empty(array.shape, object)
    objects.ravel()[:] = values
    if kinds == {bool}:
        return objects.astype(bool)
    if kinds == {int} and all(-BEYOND <= value < BEYOND for value in values):
        return objects.astype(np.int64)
    return objects.astype(np.float64) if kinds and kinds <= {float, type(None)} else objects


def write_response(
    service: Service, id_: str | None, results: Iterable[tuple[RequestedOutput, np.ndarray]]
) -> InferenceResponse:
    """Return the response: JSON, followed by the outputs that were requested as binary data."""
    tensors, binary = [], []
    for output, array in results:
        datatype, values = tensor(array)
        document: dict[str, Any] = {
            "name": output.name,
            "datatype": datatype,
            "shape": list(values.shape),
        }
        if output.binary:
            binary.append(datatypes.to_binary(datatype, values))
            document["parameters"] = {"binary_data_size": len(binary[-1])}
        else:
            document["data"] = values.ravel().tolist()
        tensors.append(document)
    header = data_results.dump(_document(service, id_, tensors))
    if not binary:
        return InferenceResponse(header, JSON)
    headers = {LENGTH_HEADER: str(len(header))}
    return InferenceResponse(b"".join([header, *binary]), "application/octet-stream", headers)


def _document(service: Service, id_: str | None, tensors: list[dict[str, Any]]) -> dict[str, Any]:
    model = {"model_name": service.name, "model_version": service.version}
    return {**model, **({} if id_ is None else {"id": id_}), "outputs": tensors}


# See Triton's classification extension:
# github.com/triton-inference-server/server/blob/main/docs/protocol/extension_classification.md
MATRIX = 2
MAX_TEXTS = 100_000
"""Texts of one output, which are formatted one by one."""


def classify(values: np.ndarray, count: int, labels: Sequence[str] | None) -> np.ndarray:
    """Return texts (n_rows, count) `VALUE:POSITION:LABEL` of the largest values in each row.

    Raises:
        Problem: 400, `values` is not a matrix of numbers. 422, there would be too many texts.
    """
    if values.ndim != MATRIX or values.dtype.kind not in "fiu":
        raise Problem(400, "classification: expected an output with a number for each class.")
    if len(values) * min(count, values.shape[1]) > MAX_TEXTS:
        raise Problem(
            422, f"More than {MAX_TEXTS} classifications. Request fewer, or send fewer rows."
        )
    order = np.argsort(-values, axis=1, kind="stable")[:, :count]
    texts = np.empty(order.shape, object)
    for row, positions in enumerate(order.tolist()):
        for rank, position in enumerate(positions):
            texts[row, rank] = _text(values[row, position].item(), position, labels)
    return texts


def _text(value: float, position: int, labels: Sequence[str] | None) -> str:
    text = f"{value}:{position}"
    return f"{text}:{labels[position]}" if labels else text


def labels(classes: Any, name: str, width: int) -> list[str] | None:
    """Return the labels of an output with `width` classes, or None if they are unknown.

    Args:
        classes: The classes of the model; of a model with several outputs, a list of them.
        name: The name of the output, which ends with the number of the model's output.
        width: The number of classes.
    """
    nested = isinstance(classes, list) and len(classes) > 0 and np.ndim(classes[0]) > 0
    number = name.rpartition("_")[2]
    if nested and number.isdigit() and int(number) < len(classes):
        classes = classes[int(number)]
    elif nested or classes is None:
        return None
    known = [data_results.label(each) for each in np.asarray(classes).tolist()]
    return known if len(known) == width else None
