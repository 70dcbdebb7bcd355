"""Options of `docker buildx build` and `podman build` for build caches, with a fake `docker`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from modelpack.engines.build_cache import BuildCache
from modelpack.engines.docker import buildx
from modelpack.engines.podman import build as podman_build
from modelpack.errors import NoEngineError, UsageError
from modelpack.pipeline.options import Options
from modelpack.pipeline.stages import Pipeline

REGISTRY = "type=registry,ref=registry.example/cache:1,mode=max"
INLINE = BuildCache(("registry.example/a:1", "type=local,src=cache"), ("type=inline",))
CONTAINERD = '[["driver-type","io.containerd.snapshotter.v1"]]'
OVERLAY2 = '[["Backing Filesystem","extfs"]]'


def fake_docker(folder: Path, monkeypatch: pytest.MonkeyPatch, status: str, selected: str) -> None:
    """Print `status` for `docker info`, and a builder with the driver `selected`, if any."""
    builder = f"Name:   mine\nDriver: {selected}\n\nNodes:\nName: mine0\n" if selected else ""
    (folder / "builder").write_text(builder)
    docker = folder / "docker"
    docker.write_text(
        f"#!/bin/sh\ncase \"$1\" in info) echo '{status}' ;; buildx) cat {folder}/builder ;; esac\n"
    )
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def options_and_variables(cache: BuildCache) -> tuple[list[str], dict[str, str]]:
    return buildx.cache_options(cache, {**os.environ, "BUILDX_BUILDER": "default"})


def test_daemon_imports_and_stores_the_cache_in_the_image(tmp_path, monkeypatch) -> None:
    fake_docker(tmp_path, monkeypatch, OVERLAY2, "")
    assert options_and_variables(INLINE) == (
        [
            "--cache-from=registry.example/a:1",
            "--cache-from=type=local,src=cache",
            "--cache-to=type=inline",
        ],
        {},
    )


def test_daemon_with_the_containerd_store_exports_itself(tmp_path, monkeypatch) -> None:
    fake_docker(tmp_path, monkeypatch, CONTAINERD, "docker-container")
    assert options_and_variables(BuildCache((), (REGISTRY,))) == ([f"--cache-to={REGISTRY}"], {})


def test_selected_builder_exports_what_the_daemon_cannot(tmp_path, monkeypatch) -> None:
    fake_docker(tmp_path, monkeypatch, OVERLAY2, "docker-container")
    _, variables = options_and_variables(BuildCache((), (REGISTRY,)))
    assert variables == {"BUILDX_BUILDER": "mine"}


@pytest.mark.parametrize("selected", ["docker", ""])
def test_without_another_builder_the_error_names_what_to_do(
    selected, tmp_path, monkeypatch
) -> None:
    fake_docker(tmp_path, monkeypatch, OVERLAY2, selected)
    with pytest.raises(NoEngineError, match=r"without the containerd image store") as caught:
        options_and_variables(BuildCache((), (REGISTRY,)))
    assert f"--cache-to {REGISTRY}" in caught.value.message
    assert "docker buildx create --use" in caught.value.hint
    assert "type=inline" in caught.value.hint


def test_cache_of_github_needs_its_token(tmp_path, monkeypatch) -> None:
    """buildx would leave the option out without a message."""
    fake_docker(tmp_path, monkeypatch, OVERLAY2, "docker-container")
    monkeypatch.delenv("ACTIONS_RUNTIME_TOKEN", raising=False)
    with pytest.raises(UsageError, match="ACTIONS_RUNTIME_TOKEN"):
        options_and_variables(BuildCache(("type=gha",)))
    monkeypatch.setenv("ACTIONS_RUNTIME_TOKEN", "T")
    assert options_and_variables(BuildCache(("type=gha",)))[1] == {"BUILDX_BUILDER": "mine"}


@pytest.mark.parametrize("value", ["", "a,b", "ref=a", "type=", "type=registry,a"])
@pytest.mark.parametrize("options", [buildx.cache_options, podman_build.cache_options])
def test_other_values_are_refused(value, options) -> None:
    with pytest.raises(UsageError, match=r"--cache-from|Podman cannot"):
        options(BuildCache((value,)), {})


def test_podman_gets_names_of_repositories() -> None:
    cache = BuildCache(("localhost:5000/a",), ("type=registry,ref=registry.example/b,mode=max",))
    expected = ["--cache-from=localhost:5000/a", "--cache-to=registry.example/b"]
    assert podman_build.cache_options(cache, {}) == (expected, {})


@pytest.mark.parametrize(
    "value", ["type=inline", "type=local,dest=a", "type=registry,ref=a,compression=zstd"]
)
def test_podman_has_caches_in_registries_only(value) -> None:
    with pytest.raises(UsageError, match="in registries only"):
        podman_build.cache_options(BuildCache((), (value,)), {})


@pytest.mark.parametrize("suffix", [":1", "@sha256:00"])
@pytest.mark.parametrize("name", ["localhost:5000/a", "a"])
def test_cache_of_podman_has_no_tag(name, suffix) -> None:
    with pytest.raises(UsageError, match="neither a tag nor a digest") as caught:
        podman_build.cache_options(BuildCache((name + suffix,)), {})
    assert caught.value.hint.endswith(f" --cache-from type=registry,ref={name}")


@pytest.mark.parametrize(("builder", "expected"), [("default", "manifest"), ("mine", "config")])
def test_id_is_the_one_that_the_engine_has(builder, expected, tmp_path) -> None:
    metadata = {"containerimage.digest": "manifest", "containerimage.config.digest": "config"}
    (tmp_path / "metadata").write_text(json.dumps(metadata))
    assert buildx.read_id(tmp_path / "metadata", {"BUILDX_BUILDER": builder}) == expected


@pytest.mark.parametrize("engine", ["oci", "process"])
def test_engine_without_a_build_cache_names_its_own(engine) -> None:
    run = Pipeline(Options(engine=engine, cache_from=("a",)))
    with pytest.raises(NoEngineError, match=f"`{engine}` neither imports nor exports") as caught:
        _ = run.engine
    assert "~/.cache/modelpack" in caught.value.hint
