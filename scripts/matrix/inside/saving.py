"""The ways in which people save any model: name of the file -> function(model, path)."""

import gzip
import pickle
from pathlib import Path

import joblib


def general_ways():
    """Return the ways of this Python. A file is named "WAY.SUFFIX", with dashes for spaces."""
    ways = {}
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        ways[f"pickle-{protocol}.pkl"] = _pickler(protocol)
    ways["pickle-in-gzip.pkl.gz"] = _pickle_gzip
    ways["joblib.joblib"] = joblib.dump
    for method in ("zlib", "gzip", "bz2", "lzma", "xz", "lz4"):
        ways[f"joblib-{method}.joblib"] = _compressor(method)
    ways["cloudpickle.pkl"] = _dump_cloudpickle
    ways["dill.pkl"] = _dump_dill
    ways["skops.skops"] = _dump_skops
    return ways


def _pickler(protocol):
    def save(model, path):
        with Path(path).open("wb") as file:
            pickle.dump(model, file, protocol)

    return save


def _pickle_gzip(model, path):
    with gzip.open(path, "wb") as file:
        pickle.dump(model, file)


def _compressor(method):
    def save(model, path):
        joblib.dump(model, path, compress=(method, 3))

    return save


def _dump_cloudpickle(model, path):
    import cloudpickle

    with Path(path).open("wb") as file:
        cloudpickle.dump(model, file)


def _dump_dill(model, path):
    import dill

    with Path(path).open("wb") as file:
        dill.dump(model, file)


def _dump_skops(model, path):
    import skops.io

    skops.io.dump(model, path)
