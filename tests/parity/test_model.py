"""The response of a model in a sandbox is untrusted text: its format is checked."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from modelpack.parity import build_request, complete_reference, parse_response
from modelpack.types import Answers, Body, Reference

ROWS = ((1.0, "a"), (2.0, None), (3.0, "c"))


CSV = {"name": "csv", "content": "YSxiCg==", "predictions": [4], "probabilities": None}


def response(errors: list[str | None], predictions: list[Any], **changes: Any) -> bytes:
    answers = {"predictions": predictions, "probabilities": None}
    return json.dumps({"together": answers, "alone": answers, "errors": errors, **changes}).encode()


def test_request_contains_the_rows() -> None:
    rows = [[1.0, "a"], [2.0, None], [3.0, "c"]]
    assert json.loads(build_request(Reference(ROWS))) == {"rows": rows, "bodies": False}
    assert json.loads(build_request(Reference(ROWS), bodies=True))["bodies"] is True


def test_the_answers_are_kept() -> None:
    reference = complete_reference(Reference(ROWS), response([None] * 3, [1, 2, 3]))
    assert (reference.rows, reference.answers, reference.alone) == (
        ROWS,
        Answers((1, 2, 3)),
        Answers((1, 2, 3)),
    )


def test_each_body_has_its_answers() -> None:
    more = [{**CSV, "name": "of a newer image"}, CSV]
    reference = complete_reference(Reference(ROWS), response([None] * 3, [1, 2, 3], bodies=more))
    assert reference.bodies == (Body("csv", b"a,b\n", Answers((4,))),)


def test_reason_for_missing_bodies_is_kept() -> None:
    answer = response([None] * 3, [1, 2, 3], bodies=[], without_bodies="ValueError: no")
    assert complete_reference(Reference(ROWS), answer).without_bodies == "ValueError: no"


def test_known_answers_are_kept_and_get_bodies() -> None:
    known = Reference(ROWS, Answers((7, 8, 9)), source="record")
    reference = complete_reference(
        known, response(["ValueError: no", None, None], [1, 2], bodies=[CSV])
    )
    assert reference == replace(known, bodies=(Body("csv", b"a,b\n", Answers((4,))),))


def test_refused_synthetic_row_is_left_out() -> None:
    reference = complete_reference(
        Reference(ROWS, made_up=True), response([None, "ValueError: no", None], [1, 3])
    )
    assert (reference.rows, reference.problem) == ((ROWS[0], ROWS[2]), "")


@pytest.mark.parametrize(
    "reference",
    [Reference(ROWS), Reference(ROWS[:1], made_up=True)],
    ids=["the user's", "the last one"],
)
def test_other_refused_rows_are_an_error(reference: Reference) -> None:
    errors = ["ValueError: no", *[None] * (len(reference.rows) - 1)]
    reference = complete_reference(reference, response(errors, [1] * (len(errors) - 1)))
    assert reference.problem == "the model itself refuses row 0: ValueError: no"
    assert reference.answers is None


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"[]",
        b'{"errors": []}',
        response([None] * 3, [1, 2]),
        response([None] * 2, [1, 2]),
        response([None] * 3, [1, 2, 3], alone=7),
        response([None] * 3, [1, 2, 3], bodies=7),
        response([None] * 3, [1, 2, 3], bodies=[{**CSV, "content": "no base64"}]),
        response([None] * 3, [1, 2, 3], bodies=[{**CSV, "predictions": "abc"}]),
        response([None] * 3, [1, 2, 3], together={"predictions": "abc", "probabilities": None}),
    ],
)
def test_a_malformed_answer_is_a_problem_not_a_crash(answer: bytes) -> None:
    assert "malformed" in complete_reference(Reference(ROWS), answer).problem


def test_answers_are_returned_row_by_row() -> None:
    parsed = parse_response(Reference(ROWS), response([None, "ValueError: no", None], [1, 3]))
    assert (parsed.errors, parsed.together.predictions) == ((None, "ValueError: no", None), (1, 3))


def test_answers_to_simultaneous_requests_are_optional_and_validated() -> None:
    batched = {"predictions": [1, 2, 3], "probabilities": None}
    answer = response([None] * 3, [1, 2, 3], batched=batched)
    assert parse_response(Reference(ROWS), answer).batched == Answers((1, 2, 3))
    short = response([None] * 3, [1, 2, 3], batched={**batched, "predictions": [1, 2]})
    with pytest.raises(ValueError, match="one prediction per row"):
        parse_response(Reference(ROWS), short)


@pytest.mark.parametrize(
    "predictions",
    ["[1, 2]", "1", "[NaN]", "[1e999]", f"[1{'0' * 30}]", "[" * 9 + "]" * 9, "[" * 10**5, "{"],
    ids=lambda text: text[:12],
)
def test_answer_that_no_service_can_send_is_malformed(predictions: str) -> None:
    answers = f'{{"predictions": {predictions}, "probabilities": null}}'
    document = f'{{"errors": [null], "together": {answers}, "alone": {answers}}}'
    with pytest.raises(ValueError, match=r"."):
        parse_response(Reference(((1.0,),)), document.encode())
