"""Layers, layouts and archives are written reproducibly, and other tools read them."""

from __future__ import annotations

import gzip
import io
import json
import secrets
import subprocess
import tarfile
from dataclasses import replace

import images
import pytest

from modelpack import oci
from modelpack.errors import UsageError
from modelpack.oci import archive, filesystem, layer_writer, layout
from modelpack.oci import image as oci_image
from modelpack.oci.tar import Entry

LONG = "opt/" + "n" * 120 + "/ü\udcff"
CONFIG = {"os": "linux", "architecture": "amd64", "config": {"Cmd": ["/a"], "Labels": {"ü": "1"}}}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def entry(path: str, kind: str = "file", **changes) -> Entry:
    return replace(Entry(path, kind, 0o755, 0, 0, 0, 0), **changes)


MEMBERS = (
    (entry("opt/x", mode=0o4444, uid=2**31 + 1, gid=65532, size=5, mtime=315532800), b"hello"),
    (entry("opt", "directory", mode=0o1777), None),
    (entry("opt/soft", "symlink", target="n" * 150), None),
    (entry("opt/hard", "hardlink", target="opt/x"), None),
    (entry("opt.d"), b""),
    (entry(LONG, size=1), b"1"),
    (entry("opt/pipe", "fifo"), None),
)


def opening(members):
    return [
        (it, None if data is None else lambda data=data: io.BytesIO(data)) for it, data in members
    ]


def write_layer(path, members=MEMBERS):
    return layer_writer.write(path, opening(members), "by a test")


def image(path, **changes) -> oci.Image:
    written = write_layer(path)
    config = {**CONFIG, "rootfs": {"type": "layers", "diff_ids": [written.diff_id]}, **changes}
    return oci.Image(config, (written,))


# --- layers


def test_layer_contains_its_entries_sorted(tmp_path):
    listing = filesystem.layer_listing(write_layer(tmp_path / "layer"))
    expected = [
        replace(it, sha256=images.digest(data)[7:] if data is not None else "")
        for it, data in MEMBERS
    ]
    assert sorted(listing, key=lambda it: it.path) == sorted(expected, key=lambda it: it.path)
    assert [it.path for it in listing] == [
        "opt",
        LONG,
        "opt/pipe",
        "opt/soft",
        "opt/x",
        "opt.d",
        "opt/hard",
    ]


def test_a_layer_has_the_same_bytes_in_any_order_at_any_time(tmp_path):
    one, two = write_layer(tmp_path / "one"), write_layer(tmp_path / "two", MEMBERS[::-1])
    assert one.diff_id == two.diff_id
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert one.blob.digest == images.digest((tmp_path / "one").read_bytes())
    assert one.blob.size == (tmp_path / "one").stat().st_size
    # This very tar, on any machine and with any Python.
    assert one.diff_id == "sha256:e5dee0a50c780581c047822eb75eb60bb613debd4c79b3cd16096ea9519670e4"


def test_other_programs_read_it(tmp_path):
    write_layer(tmp_path / "layer")
    data = gzip.decompress((tmp_path / "layer").read_bytes())
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert {member.uname for member in archive} == {""}
    listing = subprocess.check_output(
        ["tar", "tzvf", tmp_path / "layer", "--numeric-owner"]
    ).decode()
    assert "-r-Sr--r-- 2147483649/65532" in listing


def test_pax_headers_contain_only_values_without_a_tar_field(tmp_path):
    write_layer(tmp_path / "layer", MEMBERS[1:2] + MEMBERS[4:5])
    assert b"PaxHeader" not in gzip.decompress((tmp_path / "layer").read_bytes())


@pytest.mark.parametrize(
    ("it", "data", "why"),
    [
        (entry("a", "device"), None, "is a device"),
        (entry("a", capabilities=True), b"", "has capabilities"),
        (entry("a", size=2), b"1", "has changed its size"),
        (entry("a", size=1), b"12", "has changed its size"),
    ],
)
def test_invalid_entry_is_reported(tmp_path, it, data, why):
    with pytest.raises(ValueError, match=f"'a' .*{why}"):
        write_layer(tmp_path / "layer", [(it, data)])


# --- layouts and archives


def test_a_layout_is_read_as_it_was_written(tmp_path):
    pointer = layout.write_layout(tmp_path / "layout", [image(tmp_path / "layer")], "a/b:1")
    with oci.open_image(f"oci:{tmp_path}/layout:1") as found:
        assert found.digest == pointer.digest
        assert found.config["config"] == CONFIG["config"]
        assert filesystem.read(found, "opt/x") == b"hello"


def test_repeated_writes_have_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        layout.write_layout(tmp_path / name, [image(tmp_path / f"{name}.layer")], "a/b:1")
        archive.write(tmp_path / f"{name}.tar", tmp_path / name)
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()


def test_compressed_layers_are_copied_and_others_compressed(tmp_path):
    plain = images.layer(images.file("a", b"1" * 5000))
    config = {**CONFIG, "rootfs": {"diff_ids": [plain.diff_id]}}
    layout.write_layout(tmp_path / "one", [oci.Image(config, (plain,))])
    with oci.open_image(f"oci:{tmp_path}/one") as one:
        assert one.layers[0].blob.size < 1000
        layout.write_layout(tmp_path / "two", [one])
    with oci.open_image(f"oci:{tmp_path}/two") as two:
        assert two.layers[0].blob.digest == one.layers[0].blob.digest
        assert two.digest == one.digest


def test_a_layer_that_is_damaged_is_not_copied_and_nothing_is_left(tmp_path):
    write_layer(tmp_path / "layer")
    it = image(tmp_path / "other")
    (tmp_path / "other").write_bytes((tmp_path / "layer").read_bytes() + b"1")
    with pytest.raises(UsageError, match="A layer of the image is damaged"):
        layout.write_layout(tmp_path / "layout", [it])
    plain = replace(it.layers[0], blob=None, diff_id=images.digest(b""))
    with pytest.raises(UsageError, match="A layer of the image is damaged"):
        layout.write_layout(tmp_path / "layout", [replace(it, layers=(plain,))])
    assert {path.name for path in tmp_path.iterdir()} == {"layer", "other"}


def test_nothing_is_overwritten(tmp_path):
    it = image(tmp_path / "layer")
    layout.write_layout(tmp_path / "layout", [it])
    with pytest.raises(UsageError, match="already exists"):
        layout.write_layout(tmp_path / "layout", [it])
    with pytest.raises(UsageError, match="already exists"):
        archive.write(tmp_path / "layer", tmp_path / "layout")


def test_images_for_several_platforms_have_an_index(tmp_path):
    one = image(tmp_path / "one")
    two = replace(one, config={**one.config, "architecture": "arm64", "variant": "v8"})
    pointer = layout.write_layout(tmp_path / "layout", [one, two], "a/b:1")
    assert pointer.media_type == oci_image.INDEX
    archive.write(tmp_path / "archive", tmp_path / "layout")
    for location in (f"oci:{tmp_path}/layout", f"oci-archive:{tmp_path}/archive"):
        with oci.open_image(location, "linux/arm64") as found:
            assert found.config["variant"] == "v8"


# --- real tools


@pytest.fixture
def written(tmp_path):
    name = f"modelpack-test/oci:{secrets.token_hex(6)}"
    layout.write_layout(tmp_path / "layout", [image(tmp_path / "layer")], name)
    archive.write(tmp_path / "archive", tmp_path / "layout")
    return name


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.engine
def test_docker_loads_the_archive(written, tmp_path):
    run("docker", "load", "--input", f"{tmp_path}/archive")
    try:
        found = json.loads(run("docker", "image", "inspect", written))[0]
        assert found["RootFS"]["Layers"] == [write_layer(tmp_path / "again").diff_id]
        assert found["Config"]["Labels"] == CONFIG["config"]["Labels"]
    finally:
        run("docker", "rmi", written)


def test_podman_loads_the_archive(written, tmp_path):
    images.require_tool("podman")
    store = f"--root={tmp_path}/root --runroot={tmp_path}/run --storage-driver=vfs".split()
    run("podman", *store, "load", "--quiet", "--input", f"{tmp_path}/archive")
    found = json.loads(run("podman", *store, "image", "inspect", f"localhost/{written}"))[0]
    assert found["RootFS"]["Layers"] == [write_layer(tmp_path / "again").diff_id]


@pytest.mark.parametrize(
    "location", ["oci:{}/layout", "oci-archive:{}/archive", "docker-archive:{}/archive"]
)
def test_skopeo_reads_it(written, tmp_path, location):
    images.require_tool("skopeo")
    found = json.loads(run("skopeo", "inspect", location.format(tmp_path)))
    assert found["Labels"] == CONFIG["config"]["Labels"]
