"""FOLDER: fit the estimators of `families.py`, save them in each format, and their answers.

The folder then contains `groups.pkl`, the rows that were predicted; for each estimator a folder
with its files and `answers.pkl`; and `index.json`. Run by the interpreter of a release.
"""

import json
import pickle
import sys
import warnings
from pathlib import Path

import numpy as np

from .families import Classes, cases, groups

try:
    import joblib
except ImportError:  # scikit-learn 0.20 contains it
    from sklearn.externals import joblib

METHODS = ("predict", "predict_proba", "decision_function", "transform")
ALONE = 24
"""Rows that are also predicted one by one."""
PROTOCOLS = tuple(range(2, pickle.HIGHEST_PROTOCOL + 1))


def main(folder):
    data, index = groups(), []
    tested = {name: (each.layout, plain(each.tested), each.single) for name, each in data.items()}
    (folder / "groups.pkl").write_bytes(pickle.dumps(tested, 4))
    for number, (name, group, model) in enumerate(cases(Classes())):
        entry = {"class": name, "group": group, "folder": str(number), "settings": repr(model)}
        place = folder / str(number)
        place.mkdir(exist_ok=True)
        try:
            model.fit(data[group].rows, data[group].target)
            answers = {
                method: answered(getattr(model, method), data[group])
                for method in METHODS
                if hasattr(model, method)
            }
            entry["files"] = saved(model, place)
        except Exception as error:  # this release does not accept the settings
            entry["error"] = repr(error)[:200]
        else:
            (place / "answers.pkl").write_bytes(pickle.dumps(answers, 4))
        index.append(entry)
    (folder / "index.json").write_text(json.dumps(index))


def plain(rows):
    """Return a frame as a dict of lists, which needs no pandas."""
    return {name: rows[name].tolist() for name in rows} if hasattr(rows, "columns") else rows


def saved(model, place):
    """Write a model in each format, and return the names of the files."""
    for protocol in PROTOCOLS:
        if protocol != 3:
            (place / f"model.pkl{protocol}").write_bytes(pickle.dumps(model, protocol))
    joblib.dump(model, str(place / "model.joblib"))
    return sorted(path.name for path in place.glob("model.*"))


def answered(method, group):
    """Return the answers to all rows in one call, to a few alone, and to each row with a limit."""
    rows = group.tested
    alone = [dense(method(rows[n : n + 1])) for n in range(ALONE)]
    limits = []
    for row in group.single:
        try:
            limits.append(dense(method(np.array([row]))))
        except Exception:  # the estimator rejects it
            limits.append(None)
    return {"together": dense(method(rows)), "alone": alone, "limits": limits}


def dense(values):
    if isinstance(values, list):  # of probabilities of several outputs
        return None
    return np.asarray(values.toarray() if hasattr(values, "toarray") else values)


if __name__ == "__main__":
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        main(Path(sys.argv[1]))
