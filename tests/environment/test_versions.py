from __future__ import annotations

from datetime import date

import pytest

from modelpack.environment import candidate_pythons
from modelpack.environment.python_versions import bounds, cutoff
from modelpack.environment.requirements import collect_requirements
from modelpack.errors import EnvironmentNotResolvedError, UsageError


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("0.20.3", ("3.7",)),
        ("0.24.1", ("3.8", "3.7", "3.9")),
        ("1.0.2", ("3.9", "3.8", "3.10", "3.7")),
        ("1.3.0", ("3.11", "3.10", "3.9", "3.8")),
        ("1.3.2", ("3.11", "3.10", "3.12", "3.9", "3.8")),
        ("1.7.2", ("3.13", "3.12", "3.14", "3.11", "3.10")),
    ],
)
def test_established_python_comes_first_and_the_nearest_next(make_spec, version, expected):
    assert candidate_pythons(make_spec(version)) == expected


def test_python_evidence_in_the_file_limits_the_choice(make_spec):
    assert candidate_pythons(make_spec("1.3.2", python="<3.11")) == ("3.10", "3.9", "3.8")
    assert candidate_pythons(make_spec("1.3.2", python="==3.12.*")) == ("3.12",)


def test_without_a_version_the_current_release_counts(make_spec):
    newest = candidate_pythons(make_spec(None))
    assert "3.13" in newest
    assert newest == candidate_pythons(make_spec("99.0"))


def test_unknown_version_is_dated_like_the_release_before_it(make_spec):
    assert candidate_pythons(make_spec("1.3.99")) == candidate_pythons(make_spec("1.3.2"))


@pytest.mark.parametrize("specifier", ["==0.20.3", "<0.21", "==0.20.*", ">=0.20,<0.21"])
def test_version_of_the_user_replaces_that_of_the_file(make_spec, specifier):
    assert candidate_pythons(make_spec("1.3.2"), [f"scikit-learn{specifier}"]) == ("3.7",)


@pytest.mark.parametrize(("version", "python"), [("1.3.2", ">=3.13"), ("1.3.2", "newest; rm -rf")])
def test_no_python_is_an_error_that_names_those_with_wheels(make_spec, version, python):
    with pytest.raises(EnvironmentNotResolvedError, match="has wheels for Python 3") as caught:
        candidate_pythons(make_spec(version, python=python))
    assert "--requirement scikit-learn==VERSION" in caught.value.hint


def test_invalid_recorded_version_is_an_error(make_spec):
    with pytest.raises(EnvironmentNotResolvedError, match="not a distribution with a version"):
        candidate_pythons(make_spec("1.9.1 --index-url http://evil.example"))


def test_invalid_requirement_of_the_user_is_an_error(make_spec):
    with pytest.raises(UsageError):
        candidate_pythons(make_spec("1.3.2"), ["-r other.txt"])


def test_bounds_exclude_later_releases(make_spec):
    spec = make_spec("1.3.0")
    day = cutoff(spec, collect_requirements(spec))
    names = ["numpy", "pandas", "scipy", "unheard-of"]
    assert bounds(day, names) == ["numpy<1.26", "pandas<2.1", "scipy<1.12"]
    assert bounds(date(2999, 1, 1), ["numpy"]) == []
