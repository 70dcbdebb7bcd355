"""Environment.warnings: a sentence wherever what is recorded and what is chosen differ."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from modelpack.environment import resolve
from modelpack.environment.warnings import python_warnings
from modelpack.pipeline.options import Options
from modelpack.pipeline.stages import Pipeline
from modelpack.types import BaseImage, IndexSettings


@pytest.fixture
def index(local_index):
    for version, day in (
        ("0.19.2", "2018-07-15"),
        ("0.20.1", "2018-11-23"),
        ("1.3.0", "2023-06-30"),
        ("1.3.2", "2023-10-23"),
    ):
        local_index.add("scikit-learn", version, day=day)
    local_index.add("lightgbm", "4.1.0", day="2023-09-10")
    return IndexSettings(local_index.url)


def warnings(spec, python, index, *requirements):
    return resolve(spec, python, index=index, requirements=requirements).warnings


def recorded(make_spec, version, specifier=None, **changes):
    spec = replace(make_spec(version), versions={"scikit-learn": version}, **changes)
    return replace(spec, requirements={"scikit-learn": specifier}) if specifier else spec


def test_recorded_versions_have_no_warning(make_spec, index):
    assert warnings(recorded(make_spec, "1.3.2"), "3.11", index) == ()


def test_the_user_chose_another_version(make_spec, index):
    assert warnings(recorded(make_spec, "1.3.0"), "3.11", index, "scikit-learn==1.3.2") == (
        "The file records scikit-learn 1.3.0, but --requirement has priority, so 1.3.2 is used.",
    )


def test_a_development_version(make_spec, index):
    spec = recorded(make_spec, "0.20.dev0", ">=0.20,<0.21")
    assert warnings(spec, "3.7", index) == (
        "The file records scikit-learn 0.20.dev0, a development version that no index has, so"
        " 0.20.1 is used.",
    )


def test_a_version_without_wheels(make_spec, index):
    environment = resolve(recorded(make_spec, "0.18.1"), "3.7", index=index)
    assert environment.origins["scikit-learn"] == "resolver"
    assert environment.warnings == (
        "The file records scikit-learn 0.18.1, which has no wheels for a supported Python, so"
        " 0.19.2 is used.",
    )


def test_parts_that_record_another_version(make_spec, index):
    spec = recorded(make_spec, "1.3.2", other_versions={"scikit-learn": ("1.2.2",)})
    assert warnings(spec, "3.11", index) == (
        "Parts of the model record scikit-learn 1.2.2, the whole 1.3.2, so 1.3.2 is used for all.",
    )


def test_another_python(make_spec, index):
    (warning,) = warnings(recorded(make_spec, "1.3.2"), "3.9", index)
    assert warning.startswith("Python 3.9 is used instead of 3.11, which fits the time")


@pytest.mark.parametrize(
    ("cause", "text"),
    [
        ("option", "because of --python."),
        ("base image", "because the image of --base-image has no other."),
        ("wheelhouse", "because the wheelhouse of --offline is for it."),
        ("interpreter", "because this machine has no CPython 3.10."),
        ("unavailable", "because no base image for 3.10 is available."),
    ],
)
def test_cause_of_another_python_is_named(cause, text):
    (warning,) = python_warnings("3.9", "3.10", saved="3.10", is_dated=True, cause=cause)
    assert warning.endswith(f"3.10, which saved the model, {text}")


@pytest.mark.parametrize(
    ("origin", "has_images", "options", "text"),
    [
        ("user", True, {"base_image": "base:1"}, "because the image of --base-image has no other"),
        ("user", True, {"base_image": "base:1", "python": "3.9"}, "because of --python"),
        ("registry", True, {}, "because no base image for 3.11 is available"),
        ("registry", False, {}, "because this machine has no CPython 3.11"),
    ],
)
def test_cause_follows_from_options_and_engine(
    *, make_spec, index, origin, has_images, options, text
):
    run = Pipeline(Options(index_url=index.index_url, **options))
    base = BaseImage("base:1", "3.9", origin)
    builder = SimpleNamespace(find_base_image=lambda *_, **__: base)
    run.engine = SimpleNamespace(builder=builder, images=has_images, platform="linux/amd64")
    environment, _ = run.resolve(recorded(make_spec, "1.3.2"))
    (warning,) = environment.warnings
    assert text in warning


def test_no_python_is_likelier_for_a_file_without_versions(make_spec, index):
    assert warnings(make_spec(None), "3.9", index) == ()


def test_python_that_saved_the_model_is_named(make_spec, index):
    spec = replace(recorded(make_spec, "1.3.2"), trained_on="3.10")
    (warning,) = warnings(spec, "3.9", index)
    assert warning.startswith("Python 3.9 is used instead of 3.10, which saved the model")


def test_bounds_are_not_compared_with_versions(make_spec, index):
    spec = replace(make_spec("1.3.2", lightgbm=">=4"), versions={"lightgbm": ">=4"})
    assert warnings(spec, "3.11", index) == ()
