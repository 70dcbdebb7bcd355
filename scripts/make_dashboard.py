"""Write docs/monitoring/dashboard.json, the dashboard of Grafana for services of modelpack.

    python scripts/make_dashboard.py

It needs Grafana 10 or later. The form is that of
https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

TARGET = Path(__file__).parents[1] / "docs" / "monitoring" / "dashboard.json"
WIDTH = 24
CHOSEN = '{job=~"$job"}'
RATE = "$__rate_interval"


class Panel(NamedTuple):
    """A panel of one row of the dashboard.

    Attributes:
        queries: Expression -> legend.
        unit: Of Grafana's field configuration.
        kind: Type of the panel.
    """

    title: str
    description: str
    queries: dict[str, str]
    unit: str = "short"
    kind: str = "timeseries"


def rate(metric: str, by: str, more: str = "") -> str:
    """Return the rate of a counter per second, summed up over all but the labels `by`."""
    return f'sum by ({by}) (rate({metric}{{job=~"$job"{more}}}[{RATE}]))'


def quantile(share: float, metric: str, by: str = "le") -> str:
    """Return a quantile of a histogram."""
    return f"histogram_quantile({share}, {rate(metric + '_bucket', by)})"


def share_of_rows(metric: str) -> str:
    """Return the share of the rows in which the values of each input were counted."""
    return f"{rate(metric, 'input')} / scalar(sum(rate(modelpack_rows_total{CHOSEN}[{RATE}])))"


ROWS: dict[str, list[Panel]] = {
    "Service": [
        Panel(
            "Requests",
            "Answered requests by status.",
            {rate("modelpack_requests_total", "status"): "{{status}}"},
            "reqps",
        ),
        Panel(
            "Rows",
            "Predicted rows.",
            {rate("modelpack_rows_total", "route"): "{{route}}"},
            "rowsps",
        ),
        Panel(
            "Latency",
            "Time from a complete request to its response, including the queue.",
            {
                quantile(0.5, "modelpack_request_duration_seconds"): "median",
                quantile(0.99, "modelpack_request_duration_seconds"): "99 %",
            },
            "s",
        ),
        Panel(
            "Errors",
            "Responses of 400 and above by kind.",
            {rate("modelpack_errors_total", "kind"): "{{kind}}"},
            "reqps",
        ),
    ],
    "Model": [
        Panel(
            "Time of a call",
            "Time of one call of the model.",
            {
                quantile(0.5, "modelpack_model_duration_seconds"): "median",
                quantile(0.99, "modelpack_model_duration_seconds"): "99 %",
            },
            "s",
        ),
        Panel(
            "Waiting requests",
            "Requests that wait for the model, by instance.",
            {f"sum by (instance) (modelpack_queue_length{CHOSEN})": "{{instance}}"},
        ),
        Panel(
            "Workers",
            "Worker processes, and how many ended in the last five minutes.",
            {
                f"sum(modelpack_workers{CHOSEN})": "running",
                f"sum(increase(modelpack_worker_exits_total{CHOSEN}[5m]))": "ended",
            },
        ),
        Panel(
            "Versions",
            "The models that are served.",
            {f"count by (name, version, sha256) (modelpack_model_info{CHOSEN})": ""},
            kind="table",
        ),
    ],
    "Inputs": [
        Panel(
            "Outside the range of the training",
            "Share of the rows with such a value, by input.",
            {share_of_rows("modelpack_input_outside_range_total"): "{{input}}"},
            "percentunit",
        ),
        Panel(
            "Missing",
            "Share of the rows with a missing value, by input.",
            {share_of_rows("modelpack_input_missing_total"): "{{input}}"},
            "percentunit",
        ),
        Panel(
            "Unknown categories",
            "Share of the rows with a category that the training did not have, by input.",
            {share_of_rows("modelpack_input_unknown_category_total"): "{{input}}"},
            "percentunit",
        ),
    ],
    "Predictions": [
        Panel(
            "Classes",
            "Predictions of a classifier.",
            {rate("modelpack_predicted_class_total", "class"): "{{class}}"},
            "rowsps",
        ),
        Panel(
            "Probability of the predicted class",
            "Of requests for probabilities. If it falls, predictions are less certain.",
            {rate("modelpack_probability_bucket", "le"): "{{le}}"},
            kind="heatmap",
        ),
        Panel(
            "Predicted numbers",
            "Quantiles of the predictions of a regressor, without their sign.",
            {
                quantile(share, "modelpack_predicted_value", "sign, le"): f"{{{{sign}}}} {name}"
                for share, name in ((0.05, "5 %"), (0.5, "median"), (0.95, "95 %"))
            },
        ),
    ],
}


def dashboard() -> dict[str, Any]:
    """Return the dashboard as Grafana imports it."""
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in ROWS.items():
        position = {"h": 1, "w": WIDTH, "x": 0, "y": top}
        heading = {"type": "row", "title": title, "gridPos": position}
        panels.append({**heading, "collapsed": False, "panels": []})
        width = WIDTH // len(row)
        for index, panel in enumerate(row):
            position = {"h": 8, "w": width, "x": index * width, "y": top + 1}
            panels.append({**_panel(panel), "gridPos": position})
        top += 9
    for number, each in enumerate(panels, start=1):
        each["id"] = number
    return {
        "title": "modelpack",
        "uid": "modelpack",
        "description": "Services of modelpack: requests, the model, its inputs and predictions.",
        "tags": ["modelpack"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [_data_source(), _job()]},
        "annotations": {"list": []},
        "panels": panels,
    }


def _panel(panel: Panel) -> dict[str, Any]:
    source = {"type": "prometheus", "uid": "${datasource}"}
    targets = [
        {
            "refId": chr(ord("A") + index),
            "datasource": source,
            "expr": expression,
            "legendFormat": legend,
            "instant": panel.kind == "table",
            "range": panel.kind != "table",
            "format": {"heatmap": "heatmap", "table": "table"}.get(panel.kind, "time_series"),
        }
        for index, (expression, legend) in enumerate(panel.queries.items())
    ]
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": source,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []}
        if panel.unit != "short"
        else {"defaults": {"unit": panel.unit}, "overrides": []},
        "options": {},
        "targets": targets,
    }


def _data_source() -> dict[str, Any]:
    return {"type": "datasource", "name": "datasource", "label": "Source", "query": "prometheus"}


def _job() -> dict[str, Any]:
    return {
        "type": "query",
        "name": "job",
        "label": "Job",
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "query": "label_values(modelpack_ready, job)",
        "definition": "label_values(modelpack_ready, job)",
        "includeAll": True,
        "multi": True,
        "refresh": 2,
    }


if __name__ == "__main__":
    TARGET.write_text(json.dumps(dashboard(), indent=1) + "\n")
