from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import modelpack
from modelpack.errors import UsageError
from modelpack.oci.reference import ImageReference, is_loopback

DATA = Path(modelpack.__file__).parents[1] / "tests" / "data"
REGISTRIES = (
    *("", "localhost/", "localhost:5000/", "registry.test/", "Registry.test:443/", "docker.io/"),
    *("index.docker.io/", "[::1]:5000/", "127.0.0.1:5000/", "Foo/", "host-1:80/", "team/"),
)
PATHS = (
    *("iris", "team/iris", "library/iris", "a/b/c", "team/iris_v2.x--y", "a__b.c"),
    *("UPPER", "-x", "a//b", "a..b", ""),
)
TAGS = ("", ":1", ":-1")
DIGEST = f"sha256:{'0' * 64}"
DIGESTS = ("", f"@{DIGEST}", "@sha256:0")
TEXTS = {"".join(parts) for parts in itertools.product(REGISTRIES, PATHS, TAGS, DIGESTS)}
# Each valid reference -> its name and tag, the registry if one was typed, the canonical form and
# the familiar name.
RECORDED: dict[str, list[str]] = {
    text.replace("DIGEST", DIGEST): [part.replace("DIGEST", DIGEST) for part in parts]
    for text, parts in json.loads((DATA / "references.json").read_text()).items()
}


def test_all_combinations_of_parts():
    parsed = {}
    for text in TEXTS:
        try:
            reference = ImageReference.parse(text)
        except UsageError:
            continue
        parsed[text] = [
            reference.name,
            reference.tag,
            reference.registry if reference.has_registry else "",
            reference.canonical,
            reference.familiar_name,
        ]
    assert parsed == RECORDED


@pytest.mark.parametrize("registry", REGISTRIES)
def test_normal_forms(registry):
    digest = f"sha256:{'1' * 64}"
    for text in (text for text in RECORDED if text.startswith(registry)):
        reference = ImageReference.parse(text)
        full = ImageReference.parse(reference.canonical)
        short = ImageReference.parse(reference.familiar_name)
        assert str(reference) == text
        assert full.has_registry
        assert (full.canonical, full.reference) == (reference.canonical, reference.reference)
        assert full.familiar_name == reference.familiar_name
        assert (short.registry, short.repository) == (reference.registry, reference.repository)
        assert reference.with_digest(digest) == ImageReference(reference.name, digest=digest)


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("iris", "docker.io/library/iris:latest"),
        ("team/iris:1", "docker.io/team/iris:1"),
        ("localhost/iris", "localhost/iris:latest"),
        ("a:5000/iris", "a:5000/iris:latest"),
        ("[::1]:5000/a/b:1", "[::1]:5000/a/b:1"),
        (f"a.test/b@sha256:{'a' * 64}", f"a.test/b@sha256:{'a' * 64}"),
        ("index.docker.io/iris:1", "docker.io/library/iris:1"),
    ],
)
def test_the_canonical_form(text, full):
    assert ImageReference.parse(text).canonical == full


@given(st.from_regex(r"[\w./:@\[\]-]{0,40}", fullmatch=True))
def test_any_text_is_parsed_or_refused(text):
    try:
        reference = ImageReference.parse(text)
    except UsageError:
        return
    assert str(reference) == text
    assert ImageReference.parse(reference.canonical).repository == reference.repository


@pytest.mark.parametrize(
    ("text", "name", "tag"),
    [
        ("iris", "iris", "latest"),
        ("iris:1", "iris", "1"),
        ("team/iris_v2.x:1.0-rc_1", "team/iris_v2.x", "1.0-rc_1"),
        ("localhost:5000/iris", "localhost:5000/iris", "latest"),
        ("Registry.test:443/team/iris:1", "Registry.test:443/team/iris", "1"),
    ],
)
def test_a_name_of_a_new_image(text, name, tag):
    assert ImageReference.parse_tag(text) == ImageReference(name, tag)


@pytest.mark.parametrize("text", [f"a@sha256:{'0' * 64}", f"a:1@sha256:{'0' * 64}", "0" * 64])
def test_a_digest_or_an_id_cannot_name_a_new_image(text):
    ImageReference.parse(text)
    with pytest.raises(UsageError, match="not a valid name of a new image"):
        ImageReference.parse_tag(text)


@pytest.mark.parametrize("parse", [ImageReference.parse, ImageReference.parse_tag])
@pytest.mark.parametrize(
    "text",
    [
        *("", "UPPER", "a/B", "a b", "x\ny", "a\n", "x:y:z", "a//b", "a:", "a:-1", "-x", "x-"),
        *("--x", "../a", "a" * 256, "http://a.test/b", "python@sha256:0"),
    ],
)
def test_invalid_reference_is_a_usage_error(parse, text):
    with pytest.raises(UsageError, match="not a valid image reference"):
        parse(text)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("ghcr.io/Owner/Repo/m:V1", "Names of images are lower case: ghcr.io/owner/repo/m:V1"),
        ("ghcr.io/Owner//m:V1", "Give one such as iris:1 or registry.example.org/team/iris:1."),
    ],
)
def test_hint_of_a_name_in_upper_case(text, hint):
    with pytest.raises(UsageError) as caught:
        ImageReference.parse(text)
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    "text",
    ["python:3.13-slim", f"a.test:5000/b:1@sha256:{'0' * 64}", f"sha256:{'0' * 64}", "0" * 64],
)
def test_image_is_referenced_by_name_digest_or_id(text):
    assert str(ImageReference.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "registry_host", "reference"),
    [
        ("python:3.13-slim", "registry-1.docker.io", "3.13-slim"),
        ("index.docker.io/team/iris", "registry-1.docker.io", "latest"),
        (f"a.test:5000/b:1@sha256:{'0' * 64}", "a.test:5000", f"sha256:{'0' * 64}"),
    ],
)
def test_registry_host_and_reference_of_a_request(text, registry_host, reference):
    parsed = ImageReference.parse(text)
    assert (parsed.registry_host, parsed.reference) == (registry_host, reference)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("127.9.9.9:1", True),
        ("[::1]:1", True),
        ("[::1]", True),
        ("10.0.0.1:1", False),
        ("localhost.test", False),
        ("127.0.0.1.test:1", False),
    ],
)
def test_loopback_hosts_are_recognized(host, expected):
    assert is_loopback(host) is expected
