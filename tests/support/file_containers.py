"""Pickles in compressed files and archives."""

import gzip
import io
import lzma
import pickle

import lz4.frame
from opcodes import (
    SYSTEM,
    pickled,
)
from sklearn.datasets import load_iris
from sklearn.naive_bayes import GaussianNB

X, Y = load_iris(return_X_y=True)


BENIGN = pickle.dumps(GaussianNB().fit(X, Y), 4)


HOSTILE = pickled(SYSTEM)


def named_gzip(data, name_):
    memory = io.BytesIO()
    with gzip.GzipFile(name_, "wb", fileobj=memory) as file:
        file.write(data)
    return memory.getvalue()


# fmt: off
CONTAINERS = {
    "98 lz4": (lz4.frame.compress(HOSTILE), "banned-global"),
    "98 lz4, second frame": (lz4.frame.compress(BENIGN) + lz4.frame.compress(HOSTILE),
                             "trailing-data"),
    "98 lz4 behind a frame to skip": (
        b"\x50\x2a\x4d\x18\x04\0\0\0abcd" + lz4.frame.compress(HOSTILE), "unsupported-format"),
    "98 lzma alone": (lzma.compress(HOSTILE, lzma.FORMAT_ALONE), "banned-global"),
    "98 lzma alone, a dictionary of 4 GiB": (
        b"\x5d\0\0\0\xff" + lzma.compress(BENIGN, lzma.FORMAT_ALONE)[5:], "broken-container"),
    "98 xz, second stream": (lzma.compress(BENIGN) + lzma.compress(HOSTILE), "trailing-data"),
    "98 xz, zeros behind": (lzma.compress(BENIGN) + bytes(4), "trailing-data"),
    "98 gzip, second member": (gzip.compress(BENIGN) + gzip.compress(HOSTILE), "trailing-data"),
    "98 gzip with the name of a path": (named_gzip(HOSTILE, "../../etc/cron.d/x"),
                                        "banned-global"),
    "98 gzip in gzip in gzip": (
        gzip.compress(gzip.compress(gzip.compress(HOSTILE))), "unsupported-format"),
    # Joblib goes by two bytes: it would take this pickle for bzip2, and pickle reads it as bytes.
    "98 pickle that begins as bzip2": (
        b"BZ\0\0\0" + b"x" * 90 + HOSTILE[2:], "banned-global"),
    "98 list that begins as lzma": (b"]\0" + HOSTILE[2:], "unsupported-format"),
}
