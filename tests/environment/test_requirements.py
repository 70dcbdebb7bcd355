from __future__ import annotations

import pytest

from modelpack.environment import service_requirements
from modelpack.environment.requirements import (
    add_serving_stack,
    collect_requirements,
    from_file,
    from_user,
)
from modelpack.errors import EnvironmentNotResolvedError, UsageError


@pytest.mark.parametrize(
    ("name", "specifier"),
    [
        ("scikit-learn", "==1.9.1 --index-url http://evil.example"),
        ("numpy", "<2\n-e ."),
        ("numpy\n--extra-index-url http://evil.example\nnumpy", ""),
        ("numpy @ http://evil.example/numpy.whl", ""),
        ("numpy", " @ file:///etc/passwd"),
        ("numpy", "===1.0/../../evil"),
        ("numpy[extra]", "<2"),
        ("numpy", "<2; sys_platform == 'linux'"),
        ("../evil", ""),
        ("-e .", ""),
        ("", ""),
    ],
)
def test_hostile_text_of_a_model_file_is_no_requirement(name, specifier):
    with pytest.raises(EnvironmentNotResolvedError, match="not a distribution with a version"):
        from_file({name: specifier})


@pytest.mark.parametrize(
    "line",
    [
        "-r requirements.txt",
        "--index-url=http://index.example",
        "-e .",
        ".",
        "./wheels/numpy-2.0-py3-none-any.whl",
        "numpy @ https://files.example/numpy.whl",
        "git+https://git.example/numpy",
        "numpy==",
        "numpy<2\n-e .",
        "",
    ],
)
def test_options_paths_and_urls_of_the_user_are_usage_errors(line):
    with pytest.raises(UsageError) as caught:
        from_user([line])
    assert "--requirement" in caught.value.hint


def test_the_users_requirements_take_the_place_of_those_of_the_same_name(make_spec):
    spec = make_spec("1.3.2", numpy="<2")
    required = collect_requirements(
        spec, ["Scikit_Learn==1.3.1", "gunicorn<23", "pandas[excel] >= 2"]
    )
    assert list(map(str, add_serving_stack(required.model))) == [
        "numpy<2",
        "Scikit_Learn==1.3.1",
        "gunicorn<23",
        "pandas[excel]>=2",
        "flask",
        "orjson",
        "prometheus-client",
    ]


@pytest.mark.parametrize(("names", "added"), [("joblib nltk", True), ("joblib xgboost", False)])
def test_numpy_is_required_unless_a_library_requires_it(names, added):
    required = add_serving_stack(from_user(names.split()))
    assert ("numpy" in map(str, required)) == added


def test_requirements_of_the_service_apply_to_compiled_models_too():
    kept = ["PyArrow>=17", "opentelemetry-exporter-otlp-proto-http", "orjson==3.10.0"]
    lines = ["numpy<2", kept[0], "scikit-learn==1.5.2", *kept[1:], "simplejson<=3.20.2"]
    assert service_requirements(lines) == tuple(kept)
