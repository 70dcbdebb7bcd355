"""Images in archives and layouts, written by real tools or damaged on purpose."""

from __future__ import annotations

import gzip
import io
import json
import secrets
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from images import Layout, digest, file, folder, link, require_tool, tar

from modelpack import oci
from modelpack.errors import UsageError
from modelpack.oci import filesystem, streams
from modelpack.oci import image as oci_image

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
ENGINE_FILES = (
    "dev",
    "proc",
    "sys",
    "etc/hosts",
    "etc/hostname",
    "etc/resolv.conf",
    ".dockerenv",
    "etc/mtab",
)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


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
    """The files in `/`, as exported by the engine."""
    container = run("docker", "create", "--network=none", reference)
    try:
        data = subprocess.check_output(["docker", "export", container])
    finally:
        run("docker", "rm", container)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        members = [member for member in archive if not is_engine_file(member.name)]
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


def is_engine_file(path: str) -> bool:
    return any(path == name or path.startswith(f"{name}/") for name in ENGINE_FILES)


@pytest.fixture(scope="module", params=TOOLS)
def location(request, reference, tmp_path_factory):
    kind, command = TOOLS[request.param]
    require_tool(request.param.split()[0])
    path = tmp_path_factory.mktemp("place") / "image"
    if isinstance(command, list):
        run(*(word.format(path) for word in command), reference)
    else:
        run("skopeo", "copy", "--quiet", f"docker-daemon:{reference}", command.format(path))
    yield f"{kind}:{path}"
    shutil.rmtree(path.parent)


@pytest.mark.engine
def test_the_files_are_those_that_the_engine_has(location, reference, exported):
    with oci.open_image(location) as image:
        listings = [filesystem.layer_listing(layer) for layer in image.layers]
        entries = filesystem.merge_layers(listings)
        assert filesystem.read(image, "lib/it/Dockerfile").startswith(b"FROM ")
    found = {
        path: (
            entry.kind == "directory",
            entry.kind == "symlink",
            entry.mode,
            entry.uid,
            entry.target if entry.kind == "symlink" else "",
        )
        for path, entry in entries.items()
        if path and not is_engine_file(path)
    }
    assert found == exported
    inspected = json.loads(run("docker", "image", "inspect", reference))[0]
    assert [layer.diff_id for layer in image.layers] == inspected["RootFS"]["Layers"]
    assert image.config["config"]["Labels"] == inspected["Config"]["Labels"]
    assert "COPY Dockerfile" in image.layers[-1].created_by
    assert entries["usr/bin/id"].mode & 0o4000


ONE = tar(folder("a"), file("a/x", b"1"))
TWO = tar(file("a/x", b"2"))
PLATFORM = {"os": "linux", "architecture": "amd64"}
CONFIG = {**PLATFORM, "config": {}, "history": [{"empty_layer": True}, {"created_by": "me"}]}


@pytest.fixture
def layout(tmp_path):
    return Layout(tmp_path / "layout")


def content(location: str, platform: str | None = None) -> bytes:
    """Return the content of the file in ONE or in TWO."""
    with oci.open_image(location, platform) as image:
        return filesystem.read(image, "a/x")


@pytest.mark.parametrize("kind", ["docker-archive", "oci-archive"])
def test_archive_of_podman_is_read(kind, layout, tmp_path):
    require_tool("podman")
    layout.index(layout.manifest(ONE, **CONFIG))
    store = f"--root={tmp_path}/root --runroot={tmp_path}/run --storage-driver=vfs".split()
    run("podman", *store, "pull", "--quiet", f"oci:{layout.path}")
    name = run("podman", *store, "images", "--quiet")
    run("podman", *store, "save", f"--format={kind}", f"--output={tmp_path}/saved", name)
    assert content(f"{kind}:{tmp_path}/saved") == b"1"


def test_a_layout_and_its_names(layout):
    one, two = layout.manifest(ONE, **CONFIG), layout.manifest(TWO)
    named = {"annotations": {"org.opencontainers.image.ref.name": "two"}}
    layout.index(one, {**two, **named})
    with pytest.raises(UsageError, match="has 2 images") as caught:
        content(f"oci:{layout.path}")
    assert caught.value.hint == "Append one of its names after a colon: two"
    with pytest.raises(UsageError, match="no image 'three'"):
        content(f"oci:{layout.path}:three")
    assert content(f"oci:{layout.path}:two") == b"2"
    layout.index(one)
    with oci.open_image(f"oci:{layout.path}") as image:
        assert image.digest == one["digest"]
        assert image.config["config"] == {}
        assert [layer.created_by for layer in image.layers] == ["me"]
        assert image.layers[0].blob.size < len(ONE)


def test_a_path_with_colons(layout, tmp_path):
    layout.index(layout.manifest(ONE))
    layout.path.rename(tmp_path / "a:b")
    assert content(f"oci:{tmp_path}/a:b") == b"1"


@pytest.mark.parametrize("media_type", [oci_image.INDEX, oci_image.DOCKER_LIST])
def test_an_index_has_an_image_a_platform(layout, media_type):
    one = {**layout.manifest(ONE), "platform": PLATFORM}
    two = {
        **layout.manifest(TWO),
        "platform": {**PLATFORM, "architecture": "arm64", "variant": "v8"},
    }
    attestation = {**one, "platform": {"os": "unknown", "architecture": "unknown"}}
    layout.index(layout.blob({"manifests": [one, two, attestation]}, media_type))
    location = f"oci:{layout.path}"
    assert content(location, "linux/amd64") == b"1"
    assert content(location, "linux/arm64") == content(location, "linux/arm64/v8") == b"2"
    platforms = "linux/amd64, linux/arm64/v8"
    with pytest.raises(UsageError, match=f"no image for linux/s390x; it is for: {platforms}"):
        content(location, "linux/s390x")
    with pytest.raises(UsageError, match=f"images for 2 platforms; it is for: {platforms}"):
        content(location)
    layout.index(layout.blob({"manifests": [one, attestation]}, media_type))
    assert content(location) == b"1"


# --- untrusted images


def indexed(layout: Layout, times: int) -> dict:
    found = layout.manifest(ONE)
    for _ in range(times):
        found = layout.blob({"manifests": [found]})
    return found


def manifest(layout: Layout, **changes) -> dict:
    document = {"config": layout.blob({"rootfs": {"diff_ids": []}}), "layers": [], **changes}
    return layout.blob({name: value for name, value in document.items() if value is not None})


DAMAGED = {
    "no digest that it should have": lambda it: {**it.manifest(ONE), "digest": digest(b"")},
    "is missing": lambda it: {**it.blob({}), "digest": digest(b"nothing")},
    "digest other than sha256": lambda it: {**it.blob({}), "digest": "sha256:../../../etc/passwd"},
    "no size or no media type": lambda it: {**it.blob({}), "size": -1},
    "a descriptor is missing": lambda it: manifest(it, config=None),
    "layers are not a list": lambda it: manifest(it, layers={}),
    "is not JSON$": lambda it: it.blob(b"[" * 10**6),
    "is not a JSON object": lambda it: it.blob(b"1"),
    "more than 8388608 bytes": lambda it: it.blob(b" " * (streams.DOCUMENT + 1)),
    "contains no layers": lambda it: manifest(it, config=it.blob({"rootfs": []})),
    "it has 1 layers, but its configuration has 0": lambda it: manifest(it, layers=[it.blob(ONE)]),
    "contains no manifest": lambda it: indexed(it, 3),
}


@pytest.mark.parametrize("why", DAMAGED)
def test_a_damaged_layout_is_refused(layout, why):
    pointer = DAMAGED[why](layout)
    layout.index(pointer)
    if why.startswith("no digest"):
        (layout.path / "blobs" / pointer["digest"].replace(":", "/")).write_text("{}")
        why = "a document has the digest sha256:.* instead of"
    with pytest.raises(UsageError, match=why.removesuffix("$")):
        content(f"oci:{layout.path}")


@pytest.mark.parametrize(
    "data",
    [gzip.compress(ONE)[:-20], gzip.compress(ONE)[:20] + b"x" * 99],
    ids=["cut off", "overwritten"],
)
def test_a_layer_whose_compression_is_damaged_is_refused(layout, data):
    config = layout.blob({"rootfs": {"diff_ids": [digest(ONE)]}})
    layout.index(manifest(layout, config=config, layers=[layout.blob(data)]))
    with pytest.raises(UsageError, match="A layer of the image is damaged"):
        content(f"oci:{layout.path}")


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="which has zstd")
def test_missing_zstd_support_is_reported(layout):
    config = layout.blob({"rootfs": {"diff_ids": [digest(ONE)]}})
    zstd = layout.blob(bytes.fromhex("28b52ffd2000010000"))
    layout.index(manifest(layout, config=config, layers=[zstd]))
    with pytest.raises(UsageError, match="compressed by zstd"):
        content(f"oci:{layout.path}")


def test_a_configuration_of_another_digest_is_refused(layout, tmp_path):
    pointer = layout.manifest(ONE)
    layout.index(pointer)
    manifest = json.loads((layout.path / "blobs" / pointer["digest"].replace(":", "/")).read_text())
    path = layout.path / "blobs" / manifest["config"]["digest"].replace(":", "/")
    changed = {**json.loads(path.read_text()), "author": "somebody else"}
    path.write_text(json.dumps(changed))
    members = [
        file(str(path.relative_to(layout.path)), path.read_bytes())
        for path in layout.path.rglob("*")
        if path.is_file()
    ]
    (tmp_path / "archive").write_bytes(tar(*members, file("oci-layout", b"{}")))
    for location in (f"oci:{layout.path}", f"oci-archive:{tmp_path / 'archive'}"):
        with pytest.raises(UsageError, match="a document has the digest"):
            content(location)


def archive(path: Path, *members) -> str:
    path.write_bytes(tar(*members))
    return f"docker-archive:{path}"


def docker_manifest(*entries: object) -> tuple:
    return file("manifest.json", json.dumps(list(entries)).encode())


CONFIGURATION = file("c", json.dumps({"rootfs": {"diff_ids": [digest(ONE)]}}).encode())
ENTRY = {"Config": "c", "RepoTags": ["a:1"], "Layers": ["l/layer.tar"]}


def test_an_archive_of_the_older_kind(tmp_path):
    members = [
        docker_manifest(ENTRY, {**ENTRY, "RepoTags": None}),
        CONFIGURATION,
        file("one.tar", ONE),
    ]
    location = archive(tmp_path / "x:y", *members, link("l/layer.tar", "../one.tar"))
    assert content(f"{location}:a:1") == b"1"
    with pytest.raises(UsageError, match="has 2 images"):
        content(location)
    with pytest.raises(UsageError, match="no image 'b:1'"):
        content(f"{location}:b:1")


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ([file("a")], "neither an index.json nor a manifest.json"),
        ([file("manifest.json", b"{}")], "is not a list of images"),
        ([file("manifest.json", b"1}, {")], "is not JSON"),
        ([docker_manifest(1)], "is not a list of images"),
        ([docker_manifest({})], "contains no configuration"),
        ([docker_manifest(ENTRY)], "has no 'c'"),
        ([docker_manifest(ENTRY), CONFIGURATION], "has no 'l/layer.tar'"),
        ([docker_manifest({**ENTRY, "Layers": []}), CONFIGURATION], "has 0 layers"),
        (
            [docker_manifest(ENTRY), CONFIGURATION, link("l/layer.tar", "/etc/passwd")],
            "has no 'l/layer.tar'",
        ),
        (
            [docker_manifest(ENTRY), CONFIGURATION, link("l/layer.tar", "layer.tar")],
            "has no 'l/layer.tar'",
        ),
        (
            [docker_manifest(ENTRY), CONFIGURATION, file("l/layer.tar", TWO)],
            "but its configuration contains",
        ),
    ],
)
def test_a_damaged_archive_is_refused(tmp_path, members, why):
    with pytest.raises(UsageError, match=why):
        content(archive(tmp_path / "it", *members))


def test_an_archive_with_all_too_many_members_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("modelpack.oci.archive._MEMBERS", 2)
    with pytest.raises(UsageError, match="more than 2 members"):
        content(archive(tmp_path / "it", *map(file, "abc")))


@pytest.mark.parametrize(
    ("location", "why"),
    [
        ("oci:{}", "not an OCI layout"),
        ("docker-archive:{}", "not an image archive"),
        ("docker-archive:{}/text", "not an image archive"),
        ("docker-archive:{}/none", "File not found"),
        ("ftp:{}", "not a valid image reference"),
    ],
)
def test_error_names_a_file_that_is_not_an_image(tmp_path, location, why):
    (tmp_path / "text").write_text("text")
    with pytest.raises(UsageError, match=why):
        content(location.format(tmp_path))
