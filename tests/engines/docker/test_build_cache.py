"""Build caches in a registry, exported by an engine and imported by engines without its layers."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path

import engine_bundles
import pytest
import second_engine

from modelpack.engines import BuildCache, StepEvent, select_engine
from modelpack.engines.docker.engine import DockerEngine
from modelpack.pipeline.options import Observer, Options
from modelpack.pipeline.stages import Pipeline
from modelpack.types import BaseImage, Bundle, Image, IndexSettings

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def wheelhouse(tmp_path_factory: pytest.TempPathFactory) -> IndexSettings:
    """A folder with a wheel that no engine has installed before."""
    folder, info = tmp_path_factory.mktemp("wheelhouse"), "private_package-1.0.dist-info"
    with zipfile.ZipFile(folder / "private_package-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("private_package.py", f"# {uuid.uuid4()}\n")
        archive.writestr(f"{info}/METADATA", "Name: private-package\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return IndexSettings(wheelhouse=str(folder))


@pytest.fixture(scope="module")
def bundle(
    base: BaseImage, wheelhouse: IndexSettings, tmp_path_factory: pytest.TempPathFactory
) -> Bundle:
    (wheel,) = Path(wheelhouse.wheelhouse or "").glob("*.whl")
    lock = f"private-package==1.0 --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"
    return engine_bundles.make(tmp_path_factory.mktemp("echo") / "bundle", base, lock=lock)


@pytest.fixture(scope="module")
def second(base: BaseImage) -> Iterator[DockerEngine]:
    if os.getuid() != 0 or not shutil.which("dockerd"):
        pytest.skip("dockerd is not installed, or needs root")
    with second_engine.run_engine(base.reference) as host:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DOCKER_HOST", host)
            engine = select_engine("docker")
        assert isinstance(engine, DockerEngine)
        yield engine


@pytest.fixture(scope="module")
def exported(
    second: DockerEngine, bundle: Bundle, wheelhouse: IndexSettings, registry: str
) -> tuple[str, Image, list[StepEvent]]:
    """The cache, and the image whose build exported it."""
    cache = f"{registry}/cache:1"
    image, events = build(
        second, bundle, wheelhouse, BuildCache((), (f"type=registry,ref={cache},mode=max",))
    )
    return cache, image, events


def build(
    engine: DockerEngine, bundle: Bundle, index: IndexSettings, cache: BuildCache
) -> tuple[Image, list[StepEvent]]:
    events: list[StepEvent] = []
    engine.builder.use_cache(cache)
    try:
        return engine.builder.build(bundle, index, events.append), events
    finally:
        engine.builder.use_cache(BuildCache())


def states(events: list[StepEvent]) -> set[str]:
    """Return the last states of the steps that run a command."""
    return {*{event.name: event.state for event in events if " RUN " in event.name}.values()}


def test_engine_without_layers_takes_the_steps_from_the_cache(
    exported: tuple[str, Image, list[StepEvent]],
    second: DockerEngine,
    bundle: Bundle,
    wheelhouse: IndexSettings,
) -> None:
    cache, image, events = exported
    assert states(events) == {"done"}
    second.images.remove_untagged(image)
    prune = ["docker", "builder", "prune", "--all", "--force"]
    subprocess.run(prune, env=second.builder.host.environ, check=True, capture_output=True)
    again, events = build(second, bundle, wheelhouse, BuildCache((cache,)))
    assert states(events) == {"cached"}
    assert again.id == image.id


def test_image_of_an_imported_cache_is_the_image_of_a_build(
    exported: tuple[str, Image, list[StepEvent]],
    second: DockerEngine,
    engine: DockerEngine,
    bundle: Bundle,
    wheelhouse: IndexSettings,
) -> None:
    """Without the containerd store, the id is the digest of the configuration."""
    cache, theirs, _ = exported
    imported, events = build(engine, bundle, wheelhouse, BuildCache((cache,)))
    try:
        assert states(events) == {"cached"}
        with (
            second.images.open_image(theirs.id) as built,
            engine.images.open_image(imported.id) as i,
        ):
            assert i.config == built.config
    finally:
        engine.images.remove_untagged(imported)


def test_cache_that_does_not_exist_is_noticed(
    engine: DockerEngine, bundle: Bundle, wheelhouse: IndexSettings, registry: str
) -> None:
    """So the first job of a pipeline succeeds."""
    notices: list[str] = []
    observer = Observer()
    observer.notice = notices.append  # type: ignore[method-assign]
    options = Options(
        engine="docker",
        cache_from=(f"{registry}/none:1",),
        offline=Path(wheelhouse.wheelhouse or ""),
    )
    run = Pipeline(options, observer)
    image = run.build_image(bundle)
    assert image
    engine.images.remove_untagged(image)
    assert notices == [
        f"The build cache {registry}/none:1 was not imported, because it does not exist or cannot"
        " be read. The image is built without it."
    ]
