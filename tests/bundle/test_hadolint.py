"""Every kind of Dockerfile that a bundle may have, judged by hadolint."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import serving_models
from bundle_specs import GOLDEN, hostile_spec, spec_for
from serving_models import BASE, ENVIRONMENT

from modelpack.bundle import render

HADOLINT = Path(sys.executable).parent / "hadolint"


def complaints(dockerfile: Path) -> str:
    command = [HADOLINT, "--no-color", dockerfile]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*/Dockerfile")), ids=lambda p: p.parent.name)
def test_golden_dockerfiles_are_clean(path: Path) -> None:
    assert complaints(path) == ""


@pytest.mark.parametrize("hostile", [False, True])
@pytest.mark.parametrize("slim", [False, True])
def test_dockerfiles_with_all_stages_are_clean(tmp_path: Path, hostile: bool, slim: bool) -> None:
    spec = hostile_spec(tmp_path) if hostile else spec_for(tmp_path, serving_models.iris())
    environment = replace(
        ENVIRONMENT, system_packages=("libgomp1",), sdists=("shop",), build_lock="x==1"
    )
    spec, base = replace(spec, locales=("en_US.UTF-8",)), replace(BASE, slim=slim)
    bundle = render.render(spec, environment, base, tmp_path / "bundle")
    assert complaints(bundle.directory / "Dockerfile") == ""
    lines = (bundle.directory / "Dockerfile").read_text().splitlines()
    assert not [line for line in lines if "#" in line.lstrip()[1:] and line.startswith(" ")]


def test_hadolint_reports_a_bad_dockerfile(tmp_path: Path) -> None:
    """The Dockerfile names each ignored rule, with the reason in the lines above."""
    lines = (GOLDEN / "iris" / "Dockerfile").read_text().splitlines()
    ignored = next(number for number, line in enumerate(lines) if "hadolint global ignore" in line)
    rules = lines[ignored].partition("=")[2].split(",")
    assert all(f"{rule}: " in "\n".join(lines[:ignored]) for rule in rules)
    (tmp_path / "Dockerfile").write_text("\n".join([*lines, "RUN cd /tmp && sudo ls"]))
    assert "DL3004" in complaints(tmp_path / "Dockerfile")
