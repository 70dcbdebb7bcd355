"""Verdicts of conflicts.py on environments, compared with the results of loading in them.

`python scripts/make_ages.py --truth` recorded tests/data/ages/truth.json in fifteen environments,
one for each release of scikit-learn: each loaded and queried the models that each had saved.
"""

from __future__ import annotations

import json
import pickle
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from modelpack.engines import interpreters
from modelpack.environment import compatibility, resolve
from modelpack.errors import EnvironmentNotResolvedError
from modelpack.inspection import inspect
from modelpack.types import Environment, IndexSettings, ModelSpec

TRUTH = json.loads((Path(__file__).parents[1] / "data" / "ages" / "truth.json").read_text())
WORKS = "=~"
# Probabilities of two classes change between these releases; some recorded models have three.
WARNED_IN_VAIN = ("LogisticRegression", {"1.5", "1.6", "1.7"}, {"1.3", "1.4"})


@pytest.fixture
def load_spec(make_spec: Callable[..., ModelSpec]) -> Callable[[str], ModelSpec]:
    def make(name: str) -> ModelSpec:
        facts = TRUTH["files"][name]
        spec = make_spec(facts["versions"]["scikit-learn"])
        return replace(
            spec,
            file=replace(spec.file, protocol=facts["protocol"]),
            python=facts["python"],
            versions=facts["versions"],
            globals=tuple(TRUTH["names"][position] for position in facts["globals"]),
            evidence=tuple(facts["evidence"]),
        )

    return make


def load_environment(loading: str, **changes: str) -> Environment:
    recorded = TRUTH["environments"][loading]
    pins = {**recorded["requirements"], **changes}
    return Environment(recorded["python"], "linux/amd64", pins, dict.fromkeys(pins, "user"), "")


def rows() -> Iterator[tuple[str, str, str]]:
    """The release that loads, the file, and what came of it, by the letters of scripts/ages."""
    for name, facts in TRUTH["files"].items():
        for loading, letter in zip(TRUTH["environments"], facts["outcomes"], strict=True):
            if letter != " ":
                yield loading, name, letter


def verdict(spec: ModelSpec, environment: Environment) -> str:
    try:
        return (
            "warned"
            if compatibility.with_compatibility_warnings(spec, environment).warnings
            else "passed"
        )
    except EnvironmentNotResolvedError:
        return "refused"


def test_measured_results_contain_every_kind_of_failure() -> None:
    counts = [outcome for _, _, outcome in rows()]
    assert len(counts) > 5_000
    assert min(counts.count(kind) for kind in "xpd=") > 40


def test_combinations_that_fail_to_load_are_refused_and_no_others(load_spec) -> None:
    specs = {name: load_spec(name) for name in TRUTH["files"]}
    wrong = [
        (loading, name, outcome)
        for loading, name, outcome in rows()
        if (verdict(specs[name], load_environment(loading)) == "refused") != (outcome == "x")
    ]
    assert wrong == []


def test_combinations_that_fail_or_differ_after_loading_have_a_warning(load_spec) -> None:
    specs = {name: load_spec(name) for name in TRUTH["files"]}
    wrong = []
    for loading, name, outcome in rows():
        warning = verdict(specs[name], load_environment(loading))
        if warning != "refused" and (warning == "warned") == (outcome in WORKS):
            wrong.append((loading, name, outcome, warning))
    kind, saved, served = WARNED_IN_VAIN
    assert [
        row
        for row in wrong
        if not (
            row[3] == "warned"
            and row[0] in served
            and row[1].split("/")[0] in saved
            and any(key.endswith(kind) for key in specs[row[1]].globals)
        )
    ] == []


def refusal(spec: ModelSpec, environment: Environment) -> EnvironmentNotResolvedError:
    with pytest.raises(EnvironmentNotResolvedError) as caught:
        compatibility.with_compatibility_warnings(spec, environment)
    return caught.value


def test_prerelease_reads_the_files_of_its_release(load_spec) -> None:
    spec = load_spec("1.3/svc.joblib")
    compatibility.require_loadable(spec, load_environment("1.3", joblib="1.5.0rc1"))
    with pytest.raises(EnvironmentNotResolvedError, match=r"joblib 1\.1\.0rc1 cannot read"):
        compatibility.require_loadable(spec, load_environment("1.3", joblib="1.1.0rc1"))


def test_hint_for_a_conflicting_override_is_to_remove_it(load_spec) -> None:
    error = refusal(load_spec("0.20/svc.pkl"), load_environment("1.9"))
    assert error.message == (
        "scikit-learn 1.9.1 has no sklearn.svm.classes.SVC, which the model file needs: "
        "it exists in 0.20-0.23."
    )
    assert error.hint == (
        "Leave out --requirement scikit-learn==1.9.1: the file records scikit-learn 0.20.4."
    )


def test_hint_for_a_conflicting_default_is_an_override(load_spec) -> None:
    environment = load_environment("1.1")
    environment = replace(environment, origins=dict.fromkeys(environment.requirements, "resolver"))
    error = refusal(load_spec("1.9/svc.pkl"), environment)
    assert error.message.startswith("numpy 1.22.4 has no numpy._core.multiarray")
    assert error.hint == "Name a version that can: --requirement 'numpy>=2'"


@pytest.mark.parametrize(
    ("name", "loading", "changes", "message"),
    [
        ("1.3/svc.joblib", "1.3", {"joblib": "1.1.1"}, "joblib 1.1.1 cannot read the arrays"),
        ("1.2/forest.pkl", "1.3", {}, "scikit-learn 1.3.2 cannot read the trees"),
        ("1.3/forest.pkl", "1.2", {}, "scikit-learn 1.2.2 cannot read the trees"),
        ("1.4/network.pkl", "1.4", {"numpy": "1.23.5"}, "numpy 1.23.5 cannot read the random"),
        ("1.9/network.pkl", "1.9", {"numpy": "1.26.4"}, "numpy 1.26.4 cannot read the random"),
        ("0.20/svc.joblib", "0.23", {}, "no sklearn.externals.joblib.numpy_pickle"),
        ("1.5/boosting.pkl", "1.9", {}, "scikit-learn 1.9.1 has no _loss"),
        ("1.4/boosting.pkl", "1.6", {}, "_loss.__pyx_unpickle_CyHalfSquaredError"),
    ],
)
def test_each_kind_of_conflict_has_its_own_message(
    name: str, loading: str, changes: dict[str, str], message: str, load_spec
) -> None:
    assert message in refusal(load_spec(name), load_environment(loading, **changes)).message


def test_a_release_between_those_known_is_refused_only_if_both_lack_the_name(load_spec) -> None:
    spec = load_spec("1.9/svc.pkl")  # it names numpy._core.multiarray, which numpy has since 1.26
    known = load_environment("1.9", numpy="1.25.9")
    assert verdict(spec, known) == "refused"
    for version in ("1.26.0", "2.0.5", "9.0"):
        assert verdict(spec, load_environment("1.9", numpy=version)) == "passed"
    assert verdict(
        load_spec("0.20/svc.pkl"), load_environment("0.20", **{"scikit-learn": "9"})
    ) == ("refused")


def test_requirements_of_the_user_are_checked_before_locking(load_spec) -> None:
    """They are checked alone: with the rest they may fail to resolve for unrelated reasons."""
    nowhere = IndexSettings(index_url="http://127.0.0.1:9/simple")
    with pytest.raises(EnvironmentNotResolvedError, match=r"has no sklearn\.svm\.classes"):
        resolve(load_spec("0.20/svc.pkl"), "3.13", index=nowhere,
                requirements=["scikit-learn==1.9.1"])  # fmt: skip
    with pytest.raises(EnvironmentNotResolvedError, match=r"Python 3\.7 cannot load"):
        resolve(replace(load_spec("1.9/svc.pkl"), python=">=3.8"), "3.7", index=nowhere)


@pytest.mark.parametrize("python", ["3.7", "3.8", "3.11"])
def test_protocol_5_is_refused_where_that_python_really_cannot_read_it(
    python: str, load_spec, tmp_path: Path
) -> None:
    interpreter = interpreters.find(python)
    if interpreter is None:
        pytest.skip(f"there is no Python {python} here")
    path = tmp_path / "m.pkl"
    path.write_bytes(pickle.dumps([1.0], protocol=5))
    command = [interpreter, "-c", f"import pickle; pickle.load(open({str(path)!r}, 'rb'))"]
    loads = subprocess.run(command, capture_output=True, check=False).returncode == 0
    found = inspect(path)
    spec = replace(load_spec("1.0/svc.pkl"), python=found.python, file=found.file)
    environment = replace(load_environment("1.0"), python=python)
    assert (verdict(spec, environment) == "passed") == loads
    if not loads:
        error = refusal(spec, environment)
        assert "protocol 5 of the file needs Python >=3.8" in error.message
        assert error.hint == "Leave out --python 3.7."
