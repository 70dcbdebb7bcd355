"""Filling a wheelhouse from an index on the loopback, and errors of an unsuitable one."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import indexes
import pytest

from modelpack.environment import resolve, wheelhouse
from modelpack.environment.artifacts import artifacts_from_directory
from modelpack.environment.uv import Request
from modelpack.errors import EnvironmentNotResolvedError, UsageError
from modelpack.types import BaseImage, Environment, IndexSettings

BASE = BaseImage("python:3.11-slim", "3.11", "registry", f"sha256:{'0' * 64}")


@pytest.fixture
def index(local_index, tmp_path, monkeypatch):
    """A plain index with the serving stack and two more distributions."""
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    index = indexes.Index()
    for name in (
        "flask",
        "gunicorn",
        "orjson",
        "prometheus-client",
        "scikit-learn",
        "setuptools",
        "wheel",
    ):
        index.add(indexes.wheel(name))
    with indexes.serve_index(index):
        yield index


@pytest.fixture
def locked(index, make_spec) -> Environment:
    return resolve(make_spec(None), "3.11", index=IndexSettings(index.url))


def fill(folder: Path, environment: Environment, index: indexes.Index) -> list[str]:
    """Fill the wheelhouse and return the files that were requested from the index."""
    index.paths.clear()
    settings = IndexSettings(index.url)
    wheelhouse.fill(folder, environment, BASE, settings, lambda *_: None)
    wheelhouse.write_manifest(folder)
    return sorted(path.rpartition("/")[2] for path in index.paths if path.startswith("/files/"))


def test_wheelhouse_contains_the_locked_files_and_their_target(index, locked, tmp_path):
    fill(tmp_path / "house", locked, index)
    house = wheelhouse.read(tmp_path / "house")
    assert (house.python, house.platform) == ("3.11", "linux/amd64")
    assert (house.base, house.base_digest) == (BASE.reference, BASE.digest)
    assert set(house.files) == {
        "flask-1.0-py3-none-any.whl",
        "gunicorn-1.0-py3-none-any.whl",
        "orjson-1.0-py3-none-any.whl",
        "prometheus_client-1.0-py3-none-any.whl",
        "requirements.lock",
        "scikit_learn-1.0-py3-none-any.whl",
    }


def test_present_files_are_not_downloaded_again(index, locked, tmp_path):
    folder = tmp_path / "house"
    assert len(fill(folder, locked, index)) == 5
    assert fill(folder, locked, index) == []
    (folder / "flask-1.0-py3-none-any.whl").write_bytes(b"cut")
    (folder / "orjson-1.0-py3-none-any.whl").unlink()
    assert fill(folder, locked, index) == [
        "flask-1.0-py3-none-any.whl",
        "orjson-1.0-py3-none-any.whl",
    ]


def test_interrupted_wheelhouse_is_incomplete_and_continues(index, locked, tmp_path):
    folder, wheel = tmp_path / "house", "scikit_learn-1.0-py3-none-any.whl"
    index.swapped[wheel] = b"another one"
    with pytest.raises(EnvironmentNotResolvedError, match="is not the locked file"):
        fill(folder, locked, index)
    assert not [path for path in folder.iterdir() if path.name.startswith((".", wheel))]
    with pytest.raises(EnvironmentNotResolvedError, match="incomplete") as caught:
        wheelhouse.read(folder)
    assert "modelpack lock MODEL --download" in caught.value.hint
    index.swapped.clear()
    assert wheel in fill(folder, locked, index)
    assert wheelhouse.read(folder).complete


def test_another_lock_replaces_all_files(index, locked, make_spec, tmp_path):
    folder = tmp_path / "house"
    fill(folder, locked, index)
    index.add(indexes.wheel("scikit-learn", "2.0"))
    newer = resolve(make_spec(None), "3.12", index=IndexSettings(index.url))
    fill(folder, newer, index)
    assert wheelhouse.read(folder).python == "3.12"
    found = {path.name for path in folder.glob("scikit*")}
    assert found == {f"scikit_learn-{newer.requirements['scikit-learn']}-py3-none-any.whl"}


def test_directory_with_other_files_is_not_changed(index, locked, tmp_path):
    (tmp_path / "thesis.tex").write_text("...")
    with pytest.raises(UsageError, match="neither empty nor a wheelhouse"):
        fill(tmp_path, locked, index)
    assert (tmp_path / "thesis.tex").exists()


def test_changed_file_is_reported(index, locked, tmp_path):
    folder = tmp_path / "house"
    fill(folder, locked, index)
    (folder / "flask-1.0-py3-none-any.whl").write_bytes(b"another one")
    with pytest.raises(EnvironmentNotResolvedError, match=r"damaged: flask-1\.0"):
        wheelhouse.read(folder)


@pytest.mark.parametrize(
    "change", [{"schema": 9}, {"files": {"../../etc/passwd": "0"}}, {"files": 3}, {"extra": 1}]
)
def test_foreign_manifest_is_not_used(index, locked, tmp_path, change):
    folder = tmp_path / "house"
    fill(folder, locked, index)
    manifest = folder / "wheelhouse.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), **change}))
    with pytest.raises(EnvironmentNotResolvedError, match="cannot be read"):
        wheelhouse.read(folder)


def test_directory_of_wheels_is_accepted(index, locked, make_spec, tmp_path):
    """As `pip download` makes one."""
    for name, content in index.files.items():
        (tmp_path / name).write_bytes(content)
    assert wheelhouse.read(tmp_path) is None
    offline = IndexSettings(wheelhouse=str(tmp_path))
    assert resolve(make_spec(None), "3.11", index=offline).requirements == locked.requirements
    wheelhouse.require_files(tmp_path, locked)
    (tmp_path / "flask-1.0-py3-none-any.whl").unlink()
    with pytest.raises(
        EnvironmentNotResolvedError, match=r"lacks the locked files of flask==1\.0"
    ) as caught:
        wheelhouse.require_files(tmp_path, locked)
    assert "--python 3.11 --platform linux/amd64" in caught.value.hint


@pytest.mark.parametrize("exists", [False, True])
def test_missing_folder_and_missing_wheels_give_different_errors(tmp_path, exists):
    folder = tmp_path / "house"
    if exists:
        folder.mkdir()
    with pytest.raises(UsageError, match="contains no wheels" if exists else "is not a folder"):
        wheelhouse.read(folder)


NARROW = ("cp311-cp311-manylinux_2_28_x86_64", "cp311-cp311-manylinux_2_17_x86_64")
FITTING = (*NARROW, "cp311-abi3-manylinux_2_28_x86_64", "py3-none-any")
"""Tags of wheels that fit, in the order in which pip prefers them."""


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("best", range(len(FITTING)))
def test_the_wheel_that_pip_would_choose_is_chosen(tmp_path, best, reverse):
    others = ("cp312-cp312-manylinux_2_28_x86_64", "cp311-cp311-manylinux_2_28_aarch64")
    lines = []
    for number, tag in enumerate(sorted((*FITTING[best:], *others), reverse=reverse)):
        content = str(number).encode()
        (tmp_path / f"tiny-1.0-{tag}.whl").write_bytes(content)
        lines.append(f"--hash=sha256:{hashlib.sha256(content).hexdigest()}")
    request = Request([], "3.11", "x86_64-manylinux_2_28", IndexSettings())
    lock = "tiny==1.0 \\\n    " + " \\\n    ".join(lines) + "\n"
    [artifact] = artifacts_from_directory(lock, tmp_path, request)
    assert artifact.filename == f"tiny-1.0-{FITTING[best]}.whl"


# --- distributions without wheels ----------------------------------------------------------------


@pytest.fixture
def with_source(index) -> IndexSettings:
    index.add(indexes.sdist("tiny-source", metadata="2.2"))
    index.add(indexes.wheel("wrapper", requires=("tiny-source",)))
    return IndexSettings(index.url)


@pytest.mark.parametrize("named", ["tiny-source", "wrapper"])
def test_requirements_of_the_user_and_their_dependencies_may_be_built(
    make_spec, with_source, named
):
    environment = resolve(make_spec(None), "3.11", index=with_source, requirements=[named])
    assert environment.sdists == ("tiny-source",)
    assert "setuptools==1.0" in environment.build_lock
    assert "setuptools" not in environment.requirements


@pytest.mark.parametrize("named", ["tiny-source", "wrapper"])
def test_sdists_named_only_by_the_model_file_are_never_built(make_spec, with_source, named):
    spec = make_spec(None, **{named: ""})
    with pytest.raises(EnvironmentNotResolvedError, match="tiny-source") as caught:
        resolve(spec, "3.11", index=with_source, requirements=["flask"])
    assert "--requirement" in caught.value.hint


def test_hint_names_the_option_that_builds_the_dependency_of_trusted_code(make_spec, with_source):
    spec = replace(make_spec(None, wrapper="==1.0"), globals=("wrapper.models:Model",))
    with pytest.raises(EnvironmentNotResolvedError, match="tiny-source") as caught:
        resolve(spec, "3.11", index=with_source, requirements=["flask"])
    option, _, requirement = caught.value.hint.partition(": ")[2].partition(" ")
    assert option == "--requirement"
    environment = resolve(spec, "3.11", index=with_source, requirements=[requirement])
    assert environment.sdists == ("tiny-source",)


def test_sdist_is_collected_with_its_build_requirements(index, make_spec, with_source, tmp_path):
    spec = make_spec(None)
    online = resolve(spec, "3.11", index=with_source, requirements=["wrapper"])
    fill(tmp_path / "house", online, index)
    names = {path.name for path in (tmp_path / "house").iterdir()}
    assert names >= {"tiny_source-1.0.tar.gz", "setuptools-1.0-py3-none-any.whl"}
    offline = IndexSettings(wheelhouse=str(tmp_path / "house"))
    assert resolve(spec, "3.11", index=offline, requirements=["wrapper"]) == online
