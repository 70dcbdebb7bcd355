"""The result: the contributions to an output of the model for one row."""

from __future__ import annotations

from typing import Any, NamedTuple, Sequence

METHODS = ("coefficients", "tree_paths", "shapley", "mixed", "left_out")
OUTPUTS = (
    "prediction", "log_prediction", "transformed_prediction", "probability", "log_odds", "score",
)  # fmt: skip


class WordContributions(NamedTuple):
    """The contributions of the words of a text.

    Attributes:
        texts: The words, or sequences of words, with the largest contributions.
        values: Their contributions.
        others: Number of the other words.
        rest: The sum of the contributions of the others, None if it is unknown.
    """

    texts: Sequence[str]
    values: Sequence[float]
    others: int
    rest: float | None


class Contributions(NamedTuple):
    """The contributions to an output for one row.

    Attributes:
        method: One of METHODS.
        output: What they add up to, one of OUTPUTS.
        label: The predicted class, None for a regressor.
        base: The output without contributions, None if they do not add up.
        total: The output for the row.
        values: The contribution of each input.
        references: The values of the inputs that give the base, None if it is a mean over the rows
            of the training.
        by_word: The contributions of the words if the only input is a text.
        target: The number of the output, None if the model has one.
        reason: Why exact contributions are not known, if they are not.
    """

    method: str
    output: str
    label: Any
    base: float | None
    total: float
    values: Sequence[float]
    references: Sequence[Any] | None
    by_word: WordContributions | None = None
    target: int | None = None
    reason: str | None = None
