"""Write docs/monitoring/dashboard.json, the dashboard of Grafana for services of modelpack.

    python scripts/make_dashboard.py

It needs Grafana 10 or later. The form is that of
https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dashboard.panels import ROWS, Panel

TARGET = Path(__file__).parents[1] / "docs" / "monitoring" / "dashboard.json"
HEIGHTS = {"Now": 3, "Inputs": 10}
"""Rows that are not 8 units high."""


def dashboard() -> dict[str, Any]:
    """Return the dashboard as Grafana imports it."""
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in ROWS.items():
        position = {"h": 1, "w": 24, "x": 0, "y": top}
        heading = {"type": "row", "title": title, "gridPos": position}
        panels.append({**heading, "collapsed": False, "panels": []})
        height = HEIGHTS.get(title, 8)
        left = 0
        for panel in row:
            position = {"h": height, "w": panel.width, "x": left, "y": top + 1}
            panels.append({**_panel(panel), "gridPos": position})
            left += panel.width
        top += height + 1
    for number, each in enumerate(panels, start=1):
        each["id"] = number
    return {
        "title": "modelpack",
        "uid": "modelpack",
        "description": "Services of modelpack: requests, the model, its inputs and predictions.",
        "tags": ["modelpack"],
        "schemaVersion": 39,
        "version": 2,
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
    instant = panel.kind == "table"
    targets = [
        {
            "refId": chr(ord("A") + index),
            "datasource": source,
            "expr": expression,
            "legendFormat": legend,
            "instant": instant,
            "range": not instant,
            "format": "table" if instant else "time_series",
        }
        for index, (expression, legend) in enumerate(panel.queries.items())
    ]
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": source,
        "fieldConfig": {"defaults": _defaults(panel), "overrides": _overrides(panel)},
        "options": _options(panel),
        "targets": targets,
        "transformations": [{"id": "organize", "options": _columns()}] if instant else [],
    }


def _columns() -> dict[str, Any]:
    names = ("job", "name", "version", "digest", "Value")
    return {
        "excludeByName": {"Time": True},
        "indexByName": {name: index for index, name in enumerate(names)},
        "renameByName": {"Value": "instances"},
    }


def _defaults(panel: Panel) -> dict[str, Any]:
    if panel.kind == "table":
        return {"custom": {"minWidth": 60}}
    steps: list[dict[str, Any]] = [{"value": None, "color": "green" if panel.limit else "blue"}]
    if panel.limit:
        steps.append(panel.limit._asdict())
    defaults = {
        "unit": panel.unit,
        "min": 0,
        "noValue": panel.empty,
        "thresholds": {"mode": "absolute", "steps": steps},
        **({"decimals": 0} if panel.unit == "none" else {}),
    }
    if panel.kind == "stat":
        return {**defaults, "color": {"mode": "thresholds"}}
    line = {"thresholdsStyle": {"mode": "dashed"}} if panel.limit else {}
    return {**defaults, "custom": {"showPoints": "never", **line, **panel.style}}


def _overrides(panel: Panel) -> list[dict[str, Any]]:
    return [
        {
            "matcher": {"id": "byRegexp", "options": pattern},
            "properties": [{"id": "color", "value": color}],
        }
        for pattern, color in panel.colors.items()
    ]


def _options(panel: Panel) -> dict[str, Any]:
    if panel.kind == "table":
        return {}
    if panel.kind == "stat":
        values = {"calcs": ["lastNotNull"], "fields": "", "values": False}
        return {"colorMode": "value", "graphMode": "none", "reduceOptions": values}
    legend: dict[str, Any] = {"showLegend": True, "placement": "bottom", "displayMode": "list"}
    legend["calcs"] = ["lastNotNull", "max"] if panel.table else []
    if panel.table:
        legend |= {"displayMode": "table", "sortBy": "Max", "sortDesc": True}
    return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}


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
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "sort": 1,
        "refresh": 2,
    }


if __name__ == "__main__":
    TARGET.write_text(json.dumps(dashboard(), indent=1) + "\n")
