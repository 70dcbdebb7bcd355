"""The differences between pairs of values, and their impact on callers, without an engine."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from diff_sides import (
    AGE,
    CITY,
    ENVIRONMENT,
    FILE,
    LABEL,
    NOT_QUERIED,
    PLAIN,
    fields,
    image,
    inputs,
    model_answers,
    names,
    queried_rows,
    scalars,
    side,
)
from engine_bundles import SPEC
from hypothesis import given
from hypothesis import strategies as st

from modelpack.cli import diff_view
from modelpack.cli.diff_view import markdown_code
from modelpack.comparison import (
    Base,
    Change,
    Difference,
    ModelAnswers,
    Side,
    compare,
    model,
    predictions,
    signature,
)
from modelpack.comparison.model import moved
from modelpack.oci.filesystem import Entry
from modelpack.types import (
    Code,
    CodeFile,
    Estimator,
    Field,
    Safety,
    Signature,
    from_json,
    to_json,
)


def change_tuples(old: Signature, new: Signature) -> list[tuple[str, str, str, str]]:
    found = signature.compare_signatures(old, new)
    return [(c.kind, c.what, c.name, c.impact) for c in found.changes]


# --- signatures ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("new", "change"),
    [
        (inputs(AGE, CITY, Field("sex", "string")), ("added", "input", "sex", "breaking")),
        (
            inputs(AGE, CITY, Field("sex", "string", nullable=True)),
            ("added", "input", "sex", "compatible"),
        ),
        (inputs(AGE), ("removed", "input", "city", "breaking")),
        (inputs(replace(AGE, name="years"), CITY), ("renamed", "input", "age", "breaking")),
        (inputs(CITY, AGE), ("reordered", "input", "", "breaking")),
        (inputs(AGE, CITY, named=False), ("renamed", "inputs", "", "breaking")),
        (inputs(replace(AGE, type="integer"), CITY), ("changed", "type", "age", "breaking")),
        (inputs(replace(AGE, type="any"), CITY), ("changed", "type", "age", "compatible")),
        (inputs(replace(AGE, type="string"), CITY), ("changed", "type", "age", "breaking")),
        (inputs(replace(AGE, shape=(3,)), CITY), ("changed", "type", "age", "breaking")),
        (
            inputs(replace(AGE, nullable=True), CITY),
            ("changed", "missing values", "age", "compatible"),
        ),
        (inputs(replace(AGE, maximum=9.0), CITY), ("changed", "range", "age", "none")),
        (
            inputs(AGE, replace(CITY, categories=("Oslo",))),
            ("removed", "category", "city", "breaking"),
        ),
        (
            inputs(AGE, replace(CITY, categories=("Bern", "Rome", "Oslo"))),
            ("added", "category", "city", "compatible"),
        ),
        (
            inputs(AGE, replace(CITY, categories=None)),
            ("removed", "categories", "city", "compatible"),
        ),
        (replace(PLAIN, classes=("no",)), ("removed", "class", "", "breaking")),
        (replace(PLAIN, classes=("no", "yes", "may be")), ("added", "class", "", "breaking")),
        (replace(PLAIN, classes=("yes", "no")), ("reordered", "class", "", "breaking")),
        (replace(PLAIN, probabilities=False), ("changed", "probabilities", "", "breaking")),
        (
            replace(PLAIN, outputs=(replace(LABEL, type="number"),)),
            ("changed", "output", "prediction", "breaking"),
        ),
        (
            replace(PLAIN, outputs=(replace(LABEL, name="y"),)),
            ("renamed", "output", "prediction", "breaking"),
        ),
        (replace(PLAIN, outputs=(LABEL, LABEL)), ("added", "output", "prediction", "breaking")),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_signature_changes_are_classified_by_their_effect_on_callers(
    new: Signature, change: tuple[str, str, str, str]
) -> None:
    assert change_tuples(PLAIN, new) == [change]
    verdict = {"none": "changed"}.get(change[3], change[3])
    assert signature.compare_signatures(PLAIN, new).verdict == verdict


def test_compatible_changes_are_breaking_in_the_other_direction() -> None:
    nullable = inputs(replace(AGE, nullable=True), replace(CITY, categories=None))
    assert {impact for *_, impact in change_tuples(PLAIN, nullable)} == {"compatible"}
    assert {impact for *_, impact in change_tuples(nullable, PLAIN)} == {"breaking"}


def test_an_integer_is_a_number() -> None:
    integer = inputs(replace(AGE, type="integer"), CITY)
    assert change_tuples(integer, PLAIN) == [("changed", "type", "age", "compatible")]


def test_change_of_generated_input_names_is_compatible() -> None:
    old = inputs(Field("x0", "number"), Field("x1", "number"), named=False)
    new = inputs(Field("x0", "number"), named=False)
    assert change_tuples(old, new) == [("removed", "input", "x1", "breaking")]
    named = inputs(Field("a", "number"), Field("b", "number"))
    assert change_tuples(old, named) == [("renamed", "inputs", "", "compatible")]


def test_classes_of_different_types_differ() -> None:
    old, new = (replace(PLAIN, classes=classes) for classes in ((0, 1), (False, True)))
    assert [change[:2] for change in change_tuples(old, new)] == [
        ("removed", "class"),
        ("added", "class"),
    ]


def test_value_missing_on_one_side_is_reported_as_unknown() -> None:
    found = signature.compare_signatures(PLAIN, replace(PLAIN, inputs=(), classes=None))
    assert found.verdict == "unknown"
    assert found.unknown == (
        "the inputs are known only for OLD",
        "the classes are known only for OLD",
    )


# --- models --------------------------------------------------------------------------------------


def model_side(**changes: Any) -> Side:
    return side(model=replace(SPEC, signature=PLAIN, **changes))


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (model_side(task="regressor"), ("changed", "task", "")),
        (model_side(framework_version="1.4.0"), ("changed", "framework", "")),
        (model_side(safety=Safety("refuse")), ("changed", "safety", "")),
        (model_side(n_jobs=-1), ("changed", "n_jobs", "")),
        (model_side(file=replace(SPEC.file, sha256="ab" * 32)), ("changed", "sha256", "")),
        (model_side(estimator="sklearn.svm._classes.NuSVC"), ("changed", "estimator", "model")),
        (model_side(steps=(Estimator("svc", "a.B"),)), ("added", "estimator", "svc")),
        (side(code=Code((CodeFile("own.py", "ab" * 32),))), ("added", "code", "own.py")),
    ],
    ids=lambda value: " ".join(value).strip() if isinstance(value, tuple) else "",
)
def test_each_model_difference_is_reported_once(new: Side, expected: tuple[str, str, str]) -> None:
    (change,) = model.compare_models(side(), new).changes
    assert (change.kind, change.what, change.name) == expected


def test_file_path_is_not_a_model_difference() -> None:
    elsewhere = model_side(file=replace(SPEC.file, path="elsewhere.pkl"))
    assert model.compare_models(side(), elsewhere).verdict == "same"


def test_compiled_model_is_compared_with_its_source_file() -> None:
    numbers = replace(SPEC.file, path="model.compiled", sha256="ab" * 32)
    compiled = model_side(file=numbers, compiled_from=(SPEC.file,))
    other = replace(SPEC.file, sha256="cd" * 32)
    pairs = {
        "SVC of the same file, compiled": (side(), compiled),
        "SVC of the same file, not compiled": (compiled, side()),
        "SVC of the same file, compiled again": (
            compiled,
            model_side(file=other, compiled_from=(SPEC.file,)),
        ),
        "SVC with the same steps, saved again": (
            side(),
            model_side(file=numbers, compiled_from=(other,)),
        ),
    }
    assert {text: model.compare_models(*pair).summary for text, pair in pairs.items()} == {
        text: text for text in pairs
    }


def test_steps_are_compared_by_path_and_order() -> None:
    inner = Estimator("prepare", "a.Union", steps=(Estimator("scale", "a.Scaler", columns=("a",)),))
    old = model_side(steps=(inner, Estimator("fit", "a.Fit")))
    deep = replace(inner, steps=(Estimator("scale", "a.Scaler", columns=("a", "b")),))
    (change,) = model.compare_models(
        old, model_side(steps=(deep, Estimator("fit", "a.Fit")))
    ).changes
    assert (change.what, change.name, change.old, change.new) == (
        "columns",
        "prepare/scale",
        "a",
        "a, b",
    )
    (change,) = model.compare_models(
        old, model_side(steps=(Estimator("fit", "a.Fit"), inner))
    ).changes
    assert (change.kind, change.what) == ("reordered", "estimator")


# --- versions ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "kind", "step"),
    [
        ("1.9.1", "2.0.0", "up", "major"),
        ("1.9", "1.10", "up", "minor"),
        ("1.10.0", "1.9.9", "down", "minor"),
        ("1.7.1", "1.7.2", "up", "patch"),
        ("1.0rc1", "1.0", "up", ""),
        ("1.0", "1.0.post1", "up", ""),
        ("1!1.0", "1.0", "down", "major"),
        ("1.0", "1.0.0", "changed", ""),
        (">=2", "1.0", "changed", ""),
    ],
)
def test_version_changes_are_classified_by_size(old: str, new: str, kind: str, step: str) -> None:
    assert moved(old, new) == (kind, step)


def locked(requirements: dict[str, str], **changes: Any) -> Side:
    return side(environment=replace(ENVIRONMENT, requirements=requirements, **changes))


def test_each_distribution_change_is_reported() -> None:
    old = locked({"kept": "1", "gone": "1", "up": "1.0", "down": "2.0"})
    new = locked({"kept": "1", "come": "1", "up": "2.0", "down": "1.9"}, python="3.12")
    found = model.compare_versions(old, new)
    assert [(c.kind, c.name, c.note) for c in found.changes] == [
        ("up", "Python", "minor"),
        ("added", "come", ""),
        ("down", "down", "major"),
        ("removed", "gone", ""),
        ("up", "up", "major"),
    ]
    assert found.summary == "Python, 1 added, 1 down (1 major), 1 removed, 1 up (1 major)"


def test_different_files_of_the_same_version_are_reported() -> None:
    found = model.compare_versions(
        side(), side(environment=replace(ENVIRONMENT, lock="numpy --hash"))
    )
    assert [(c.what, c.name) for c in found.changes] == [("lock", "requirements.lock")]


def test_base_images_are_compared_if_both_are_recorded() -> None:
    old, new = (
        side(base=Base("python:3.11", "sha256:1")),
        side(base=Base("python:3.11", "sha256:2")),
    )
    assert [c.what for c in model.compare_versions(old, new).changes] == ["base digest"]
    assert model.compare_versions(old, side()).verdict == "same"


def test_without_a_lock_the_versions_of_the_training_count() -> None:
    recorded = {"scikit-learn": "1.3.2"}
    old = Side("a.pkl", "model file", replace(SPEC, versions=recorded))
    new = side(model=replace(SPEC, versions={"scikit-learn": "1.4.0"}))
    found = model.compare_versions(old, new)
    assert [(c.name, c.old, c.new) for c in found.changes] == [("scikit-learn", "1.3.2", "1.4.0")]
    assert "OLD has no lock" in found.unknown[0]
    nothing = Side("a.pkl", "model file", SPEC)
    assert model.compare_versions(nothing, new).verdict == "changed"
    assert model.compare_versions(nothing, nothing).verdict == "unknown"


# --- images --------------------------------------------------------------------------------------


def compared(old: Side, new: Side) -> Difference:
    return compare(old, new, NOT_QUERIED)


def test_layers_to_pull_are_those_that_the_old_image_lacks() -> None:
    found = compared(image([], "a", "b", "c"), image([], "a", "c", "d", "e")).image
    assert found.layers is not None
    assert vars(found.layers) == {
        "same": 2,
        "added": 2,
        "removed": 1,
        "pull_bytes": 2_000,
        "compressed": False,
    }
    assert found.summary == "2 of 4 layers new, 2.0 kB uncompressed to pull"


def test_file_differences_are_listed_by_kind() -> None:
    same, removed = replace(FILE, path="same"), replace(FILE, path="gone")
    content, mode = replace(FILE, path="content"), replace(FILE, path="mode")
    time, folder = replace(FILE, path="time"), Entry("folder", "directory", 0o755, 0, 0, 0, 0)
    old = image([same, removed, content, mode, time, folder], "a")
    new = image(
        [
            same,
            replace(content, sha256="bb", size=99),
            replace(mode, mode=0o644),
            replace(time, mtime=1),
            replace(folder, mtime=1),
            replace(FILE, path="come", size=50),
        ],
        "b",
    )
    found = compared(old, new).image
    assert found.files is not None
    assert set(vars(found.files).values()) == {1}
    assert [c.name for c in found.changes if c.what == "file"] == [
        "content",
        "come",
        "gone",
        "mode",
    ]


def test_configuration_differences_are_listed_by_member() -> None:
    old = image([], "a", User="1", Env=["A=1", "B=2"], Labels={"x": "1"})
    new = image([], "a", User="2", Env=["A=1", "C=3"], Labels={"x": "2"}, Entrypoint=["python"])
    changes = compared(old, new).image.changes
    assert [(c.kind, c.what, c.name) for c in changes] == [
        ("changed", "setting", "User"),
        ("added", "setting", "Entrypoint"),
        ("removed", "variable", "B"),
        ("added", "variable", "C"),
        ("changed", "label", "x"),
    ]


def test_comparison_without_an_image_is_reported() -> None:
    assert compared(side(), image([], "a")).image.unknown == ("OLD is not an image",)
    assert compared(side(), side()).image.unknown == ("OLD and NEW are not images",)


# --- predictions ---------------------------------------------------------------------------------


def test_changed_labels_are_counted_for_any_tolerance() -> None:
    found = predictions.compare(
        queried_rows(3, labels=True, tolerance=0.9),
        model_answers(["a", "b", 1]),
        model_answers(["a", "c", 2]),
    )
    assert (found.verdict, found.differing, found.absolute) == ("changed", 2, None)
    assert [(row.number, row.old, row.new) for row in found.differences] == [
        (1, "b", "c"),
        (2, 1, 2),
    ]


def test_numbers_differ_by_more_than_the_tolerance() -> None:
    old, new = model_answers([1.0, 200.0]), model_answers([1.05, 220.0])
    found = predictions.compare(queried_rows(2, tolerance=0.06), old, new)
    assert (found.differing, found.differences[0].number) == (1, 1)
    assert found.absolute == pytest.approx(20)
    assert found.relative == pytest.approx(20 / 220)
    assert predictions.compare(queried_rows(2, tolerance=0.1), old, new).verdict == "same"


def test_probabilities_are_compared_class_by_class() -> None:
    old = model_answers(["a", "a"], [[0.75, 0.25], [0.75, 0.25]], "a", "b")
    new = model_answers(["a", "a"], [[0.25, 0.75], [0.5, 0.5]], "b", "a")
    found = predictions.compare(queried_rows(2, labels=True), old, new)
    assert (found.differing, found.probability) == (0, 0.25)
    assert [row.number for row in found.differences] == [1]
    assert found.verdict == "changed"


def test_row_refused_by_the_new_model_breaks_callers() -> None:
    refusing = ModelAnswers((None, "ValueError: no"), ("a", None))
    found = predictions.compare(queried_rows(2, labels=True), model_answers(["a", "b"]), refusing)
    assert (found.verdict, found.refused_now, found.compared) == ("breaking", 1, 1)
    assert "NEW refuses 1 row that OLD accepts" in found.summary
    found = predictions.compare(queried_rows(2, labels=True), refusing, model_answers(["a", "b"]))
    assert (found.verdict, found.answered_now) == ("compatible", 1)


def test_predictions_do_not_agree_if_no_row_is_answered_by_both() -> None:
    refusing = ModelAnswers(("no",), (None,))
    assert predictions.compare(queried_rows(1), refusing, refusing).verdict == "unknown"


def test_model_without_predictions_breaks_callers() -> None:
    assert predictions.one_side_failed("NEW", "exit code 1").verdict == "breaking"
    assert predictions.one_side_failed("OLD", "exit code 1").verdict == "compatible"


def test_missing_values_and_nan_are_compared_as_values() -> None:
    values = [float("nan"), None, [1.0, 2.0]]
    assert (
        predictions.compare(queried_rows(3), model_answers(values), model_answers(values)).verdict
        == "same"
    )
    assert (
        predictions.compare(
            queried_rows(3), model_answers(values), model_answers([None, None, [1.0]])
        ).differing
        == 1
    )


# --- all of it -----------------------------------------------------------------------------------

signatures = st.builds(
    Signature,
    inputs=st.lists(fields, max_size=4, unique_by=lambda field: field.name).map(tuple),
    outputs=st.lists(fields, max_size=2).map(tuple),
    classes=st.none() | st.lists(scalars, max_size=3, unique_by=repr).map(tuple),
    named=st.booleans(),
    probabilities=st.booleans(),
)
requirements = st.dictionaries(names, st.sampled_from(["1.0", "1.1", "2.0", ">=1"]))
OPPOSITE = {"added": "removed", "removed": "added", "up": "down", "down": "up"}


@pytest.mark.parametrize(
    ("old", "new", "value"),
    [
        ("1.0", "1.1", "1.0 \u2192 1.1"),
        (
            f"{'x' * 70} predictions of the model in a sandbox, 2 rows",
            f"{'x' * 70} predictions of the model in a sandbox, 20 rows",
            "...odel in a sandbox, 2 rows \u2192 ...odel in a sandbox, 20 rows",
        ),
        ("y" * 70, "y" * 80, f"...{'y' * 20} \u2192 ...{'y' * 30}"),
    ],
)
def test_value_shows_where_two_long_texts_differ(old: str, new: str, value: str) -> None:
    change = Change("changed", "variable", "CLAIM", old, new)
    (line,) = diff_view.lines([change])
    assert line.value == value


def test_code_of_markdown_ends_neither_its_cell_nor_its_span() -> None:
    assert markdown_code("a|b||c") == r"`a\|b\|\|c`"
    assert markdown_code("a`b\n") == r"`a'b\n`"
    assert markdown_code(" ") == ""


@given(signatures, requirements)
def test_nothing_differs_from_itself(side_signature: Signature, pinned: dict[str, str]) -> None:
    one = locked(pinned)
    one = replace(
        one, model=replace(one.model, signature=side_signature), image=image([FILE], "a").image
    )
    difference = compared(one, one)
    assert (difference.differing, difference.breaking) == ((), ())
    assert all(not section.changes for _, section in difference.sections)


@given(signatures, signatures)
def test_a_signature_the_other_way_round_differs_in_as_many_things(
    one: Signature, other: Signature
) -> None:
    forward, back = change_tuples(one, other), change_tuples(other, one)
    assert sorted(OPPOSITE.get(kind, kind) for kind, *_ in forward) == sorted(k for k, *_ in back)


@given(requirements, requirements)
def test_versions_the_other_way_round_are_those_of_the_opposite(
    one: dict[str, str], other: dict[str, str]
) -> None:
    forward = model.compare_versions(locked(one), locked(other)).changes
    back = model.compare_versions(locked(other), locked(one)).changes
    assert [(OPPOSITE.get(c.kind, c.kind), c.name, c.old, c.new) for c in forward] == [
        (c.kind, c.name, c.new, c.old) for c in back
    ]


def test_summary_counts_the_generated_rows() -> None:
    answers = model_answers([1.0, 2.0, 3.0])
    summaries = [
        predictions.compare(queried_rows(3, made_up=some, recorded=recorded), answers, answers)
        for some, recorded in ((True, 0), (True, 2), (False, 3), (False, 0))
    ]
    assert [each.summary for each in summaries] == [
        "3 generated rows with the same values",
        "3 rows (1 of 3 generated) with the same values",
        "3 rows with the same values",
        "3 rows with the same values",
    ]


@given(signatures, signatures)
def test_a_difference_is_written_and_read_back(one: Signature, other: Signature) -> None:
    old, new = model_side(), model_side()
    old = replace(old, model=replace(old.model, signature=one))
    new = replace(new, model=replace(new.model, signature=other))
    found = compared(old, new)
    document = json.loads(json.dumps(found.to_json()))
    assert document["breaking"] == list(found.breaking)
    plain = {k: v for k, v in document.items() if k not in {"schema", "differing", "breaking"}}
    assert to_json(from_json(Difference, plain)) == to_json(found)


def test_the_document_keeps_the_names_of_the_contract() -> None:
    document = compared(image([FILE], "a"), image([FILE], "b")).to_json()
    sections = ["signature", "predictions", "model", "versions", "image"]
    assert list(document) == [
        "schema", "differing", "breaking", "old", "new", *sections
    ]  # fmt: skip
    assert set(document["old"]) == {"name", "kind", "sha256"}
    common = {"verdict", "summary", "changes", "unknown"}
    assert all(set(document[name]) >= common for name in sections)
    assert set(document["image"]) == {*common, "layers", "files"}
    assert set(document["image"]["changes"][0]) == {
        "kind", "what", "name", "old", "new", "impact", "note", "values"
    }  # fmt: skip
    assert set(document["predictions"]) == common | {
        "rows", "made_up", "recorded", "tolerance", "compared", "differing", "refused_now",
        "answered_now", "absolute", "relative", "probability", "differences",
    }  # fmt: skip
