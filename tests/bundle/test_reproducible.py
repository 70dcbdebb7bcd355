"""Images of the iris sample: two builds have one id, and a slim one has nothing else to run."""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelpack import oci
from modelpack.assembly.files import MTIME
from modelpack.engines import index_secrets
from modelpack.engines.docker import buildx
from modelpack.engines.docker.connection import build_image
from modelpack.engines.docker.engine import DockerEngine
from modelpack.pipeline.options import Options
from modelpack.pipeline.package import package
from modelpack.types import IndexSettings

pytestmark = [pytest.mark.engine, pytest.mark.slow]
MODEL = Path(__file__).parents[2] / "sample_models" / "iris" / "model.joblib"
NAME = "modelpack-test/slim-iris:1"
ELSEWHERE = {"TZ": "Asia/Tokyo", "LC_ALL": "C", "LANG": "de_DE", "SOURCE_DATE_EPOCH": str(MTIME)}
LEFT = """
import os, stat, sys
for folder, folders, names in os.walk("/"):
    if folder == "/":
        folders[:] = set(folders) - {"proc", "sys", "dev"}
    for name in names + folders:
        path = os.path.join(folder, name)
        mode = os.lstat(path).st_mode
        if stat.S_ISREG(mode) and mode & 0o111 and "site-packages" not in path:
            print(path)
        if not stat.S_ISLNK(mode) and mode & 0o6000:
            print("setuid", path)
        if not stat.S_ISLNK(mode) and mode & 0o1002 == 0o002:
            print("anybody's", path)
"""


def built(folder: Path, index: IndexSettings, environ: dict[str, str], umask: int) -> str:
    """The id of an image that is built of a bundle rendered in `folder`, both from nothing."""
    modelpack = [sys.executable, "-m", "modelpack", "bundle", MODEL, "-o", folder / "bundle"]
    subprocess.run(modelpack, env={**os.environ, **environ}, umask=umask, check=True)
    options, environ = index_secrets.for_build(index, {**os.environ, **environ})
    options += ["--no-cache", f"--build-arg=SOURCE_DATE_EPOCH={MTIME}"]
    return build_image(buildx, folder / "bundle", lambda _: None, environ=environ, options=options)


def members(layer: oci.Layer) -> list[tuple[object, ...]]:
    with layer.open() as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
        return [
            (*sorted(member.get_info().items()), *sorted(member.pax_headers.items()), digest)
            for member in tar
            for content in [tar.extractfile(member)]
            for digest in [hashlib.sha256(content.read() if content else b"").hexdigest()]
        ]


def differences(engine: DockerEngine, first: str, second: str) -> str:
    """Describe the members of layers in which two images differ."""
    lines = []
    with engine.images.open_image(first) as one, engine.images.open_image(second) as other:
        for ours, theirs in zip(one.layers, other.layers, strict=True):
            if ours.diff_id != theirs.diff_id:
                both = ([str(member) for member in members(layer)] for layer in (ours, theirs))
                lines += [ours.created_by, *difflib.unified_diff(*both, n=0, lineterm="")]
    return "\n".join(lines)


def test_two_builds_have_one_id(engine: DockerEngine, index: IndexSettings, tmp_path: Path) -> None:
    first = built(tmp_path / "one", index, {}, 0o022)
    second = built(tmp_path / "another" / "place", index, ELSEWHERE, 0o077)
    assert first == second, differences(engine, first, second)


@pytest.fixture(scope="module")
def slim() -> Iterator[str]:
    """An image that has passed its smoke test."""
    packaged = package([MODEL], Options(tag=NAME, slim_base=True))
    assert packaged.smoke
    assert [check.name for check in packaged.smoke.checks if not check.passed] == []
    yield NAME
    subprocess.run(["docker", "rmi", "--force", NAME], check=True, capture_output=True)


def run(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = ["docker", "run", "--rm", "--interactive", "--network=none", *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)


def test_interpreter_is_the_only_program_in_a_slim_image(slim: str) -> None:
    done = run("--entrypoint=python", slim, "-", stdin=LEFT)
    assert done.returncode == 0, done.stderr
    left = {Path(line).name for line in done.stdout.splitlines()} - {".dockerenv"}
    assert {name for name in left if not name.startswith(("python3.", "ld-linux"))} == set()


@pytest.mark.parametrize("program", ["sh", "/bin/sh", "apt-get", "dpkg", "pip", "ls", "cc", "perl"])
def test_a_slim_image_has_no_shell_and_no_package_manager(slim: str, program: str) -> None:
    assert run(f"--entrypoint={program}", slim, "--version").returncode == 127


def test_a_slim_image_answers_rows_of_a_file(slim: str) -> None:
    request = json.loads((MODEL.parent / "request.json").read_text())
    rows = "".join(f"{json.dumps(row)}\n" for row in request["instances"])
    done = run(slim, "predict", "--input-format", "jsonl", stdin=rows)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(request["instances"])


def test_slim_image_lists_its_debian_packages(slim: str) -> None:
    code = "import os; print(*os.listdir('/var/lib/dpkg/status.d'))"
    assert {"libc6", "libssl3t64", "ca-certificates", "tzdata"} - set(
        run("--entrypoint=python", slim, "-c", code).stdout.split()
    ) <= {"libssl3t64"}


def test_a_slim_image_is_smaller(slim: str, engine: DockerEngine) -> None:
    code = "import ssl, sqlite3, ctypes, lzma, zoneinfo, locale; zoneinfo.ZoneInfo('Asia/Tokyo');"
    done = run("--entrypoint=python", slim, "-c", f"{code} ssl.create_default_context()")
    assert done.returncode == 0, done.stderr
