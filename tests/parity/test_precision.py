"""Expected numbers that were rounded in their file: accepted as printed, and never called equal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from modelpack.parity.claims import expected_claim, parity_labels
from modelpack.parity.compare import first_difference, is_equal
from modelpack.parity.precision import precision
from modelpack.parity.reference import read_expected
from modelpack.smoke import diagnosis
from modelpack.smoke.checks import parity
from modelpack.smoke.probe import CheckFailedError, Probe
from modelpack.types import Answers, Check, Field, Reference, Signature, SmokeReport

RANDOM = np.random.RandomState(0)
REGRESSION = Signature((), (Field("prediction", "number"),))
PREDICTIONS = RANDOM.rand(20) * 1e3
SINGLE = PREDICTIONS.astype("float32")


def saved(text: str, folder: Path, name: str = "expected.csv") -> Answers:
    (folder / name).write_text(text)
    return read_expected(folder / name, REGRESSION, 20, 20)


def lines(values: Any, form: str = "%r") -> str:
    return "".join(f"{form % value}\n" for value in values)


FILES = {
    "%.6g": lines(PREDICTIONS, "%.6g"),
    "%.8g": lines(PREDICTIONS, "%.8g"),
    "%.4f": lines(PREDICTIONS, "%.4f"),
    "%.15g": lines(PREDICTIONS, "%.15g"),
    "rounded by pandas": pd.Series(PREDICTIONS).round(6).to_csv(index=False),
    "32 bits": lines(map(str, SINGLE), "%s"),
}


@pytest.mark.parametrize("form", FILES)
def test_rounded_predictions_are_equal_at_their_precision(form: str, tmp_path: Path) -> None:
    expected = saved(FILES[form], tmp_path).predictions
    assert expected is not None
    assert first_difference(expected, PREDICTIONS.tolist(), 0.0) is None
    assert precision(Answers(expected)) > 0


@pytest.mark.parametrize("form", FILES)
def test_the_smallest_visible_difference_is_found(form: str, tmp_path: Path) -> None:
    """The precision of the largest number is not that of the others."""
    expected = saved(FILES[form], tmp_path).predictions
    assert expected is not None
    half = max(expected[0].half, expected[0].is_single * expected[0] * 2.0**-23)
    for wrong in (expected[0] + 1.3 * half, expected[0] - 1.3 * half):
        assert first_difference(expected, [wrong, *PREDICTIONS[1:].tolist()], 0.0) == 0


def test_only_texts_of_float32_have_its_precision(tmp_path: Path) -> None:
    """Nine digits are as long as the text of a float of 32 bits, and mean more."""
    for form, is_single in (("%.6f", False), ("%.9g", False), ("%s", True)):
        values = map(str, SINGLE) if form == "%s" else PREDICTIONS
        expected = saved(lines(values, form), tmp_path).predictions
        assert expected is not None
        assert {each.is_single for each in expected} == {is_single}


def test_float32_predictions_equal_their_text(tmp_path: Path) -> None:
    expected = saved(pd.Series(SINGLE).to_csv(index=False), tmp_path).predictions
    assert expected is not None
    assert first_difference(expected, [float(each) for each in SINGLE], 0.0) is None
    other = [float(np.nextafter(each, np.float32(2e3))) for each in SINGLE]
    assert first_difference(expected, other, 0.0) == 0


@pytest.mark.parametrize(
    "text",
    [
        lines(PREDICTIONS.tolist()),
        lines([0.25, 0.5] * 10),
        lines([1, 2] * 10),
        lines(SINGLE.astype(float).tolist()),
    ],
    ids=["all digits", "few decimals", "integers", "32 bits as 64"],
)
def test_other_numbers_have_to_be_equal_bit_for_bit(text: str, tmp_path: Path) -> None:
    expected = saved(text, tmp_path).predictions
    assert expected is not None
    next_ones = [float(np.nextafter(value, 1e9)) for value in expected]
    assert first_difference(expected, next_ones, 0.0) == 0
    assert precision(Answers(expected)) == 0


def test_arrays_are_never_rounded(tmp_path: Path) -> None:
    np.save(tmp_path / "y.npy", PREDICTIONS.round(6))
    expected = read_expected(tmp_path / "y.npy", REGRESSION, 20, 20).predictions
    assert expected is not None
    assert first_difference(expected, PREDICTIONS.tolist(), 0.0) == 0


def test_numbers_of_json_may_be_rounded(tmp_path: Path) -> None:
    text = pd.Series(PREDICTIONS).to_json(orient="values")
    expected = saved(text, tmp_path, "expected.json").predictions
    assert is_equal(expected, PREDICTIONS.tolist(), 0.0)
    response = json.dumps({"predictions": PREDICTIONS.round(5).tolist()})
    assert is_equal(
        saved(response, tmp_path, "expected.json").predictions, PREDICTIONS.tolist(), 0.0
    )


@pytest.mark.parametrize("index", [True, False])
def test_header_and_index_of_pandas_are_no_predictions(index: bool, tmp_path: Path) -> None:
    text = pd.Series(PREDICTIONS).to_csv(index=index)
    assert saved(text, tmp_path).predictions == tuple(PREDICTIONS.tolist())


# --- the check and its claim --------------------------------------------------------------------


class Route:
    name = "POST /predict"

    def supports(self, _: Any) -> bool:
        return True

    can_encode = is_offered = supports

    def expected(self, reference: Reference) -> Answers | None:
        return reference.answers

    def request(self, probe: Any, _: Reference) -> Answers:
        return Answers(tuple(probe.returned))


class Queried:
    """The part of a probe that the check uses."""

    model = None
    parity = None

    def __init__(self, reference: Reference, returned: list[float]) -> None:
        self.reference, self.returned = reference, returned

    def expected(self) -> Reference:
        return self.reference

    def expected_again(self) -> None:
        """No earlier answers were used."""


def checked(
    text: str, folder: Path, monkeypatch: pytest.MonkeyPatch, tolerance: float = 0.0
) -> tuple[Any, str]:
    answers = saved(text, folder)
    reference = Reference(
        ((1,),) * 20, answers, source="expected", tolerance=tolerance, precision=precision(answers)
    )
    probe = Queried(reference, PREDICTIONS.tolist())
    monkeypatch.setattr(parity, "ROUTES", (Route(),))
    try:
        detail = parity.check_parity(cast("Probe", probe))
    except CheckFailedError as error:
        detail = str(error)
    return probe, detail


def test_the_claim_names_the_precision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    probe, detail = checked(FILES["%.4f"], tmp_path, monkeypatch)
    assert "equal within" in detail
    assert "rounded in their file" in detail
    assert "bit for bit" not in detail
    assert parity_labels(probe.parity)["dev.modelpack.parity"].startswith("within ")
    assert parity_labels(expected_claim(probe.reference)) == parity_labels(probe.parity)


def test_equal_bits_are_claimed_if_they_were_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe, detail = checked(lines(PREDICTIONS.tolist()), tmp_path, monkeypatch)
    assert "bit for bit" in detail
    assert parity_labels(probe.parity)["dev.modelpack.parity"] == "exact"


def test_few_digits_fail_and_the_hint_can_be_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = lines(PREDICTIONS, "%.2f")
    probe, detail = checked(text, tmp_path, monkeypatch)
    assert not probe.parity.passed
    report = SmokeReport(
        "x", "process", (Check("parity", False, 0.1, detail),), parity=probe.parity
    )
    message, hint = diagnosis.diagnose(report) or ("", "")
    assert message.startswith("The service predicts something else: row 0, prediction: ")
    assert "%.17g" in hint
    tolerance = float(hint.rpartition("--tolerance ")[2])
    assert checked(text, tmp_path, monkeypatch, tolerance)[0].parity.passed
    exact = lines(PREDICTIONS, "%.17g")
    assert checked(exact, tmp_path, monkeypatch)[0].parity.passed


def test_other_predictions_have_no_tolerance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe, detail = checked(lines(PREDICTIONS * 1.0001, "%.2f"), tmp_path, monkeypatch)
    report = SmokeReport(
        "x", "process", (Check("parity", False, 0.1, detail),), parity=probe.parity
    )
    _, hint = diagnosis.diagnose(report) or ("", "")
    assert "--tolerance" not in detail + hint
    assert "--expected FILE" in hint
