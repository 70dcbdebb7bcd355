"""A model whose predictions 0, 1, ... stand for labels, as an encoder of labels made them."""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np


class Labelled:
    """Has what the model has; `predict` gives labels, and `classes_` are the labels."""

    def __init__(self, model: Any, labels: Sequence[Any]) -> None:
        self.model = model
        self.classes_ = np.array(labels)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def predict(self, rows: Any) -> np.ndarray:
        """The label of each prediction.

        Raises:
            IndexError: A prediction has no label.
        """
        found = np.asarray(self.model.predict(rows))
        codes = found.astype(np.int64)
        if (codes != found).any() or (codes < 0).any():
            raise IndexError("a prediction is not the number of a label")
        decoded: np.ndarray = self.classes_[codes]
        return decoded
