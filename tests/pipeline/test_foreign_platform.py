"""An image for another platform is built without running code of that platform."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import docker
import engine_bundles
import pytest

from modelpack.engines.docker.engine import DockerEngine
from modelpack.types import BaseImage, IndexSettings

pytestmark = [pytest.mark.engine, pytest.mark.slow]
OTHER = {"linux/amd64": ("linux/arm64", "aarch64"), "linux/arm64": ("linux/amd64", "x86_64")}


def command(*arguments: str | Path, environ: dict[str, str] | None = None) -> None:
    variables = {**os.environ, **(environ or {})}
    subprocess.run(["docker", *arguments], env=variables, check=True, capture_output=True)


@pytest.fixture
def foreign(
    engine: DockerEngine, base: BaseImage, registry: str, tmp_path: Path
) -> Iterator[BaseImage]:
    """An index of this machine's base, and of one for another platform that cannot run at all: it
    has the standard library and Debian's notes, but no interpreter and no shell.
    """
    platform, _ = OTHER[engine.platform]
    one, other = engine.platform.partition("/")[2], platform.partition("/")[2]
    library = f"/usr/local/lib/python{base.python}"
    context = tmp_path / "context"
    context.mkdir()
    (context / "Dockerfile").write_text(
        f"FROM --platform=$BUILDPLATFORM {base.reference} AS here\n"
        f"RUN sed -i '/^Architecture:/s/{one}/{other}/' /var/lib/dpkg/status\nFROM scratch\n"
        f"COPY --from=here {library} {library}\nCOPY --from=here /var/lib/dpkg /var/lib/dpkg\n"
    )
    name = f"{registry}/foreign/python"
    config = {"DOCKER_CONFIG": str(tmp_path / "config")}
    command("tag", base.reference, f"{name}:here")
    command("buildx", "build", f"--platform={platform}", f"--tag={name}:other", context)
    for tag in ("here", "other"):
        command("push", f"{name}:{tag}")
    command("manifest", "create", "--insecure", f"{name}:1", f"{name}:here", f"{name}:other",
            environ=config)  # fmt: skip
    command("manifest", "push", "--insecure", f"{name}:1", environ=config)
    yield engine.builder.find_base_image([base.python], f"{name}:1", platform=platform)
    command("rmi", f"{name}:here", f"{name}:other")


def test_nothing_of_the_platform_is_run(
    engine: DockerEngine, foreign: BaseImage, index: IndexSettings, tmp_path: Path
) -> None:
    assert foreign.digest, "the registry tells that of the index"
    platform, machine = OTHER[engine.platform]
    bundle = engine_bundles.make(
        tmp_path / "bundle", foreign, platform=platform, system_packages=("libgomp1",)
    )
    image = engine.builder.build(bundle, index, lambda _: None)
    try:
        names = files(image.id)
    finally:
        engine.images.remove_untagged(image)
    libraries = [name for name in names if name.endswith("-linux-gnu.so") and "/venv/" in name]
    assert libraries
    assert all(f"-{machine}-linux-gnu.so" in name for name in libraries)
    assert f"usr/lib/{machine}-linux-gnu/libgomp.so.1" in names
    assert any(name.startswith("app/modelpack/serving/__pycache__/") for name in names)


def files(image: str) -> set[str]:
    client = docker.from_env()
    assert client.images.get(image).attrs["Architecture"] in {"arm64", "amd64"}
    container = client.containers.create(image, ["-"])
    try:
        exported = io.BytesIO(b"".join(container.export()))
    finally:
        container.remove()
        client.close()
    with tarfile.open(fileobj=exported) as archive:
        return set(archive.getnames())
