"""Expected predictions, read from files of several layouts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelpack.errors import UsageError
from modelpack.parity.reference import read_expected
from modelpack.types import Answers, Field, Signature

LABELS = Signature((), (Field("prediction", "string"),), classes=("no", "yes"))
NUMBERS = Signature((), (Field("prediction", "integer"),), classes=(0, 1))
REGRESSION = Signature((), (Field("prediction", "number"),))
MATRIX = [[0.25, 0.75], [1.0, 0.0]]


@pytest.mark.parametrize(
    ("name", "content", "signature", "answers"),
    [
        ("x.json", ["no", "yes"], LABELS, Answers(("no", "yes"))),
        ("x.json", {"predictions": ["no", "yes"]}, LABELS, Answers(("no", "yes"))),
        (
            "x.json",
            {
                "predictions": [1, 0],
                "probabilities": [{"1": 0.75, "0": 0.25}, {"0": 1.0, "1": 0.0}],
            },
            NUMBERS,
            Answers((1, 0), ([0.25, 0.75], [1.0, 0.0])),
        ),
        ("x.csv", "outcome\nno\nyes\n", LABELS, Answers(("no", "yes"))),
        ("x.csv", "no\nyes\n", LABELS, Answers(("no", "yes"))),
        ("x.csv", "0\n1\n", NUMBERS, Answers((0, 1))),
        ("x.csv", "y\n0.5\n1e-3\n", REGRESSION, Answers((0.5, 0.001))),
        ("x.csv", "yes,no\n0.75,0.25\n0,1\n", LABELS, Answers(None, ([0.25, 0.75], [1, 0]))),
        ("x.csv", "a,b\n1,2\n3,4\n", REGRESSION, Answers(([1, 2], [3, 4]))),
        ("x.npy", np.array([1, 0]), NUMBERS, Answers((1, 0))),
        ("x.npy", np.array(MATRIX), NUMBERS, Answers(None, tuple(MATRIX))),
    ],
)
def test_a_file_gives_the_answers(
    name: str, content: Any, signature: Signature, answers: Answers, tmp_path: Path
) -> None:
    path = tmp_path / name
    if isinstance(content, np.ndarray):
        np.save(path, content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    assert read_expected(path, signature, 2, 2) == answers


def test_only_requested_rows_are_used(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("".join(f"{n}\n" for n in range(500)))
    assert read_expected(tmp_path / "x.csv", REGRESSION, 3, 500) == Answers((0, 1, 2))


@pytest.mark.parametrize("content", ["[1, 2, 3]", '{"predictions": []}', '{"predictions": [1]}'])
def test_another_number_of_predictions_than_rows_is_an_error(content: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(UsageError, match="the example has 2 rows"):
        read_expected(tmp_path / "x.json", NUMBERS, 2, 2)
