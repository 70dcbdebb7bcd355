"""Files of a bundle that were edited are recognised, and replaced only on request."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import serving_models
from bundle_specs import spec_for, user_code
from serving_models import BASE, ENVIRONMENT

from modelpack.attestations.bundle import refresh_documents
from modelpack.bundle import manifest, render
from modelpack.types import Bundle

SVC = Path(__file__).parents[2] / "sample_models" / "kserve-svc" / "model.joblib"


@pytest.fixture
def bundle(tmp_path) -> Bundle:
    spec = spec_for(tmp_path, serving_models.iris())
    return render.render(spec, ENVIRONMENT, BASE, tmp_path / "bundle", user_code())


def edit(bundle: Bundle, name: str) -> None:
    path = bundle.directory / name
    path.chmod(0o644)
    path.write_bytes(path.read_bytes() + b"\n# edited\n")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("app.py", "app.py"),
        ("Dockerfile", "Dockerfile"),
        (".dockerignore", ".dockerignore"),
        ("README.md", "README.md"),
        ("requirements.lock", "requirements.lock"),
        ("gunicorn.conf.py", "gunicorn.conf.py"),
        ("code/modelpack_main.py", "code/modelpack_main.py"),
        ("model/model.joblib", "model/model.joblib"),
        ("modelpack/serving/app.py", "modelpack/serving/"),
        ("sbom.cdx.json", "sbom.cdx.json"),
        ("provenance.json", "provenance.json"),
        ("modelpack.json", "modelpack.json"),
    ],
)
def test_edit_of_any_file_is_recognised(bundle, name, shown):
    edit(bundle, name)
    assert render.edited_files(bundle.directory) == (shown,)


def test_rendered_bundle_has_no_edits(bundle, tmp_path):
    assert render.edited_files(bundle.directory) == ()
    assert render.edited_files(tmp_path / "nowhere") == ()
    for path in bundle.directory.rglob("*"):
        os.utime(path)  # as `git checkout` and `cp` do
    assert render.edited_files(bundle.directory) == ()


@pytest.mark.parametrize("name", ["app.py", "provenance.json", "model/model.joblib"])
def test_removed_file_is_an_edit(bundle, name):
    (bundle.directory / name).unlink()
    assert render.edited_files(bundle.directory) == (name,)


def test_added_file_of_the_code_is_an_edit(bundle):
    (bundle.directory / "code" / "routes.py").write_text("ROUTES = ()\n")
    assert render.edited_files(bundle.directory) == ("code/routes.py",)


def test_build_that_records_an_edit_does_not_hide_it(bundle):
    edit(bundle, "app.py")
    assert refresh_documents(bundle) == ("app.py",)
    assert refresh_documents(bundle) == ()
    assert render.edited_files(bundle.directory) == ("app.py",)


def test_slim_base_of_a_build_is_no_edit(bundle):
    refresh_documents(replace(manifest.read(bundle.path), slim_base=True))
    assert render.edited_files(bundle.directory) == ()


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "modelpack", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.slow
def test_bundle_does_not_replace_edited_files_without_force(tmp_path):
    folder = tmp_path / "bundle"
    assert run("bundle", SVC, "-o", folder).returncode == 0
    assert run("bundle", SVC, "-o", folder).returncode == 0
    app = folder / "app.py"
    app.write_text(app.read_text() + "\n# my route\n")
    (folder / "README.md").write_text("Mine.\n")
    refused = run("bundle", SVC, "-o", folder)
    assert refused.returncode == 2
    assert "these files of the bundle were edited: README.md, app.py." in refused.stderr
    assert "--force" in refused.stderr
    assert app.read_text().endswith("# my route\n")
    forced = run("bundle", SVC, "-o", folder, "--force")
    assert forced.returncode == 0
    assert "Edited files are replaced (--force): README.md, app.py." in forced.stderr
    assert "# my route" not in app.read_text()
    assert json.loads((folder / "provenance.json").read_text())["_type"]
