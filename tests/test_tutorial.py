"""Each block of docs/tutorial.md and docs/howto/replace.md, in order, in one folder.

`MODELPACK_UPDATE_DOCS=1 pytest tests/test_tutorial.py` writes the outputs again.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import doc_blocks
import pytest

from modelpack.types import BaseImage

DOCS = Path(__file__).parents[1] / "docs"
TUTORIAL, REPLACE = DOCS / "tutorial.md", DOCS / "howto" / "replace.md"
REGISTRY = "registry:3"
IMAGES = ("flowers:1", "flowers:2", "127.0.0.1:5000/flowers:1", "127.0.0.1:5000/flowers:2")
DOCKERFILE = """\
FROM {base}
COPY config.yml docker-registry /
ENTRYPOINT ["/docker-registry", "serve", "/config.yml"]
"""
CONFIGURATION = """\
version: 0.1
http: {addr: ":5000"}
storage:
  filesystem: {rootdirectory: /registry}
"""
CONTAINERS = ("flowers", "registry")
KERNELS = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
"""Settings of BLAS, with which the training would sum in another order than the container."""
VARYING = (
    (r"Unprocessable \w+", "PHRASE"),
    (r"Python 3\.\d+", "PYTHON"),  # those of the environment that runs the tests
    (r"\b\d+ (distributions|versions)\b", "VERSIONS"),
    (r"python:3\.\d+-slim", "BASE"),
    (r"(?<!\.)\b\d+\.\d+\.\d+\b(?!\.)", "VERSION"),
    (r"\b\d+ MiB, [\d.]+ cores", "SIZE"),  # measured
)


@pytest.mark.engine
@pytest.mark.slow
def test_each_block_of_the_tutorial_runs_in_order(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, base: BaseImage
) -> None:
    (script,) = re.findall(
        r"^```python\n(# train\.py\n.*?)^```$", TUTORIAL.read_text(), re.M | re.S
    )
    (tmp_path / "train.py").write_text(script)
    main, end = TUTORIAL.read_text().split("## Clean up")
    started = time.monotonic()
    image = registry_image(tmp_path_factory.mktemp("registry"), base.reference)
    with image, removed(tmp_path):
        for document, text in ((TUTORIAL, main), (REPLACE, REPLACE.read_text()), (TUTORIAL, end)):
            for block in doc_blocks.console_blocks(text):
                for command, expected in doc_blocks.commands(block):
                    done = doc_blocks.run(command, tmp_path, without=KERNELS)
                    doc_blocks.check(document, command, expected, done, VARYING)
    print(f"{time.monotonic() - started:.0f} s")


@contextmanager
def registry_image(folder: Path, base: str) -> Iterator[None]:
    """Provide the image of the registry: the official one, or one of Debian's docker-registry."""
    if _docker("image", "inspect", REGISTRY) or _docker("pull", REGISTRY):
        yield
        return
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("docker-registry is not installed")
    shutil.copy(program, folder)
    (folder / "config.yml").write_text(CONFIGURATION)
    (folder / "Dockerfile").write_text(DOCKERFILE.format(base=base))
    subprocess.run(["docker", "build", "--quiet", "-t", REGISTRY, folder], check=True)
    try:
        yield
    finally:
        _docker("rmi", REGISTRY)


@contextmanager
def removed(folder: Path) -> Iterator[None]:
    """Remove what an unfinished tutorial leaves."""
    try:
        yield
    finally:
        if (folder / "deploy" / "compose.yaml").exists():
            _docker("compose", "--file", str(folder / "deploy" / "compose.yaml"), "down")
        _docker("rm", "--force", *CONTAINERS)
        _docker("rmi", "--force", *IMAGES)


def _docker(*arguments: str) -> bool:
    done = subprocess.run(["docker", *arguments], capture_output=True, check=False)
    return done.returncode == 0
