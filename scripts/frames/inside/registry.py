"""The list of models, and what a function that trains one returns."""

from __future__ import annotations

import importlib

MODELS = {}


class Trained:
    """A fitted model with the frame it was trained on.

    Attributes:
        model: The fitted model, or what the author saves in its place.
        rows: The training frame (or a Series of texts), as the author passes it to `predict`.
        target: The training target, for the files that contain it as a further column.
        save: Writes the files into a folder and returns their names; None for one joblib file.
        predict, probabilities: The author's own calls; None for the methods of `model`.
        classes: The labels of the columns of `probabilities`; None for `model.classes_`.
        options: Options that the author gives to modelpack.
        members: The objects for `modelpack.record`; None if it cannot be used.
    """

    def __init__(self, model, rows, target=None, **others):
        self.model = model
        self.rows = rows
        self.target = target
        self.save = others.pop("save", None)
        self.predict = others.pop("predict", None) or getattr(model, "predict", None)
        self.probabilities = others.pop("probabilities", getattr(model, "predict_proba", None))
        self.classes = others.pop("classes", getattr(model, "classes_", None))
        self.options = others.pop("options", ())
        self.members = others.pop("members", model)
        if others:
            raise TypeError("unknown: {}".format(", ".join(others)))

    def reload(self, model):
        """Use the answers of the saved model from now on.

        After loading, arrays may have another memory order, which changes the last bits.
        """
        if self.predict == getattr(self.model, "predict", None):
            self.predict = model.predict
        if self.probabilities == getattr(self.model, "predict_proba", None):
            self.probabilities = getattr(model, "predict_proba", None)


class Model:
    """A model of the suite.

    Attributes:
        name: The name of its folder.
        text: What it is, for the table.
        train: The function that returns it as `Trained`.
        needs: The oldest release of each library that can train it.
        before: The first release of each library that cannot.
        may_be_refused: The reason that modelpack may give for refusing it, or None.
    """

    def __init__(self, train, text, needs, before, may_be_refused):
        self.name = train.__name__
        self.text = text
        self.train = train
        self.needs = needs
        self.before = before
        self.may_be_refused = may_be_refused

    def is_for_this_set(self):
        """Return whether the installed libraries can train this model."""
        return all(_version(name) >= _parsed(least) for name, least in self.needs.items()) and all(
            _version(name) < _parsed(first) for name, first in self.before.items()
        )


def _version(name):
    """Return () for a library that the set does not contain."""
    try:
        return _parsed(importlib.import_module(name).__version__)
    except ImportError:
        return ()


def model(text, may_be_refused=None, before=None, **needs):
    """Register the decorated function as a model of the suite."""

    def register(train):
        MODELS[train.__name__] = Model(train, text, needs, before or {}, may_be_refused)
        return train

    return register


def _parsed(version):
    return tuple(int(part) for part in version.split(".")[:2])
