"""Pipelines with a function, a class and a lambda of `__main__`, and a session, saved by dill.

python save.py, with 3.8 scikit-learn==1.0.2 dill==0.3.4 and 3.11 scikit-learn==1.9.1 dill==0.4.1
"""

from pathlib import Path

import dill
import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

HERE = Path(__file__).parent
X, Y = np.arange(8.0).reshape(4, 2), [0, 1, 0, 1]


def half(rows):
    return np.asarray(rows) / 2


class Half(BaseEstimator, TransformerMixin):
    def fit(self, rows, y=None):
        return self

    def transform(self, rows):
        return np.asarray(rows) / 2


if __name__ == "__main__":
    steps = {
        "function": FunctionTransformer(half),
        "class": Half(),
        "lambda": FunctionTransformer(lambda rows: rows / 2),
    }
    for name, step in steps.items():
        model = make_pipeline(step, LogisticRegression()).fit(X, Y)
        path = HERE / f"{name}-dill-{dill.__version__}.pkl"
        path.write_bytes(dill.dumps(model, byref=False))
    del steps, step, model, path, name, Path
    dill.dump_session(str(HERE / f"session-dill-{dill.__version__}.pkl"))
