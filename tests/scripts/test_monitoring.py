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


def test_service_that_does_not_respond_is_an_alert(tmp_path):
    """Also one that Prometheus cannot read, and no service that is not of modelpack."""
    labels = 'job="iris", instance="a:8080"'
    series = [
        {"series": f"up{{{labels}}}", "values": "1x5 0x20"},
        {"series": f"modelpack_ready{{{labels}}}", "values": "1x5 _x20"},
        {"series": 'up{job="other", instance="b:80"}', "values": "0x25"},
    ]
    alert = {"severity": "critical", "job": "iris", "instance": "a:8080"}
    summary = "a:8080 does not respond, or refuses the token of Prometheus."
    expected = [{"exp_labels": alert, "exp_annotations": {"summary": summary}}]
    times = {"5m": [], "10m": expected}
    checks = [
        {"alertname": "ModelDown", "eval_time": time, "exp_alerts": alerts}
        for time, alerts in times.items()
    ]
    test = {"interval": "1m", "input_series": series, "alert_rule_test": checks}
    path = tmp_path / "test.yml"
    document = {"rule_files": [str(MONITORING / "alerts.yml")], "tests": [test]}
    path.write_text(json.dumps({**document, "evaluation_interval": "1m"}))
    done = subprocess.run(
        ["promtool", "test", "rules", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


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
