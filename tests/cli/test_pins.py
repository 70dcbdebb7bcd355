"""The output for people about an environment: the origin of each version, and notes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from engine_bundles import SPEC

from modelpack.cli import output, progress
from modelpack.pipeline.stages import environment_summary
from modelpack.types import Environment

ENVIRONMENT = Environment(
    "3.11",
    "linux/amd64",
    requirements={"flask": "3.1.3", "numpy": "1.26.2", "scikit-learn": "1.3.2"},
    origins={"flask": "resolver", "numpy": "installed", "scikit-learn": "file"},
    lock="",
    warnings=("Python 3.11 is used; 3.12 is likelier.",),
)


@pytest.mark.parametrize("verbose", [True, False])
def test_notes_are_always_printed_and_pins_on_request(verbose):
    spec = replace(SPEC, versions={"numpy": "<2\x1b[31m"})
    with output.err.capture() as captured:
        progress.StageProgress(verbose=verbose).locked(ENVIRONMENT, spec)
    rows = [line.split() for line in captured.get().splitlines()]
    assert (["numpy", "1.26.2", "installed", "<2\\x1b[31m"] in rows) == verbose
    assert (["scikit-learn", "1.3.2", "file"] in rows) == verbose
    assert "note: Python 3.11 is used; 3.12 is likelier." in captured.get().splitlines()


def test_stage_is_one_line_in_a_log():
    with output.err.capture() as captured:
        progress.StageProgress().stage_done("environment", 0.25, "12 distributions " * 12)
    assert len(captured.get().splitlines()) == 1


def test_variant_is_listed_with_the_recorded_version_of_the_other_distribution():
    environment = replace(ENVIRONMENT, requirements={"xgboost-cpu": "2.1.1"},
                          origins={"xgboost-cpu": "file"})  # fmt: skip
    with output.err.capture() as captured:
        spec = replace(SPEC, versions={"xgboost": "2.1.1"})
        output.err.print(output.pins_table(environment, spec))
    rows = [line.split() for line in captured.get().splitlines()]
    assert ["xgboost-cpu", "2.1.1", "file", "2.1.1"] in rows


def test_environment_summary_is_short():
    assert environment_summary(ENVIRONMENT) == (
        "Python 3.11, 3 distributions, 1 version recorded in the file, 1 version installed on this"
        " machine"
    )
