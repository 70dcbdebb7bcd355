"""`make clean` removes images by their prefix, and no other name of the same image."""

from __future__ import annotations

import io
import subprocess
import tarfile
import uuid
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "remove_test_images.sh"


def docker(*arguments: str, stdin: bytes = b"") -> str:
    done = subprocess.run(["docker", *arguments], input=stdin, capture_output=True, check=True)
    return done.stdout.decode()


@pytest.mark.engine
def test_images_of_a_prefix_are_removed_by_name() -> None:
    name = uuid.uuid4().hex
    removed, kept = f"modelpack-test-{name}/a:1", f"modelpack-kept-{name}/a:1"
    empty = io.BytesIO()
    tarfile.open(fileobj=empty, mode="w").close()
    docker("import", "-", removed, stdin=empty.getvalue())
    docker("tag", removed, kept)
    try:
        for _ in range(2):  # the second time, no image is left
            subprocess.run(["sh", SCRIPT, f"modelpack-test-{name}/*"], check=True)
        listed = docker("images", "--format", "{{.Repository}}:{{.Tag}}").split()
        assert kept in listed
        assert removed not in listed
    finally:
        docker("rmi", kept)


def test_machine_without_docker_has_no_images(tmp_path: Path) -> None:
    done = subprocess.run(["/bin/sh", SCRIPT], env={"PATH": str(tmp_path)}, check=False)
    assert done.returncode == 0
