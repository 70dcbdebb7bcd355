"""Train one model of each kind and save it by pickle and by joblib, with its predictions.

    python train.py FOLDER

Runs on scikit-learn 0.20 and later, with the interpreter of the release. Next to KIND.pkl and
KIND.joblib, KIND.json contains {"instances", "predictions", "probabilities"} of five rows. Floats
are written in their shortest exact form, and so read back to the last bit.
"""

import json
import pickle
import sys
import warnings
from pathlib import Path

import models

try:
    import joblib
except ImportError:  # scikit-learn before 0.21 contains a copy
    from sklearn.externals import joblib

PROTOCOL = min(4, pickle.HIGHEST_PROTOCOL)


def answers(model, rows):
    """Return the predictions as JSON values. A tuple is a vectoriser and a model."""
    inputs = rows
    if isinstance(model, tuple):
        inputs, model = model[0].transform(rows), model[1]
    elif isinstance(rows[0], dict):
        import pandas

        inputs = pandas.DataFrame(rows)
    result = {"predictions": model.predict(inputs).tolist(), "probabilities": None}
    if hasattr(model, "predict_proba"):
        classes = [str(label) for label in model.classes_.tolist()]
        chances = model.predict_proba(inputs).tolist()
        result["probabilities"] = [dict(zip(classes, row)) for row in chances]
    return result


def main(folder):
    for kind, make in models.KINDS.items():
        built = make()
        if built is None:  # the release has no such estimator yet
            continue
        model, rows = built
        document = dict(answers(model, rows), instances=rows)
        (folder / (kind + ".json")).write_text(json.dumps(document, indent=1) + "\n")
        (folder / (kind + ".pkl")).write_bytes(pickle.dumps(model, protocol=PROTOCOL))
        joblib.dump(model, str(folder / (kind + ".joblib")), compress=3 if kind == "forest" else 0)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(Path(sys.argv[1]))
