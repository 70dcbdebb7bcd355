"""A model with unknown rows is accepted as tested only if the user allows that."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree as ET

import joblib
import pandas
import pytest
import serving_models

from modelpack.attestations import provenance
from modelpack.bundle import render as bundles
from modelpack.cli import commands
from modelpack.errors import SmokeFailedError
from modelpack.parity import claims
from modelpack.parity.claims import expected_claim
from modelpack.pipeline.options import Options
from modelpack.pipeline.smoke import require_passed
from modelpack.pipeline.stages import Summary
from modelpack.pipeline.verify import Verification
from modelpack.types import Check, Reference, SmokeReport

READY = Check("ready", True, 0.1, "fine")
UNRUN = Check("prediction", False, 0.0, "", reason="no row is known")
UNTESTED = SmokeReport("a", "docker", (READY, UNRUN))

CODE = """class Same:
    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X
"""
SCRIPT = """import joblib, shop
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
model = make_pipeline(shop.Same(), LogisticRegression()).fit([[0.0], [1.0]], [0, 1])
joblib.dump(model, "model.joblib")
"""


@pytest.fixture
def unknown(tmp_path: Path) -> Path:
    """A pipeline that starts with an own class, which does not store what a row looks like."""
    (tmp_path / "shop.py").write_text(CODE)
    subprocess.run([sys.executable, "-c", SCRIPT], cwd=tmp_path, check=True)
    return tmp_path


def package(folder: Path, *options: str) -> tuple[subprocess.CompletedProcess[str], Any]:
    command = [sys.executable, "-m", "modelpack", "package", "model.joblib", "--code", "shop.py"]
    command += ["--engine", "process", "-o", "bundle", "--json"]
    done = subprocess.run(
        [*command, *options], cwd=folder, capture_output=True, text=True, check=False
    )
    return done, json.loads(done.stdout) if done.stdout else None


@pytest.mark.slow
def test_unknown_rows_fail_with_two_hints_and_may_be_accepted(unknown: Path) -> None:
    done, document = package(unknown, "--junit", "report.xml")
    assert done.returncode == 7, done.stderr
    error = done.stderr[done.stderr.index("error:") :]
    assert "does not contain what a row looks like" in error
    assert all(way in error for way in ("modelpack.record", "--allow-untested"))
    assert (document["smoke"]["passed"], document["smoke"]["status"]) == (False, "untested")
    states = {check["name"]: check["status"] for check in document["smoke"]["checks"]}
    assert states["prediction"] == "not run"
    assert "failed" not in states.values()
    skipped = ET.parse(unknown / "report.xml").getroot().findall(".//skipped")
    assert len(skipped) == list(states.values()).count("not run")
    assert "\u2713 smoke" not in done.stderr
    command = re.search(r"run: (modelpack .* --example rows\.csv)", " ".join(error.split()))
    assert command is not None, error
    assert "--code shop.py" in command[1]

    pandas.DataFrame({"a": [0.0, 1.0]}).to_csv(unknown / "rows.csv", index=False)
    arguments = [sys.executable, "-m", *shlex.split(command[1])]
    followed = subprocess.run(arguments, cwd=unknown, capture_output=True, check=False)
    assert followed.returncode == 0, followed.stderr

    assert f"- smoke        {list(states.values()).count('passed')} of {len(states)}" in done.stderr

    (unknown / "modelpack.toml").write_text("allow-untested = true\n")
    done, document = package(unknown)
    assert done.returncode == 0, done.stderr
    assert document["smoke"]["status"] == "untested"
    assert "No prediction is tested (--allow-untested)" in done.stderr

    done, document = package(unknown, "--no-smoke")
    assert done.returncode == 0, done.stderr
    assert document["smoke"] is None
    assert "neither its start nor a prediction is tested" in done.stderr


def test_the_repeated_command_contains_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    index = "https://me:secret@host/simple"
    monkeypatch.setattr(sys, "argv", ["modelpack", "smoke", "a", "--index-url", index])
    with pytest.raises(SmokeFailedError) as caught:
        commands._conclude(UNTESTED, Options(), None, None)
    assert "--index-url https://***@host/simple --example" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("given", "added"),
    [
        ([], " -o bundle --no-smoke"),
        (["-o", "mine"], " -o mine --no-smoke"),
    ],
)
def test_hint_of_a_failed_test_repeats_the_command(
    monkeypatch: pytest.MonkeyPatch, given: list[str], added: str
) -> None:
    report = replace(UNTESTED, checks=(Check("user", False, 0.1, "root"),))
    failed = SimpleNamespace(smoke=report)
    monkeypatch.setattr("modelpack.pipeline.package.package", lambda *_: failed)
    monkeypatch.setattr("modelpack.cli.output.print_package", lambda *_, **__: None)
    arguments = ["package", "my model.pkl", *given]
    monkeypatch.setattr(sys, "argv", ["modelpack", *arguments])
    with pytest.raises(SmokeFailedError) as caught:
        commands.main(arguments, standalone_mode=False)
    expected = f"Keep the bundle to examine it: modelpack package 'my model.pkl'{added}"
    assert caught.value.hint == expected


def test_an_untested_service_is_accepted_only_on_request() -> None:
    with pytest.raises(SmokeFailedError, match="because no row is known") as caught:
        require_passed(UNTESTED)
    assert caught.value.exit_code == 7
    require_passed(UNTESTED, allow_untested=True)
    assert not Options().accepts(UNTESTED)
    assert Options(allow_untested=True).accepts(UNTESTED)
    failed = replace(UNTESTED, checks=(*UNTESTED.checks, Check("user", False, 0.1, "root")))
    assert not Options(allow_untested=True).accepts(failed)
    with pytest.raises(SmokeFailedError, match="user"):
        require_passed(failed, allow_untested=True)


@pytest.mark.parametrize(
    ("checks", "summary", "status"),
    [
        ((READY,), "1 of 1 checks passed", "passed"),
        ((READY, UNRUN), "1 of 2 checks passed, 1 not run", "not run"),
        (
            (Check("ready", False, 0.1, "dead"), UNRUN),
            "0 of 2 checks passed, 1 failed, 1 not run",
            "failed",
        ),
    ],
)
def test_status_of_a_stage_follows_from_its_checks(
    checks: tuple[Check, ...], summary: str, status: str
) -> None:
    found = Summary()
    found.conclude(SmokeReport("a", "docker", checks))
    assert ([summary], status) == (found, found.status)


def test_an_untested_image_is_verified_only_on_request() -> None:
    found = Verification("a", None, None, (), UNTESTED)
    assert not found.verified
    assert replace(found, allow_untested=True).verified


def test_labels_and_provenance_of_an_untested_image_record_it(tmp_path: Path) -> None:
    joblib.dump(serving_models.iris().model, tmp_path / "model")
    spec = serving_models.build_spec(tmp_path / "model", serving_models.iris())
    claimed = expected_claim(Reference(()))
    bundle = bundles.render(
        spec,
        serving_models.ENVIRONMENT,
        serving_models.BASE,
        tmp_path / "bundle",
        claim=claims.Claim(claimed),
    )
    dockerfile = (bundle.directory / "Dockerfile").read_text()
    assert 'LABEL dev.modelpack.parity="untested"\n' in dockerfile
    assert 'ENV MODELPACK_PARITY="untested: no prediction was tested' in dockerfile
    assert "parity.rows" not in dockerfile
    statement = json.loads((bundle.directory / "provenance.json").read_text())
    assert provenance.recorded_claim(statement) == claims.Claim(claims.UNTESTED)
