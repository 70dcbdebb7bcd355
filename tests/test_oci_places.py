"""Images in archives and layouts that real tools have written, and in some that nobody would."""

from __future__ import annotations

import io
import json
import secrets
import shutil
import subprocess
import tarfile

import pytest
from images import Layout, file, folder, tar

from modelpack import oci
from modelpack.oci import tree

DOCKERFILE = """\
FROM {base}
LABEL made=by-a-test
RUN rm -rf /usr/share/zoneinfo /etc/passwd && mkdir /usr/share/zoneinfo \\
    && ln -s /nowhere /etc/passwd && chmod u+s /usr/bin/id
COPY Dockerfile /lib/it/
"""
TOOLS = {
    "docker save": ("docker-archive", ["docker", "save", "-o", "{}"]),
    "skopeo docker-archive": ("docker-archive", "docker-archive:{}:a/b:c"),
    "skopeo oci": ("oci", "oci:{}:latest"),
    "skopeo oci-archive": ("oci-archive", "oci-archive:{}:latest"),
}
OF_THE_ENGINE = (
    "dev",
    "proc",
    "sys",
    "etc/hosts",
    "etc/hostname",
    "etc/resolv.conf",
    ".dockerenv",
    "etc/mtab",
)


def run(*command: str, **options) -> str:
    done = subprocess.run(command, check=True, capture_output=True, text=True, **options)
    return done.stdout.strip()


@pytest.fixture(scope="module")
def reference(base, tmp_path_factory):
    """An image whose layers remove and replace what is below them."""
    context = tmp_path_factory.mktemp("context")
    (context / "Dockerfile").write_text(DOCKERFILE.format(base=base.reference))
    name = f"modelpack-test/oci:{secrets.token_hex(6)}"
    run("docker", "buildx", "build", "--builder=default", "--load", f"--tag={name}", str(context))
    yield name
    run("docker", "rmi", name)


@pytest.fixture(scope="module")
def exported(reference):
    """What the engine says is in `/`."""
    container = run("docker", "create", "--network=none", reference)
    try:
        data = subprocess.check_output(["docker", "export", container])
    finally:
        run("docker", "rm", container)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        members = [member for member in archive if not of_the_engine(member.name)]
    return {
        member.name: (
            member.isdir(),
            member.issym(),
            member.mode,
            member.uid,
            member.linkname if member.issym() else "",
        )
        for member in members
    }


def of_the_engine(path: str) -> bool:
    return any(path == name or path.startswith(f"{name}/") for name in OF_THE_ENGINE)


@pytest.fixture(scope="module", params=TOOLS)
def place(request, reference, tmp_path_factory):
    kind, command = TOOLS[request.param]
    path = tmp_path_factory.mktemp("place") / "image"
    if isinstance(command, list):
        run(*(word.format(path) for word in command), reference)
    else:
        run("skopeo", "copy", "--quiet", f"docker-daemon:{reference}", command.format(path))
    yield f"{kind}:{path}"
    shutil.rmtree(path.parent)


@pytest.mark.engine
def test_the_files_are_those_that_the_engine_has(place, reference, exported):
    with oci.opened(place) as image:
        listings = [tree.listing(layer) for layer in image.layers]
        there = tree.merged(listings)
        assert tree.read(image, "lib/it/Dockerfile").startswith(b"FROM ")
    found = {
        path: (
            entry.kind == "directory",
            entry.kind == "symlink",
            entry.mode,
            entry.uid,
            entry.target if entry.kind == "symlink" else "",
        )
        for path, entry in there.items()
        if path and not of_the_engine(path)
    }
    assert found == exported
    inspected = json.loads(run("docker", "image", "inspect", reference))[0]
    assert [layer.diff_id for layer in image.layers] == inspected["RootFS"]["Layers"]
    assert image.config["config"]["Labels"] == inspected["Config"]["Labels"]
    assert "COPY Dockerfile" in image.layers[-1].created_by
    assert there["usr/bin/id"].mode & 0o4000


# --- layouts that nobody should trust


@pytest.fixture
def layout(tmp_path):
    return Layout(tmp_path / "layout")


ONE = tar(folder("a"), file("a/x", b"1"))


def test_a_small_layout(layout):
    layout.index(layout.manifest(ONE, history=[{"empty_layer": True}, {"created_by": "me"}]))
    with oci.opened(f"oci:{layout.path}") as image:
        assert tree.read(image, "a/x") == b"1"
        assert image.layers[0].created_by == "me"
        assert image.layers[0].blob.size < len(ONE)
