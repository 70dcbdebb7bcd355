"""Save a model and inspect its file."""

import pickle

import joblib

from modelpack.inspection.inspector import inspect


def save_and_inspect(model, path, how):
    if isinstance(how, int):
        path.write_bytes(pickle.dumps(model, how))
    else:
        joblib.dump(model, path, compress=how)
    return inspect(path)
