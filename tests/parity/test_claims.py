"""Labels and text of a parity claim."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from modelpack.parity import claims
from modelpack.parity.claims import Claim
from modelpack.types import Answers, Parity, Proof, Reference

CLAIM = Parity("record", 17, (), 0.0, 0.0, passed=True)
PROOF = Proof(2008, 3, 0.0, 64.0)


@pytest.mark.parametrize(
    ("claim", "text", "label"),
    [
        (CLAIM, "equal bit for bit to the predictions recorded in training (17 rows)", "exact"),
        (
            Parity("model", 1, (), 1e-6, None, passed=True),
            "equal within 1e-06 to the predictions of the model in a sandbox (1 row)",
            "within 1e-06",
        ),
        (
            replace(CLAIM, source="expected"),
            "equal bit for bit to the expected predictions (17 rows)",
            "exact",
        ),
        (replace(CLAIM, source="later"), "equal bit for bit to later (17 rows)", "exact"),
        (
            claims.UNTESTED,
            "untested: no prediction was tested, as no rows were known",
            "untested",
        ),
        (None, "", None),
    ],
)
def test_text_and_label_of_a_claim(claim: Parity | None, text: str, label: str | None) -> None:
    """The text is part of the image id."""
    assert claims.parity_text(claim) == text
    assert claims.parity_labels(claim).get(claims.LABEL) == label


def test_labels_name_the_source_and_the_rows() -> None:
    assert claims.parity_labels(CLAIM) == {
        "dev.modelpack.parity": "exact",
        "dev.modelpack.parity.reference": "record",
        "dev.modelpack.parity.rows": "17",
    }


@pytest.mark.parametrize(
    ("ulp", "text"),
    [
        (0.0, "the same bits as the model itself (2,008 rows)"),
        (1.5, "within 1.5 ulp of the model itself (2,008 rows, at most 64 ulp are accepted)"),
    ],
)
def test_proof_has_labels_and_a_text(ulp: float, text: str) -> None:
    proof = replace(PROOF, largest_ulp=ulp)
    assert claims.proof_text(proof) == text
    assert claims.proof_labels(proof) == {
        "dev.modelpack.compiled.rows": "2008",
        "dev.modelpack.compiled.ulp": f"{ulp:g}",
        "dev.modelpack.compiled.bound": "64",
    }


def test_claim_is_the_same_if_the_labels_are() -> None:
    measured = replace(CLAIM, routes=("one",), largest_difference=None)
    assert claims.is_same_claim(Claim(CLAIM), Claim(measured))
    assert claims.is_same_claim(Claim(), Claim())
    assert not claims.is_same_claim(Claim(CLAIM, PROOF), Claim(CLAIM, replace(PROOF, rows=2007)))
    others = (None, claims.UNTESTED, replace(CLAIM, rows=16), replace(CLAIM, tolerance=0.1))
    assert not any(claims.is_same_claim(Claim(CLAIM), Claim(other)) for other in others)


def test_expected_claim_is_that_of_the_reference() -> None:
    reference = Reference(((1.0,), (2.0,)), Answers((1, 2)), None, "expected", tolerance=0.1)
    claim = claims.expected_claim(reference)
    assert (claim.source, claim.rows, claim.tolerance) == ("expected", 2, 0.1)
    assert claims.expected_claim(Reference(())) == claims.UNTESTED


def test_package_imports_only_the_standard_library_and_packaging() -> None:
    """`modelpack.record` runs in training scripts."""
    code = (
        "import sys; before = set(sys.modules); import modelpack.parity\n"
        "names = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(*sorted(names - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["modelpack", "packaging"]
