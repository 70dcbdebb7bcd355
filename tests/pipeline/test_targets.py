"""The kinds of argument that each command accepts, with a row of `targets.json` for each."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

import modelpack
from modelpack import engines, oci
from modelpack.attestations import registry
from modelpack.bundle import manifest
from modelpack.cli.commands import main
from modelpack.engines import Engine
from modelpack.engines.local import engine as local
from modelpack.errors import ModelpackError, UsageError
from modelpack.pipeline import diff_sides, stages

ROOT = Path(modelpack.__file__).parents[1]
RECORDED = Path(__file__).with_name("targets.json")
COMMANDS = {
    "smoke": ["smoke"],
    "smoke --engine docker": ["smoke", "--engine", "docker"],
    "predict": ["predict"],
    "scan": ["scan"],
    "scan --engine process": ["scan", "--engine", "process"],
    "verify": ["verify"],
    "verify --key": ["verify", "--key", "key.pub"],
    "diff": ["diff"],
}
ON_DISK = ("model.joblib", "text", "image.tar", "files.tar", "empty", "bundle", "layout", "both")
PREFIXED = [
    f"{prefix}:{name}"
    for prefix in ("oci", "oci-archive", "docker-archive")
    for name in ("layout", "image.tar", "missing", "layout:1")
]
NAMES = (
    *("iris", "iris:1", "team/iris", "localhost/iris", "localhost:5000/iris", "a.test/iris:1"),
    *("Foo/iris", "UPPER", "a.test/UPPER", "missing.pkl", "./missing.pkl", "/missing/model.pkl"),
    *("", "oci", "oci:", "oci:1", "docker-archive:", "docker://a.test/iris", "0123456789ab"),
)
TARGETS = (*ON_DISK, *PREFIXED, *NAMES)


class Reached(Exception):
    """The command has decided what its argument is."""


class FakeEngine:
    def __init__(self, name: str, *, has_image: bool = True) -> None:
        self.name = name
        self._has_image = has_image

    def read_manifest(self, target: str):
        self._reach(target)

    @contextmanager
    def open_image(self, target: str):
        yield self._reach(target)

    def _reach(self, target: str) -> None:
        if not self._has_image:
            raise UsageError(f"There is no image {target}.")
        raise Reached(f"image {target} of {self.name}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("targets")
    shutil.copy(ROOT / "sample_models" / "iris" / "model.joblib", path)
    (path / "text").write_text("text")
    for name in ("empty", "bundle", "layout", "both"):
        (path / name).mkdir()
    (path / "layout" / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (path / "both" / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    for name in ("bundle", "both"):
        (path / name / "modelpack.json").write_text("{}")
    for name, member in (("image.tar", "manifest.json"), ("files.tar", "a")):
        with tarfile.open(path / name, "w") as archive:
            archive.addfile(tarfile.TarInfo(member), io.BytesIO())
    return path


def outcome(command: str, target: str, monkeypatch, *, has_image: bool = True) -> str:
    """Run a command until it opens its target."""

    def open_image(location, *_, **__):
        raise Reached(f"location {location}")

    def read_bundle(path):
        raise Reached(f"bundle {path}")

    def inspect(*paths, **_):
        path = paths[0] if isinstance(paths[0], str) else paths[1][0]
        raise Reached(f"model {path}")

    def open_registry_image(reference, **_):
        raise Reached(f"registry {reference}")

    def select_engine(name="auto"):
        if name == "process":
            return local.create_engine()
        fake = FakeEngine(name, has_image=has_image)
        return Engine(name, "linux/amd64", fake, fake, fake)

    monkeypatch.setattr(oci, "open_image", open_image)
    monkeypatch.setattr(manifest, "read", read_bundle)
    monkeypatch.setattr(diff_sides, "inspect", inspect)
    monkeypatch.setattr(stages.Pipeline, "inspect", inspect)
    monkeypatch.setattr(registry, "open_registry_image", open_registry_image)
    monkeypatch.setattr(engines, "select_engine", select_engine)
    monkeypatch.setattr("modelpack.attestations.keys.verifier", lambda _: None)
    more = {"diff": ["image"], "predict": ["text"]}.get(command, [])
    done = CliRunner().invoke(main, [*COMMANDS[command], "--quiet", "--", target, *more])
    error = done.exception
    if isinstance(error, Reached):
        return str(error)
    if isinstance(error, ModelpackError):
        return f"exit {error.exit_code}: {error.message}"
    return f"exit {done.exit_code}: {error!r}"


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_opens_its_kinds_of_targets(command, folder, monkeypatch):
    monkeypatch.chdir(folder)
    recorded = json.loads(RECORDED.read_text())[command]
    assert {target: outcome(command, target, monkeypatch) for target in TARGETS} == recorded


def test_diff_opens_images_in_the_registry_if_the_engine_lacks_them(folder, monkeypatch):
    monkeypatch.chdir(folder)
    recorded = json.loads(RECORDED.read_text())["diff, no image in the engine"]
    found = {name: outcome("diff", name, monkeypatch, has_image=False) for name in NAMES}
    assert found == recorded
