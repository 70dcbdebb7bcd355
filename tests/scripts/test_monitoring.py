"""The dashboard and the alert rules of docs/monitoring."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import yaml

from modelpack.serving.observability import metrics, requests

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


def expression(title: str) -> str:
    """Return the first expression of a panel, for all jobs."""
    document = json.loads((MONITORING / "dashboard.json").read_text())
    panel = next(panel for panel in document["panels"] if panel["title"] == title)
    text: str = panel["targets"][0]["expr"]
    return text.replace("$job", ".+").replace("$__rate_interval", "5m")


def run_rule_test(folder: Path, test: dict[str, object]) -> None:
    """Have Prometheus evaluate alerts or expressions over series. One sample is a minute."""
    document = {"rule_files": [str(MONITORING / "alerts.yml")], "evaluation_interval": "1m"}
    path = folder / "test.yml"
    path.write_text(json.dumps({**document, "tests": [{"interval": "1m", **test}]}))
    done = subprocess.run(
        ["promtool", "test", "rules", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def run_expression(folder: Path, title: str, series: dict[str, str], expected: dict[str, float]):
    """Compare the values of a panel after 10 minutes: labels -> value."""
    samples = [{"labels": labels, "value": value} for labels, value in expected.items()]
    check = {"expr": expression(title), "eval_time": "10m", "exp_samples": samples}
    inputs = [{"series": name, "values": values} for name, values in series.items()]
    run_rule_test(folder, {"input_series": inputs, "promql_expr_test": [check]})


def test_share_of_an_input_is_that_of_its_own_job(tmp_path):
    """The inputs of another model are no missing ones of this one."""
    series = {
        'modelpack_rows_total{job="a", route="/predict"}': "0+60x10",
        'modelpack_rows_total{job="b", route="/predict"}': "0+540x10",
        'modelpack_input_missing_total{job="a", input="age"}': "0+6x10",
    }
    run_expression(tmp_path, "Missing", series, {'{job="a", input="age"}': 0.1})


def test_probes_are_no_requests(tmp_path):
    series = {
        'modelpack_requests_total{job="a", route="/readyz", status="503"}': "0+60x10",
        'modelpack_requests_total{job="a", route="/predict", status="200"}': "0+54x10",
        'modelpack_requests_total{job="a", route="none", status="503"}': "0+6x10",
    }
    run_expression(tmp_path, "Failed (5xx)", series, {"{}": 0.1})
    others = {'modelpack_requests_total{job="b", route="/predict", status="200"}': "0+999x10"}
    run_expression(tmp_path, "Failed (5xx)", {**series, **others}, {"{}": 0.1})
    excluded = {text for rule in expressions() for text in re.findall('route!~"(.*?)"', rule)}
    (pattern,) = excluded
    assert all(re.fullmatch(pattern, route) for route in requests.PROBES)


def test_service_without_requests_has_no_shares(tmp_path):
    """0 / 0 is no number, which a panel cannot show."""
    series = {
        'modelpack_requests_total{job="a", route="/predict", status="200"}': "9x10",
        'modelpack_rows_total{job="a", route="/predict"}': "9x10",
        'modelpack_predicted_class_total{job="a", class="yes"}': "9x10",
        'modelpack_probability_bucket{job="a", le="1.0"}': "9x10",
        'modelpack_probability_bucket{job="a", le="+Inf"}': "9x10",
    }
    for title in ("Failed (5xx)", "Classes", "Probability of the predicted class"):
        run_expression(tmp_path, title, series, {})


def test_instances_that_are_not_ready_are_counted(tmp_path):
    series = {
        'up{job="a", instance="responds"}': "1x10",
        'modelpack_ready{job="a", instance="responds"}': "1x10",
        'up{job="a", instance="fails"}': "1x10",
        'modelpack_ready{job="a", instance="fails"}': "1x3 0x7",
        'up{job="a", instance="down"}': "1x3 0x7",
        'modelpack_ready{job="a", instance="down"}': "1x3 _x7",
        'up{job="a", instance="of another kind"}': "0x10",
    }
    run_expression(tmp_path, "Not ready", series, {"{}": 2})
    ready = {name: values for name, values in series.items() if "responds" in name}
    run_expression(tmp_path, "Not ready", ready, {"{}": 0})
    run_expression(tmp_path, "Not ready", {}, {})


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
    run_rule_test(tmp_path, {"input_series": series, "alert_rule_test": checks})


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
