"""Which layers are read for a comparison, and that it finds what reading all of them finds."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import IO

import pytest
from diff_sides import NOT_QUERIED, image

from modelpack import oci
from modelpack.comparison import Difference, Side, compare
from modelpack.comparison import image as diff_image
from modelpack.oci import filesystem


class Layers:
    """Makes layers of paths and contents, and counts those that are opened."""

    def __init__(self) -> None:
        self.opened: list[str] = []

    def layer(self, name: str, **files: str) -> oci.Layer:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for path, text in files.items():
                member = tarfile.TarInfo(path.replace("__", ".wh."))
                member.size = len(text)
                tar.addfile(member, io.BytesIO(text.encode()))
        content = buffer.getvalue()

        @contextmanager
        def opener() -> Iterator[IO[bytes]]:
            self.opened.append(name)
            yield io.BytesIO(content)

        return oci.Layer(f"sha256:{hashlib.sha256(content).hexdigest()}", opener, name)


def sides(*images: oci.Image) -> list[Side]:
    layers = [replace(image([]), image=diff_image.describe_image(each)) for each in images]
    return diff_image.add_file_listings(layers, images)


def whole(*images: oci.Image) -> list[Side]:
    """All of it, without any thought."""
    read = [diff_image.describe_image(each) for each in images]
    files = [filesystem.merge_layers(map(filesystem.layer_listing, each.layers)) for each in images]
    pairs = zip(read, files, strict=True)
    return [replace(image([]), image=replace(built, files=found)) for built, found in pairs]


def compared(pair: list[Side]) -> Difference:
    return compare(pair[0], pair[1], NOT_QUERIED)


@pytest.fixture
def layers(tmp_path, monkeypatch) -> Layers:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return Layers()


CASES = {
    "another model": ({"model": "1"}, {"model": "2"}, ["old", "new"]),
    "another file": ({"model": "1"}, {"other": "2"}, ["old", "new", "base"]),
    "a file over the base's": ({"model": "1"}, {"model": "1", "a": "9"}, ["old", "new", "base"]),
    "a file removed": ({"__a": ""}, {"__b": ""}, ["old", "new", "base"]),
}


@pytest.mark.parametrize("case", CASES)
def test_shared_layers_are_read_only_where_they_matter(case: str, layers: Layers) -> None:
    old, new, layers_read = CASES[case]
    base = layers.layer("base", a="1", b="2")
    images = [
        oci.Image({}, (base, layers.layer("old", **old))),
        oci.Image({}, (base, layers.layer("new", **new))),
    ]
    found = compared(sides(*images)).image
    assert layers.opened == layers_read
    expected = compared(whole(*images)).image
    assert (found.files, found.layers and found.layers.added) == (expected.files, 1)
    assert {c.name for c in found.changes} == {c.name for c in expected.changes}


def test_no_layer_is_read_if_all_are_shared(layers: Layers) -> None:
    one = oci.Image({}, (layers.layer("base", a="1"),))
    assert compared(sides(one, one)).image.verdict == "same"
    assert layers.opened == []


def test_layer_may_occur_twice(layers: Layers) -> None:
    base, other = layers.layer("base", a="1"), layers.layer("other", a="2")
    images = [oci.Image({}, (base, other)), oci.Image({}, (base, other, base))]
    found = compared(sides(*images)).image
    assert [c.name for c in found.changes if c.what == "file"] == ["a"]


def test_damaged_layer_is_reported_and_the_rest_is_compared(layers: Layers) -> None:
    good, bad = layers.layer("good", a="1"), layers.layer("bad", a="2")
    bad = replace(bad, diff_id="sha256:" + "0" * 64)
    found = compared(sides(oci.Image({}, (good,)), oci.Image({}, (bad,)))).image
    assert found.files is None
    assert "but its configuration contains" in found.unknown[0]
    assert found.verdict == "changed"
