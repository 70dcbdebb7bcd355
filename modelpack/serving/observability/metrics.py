"""Prometheus metrics and their labels."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any, Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.openmetrics import exposition as openmetrics

from . import multiprocess

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096, 10_000)
PROBABILITIES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
MAGNITUDES = (0.0, *(factor * 10.0**power for power in range(-2, 7) for factor in (1, 3)))
LABEL_CHARACTERS = 200

registry = CollectorRegistry()
"""The metrics of this process. Those of all workers are read from their files."""

REQUESTS = Counter(
    "modelpack_requests",
    "Requests that were answered, including those that were refused.",
    ["route", "method", "status"],
    registry=registry,
)
REQUEST_SECONDS = Histogram(
    "modelpack_request_duration_seconds",
    "Time from a request's routing to its answer.",
    ["route"],
    buckets=SECONDS,
    registry=registry,
)
IN_FLIGHT = Gauge(
    "modelpack_requests_in_flight",
    "Requests that are being answered.",
    multiprocess_mode="livesum",
    registry=registry,
)
ERRORS = Counter(
    "modelpack_errors", "Answers of 400 and above by what was wrong.", ["kind"], registry=registry
)
REFUSED = Counter(
    "modelpack_refused",
    "Requests that were refused before any route saw them.",
    ["reason", "status"],
    registry=registry,
)
QUEUE = Gauge(
    "modelpack_queue_length",
    "Requests that wait for the model.",
    multiprocess_mode="livesum",
    registry=registry,
)
ROWS_ASKED = Counter(
    "modelpack_rows", "Rows of requests that were answered.", ["route"], registry=registry
)
IGNORED = Counter(
    "modelpack_ignored_inputs",
    "Inputs of requests that the model does not have.",
    ["route"],
    registry=registry,
)
BATCH_ROWS = Histogram(
    "modelpack_batch_rows", "Rows of one call of the model.", buckets=ROWS, registry=registry
)
MODEL_SECONDS = Histogram(
    "modelpack_model_duration_seconds",
    "Time of one call of the model.",
    ["method"],
    buckets=SECONDS,
    registry=registry,
)
WORKERS = Gauge(
    "modelpack_workers",
    "Live worker processes.",
    multiprocess_mode="livesum",
    registry=registry,
)
WORKER_EXITS = Counter(
    "modelpack_worker_exits", "Worker processes that ended, for any reason.", registry=registry
)
READY = Gauge(
    "modelpack_ready",
    "1 if the model has answered its own example.",
    multiprocess_mode="max",
    registry=registry,
)
MODEL = Gauge(
    "modelpack_model_info",
    "The model that is served: always 1.",
    ["name", "version", "framework", "framework_version", "sha256"],
    multiprocess_mode="max",
    registry=registry,
)

OUTSIDE = Counter(
    "modelpack_input_outside_range",
    "Values below or above the range of the training.",
    ["input"],
    registry=registry,
)
MISSING = Counter("modelpack_input_missing", "Missing values.", ["input"], registry=registry)
UNKNOWN = Counter(
    "modelpack_input_unknown_category",
    "Categories that the training did not have.",
    ["input"],
    registry=registry,
)
PREDICTED_CLASS = Counter(
    "modelpack_predicted_class", "Predictions of a classifier.", ["class"], registry=registry
)
PREDICTED_VALUE = Histogram(
    "modelpack_predicted_value",
    "Predicted numbers without their sign, up to 8 of one call of the model.",
    ["sign"],
    buckets=MAGNITUDES,
    registry=registry,
)
PROBABILITY = Histogram(
    "modelpack_probability",
    "Probabilities of the most probable class, up to 8 of one call of the model.",
    buckets=PROBABILITIES,
    registry=registry,
)

LOG_DROPPED = Counter(
    "modelpack_prediction_log_dropped",
    "Requests that the log of predictions left out because it was too slow.",
    registry=registry,
)

FORMATS: Mapping[str, tuple[str, Any]] = {
    "text/plain": ("text/plain; version=0.0.4; charset=utf-8", generate_latest),
    "application/openmetrics-text": (
        "application/openmetrics-text; version=1.0.0; charset=utf-8",
        openmetrics.generate_latest,
    ),
}
"""Media type -> Content-Type, and the function that writes the metrics."""


def exposition(media_type: str) -> tuple[bytes, str]:
    """Return the metrics of all workers in one of FORMATS, and the Content-Type."""
    content_type, write = FORMATS[media_type]
    return write(_merged_registry()), content_type


@lru_cache(maxsize=1024)  # the look-up of the library takes longer than to count
def child(metric: Any, *values: str) -> Any:
    """Return the metric with these label values."""
    return metric.labels(*values)


def label_text(value: Any) -> str:
    """Return `value` as a label without unprintable characters, as model files may be hostile."""
    return "".join(c if c.isprintable() else "?" for c in str(value)[:LABEL_CHARACTERS])


class Shared:
    """A collector of the files of all workers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def collect(self) -> Iterable[Any]:
        """Return the merged metrics. A file that a worker is just creating is empty."""
        files = [str(file) for file in self.folder.glob("*.db") if _size(file)]
        merged: Iterable[Any] = MultiProcessCollector.merge(files)
        return merged


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:  # a worker has just ended
        return 0


def _merged_registry() -> CollectorRegistry:
    if multiprocess.Files.folder is None:
        return registry
    collected = CollectorRegistry()
    collected.register(Shared(multiprocess.Files.folder))
    return collected


NONE, OTHER = "none", "other"  # labels of requests without a route, and of unknown values
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
KINDS = {
    400: "malformed",
    401: "token",
    404: "not_found",
    405: "method",
    406: "accept",
    408: "slow_client",
    413: "too_large",
    414: "too_large",
    415: "media_type",
    417: "expectation",
    422: "misfit",
    429: "overload",
    431: "too_large",
    500: "failure",
    503: "unavailable",
    504: "deadline",
}
MAX_REASONS = 50  # about twenty are in use
_reasons: set[str] = set()


def method_label(name: str) -> str:
    return name if name in METHODS else OTHER


def error_kind(status: int) -> str:
    """Return the label of an error status."""
    return KINDS.get(status, OTHER)


def reason_label(detail: str) -> str:
    """Return the first sentence of a detail as a label: `there_are_too_many_connections`."""
    label = "_".join(re.findall("[a-z]+", detail.partition(".")[0].lower()))
    if label not in _reasons and len(_reasons) >= MAX_REASONS:
        return OTHER
    _reasons.add(label)
    return label
