"""Which day a model is of, and that both ways of keeping to it, by upload times and by bounds, give
the same feature series.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from packaging.version import Version

from modelpack.environment import candidate_pythons, releases, resolve
from modelpack.environment.python_versions import GRACE, bounds, cutoff
from modelpack.environment.releases import releases_of
from modelpack.environment.requirements import collect_requirements
from modelpack.types import IndexSettings

FRAMEWORKS = ("catboost", "hmmlearn", "imbalanced-learn", "lightgbm", "scikit-learn", "skops",
              "statsmodels", "xgboost")  # fmt: skip

EARLIEST = date(2018, 12, 26)  # half a year after Python 3.7


def model(make_spec, framework, requirements, **changes):
    spec = replace(make_spec(None), framework=framework, requirements=requirements)
    return replace(spec, **changes)


def release_day(name: str, version: str) -> date:
    return next(r.day for r in releases_of(name) if r.version == Version(version))


def day(spec, *requirements):
    return cutoff(spec, collect_requirements(spec, requirements))


# --- the day -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_each_release_of_each_framework_dates_its_models(make_spec, name):
    for release in releases_of(name):
        if release.is_servable:
            spec = model(make_spec, name, {name: f"=={release.version}"})
            assert day(spec) == max(release.day + GRACE, EARLIEST)


def test_the_newest_evidence_counts(make_spec):
    spec = model(make_spec, "xgboost", {"xgboost": "==2.0.3", "scikit-learn": "==1.3.0"})
    assert day(spec) == release_day("xgboost", "2.0.3") + GRACE


def test_an_inner_version_dates_a_wrapper_without_one(make_spec):
    """A model as of yasa: a LGBMClassifier without a version, whose LabelEncoder records one."""
    requirements = {"lightgbm": ">=2.3,<4", "scikit-learn": "==0.24.2", "numpy": "<2"}
    spec = model(make_spec, "lightgbm", requirements)
    assert day(spec) == release_day("scikit-learn", "0.24.2") + GRACE
    assert candidate_pythons(spec)[0] == "3.9"


def test_model_without_a_version_is_dated_by_the_first_later_release(make_spec):
    spec = model(make_spec, "lightgbm", {"lightgbm": ">=2.3,<4", "numpy": "<2"})
    assert day(spec) == release_day("lightgbm", "4.0.0")
    spec = model(make_spec, "scikit-learn", {"scikit-learn": "<0.22", "numpy": "<2"})
    assert day(spec) == release_day("scikit-learn", "0.22")
    assert candidate_pythons(spec) == ("3.7",)


def test_a_lower_bound_moves_the_day_beyond_an_upper_one(make_spec):
    spec = model(make_spec, "scikit-learn", {"scikit-learn": ">=1.6", "numpy": "<2"})
    assert day(spec) == release_day("scikit-learn", "1.6.0") + GRACE


def test_everything_is_current_without_an_upper_bound(make_spec):
    assert day(model(make_spec, "lightgbm", {"lightgbm": ">=4", "numpy": ">=2"})) is None


def test_a_version_newer_than_the_table_is_current(make_spec):
    assert day(make_spec("99.0")) is None


def test_python_that_saved_the_model_is_preferred(make_spec):
    spec = replace(make_spec("1.1.3"), trained_on="3.11")
    assert day(spec) == date.fromisoformat("2022-10-26") + GRACE  # of 1.1.3, two days younger
    assert candidate_pythons(replace(make_spec("1.3.2"), trained_on="3.9"))[0] == "3.9"
    assert (
        candidate_pythons(replace(make_spec("1.3.2"), trained_on="3.13"))[0] == "3.12"
    )  # the nearest
    pinned = replace(make_spec("1.2.2"), python="==3.11.*")
    assert day(pinned) == release_day("scikit-learn", "1.2.2") + GRACE


def test_a_users_framework_moves_the_day_and_a_users_library_does_not_back(make_spec):
    assert (
        day(make_spec("1.3.2"), "scikit-learn==1.5.2")
        == release_day("scikit-learn", "1.5.2") + GRACE
    )
    assert day(make_spec("1.3.2"), "numpy==1.26.4") == release_day("numpy", "1.26.4") + GRACE
    assert day(make_spec("1.3.2"), "numpy==1.20.0") == release_day("scikit-learn", "1.3.2") + GRACE


def test_the_newest_framework_that_the_user_allows_dates_a_model(make_spec):
    spec = model(make_spec, "scikit-learn", {"scikit-learn": ""})
    known = [r for r in releases_of("scikit-learn") if r.version < Version("1.3")]
    newest = max(known, key=lambda release: release.version)
    assert day(spec, "scikit-learn<1.3") == newest.day + GRACE


def test_added_requirements_do_not_date_a_model(make_spec):
    spec = model(make_spec, "lightgbm", {"lightgbm": ">=4", "numpy": ">=2"})
    assert day(spec, "six==1.16.0") is None
    assert day(spec, "lightgbm==4.1.0") == release_day("numpy", "2.0.0") + GRACE
    assert day(make_spec("1.3.2"), "six==99") is not None


# --- Python --------------------------------------------------------------------------------------


def test_python_has_wheels_for_all_pinned_versions(make_spec):
    spec = model(make_spec, "xgboost", {"xgboost": "==2.0.3", "scikit-learn": "==1.3.0"})
    assert candidate_pythons(spec) == ("3.11", "3.10", "3.9", "3.8")
    numpy = candidate_pythons(make_spec("1.3.2"), ["numpy==1.24.4"])
    assert numpy == ("3.11", "3.10", "3.9", "3.8")  # 1.3.2 has wheels for 3.12, 1.24.4 has none


def test_numpy_of_the_time_bounds_python_where_a_framework_does_not(make_spec):
    """A wheel for any Python 3 does not prove support for versions of years later."""
    assert "3.12" not in candidate_pythons(model(make_spec, "lightgbm", {"lightgbm": "==3.3.5"}))


def test_a_version_without_wheels_for_any_python_gives_way_to_the_nearest(make_spec):
    spec = make_spec("0.18.1")
    assert candidate_pythons(spec) == ("3.7",)
    assert list(map(str, collect_requirements(spec).model)) == ["scikit-learn==0.19.2"]


# --- both ways -----------------------------------------------------------------------------------


def newest(name, python, fits):
    found = [r for r in releases_of(name) if python in r.pythons and fits(r)]
    return found[-1].series if found else None


@pytest.mark.parametrize("name", ["scikit-learn", "lightgbm", "xgboost", "catboost"])
def test_dates_and_bounds_give_the_same_feature_series(name, make_spec):
    """For every release of the table, on each Python it has wheels for, of every library."""
    pairs = 0
    for release in releases_of(name):
        if not release.is_servable:
            continue
        spec = model(make_spec, name, {name: f"=={release.version}"})
        end = day(spec)
        limits = dict(bound.split("<") for bound in bounds(end, releases.libraries()))
        for python in candidate_pythons(spec)[:2]:
            for library in releases.libraries():
                limit = Version(limits.get(library, "9999"))
                dated = newest(library, python, lambda r, end=end: r.day < end)
                bounded = newest(library, python, lambda r, limit=limit: r.version < limit)
                if dated is not None:
                    pairs += 1
                    assert dated == bounded, (release, python, library)
    assert pairs > 300


@pytest.mark.parametrize(("version", "python"), [("0.20.3", "3.7"), ("1.3.2", "3.11")])
def test_an_index_with_and_one_without_upload_times_give_the_same_series(
    make_spec, local_index, version, python
):
    for name in ("scikit-learn", "numpy", "scipy", "joblib", "pandas", "lightgbm", "pytz"):
        for release in releases_of(name):
            if python in release.pythons:
                local_index.add(name, str(release.version), day=str(release.day))
    others = dict.fromkeys(["numpy", "scipy", "joblib", "pandas", "lightgbm", "pytz"], "")
    spec = make_spec(version, **others)
    dated = resolve(spec, python, index=IndexSettings(local_index.url)).requirements
    local_index.days.clear()
    bounded = resolve(spec, python, index=IndexSettings(local_index.url)).requirements
    assert {n: Version(v).release[:2] for n, v in dated.items()} == {
        n: Version(v).release[:2] for n, v in bounded.items()
    }
    later = release_day("scikit-learn", version) + timedelta(days=61)
    assert all(release_day(n, dated[n]) < later for n in others if n != "pandas")
