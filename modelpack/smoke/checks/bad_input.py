"""Bad input is the sender's fault: a 4xx with a reason, never a 5xx, and the service lives on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from modelpack.smoke.probe import Answer, CheckFailedError, Probe, brief, predictions_of

PROBLEM = "application/problem+json"
IGNORED = "Modelpack-Ignored-Inputs"


def check(probe: Probe) -> str:
    """Bad input is answered with a 4xx status and a reason, and the service keeps running."""
    seen = []
    for what, expected, answer in _cases(probe):
        if answer.status != expected:
            raise CheckFailedError(
                f"{what}: status {answer.status} instead of {expected}: {brief(answer.body)}"
            )
        if answer.content_type != PROBLEM:
            raise CheckFailedError(f"{what}: {answer.content_type or 'no type'}, not {PROBLEM}")
        seen.append(f"{what} {answer.status}")
    if not probe.unknown_row:
        seen.append(f"an extra input {_extra_input(probe)}")
        predictions_of(probe.predict({"instances": [probe.example_row()]}))
    return ", ".join(seen)


def _extra_input(probe: Probe) -> int:
    """The status of a row with an input more: it is ignored and named, or refused where that is
    set and by older images.
    """
    record = {**probe.example_record(), "no such input": 0}
    answer = probe.predict({"instances": [record]})
    if answer.status != 422 and "no such input" not in answer.headers.get(IGNORED, ""):
        raise CheckFailedError(f"an extra input: status {answer.status}, and no header {IGNORED}")
    if answer.status != 422:
        predictions_of(answer)
    return answer.status


def _cases(probe: Probe) -> Iterator[tuple[str, int, Answer]]:
    """What is wrong, the status it must get, and the answer it got."""
    yield "malformed JSON", 400, probe.post_raw("/predict", b'{"instances": [', "application/json")
    yield "no rows", 422, probe.predict({"instances": []})
    if not probe.unknown_row:
        yield from _bad_rows(probe)
    yield "a wrong method", 405, probe.get("/predict")
    yield "an unknown route", 404, probe.get("/no-such-route")


def _bad_rows(probe: Probe) -> Iterator[tuple[str, int, Answer]]:
    """The same for rows with one fault each."""
    row = probe.example_row()
    yield "a value too many", 422, probe.predict({"instances": [[*row, 0]]})
    required = probe.required_input()
    if required:
        lacking = {k: v for k, v in probe.example_record().items() if k != required}
        yield "a missing input", 422, probe.predict({"instances": [lacking]})
    numeric = probe.first_input("number", "integer")
    if numeric:
        bad = _with(row, numeric[0], "a word")
        yield "a word for a number", 422, probe.predict({"instances": [bad]})
    text = probe.first_input("string")
    if text:
        bad = _with(row, text[0], {})
        yield "an object for a word", 422, probe.predict({"instances": [bad]})


def _with(row: Sequence[object], position: int, value: object) -> list[object]:
    return [*row[:position], value, *row[position + 1 :]]
