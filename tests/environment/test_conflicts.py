"""What conflicts.py says of an environment, beside what really came of loading in it.

tests/data/ages/truth.json was recorded in fifteen real environments, one a release of scikit-learn,
by `python scripts/make_ages.py --truth`: each loaded and asked the models that each had saved.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from modelpack.environment import conflicts
from modelpack.errors import EnvironmentNotResolvedError
from modelpack.spec import Environment, ModelSpec

TRUTH = json.loads((Path(__file__).parents[1] / "data" / "ages" / "truth.json").read_text())
WORKS = "=~"
# Probabilities of two classes change between these releases; some recorded models have three.
WARNED_IN_VAIN = ("LogisticRegression", {"1.5", "1.6", "1.7"}, {"1.3", "1.4"})


@pytest.fixture
def spec_of(make_spec: Callable[..., ModelSpec]) -> Callable[[str], ModelSpec]:
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


def environment_of(loading: str, **changes: str) -> Environment:
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
        return "warned" if conflicts.judged(spec, environment).warnings else "passed"
    except EnvironmentNotResolvedError:
        return "refused"


def test_the_truth_has_failures_of_every_kind() -> None:
    counts = [outcome for _, _, outcome in rows()]
    assert len(counts) > 5_000
    assert min(counts.count(kind) for kind in "xpd=") > 40


def test_it_refuses_exactly_what_really_fails_to_load(spec_of) -> None:
    specs = {name: spec_of(name) for name in TRUTH["files"]}
    wrong = [
        (loading, name, outcome)
        for loading, name, outcome in rows()
        if (verdict(specs[name], environment_of(loading)) == "refused") != (outcome == "x")
    ]
    assert wrong == []


def test_it_warns_of_all_that_loads_and_then_fails_or_answers_differently(spec_of) -> None:
    specs = {name: spec_of(name) for name in TRUTH["files"]}
    wrong = []
    for loading, name, outcome in rows():
        said = verdict(specs[name], environment_of(loading))
        if said != "refused" and (said == "warned") == (outcome in WORKS):
            wrong.append((loading, name, outcome, said))
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
