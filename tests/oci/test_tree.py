"""The files of one layer, and of layers applied one over the other."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import replace

import pytest
from images import digest, file, folder, image, layer, link, member, tar

from modelpack import cache
from modelpack.errors import UsageError
from modelpack.oci import filesystem, streams
from modelpack.oci.image import Layer
from modelpack.oci.tar import Entry


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def paths(*layers: Layer) -> list[str]:
    return list(filesystem.merge_layers(map(filesystem.layer_listing, layers)))


def unreadable() -> None:
    pytest.fail("the layer was opened")


# --- listings


def test_entry_contains_every_relevant_property_of_a_member():
    info, data = file("./opt/a", b"hello", mode=0o104755, uid=7, gid=8, mtime=9)
    info.pax_headers = {"SCHILY.xattr.security.capability": "x"}
    assert filesystem.layer_listing(layer((info, data))) == (
        Entry("opt/a", "file", 0o4755, 7, 8, 5, 9, sha256=digest(b"hello")[7:], capabilities=True),
    )


def test_kinds_and_targets():
    listing = filesystem.layer_listing(
        layer(
            folder("./"),
            folder("/dev/"),
            member("dev/null", tarfile.CHRTYPE),
            member("pipe", tarfile.FIFOTYPE),
            link("soft", "../a/../../b"),
            link("hard", "/dev/x", tarfile.LNKTYPE),
        )
    )
    assert [(entry.path, entry.kind, entry.target) for entry in listing] == [
        ("", "directory", ""),
        ("dev", "directory", ""),
        ("dev/null", "device", ""),
        ("pipe", "fifo", ""),
        ("soft", "symlink", "../a/../../b"),
        ("hard", "hardlink", "dev/x"),
    ]


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_long_names_and_names_that_are_no_text(form):
    name = "f" * 200 + "/" + "g" * 200 + "/\udcff"
    for path in (name, "n" * 255, "n/" * 2047 + "ab"):
        listing = filesystem.layer_listing(layer(data=tar(file(path, b"x"), format=form)))
        assert listing[0].path == path


def test_a_listing_is_kept_and_the_layer_not_opened_again():
    first = layer(file("a", b"1"), file("\udcff"))
    listing = filesystem.layer_listing(first)
    assert filesystem.layer_listing(replace(first, open=unreadable)) == listing


@pytest.mark.parametrize(
    "kept", ["", "{}", "[1]", "[[]]", '[["a","file"]]', '[["a","x",0,0,0,0,0,"","",false]]', "null"]
)
def test_listing_in_another_format_is_replaced(kept):
    built = layer(file("a", b"1"))
    listing = filesystem.layer_listing(built)
    (path,) = cache.directory("layers").iterdir()
    path.write_text(kept)
    assert filesystem.layer_listing(built) == listing
    assert len(json.loads(path.read_text())) == 1


def test_the_oldest_listings_go(monkeypatch):
    monkeypatch.setattr(cache, "_MIN_AGE", 0.0)
    monkeypatch.setitem(cache.LIMITS, "layers", cache.Limit(2, cache.MIB))
    for name in "abc":
        filesystem.layer_listing(layer(file(name)))
    assert len(list(cache.directory("layers").iterdir())) == 2


def test_layer_is_read_each_time_without_a_writable_cache(monkeypatch, tmp_path):
    (tmp_path / "none").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "none"))
    assert [entry.path for entry in filesystem.layer_listing(layer(file("a")))] == ["a"]


# --- untrusted layers


def test_layer_with_another_digest_is_refused_and_not_cached():
    built = replace(layer(file("a")), diff_id=digest(b""))
    for _ in range(2):
        with pytest.raises(UsageError, match="but its configuration contains"):
            filesystem.layer_listing(built)


def header(kind: bytes, size: int) -> bytes:
    info = tarfile.TarInfo("x")
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


def sparse() -> bytes:
    records = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "9"}
    return tar(file("a", b"0\n".ljust(512, b"\0"), pax_headers=records), format=tarfile.PAX_FORMAT)


def chained(count: int) -> bytes:
    return header(tarfile.GNUTYPE_LONGNAME, 0) * count + tar(file("a"))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (tar(file("../a")), "leaves its directory"),
        (tar(file("a/../../b")), "leaves its directory"),
        (tar(link("a", "../../b", tarfile.LNKTYPE)), "leaves its directory"),
        (tar(file("n" * 256)), "name that no file can have"),
        (tar(file("n/" * 2048 + "a")), "name that no file can have"),
        (tar(link("a", "n" * 5000)), "points to a path"),
        (tar(file("a"), pax_headers={"path": "b"}), "global headers"),
        (tar(member("a", b"V")), "of a kind that no layer has"),
        (tar(file("a", pax_headers={"mtime": "inf"})), "of a kind that no layer has"),
        (sparse(), "of a kind that no layer has"),
        (header(tarfile.GNUTYPE_LONGNAME, 2**33), "8589934592 bytes"),
        (header(tarfile.XHDTYPE, 2**21), "2097152 bytes"),
        (header(tarfile.REGTYPE, 2**40) + b"x" * 1024, "damaged"),
        (chained(2000), "too many headers"),
        (b"no tar at all", "damaged"),
        (b"", "damaged"),
        (tar(file("a")) + b"\1", "something follows its end"),
        (tar(file("a"))[:512] + bytes(512) + tar(file("b")), "something follows its end"),
        (tar(file("a"))[:512] + b"\1" * 512 + bytes(1024), "something follows its end"),
    ],
)
def test_unsupported_entries_are_refused(data, why):
    with pytest.raises(UsageError, match=why):
        filesystem.layer_listing(layer(data=data))


def test_bounds_of_a_layer(monkeypatch):
    monkeypatch.setattr(streams, "MEMBERS", 3)
    with pytest.raises(UsageError, match="more than 3 entries"):
        filesystem.layer_listing(layer(*map(file, "abc")))
    monkeypatch.setattr(streams, "PATHS", 3)
    with pytest.raises(UsageError, match="paths in it have more than 3 bytes"):
        filesystem.layer_listing(layer(file("a"), link("b", "cd")))
    monkeypatch.setattr(streams, "LAYER", 1000)
    with pytest.raises(UsageError, match="more than 1000 bytes"):
        filesystem.layer_listing(layer(file("a", b"x" * 1000)))


# --- one over the other


def test_whiteouts_apply_to_lower_layers_only():
    below = layer(folder("a"), file("a/x"), file("a/y"), folder("b"), file("b/x"), file("c"))
    above = layer(
        folder("a"),
        file("a/.wh.x"),
        file("b/new"),
        file("b/.wh..wh..opq"),
        file(".wh.c"),
        file("c"),
    )
    assert paths(below, above) == ["a", "a/y", "b", "b/new", "c"]


def test_files_and_directories_replace_each_other():
    below = layer(folder("a"), file("a/x"), file("b"))
    above = layer(file("a"), folder("b"), file("b/x"))
    assert paths(below, above) == ["a", "b", "b/x"]


def test_repeated_directory_keeps_its_content():
    both = layer(folder("a"), file("a/x")), layer(folder("a", uid=5))
    listing = filesystem.merge_layers(map(filesystem.layer_listing, both))
    assert list(listing) == ["a", "a/x"]
    assert listing["a"].uid == 5


def test_paths_go_through_the_links_below():
    below = layer(
        folder("usr/lib"), link("lib", "usr/lib"), link("l", "/lib/../lib"), file("lib/a")
    )
    above = layer(file("l/b"), file("lib/.wh.a"))
    listing = filesystem.merge_layers(map(filesystem.layer_listing, (below, above)))
    assert list(listing) == ["l", "lib", "usr/lib", "usr/lib/b"]
    assert listing["usr/lib/b"].path == "usr/lib/b"


def test_entry_below_a_file_is_refused():
    with pytest.raises(UsageError, match="is not a directory"):
        paths(layer(file("a")), layer(file("a/b")))
    with pytest.raises(UsageError, match="is not a directory"):
        paths(layer(link("a", "b"), link("b", "a"), file("a/c")))


def test_number_of_implied_directories_is_limited(monkeypatch):
    monkeypatch.setattr(streams, "TREE", 5)
    assert paths(layer(file("a/b/c/d"))) == ["a/b/c/d"]
    with pytest.raises(UsageError, match="more than 5 files"):
        paths(layer(file("a/b/c/d/e")))


# --- reading


def test_a_file_is_read_from_the_uppermost_layer_that_has_it():
    built = image(layer(file("a", b"1"), file("b", b"2")), layer(file("a", b"3")))
    assert filesystem.read(built, "a") == b"3"
    assert filesystem.read(built, "/b") == b"2"


def test_layers_below_are_not_opened_where_they_make_no_difference():
    below = replace(layer(file("b")), open=unreadable)
    assert filesystem.read(image(below, layer(folder("a"), file("a/b", b"1"))), "a/b") == b"1"


def test_a_link_below_makes_a_difference():
    below = layer(folder("c"), link("a", "c"))
    assert filesystem.read(image(below, layer(file("a/b", b"1"))), "c/b") == b"1"


def test_links_are_followed():
    built = image(
        layer(folder("x"), file("x/a", b"1"), link("x/b", "../x/a"), link("c", "/x/b")),
        layer(link("d", "x/a", tarfile.LNKTYPE)),
    )
    assert [filesystem.read(built, path) for path in ("x/b", "c", "d")] == [b"1"] * 3


@pytest.mark.parametrize("path", ["", "none", "folder", "loop", "hardloop", "gone", "pipe", "a/b"])
def test_only_regular_files_are_read(path):
    built = image(
        layer(file("gone"), file("a")),
        layer(
            folder("folder"),
            file(".wh.gone"),
            link("loop", "loop"),
            link("hardloop", "hardloop", tarfile.LNKTYPE),
            member("pipe", tarfile.FIFOTYPE),
        ),
    )
    with pytest.raises(UsageError, match="has no file"):
        filesystem.read(built, path)


def test_reads_no_more_bytes_than_requested():
    with pytest.raises(UsageError, match="has 4 bytes, more than 3"):
        filesystem.read(image(layer(file("a", b"1234"))), "a", limit=3)


def test_layer_that_changes_during_reading_is_reported():
    built = layer(file("a", b"1"))
    filesystem.layer_listing(built)
    other = tar(file("a", b"2"))
    changed = replace(built, open=lambda: io.BytesIO(other))
    with pytest.raises(UsageError, match="changed while it was read"):
        filesystem.read(image(changed), "a")
