"""The panels of each row, from top to bottom."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from .queries import (
    CHOSEN,
    CLASSES,
    NO_PROBE,
    PREDICTION,
    SPREAD,
    models,
    not_ready,
    quantile,
    quantiles,
    rate,
    share,
    share_of_requests,
    share_of_rows,
)

NO_REQUESTS, NO_INSTANCE, NO_VALUE = "No requests", "No instance", "No such value"
STATUS_COLORS = {"2..": "green", "3..": "blue", "4..": "orange", "5..": "red"}


class Limit(NamedTuple):
    """The value at which an alert fires: a line in graphs, and the color of numbers."""

    value: float
    color: str


@dataclass(frozen=True)
class Panel:
    """A panel of one row of the dashboard.

    Attributes:
        queries: Expression -> legend.
        unit: Of Grafana's field configuration.
        width: Columns of the 24 of a row.
        empty: Text of a panel without data.
        kind: Type of the panel.
        table: Whether the legend has the last and the highest value.
        style: Of lines, in Grafana's `custom`.
        colors: Regular expression of legends -> color.
    """

    title: str
    description: str
    queries: dict[str, str]
    unit: str
    width: int = 6
    empty: str = NO_REQUESTS
    limit: Limit | None = None
    kind: str = "timeseries"
    table: bool = False
    style: dict[str, Any] = field(default_factory=dict)
    colors: dict[str, dict[str, str]] = field(default_factory=dict)


def number(
    title: str, description: str, query: str, unit: str, limit: Limit | None = None
) -> Panel:
    """Return a panel of one number."""
    empty = NO_INSTANCE if unit == "none" else NO_REQUESTS
    return Panel(title, description, {query: ""}, unit, 3, empty, limit, "stat")


def highest_share(title: str, values: str, metric: str) -> Panel:
    """Return a panel of the share of the input with most of such values."""
    description = f"Share of the rows with {values}, of the input with most."
    query = f"max({share_of_rows(metric)})"
    panel = number(title, description, query, "percentunit", Limit(0.05, "orange"))
    return replace(panel, empty=NO_VALUE)


def input_shares(title: str, description: str, metric: str, limit: Limit | None = None) -> Panel:
    """Return a panel with the share of the rows in which the values of each input were counted."""
    style = {"axisSoftMax": 0.06}  # little noise looks like little
    queries = {share_of_rows(metric): "{{job}} {{input}}"}
    return Panel(
        title, description, queries, "percentunit", 8, NO_VALUE, limit, table=True, style=style
    )


ROWS: dict[str, list[Panel]] = {
    "Now": [
        number(
            "Not ready",
            "Instances that do not respond, or whose model is not ready.",
            not_ready(),
            "none",
            Limit(1, "red"),
        ),
        number(
            "Requests",
            "Answered requests, without those of probes and of Prometheus.",
            f"sum({rate('modelpack_requests_total', 'job', NO_PROBE)})",
            "reqps",
        ),
        number(
            "Failed (5xx)",
            "Share of the requests with a status of 500 and above, of the service with most.",
            share_of_requests("5.."),
            "percentunit",
            Limit(0.01, "red"),
        ),
        number(
            "Rejected (422)",
            "Share of the requests that do not match the signature, of the service with most.",
            share_of_requests("422"),
            "percentunit",
            Limit(0.05, "orange"),
        ),
        number(
            "Latency, 99 %",
            "Of predictions of the slowest service, from a complete request to its response.",
            f"max({quantile(0.99, 'modelpack_request_duration_seconds', 'job', PREDICTION)})",
            "s",
            Limit(1, "red"),
        ),
        number(
            "Waiting requests",
            "Requests that wait for the model, of the instance with most.",
            f"max(modelpack_queue_length{{{CHOSEN}}})",
            "none",
            Limit(32, "orange"),
        ),
        highest_share(
            "Outside range",
            "a value outside the range of the training",
            "modelpack_input_outside_range_total",
        ),
        highest_share(
            "Unknown values",
            "a category that the training did not have",
            "modelpack_input_unknown_category_total",
        ),
    ],
    "Service": [
        Panel(
            "Requests",
            "Answered requests by status, without those of probes and of Prometheus.",
            {rate("modelpack_requests_total", "status", NO_PROBE): "{{status}}"},
            "reqps",
            style={"stacking": {"mode": "normal", "group": "A"}, "fillOpacity": 40},
            colors={
                f"/^{status}$/": {"mode": "shades", "fixedColor": color}
                for status, color in STATUS_COLORS.items()
            },
        ),
        Panel(
            "Errors",
            "Responses of 400 and above by kind.",
            {rate("modelpack_errors_total", "kind"): "{{kind}}"},
            "reqps",
            empty="No errors",
        ),
        Panel(
            "Latency",
            "Of predictions, from a complete request to its response, including the queue.",
            quantiles("modelpack_request_duration_seconds", "job", "{{job}}", PREDICTION),
            "s",
            limit=Limit(1, "red"),
        ),
        Panel(
            "Rows",
            "Predicted rows by route.",
            {rate("modelpack_rows_total", "route"): "{{route}}"},
            "rowsps",
        ),
    ],
    "Model": [
        Panel(
            "Time of a call",
            "Time of one call of the model.",
            quantiles("modelpack_model_duration_seconds", "job", "{{job}}"),
            "s",
        ),
        Panel(
            "Waiting requests",
            "Requests that wait for the model, by instance.",
            {f"sum by (instance) (modelpack_queue_length{{{CHOSEN}}})": "{{instance}}"},
            "none",
            5,
            NO_INSTANCE,
            limit=Limit(32, "orange"),
            style={"axisSoftMax": 40},
        ),
        Panel(
            "Workers",
            "Worker processes, and how many ended in the last five minutes.",
            {
                f"sum by (job) (modelpack_workers{{{CHOSEN}}})": "{{job}} running",
                f"sum(increase(modelpack_worker_exits_total{{{CHOSEN}}}[5m]))": "ended",
            },
            "none",
            5,
            NO_INSTANCE,
            colors={"/^ended$/": {"mode": "fixed", "fixedColor": "red"}},
        ),
        Panel(
            "Models",
            "The models that are served, with the beginning of their digest.",
            {models(): ""},
            "none",
            8,
            kind="table",
        ),
    ],
    "Inputs": [
        input_shares(
            "Outside the range of the training",
            "Share of the rows with such a value, by input.",
            "modelpack_input_outside_range_total",
            Limit(0.05, "orange"),
        ),
        input_shares(
            "Missing",
            "Share of the rows with a missing value, by input.",
            "modelpack_input_missing_total",
        ),
        input_shares(
            "Unknown categories",
            "Share of the rows with a category that the training did not have, by input.",
            "modelpack_input_unknown_category_total",
            Limit(0.05, "orange"),
        ),
    ],
    "Predictions": [
        Panel(
            "Classes",
            "Share of each class in the predictions of a classifier.",
            {share(CLASSES, "class", CLASSES): "{{job}} {{class}}"},
            "percentunit",
            8,
            "No predictions of a classifier",
        ),
        Panel(
            "Probability of the predicted class",
            "Of requests for probabilities. If it falls, predictions are less certain.",
            quantiles("modelpack_probability", "job", "{{job}}", shares=SPREAD),
            "percentunit",
            8,
            "No requests for probabilities",
        ),
        Panel(
            "Predicted numbers",
            "Quantiles of the predictions of a regressor, without their sign. They are estimated "
            "from wide buckets (1, 3, 10, 30, ...): look at changes.",
            quantiles("modelpack_predicted_value", "job, sign", "{{job}} {{sign}}", shares=SPREAD),
            "short",
            8,
            "No predictions of a regressor",
        ),
    ],
}
