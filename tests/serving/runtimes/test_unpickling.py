"""Loading: what was inspected loads, from every container and protocol; what was not does not."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import json
import lzma
import os
import pickle
import subprocess
import tracemalloc
import zlib
from dataclasses import replace
from pathlib import Path

import joblib
import lz4.frame
import numpy as np
import pytest
import serving_models
from sklearn.ensemble import RandomForestRegressor

from modelpack.engines.interpreters import find
from modelpack.inspection import inspect
from modelpack.serving import containers, loading, manifest, runtimes
from modelpack.serving.errors import StartupError
from modelpack.types import ModelSpec, to_json

COMPRESSORS = {
    "gzip": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
    "zlib": zlib.compress,
    "lz4": lz4.frame.compress,
}
WAYS = [(library, how) for library in ("pickle", "joblib") for how in (*range(6), *COMPRESSORS)]
ROOT = Path(__file__).parents[3]


def save(model, path: Path, library: str, how: str | int) -> None:
    """`how`: a protocol or a container."""
    if library == "joblib" and how in COMPRESSORS:
        joblib.dump(model, path, compress=(how, 3))
    elif library == "joblib":
        joblib.dump(model, path, protocol=how)
    elif how in COMPRESSORS:
        path.write_bytes(COMPRESSORS[how](pickle.dumps(model)))
    else:
        path.write_bytes(pickle.dumps(model, how))


def inspect_saved(path: Path) -> ModelSpec:
    spec = inspect(path)
    return replace(spec, file=replace(spec.file, path=path.name))


def load(folder: Path, spec: ModelSpec):
    """Return the model that the service loads from `folder` with `spec` in its modelpack.json."""
    document = {"schema": 1, "model": to_json(spec)}
    (folder / "modelpack.json").write_text(json.dumps(document))
    return loading.load(folder, manifest.read(folder))


# --- what was inspected --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model():
    """Its categories are arrays of objects: pickles of their own in a file of joblib."""
    return serving_models.mixed().model


@pytest.mark.parametrize(("library", "how"), WAYS)
def test_model_loads_from_every_format(tmp_path, model, library, how):
    save(model, tmp_path / "saved", library, how)
    loaded = load(tmp_path, inspect_saved(tmp_path / "saved"))
    rows = serving_models.people()
    assert loaded.predict_proba(rows).tolist() == model.predict_proba(rows).tolist()


@pytest.mark.parametrize("container", COMPRESSORS)
@pytest.mark.parametrize("size", [0, 1, 300_000, 1_000_000])
def test_containers_hold_pickles_of_any_size(tmp_path, container, size):
    """Larger than every buffer on the way, and compressed to less than one."""
    content = [b"a" * size, np.random.default_rng(0).bytes(size)]
    (tmp_path / "saved").write_bytes(COMPRESSORS[container](pickle.dumps(content)))
    assert load(tmp_path, inspect_saved(tmp_path / "saved")) == content


class Outer:
    class Inner:
        pass


def test_classes_inside_classes_are_known_by_their_dotted_name(tmp_path):
    (tmp_path / "saved").write_bytes(pickle.dumps(Outer.Inner(), 4))
    spec = inspect_saved(tmp_path / "saved")
    assert spec.globals == (f"{__name__}:Outer.Inner",)
    assert type(load(tmp_path, spec)) is Outer.Inner
    with pytest.raises(StartupError, match=r"Outer\.Inner"):
        load(tmp_path, replace(spec, globals=(f"{__name__}:Outer", f"{__name__}:Inner")))


# --- what was not --------------------------------------------------------------------------------


class Payload:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def in_dict(model, payload):
    return {"model": model, "more": payload}


def inside(model, payload):
    """joblib writes an array of objects as a pickle of its own."""
    return {"model": model, "more": np.array([payload, None], object)}


@pytest.mark.parametrize("put_into", [in_dict, inside])
@pytest.mark.parametrize(("library", "how"), WAYS)
def test_a_file_that_names_more_is_refused_before_it_does_anything(
    tmp_path, model, library, how, put_into
):
    save(put_into(model, None), tmp_path / "saved", library, how)
    clean = inspect_saved(tmp_path / "saved")
    save(put_into(model, Payload(tmp_path / "made")), tmp_path / "saved", library, how)
    digest = hashlib.sha256((tmp_path / "saved").read_bytes()).hexdigest()
    spec = replace(clean, file=replace(clean.file, sha256=digest))
    with pytest.raises(StartupError, match=r"names 'posix\.mkdir', which is not"):
        load(tmp_path, spec)
    assert not (tmp_path / "made").exists()
    load(tmp_path, replace(spec, globals=(*spec.globals, "posix:mkdir")))
    assert (tmp_path / "made").exists()  # it was the list that held it back


@pytest.mark.parametrize(
    "data",
    [
        b"(S'made'\niposix\nmkdir\n.",  # INST
        b"\x80\x04\x8c\x05posix\x8c\x05mkdir\x93\x8c\x04made\x85R.",  # STACK_GLOBAL
        b"\x80\x02cjoblib.numpy_pickle_compat\nNDArrayWrapper\n)\x81.",
    ],
)
def test_no_opcode_leads_past_the_list(tmp_path, monkeypatch, data):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "saved").write_bytes(data)
    spec = replace(inspect_saved(tmp_path / "saved"), globals=(), format="pickle")
    spec = replace(spec, file=replace(spec.file, format="pickle"))
    with pytest.raises(StartupError, match="not among the globals"):
        load(tmp_path, spec)
    assert not (tmp_path / "made").exists()


def test_hostile_names_are_printed_on_one_line(tmp_path):
    module, name = b"\x1b[31mos", b"\xe2\x80\xae" * 500
    (tmp_path / "saved").write_bytes(b"c" + module + b"\n" + name + b"\n.")
    spec = inspect_saved(tmp_path / "saved")
    with pytest.raises(StartupError) as caught:
        load(tmp_path, replace(spec, file=replace(spec.file, format="pickle")))
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 2000


def test_the_bytes_that_are_loaded_are_those_that_were_hashed(tmp_path, monkeypatch):
    """Another file takes the place of the model's between the two."""
    saved = tmp_path / "saved"
    saved.write_bytes(pickle.dumps("the model"))
    spec = inspect_saved(saved)
    (tmp_path / "other").write_bytes(pickle.dumps("another"))
    check = loading.Digest.check

    def check_and_swap(*args) -> None:
        check(*args)
        (tmp_path / "other").replace(saved)

    monkeypatch.setattr(loading.Digest, "check", check_and_swap)
    assert load(tmp_path, spec) == "the model"
    assert saved.read_bytes() == pickle.dumps("another")


def test_a_file_is_hashed_in_blocks_to_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "BLOCK", 7)
    saved = tmp_path / "saved"
    saved.write_bytes(pickle.dumps("the model, in more than one block"))
    spec = inspect_saved(saved)
    assert load(tmp_path, spec) == "the model, in more than one block"
    saved.write_bytes(saved.read_bytes() + b"!")
    with pytest.raises(StartupError, match="is not the one that was packaged"):
        load(tmp_path, spec)


def test_digest_is_checked_before_a_file_is_parsed(tmp_path, monkeypatch):
    saved = tmp_path / "saved"
    joblib.dump(serving_models.iris().model, saved)
    spec = inspect_saved(saved)
    done = []
    check, read = loading.Digest.check, loading.LOADERS["joblib"]
    monkeypatch.setattr(loading.Digest, "check", lambda *a: (check(*a), done.append("hashed")))
    seen = {"joblib": lambda *a: (read(*a), done.append("loaded"))}
    monkeypatch.setattr(loading, "LOADERS", seen)
    load(tmp_path, spec)
    assert done == ["hashed", "loaded"]


def test_missing_modules_are_ignored_before_loading(tmp_path):
    """As those of Python 2 are, which the unpickler translates."""
    saved = tmp_path / "saved"
    saved.write_bytes(b"c__builtin__\nset\n(]tR.")
    spec = replace(
        inspect_saved(saved), globals=("__builtin__:set", "no_such.module:name", ":", ".a:b")
    )
    assert load(tmp_path, replace(spec, file=replace(spec.file, format="pickle"))) == set()


@pytest.mark.parametrize("compress", [0, ("gzip", 1)])
def test_the_trees_of_a_forest_are_in_memory_once(tmp_path, compress):
    """The copied bytes of a tree are freed before the next tree is read."""
    noise = np.random.default_rng(0)
    forest = RandomForestRegressor(20, random_state=0)
    forest.fit(noise.random((2000, 4)), noise.random(2000))
    joblib.dump(forest, tmp_path / "saved", compress=compress)
    names = inspect_saved(tmp_path / "saved").globals
    size = sum(tree.tree_.__getstate__()["nodes"].nbytes for tree in forest.estimators_)
    with (tmp_path / "saved").open("rb") as stream:
        content = containers.decompress(stream, "gzip" if compress else "raw")
        tracemalloc.start()  # which sees numpy's arrays, and not those that the trees make
        loaded = runtimes.LOADERS["joblib"](content, names)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert most < size / 2
    rows = noise.random((50, 4))
    assert loaded.predict(rows).tolist() == forest.predict(rows).tolist()


def test_strings_of_python_2_keep_their_bytes():
    stream = io.BytesIO(b"(U\x02\xe9xS'\\xe9'\nU\x03abcl.")
    assert runtimes.LOADERS["pickle"](stream, set()) == ["\xe9x", "\xe9", "abc"]


# pickle.dumps(numpy.array([1.5, -0.1]), 2) of Python 2.7.18 and numpy 1.11.3
ARRAY_OF_PYTHON_2 = (
    b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x00cnumpy\nndarray\nq\x01K\x00\x85q\x02U"
    b"\x01bq\x03\x87q\x04Rq\x05(K\x01K\x02\x85q\x06cnumpy\ndtype\nq\x07U\x02f8q\x08K\x00K\x01\x87q"
    b"\tRq\n(K\x03U\x01<q\x0bNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tq\x0cb\x89U\x10\x00\x00"
    b"\x00\x00\x00\x00\xf8?\x9a\x99\x99\x99\x99\x99\xb9\xbfq\rtq\x0eb."
)


@pytest.mark.filterwarnings("ignore:numpy.core:DeprecationWarning")
@pytest.mark.parametrize("loader", ["pickle", "joblib"])
def test_arrays_of_python_2_have_their_values(tmp_path, loader):
    path = tmp_path / "model.pkl"
    path.write_bytes(ARRAY_OF_PYTHON_2)
    names = set(inspect(path).globals)
    loaded = runtimes.LOADERS[loader](io.BytesIO(ARRAY_OF_PYTHON_2), names)
    assert loaded.tolist() == [1.5, -0.1]


# --- other interpreters --------------------------------------------------------------------------

SCRIPT = """
import bz2, datetime, gzip, hashlib, json, lzma, os, pickle, sys, zlib
from collections import OrderedDict
from pathlib import Path
from modelpack.serving import containers
from modelpack.serving.security import unpickling
from modelpack.serving.errors import StartupError

class Payload(object):
    def __reduce__(self):
        return os.mkdir, ("made",)

alone = lambda data: lzma.compress(data, lzma.FORMAT_ALONE)
packers = {"raw": bytes, "gzip": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress,
           "lzma": alone, "zlib": zlib.compress}
names = set(json.loads(sys.argv[1]))
content = [OrderedDict(a=1.5), {1, 2}, b"\\x00\\xff", datetime.date(2020, 1, 2)]

def load(data, packer):
    Path("saved").write_bytes(packers[packer](data))
    with open("saved", "rb") as stream:
        return unpickling.Unpickler(containers.decompress(stream, packer), names).load()

for packer in packers:
    for dumps in (pickle.dumps, pickle._dumps):
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            assert load(dumps(content, protocol), packer) == content
            try:
                load(dumps([content, Payload()], protocol), packer)
            except StartupError as error:
                assert "posix.mkdir" in str(error)
            else:
                raise AssertionError("it was loaded")
assert not os.path.exists("made")
print("ok")
"""
NAMES = [
    *(f"{module}:{name}" for module in ("builtins", "__builtin__") for name in ("set", "bytes")),
    "collections:OrderedDict",
    "_codecs:encode",
    "datetime:date",
]


@pytest.mark.parametrize("version", ["3.7", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14"])
def test_every_python_looks_up_the_names_of_the_file(tmp_path, version):
    """With the standard library alone; protocols below 3 hold the names of Python 2."""
    python = find(version)
    if python is None:
        pytest.skip(f"there is no Python {version} on this machine")
    answer = subprocess.run(
        [python, "-I", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{SCRIPT}",
         json.dumps(NAMES)],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert answer.stdout == "ok\n", answer.stderr
