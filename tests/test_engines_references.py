from __future__ import annotations

import pytest

from modelpack.errors import UsageError
from modelpack.oci import reference as oci_reference


@pytest.mark.parametrize(
    ("reference", "repository", "tag"),
    [
        ("iris", "iris", "latest"),
        ("iris:1", "iris", "1"),
        ("team/iris_v2.x:1.0-rc_1", "team/iris_v2.x", "1.0-rc_1"),
        ("localhost:5000/iris", "localhost:5000/iris", "latest"),
        ("Registry.test:443/team/iris:1", "Registry.test:443/team/iris", "1"),
    ],
)
def test_a_name_is_split_as_docker_does(reference, repository, tag):
    assert oci_reference.parse_tag(reference) == (repository, tag)


@pytest.mark.parametrize(
    "reference",
    [
        "",
        "UPPER:1",
        "a b",
        "x:y:z",
        "-x",
        "x-",
        "a//b",
        "a:",
        "a:-1",
        f"a@sha256:{'0' * 64}",
        "a\n",
        "a" * 256,
        "0" * 64,
    ],
)
def test_a_name_that_no_image_can_have_is_a_usage_error(reference):
    with pytest.raises(UsageError, match="no name for an image"):
        oci_reference.parse_tag(reference)


@pytest.mark.parametrize(
    "reference",
    ["python:3.13-slim", f"a.test:5000/b:1@sha256:{'0' * 64}", f"sha256:{'0' * 64}", "0" * 64],
)
def test_an_image_is_called_by_name_digest_or_id(reference):
    oci_reference.require_reference(reference)


@pytest.mark.parametrize("reference", ["", "UPPER", "a b", "--x", "x\ny", "python@sha256:0"])
def test_what_can_name_no_image_is_a_usage_error(reference):
    with pytest.raises(UsageError, match="names no image"):
        oci_reference.require_reference(reference)
