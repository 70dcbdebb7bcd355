"""The dashboard and the alert rules of docs/monitoring."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import yaml

from modelpack.serving.observability import metrics

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "docs" / "monitoring"


def expressions() -> list[str]:
    """Return the expressions of the dashboard and of the alert rules."""
    document = json.loads((MONITORING / "dashboard.json").read_text())
    targets = [target for panel in document["panels"] for target in panel.get("targets", ())]
    alerts = yaml.safe_load((MONITORING / "alerts.yml").read_text())
    rules = [rule["expr"] for group in alerts["groups"] for rule in group["rules"]]
    return [*(target["expr"] for target in targets), *rules]


def test_dashboard_and_alerts_use_metrics_that_exist():
    names = {family.name for family in metrics.registry.collect()}
    used = {name for text in expressions() for name in re.findall(r"modelpack_[a-z_]+", text)}
    assert len(used) > 15
    assert {re.sub("_(total|bucket)$", "", name) for name in used} <= names


def test_dashboard_is_current(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import make_dashboard  # noqa: PLC0415

    shown = (MONITORING / "dashboard.json").read_text()
    assert shown == json.dumps(make_dashboard.dashboard(), indent=1) + "\n"


def test_promtool_accepts_alerts_and_expressions(tmp_path):
    rules = [
        {"record": f"panel:{index}", "expr": text.replace("$__rate_interval", "5m")}
        for index, text in enumerate(expressions())
    ]
    panels = tmp_path / "panels.yml"
    panels.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    for path in (MONITORING / "alerts.yml", panels):
        command = ["promtool", "check", "rules", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
