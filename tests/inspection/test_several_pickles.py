"""The hint for several pickles in one file is a command that works, for each compression."""

import bz2
import gzip
import io
import lzma
import os
import pickle
import shlex
import subprocess
import sys
import zlib

import joblib
import lz4.frame
import numpy as np
import pytest

from modelpack.errors import ModelNotSupportedError
from modelpack.inspection import require_servable
from modelpack.inspection.inspector import inspect

COMPRESSIONS = {
    "raw": bytes,
    "bz2": bz2.compress,
    "gzip": gzip.compress,
    "lz4": lz4.frame.compress,
    "lzma": lambda data: lzma.compress(data, format=lzma.FORMAT_ALONE),
    "xz": lzma.compress,
    "zlib": zlib.compress,
}


@pytest.mark.parametrize("library", [pickle, joblib], ids=lambda library: library.__name__)
@pytest.mark.parametrize("container", COMPRESSIONS)
def test_the_hint_saves_all_objects_of_the_file(tmp_path, container, library):
    stream = io.BytesIO()
    for value in ({"a": 1}, np.arange(3.0), "text"):
        library.dump(value, stream)
    path = tmp_path / "m.pkl"
    path.write_bytes(COMPRESSIONS[container](stream.getvalue()))
    spec = inspect(path)
    assert spec.file.container == container
    with pytest.raises(ModelNotSupportedError, match="the file is 3 pickles") as raised:
        require_servable(spec)
    command = shlex.split(raised.value.hint.partition(": ")[2])
    assert command[:2] == ["python", "-c"]
    subprocess.run([sys.executable, *command[1:]], cwd=tmp_path, check=True, env={**os.environ})
    first, second, third = joblib.load(tmp_path / "model.joblib")
    assert (first, second.tolist(), third) == ({"a": 1}, [0.0, 1.0, 2.0], "text")
