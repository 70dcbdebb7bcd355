"""Hostile skops files. Each is put together here and only inspected, never loaded."""

import io
import json
import random
import struct
import subprocess
import sys
import warnings
import zipfile
import zlib
from copy import deepcopy

import numpy as np
import pytest
import skops.io
from scipy import sparse
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeRegressor
from watching import WATCH
from zips import (
    archive,
    dict_state,
    json_state,
    list_state,
    member,
    npy,
    npy_bytes,
    object_state,
    schema,
    state,
    tuple_state,
    zip_archive,
)
from zips import skops as skops_file
from zoo import TEXTS, X, Y

from modelpack.errors import ModelNotSupportedError, ModelRefusedError
from modelpack.inspection import require_servable
from modelpack.inspection.inspector import inspect

SCALER = "sklearn.preprocessing._data:StandardScaler"
HEADER = "{'descr': %s, 'fortran_order': %s, 'shape': %s, }\n"
LIST = schema(list_state())
JSON = b"schema.json"
SYSTEM = state("FunctionNode", "posix:system")


def deflated(data):
    codec = zlib.compressobj(9, zlib.DEFLATED, -15)
    return codec.compress(data) + codec.flush()


def mixed(first, second):
    """The header and content of one member with the directory's entry of another."""
    return (*first[:2], *second[2:])


def wide(size, compressed, first=1, length=16):
    return struct.pack("<HHQQ", first, length, size, compressed)


def zip64_end(count=1, offset=0):
    header, raw, entry, tail = member(JSON, LIST)
    body = header + raw
    directory = entry + struct.pack("<I", 0) + tail
    numbers = (count, count, len(directory), len(body) + offset)
    at = len(body) + len(directory)
    end64 = b"PK\6\6" + struct.pack("<Q2H2I4Q", 44, 45, 45, 0, 0, *numbers)
    locator = b"PK\6\7" + struct.pack("<IQI", 0, at, 1)
    end = b"PK\5\6" + struct.pack("<4H2IH", 0, 0, 1, 1, len(directory), len(body), 0)
    return body + directory + end64 + locator + end


# fmt: off
SOUND = member(JSON, LIST)
ARCHIVES = {
    "two of one name": archive(SOUND, SOUND),
    "path out of the archive": archive(member(b"../x.npy", npy_bytes(1)), SOUND),
    "absolute path": archive(member(b"/etc/x.npy", npy_bytes(1)), SOUND),
    "path of Windows": archive(member(b"..\\x.npy", npy_bytes(1)), SOUND),
    "folder": archive(member(b"a/x.npy", npy_bytes(1)), SOUND),
    "name with a zero": archive(member(b"x.npy\0.bin", npy_bytes(1)), SOUND),
    "no name": archive(member(b"", b""), SOUND),
    "name that is not ASCII": archive(member("ä.npy".encode(), npy_bytes(1), flags=0x800), SOUND),
    "link": archive(member(b"x.bin", b"/etc/passwd", mode=0o120777), SOUND),
    "device": archive(member(b"x.bin", b"", mode=0o020666), SOUND),
    "sizes after the content": archive(member(JSON, LIST, flags=8)),
    "bzip2": archive(member(JSON, LIST, method=12)),
    "version to come": archive((b"PK\3\4\x63" + SOUND[0][5:], *SOUND[1:])),
    "version to come in the directory": archive(
        (*SOUND[:2], b"PK\1\2\x14\3\x63" + SOUND[2][7:], SOUND[3])),
    "unknown compression": archive(member(JSON, LIST, method=99)),
    "gap between members": archive(member(b"x.bin", b""), SOUND, between=b"PK"),
    "comment": archive(SOUND, comment=b"PK"),
    "wrong count": archive(SOUND, count=2),
    "entry with another checksum": archive(mixed(SOUND, member(JSON, LIST, crc=1))),
    "entry with another size": archive(mixed(SOUND, member(JSON, LIST + b" "))),
    "entry with another name": archive(mixed(SOUND, member(b"schema.jsom", LIST))),
    "entry with another compression": archive(mixed(SOUND, member(JSON, LIST, method=8))),
    "encrypted in the directory alone": archive(mixed(SOUND, member(JSON, LIST, flags=1))),
    "wrong checksum": archive(member(JSON, LIST, crc=1)),
    "size that lies": archive(member(JSON, LIST, size=len(LIST) + 1)),
    "smaller size that lies": archive(member(JSON, LIST, size=len(LIST) - 1)),
    "deflated, larger": archive(member(JSON, LIST, method=8, raw=deflated(LIST), size=3)),
    "deflated, cut": archive(member(JSON, LIST, method=8, raw=deflated(LIST)[:-3])),
    "deflated, with more": archive(member(JSON, LIST, method=8, raw=deflated(LIST) + b"x")),
    "deflated, broken": archive(member(JSON, LIST, method=8, raw=b"\xff" * 9)),
    "unknown field in a header": archive(member(JSON, LIST, extra=b"UT\5\0\3abcd")),
    "zip64 field that is not needed": archive(member(JSON, LIST, extra=wide(0, 0))),
    "zip64 field, too short": archive(member(JSON, LIST, extra=wide(0, 0)[:8])),
    "zip64 end, wrong count": zip64_end(2),
    "zip64 end, wrong offset": zip64_end(offset=1),
    "member that skops does not write": archive(member(b"x.txt", b""), SOUND),
    "member of the matrix that scipy does not write": skops_file(
        list_state(), x_npz=zip_archive({"data.txt": b""})),
}
# fmt: on


def codes(data, folder):
    """The codes of the findings; inspecting must refuse the file."""
    path = folder / "m.skops"
    path.write_bytes(data)
    spec = inspect(path)
    assert spec.safety.verdict == "refuse"
    with pytest.raises(ModelRefusedError, match="was not executed"):
        require_servable(spec)
    return {finding.code for finding in spec.safety.findings}


def test_unaltered_archives_pass(tmp_path):
    for data in (archive(SOUND), zip64_end(), skops_file(list_state())):
        (tmp_path / "m").write_bytes(data)
        assert zipfile.ZipFile(tmp_path / "m").read("schema.json") == LIST
        assert [f.code for f in inspect(tmp_path / "m").safety.findings] == ["not-a-model"]


@pytest.mark.parametrize("data", ARCHIVES.values(), ids=ARCHIVES)
def test_archives(tmp_path, data):
    assert codes(data, tmp_path) == {"broken-zip"}


def test_bytes_after_the_archive(tmp_path):
    assert codes(archive(SOUND, after=b"\0"), tmp_path) == {"trailing-data"}
    assert codes(archive(SOUND) + archive(SOUND), tmp_path) == {"trailing-data"}


def test_bytes_before_the_archive(tmp_path):
    path = tmp_path / "m"
    path.write_bytes(archive(SOUND, before=b"\x80\x04N."))
    assert inspect(path).safety.findings[0].code == "trailing-data"  # of a pickle
    assert codes(archive(SOUND, before=archive(SOUND)), tmp_path) == {"trailing-data"}


@pytest.mark.parametrize("cut", [70, 100, -1, -22, -40])
def test_cut_archives(tmp_path, cut):
    padded = archive(member(b"schema-json.bin", b"schema.json"), SOUND)
    assert codes(padded[:cut], tmp_path) <= {"truncated", "broken-zip"}


def test_bombs(tmp_path):
    zeros = bytes(50_000_000)
    bomb = member(b"x.bin", zeros, method=8, raw=deflated(zeros))
    assert codes(archive(bomb, SOUND), tmp_path) == {"decompression-bomb"}
    inner = archive(member(b"data.npy", zeros, method=8, raw=deflated(zeros)))
    outer = member(b"x.npz", inner, method=8, raw=deflated(inner))
    assert codes(archive(outer, SOUND), tmp_path) <= {"decompression-bomb", "broken-array"}
    array = npy_bytes(np.zeros(6_000_000))
    inner = archive(member(b"data.npy", array, method=8, raw=deflated(array)))
    assert codes(archive(member(b"x.npz", inner), SOUND), tmp_path) == {"decompression-bomb"}


def test_torch_archive_is_reported_as_such(tmp_path):
    (tmp_path / "m").write_bytes(zip_archive({"archive/data.pkl": b"N.", "schema.json": LIST}))
    spec = inspect(tmp_path / "m")
    assert spec.format == "torch"
    with pytest.raises(ModelNotSupportedError, match="PyTorch"):
        require_servable(spec)


# fmt: off
SCHEMAS = {
    "no JSON": (b"schema.json", "malformed"),
    "byte order mark": (b"\xef\xbb\xbf" + LIST, "malformed"),
    "UTF-16": (LIST.decode().encode("utf-16"), "malformed"),
    "no UTF-8": (LIST.replace(b"builtins", b"\xff"), "malformed"),
    "no object": (b"[]", "malformed"),
    "more than one value": (LIST + LIST, "malformed"),
    "key twice": (LIST[:-1] + b', "protocol": 2}', "malformed"),
    "key twice, further in": (
        LIST.replace(b'"content": []', b'"content": [{"a": 1, "a": 2}]'), "malformed"),
    "deep lists": (b'{"content": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "limit"),
    "deep objects": (b'{"content": ' * 100_000 + b"1" + b"}" * 100_000, "limit"),
    "long integer": (LIST.replace(b": 2", b": " + b"2" * 5_000), "malformed"),
    "no protocol": (LIST.replace(b"protocol", b"protocal"), "unknown-protocol"),
    "protocol true": (LIST.replace(b": 2,", b": true,"), "unknown-protocol"),
    "protocol to come": (LIST.replace(b": 2,", b": 3,"), "unknown-protocol"),
    "negative protocol": (LIST.replace(b": 2,", b": -1,"), "unknown-protocol"),
    "protocol of text": (LIST.replace(b": 2,", b': "2",'), "unknown-protocol"),
}
# fmt: on


@pytest.mark.parametrize(("text", "code"), SCHEMAS.values(), ids=SCHEMAS)
def test_schemas(tmp_path, text, code):
    assert codes(zip_archive({"schema.json": text}), tmp_path) == {code}


def test_schema_that_is_missing(tmp_path):
    assert codes(zip_archive({"x.bin": b"schema.json"}), tmp_path) == {"malformed"}


def nested(depth):
    root = list_state()
    for _ in range(depth):
        root = list_state(root)
    return root


def generator(name="PCG64", **seed):
    held = {"bit_generator": dict_state(bit_generator=json_state(name)),
            "seed_seq": dict_state(entropy=json_state(1), **seed)}  # fmt: skip
    return state("RandomGeneratorNode", "numpy.random._generator:Generator", content=held)


def matrix(name="csr_matrix", file="x.npz"):
    return state("SparseMatrixNode", f"scipy.sparse._csr:{name}", type="scipy", file=file)


def object_array(*items, shape=(1,)):
    content = tuple_state(*map(json_state, shape))
    return state("NdArrayNode", "numpy:ndarray", type="json", content=list(items), shape=content)


def loss(key, *args, **attributes):
    return state(
        "LossNode", key, content=dict_state(**attributes), __reduce__={"args": tuple_state(*args)}
    )


def call(key, *args):
    return state("ConstructorFromReduceNode", key, content=tuple_state(*args))


def method(owner, name, cls=SCALER):
    return state("MethodNode", cls, content={"obj": owner, "func": name})


def partial(func):
    held = {
        "func": func,
        "args": tuple_state(),
        "kwds": dict_state(),
        "namespace": json_state(None),
    }
    return state("PartialNode", "functools:partial", content=held)


def keyed(kind):
    return dict_state(types=kind, a=json_state(1))


def normal(template):
    return object_state(
        "scipy.stats._continuous_distns:norm_gen", _parse_arg_template=json_state(template)
    )


TREE = "sklearn.tree._tree:Tree"
ARRAY = state("NdArrayNode", "numpy:ndarray", type="numpy", file="x.npy")
DTYPE = state("DTypeNode", "numpy:dtype", content=ARRAY)
# fmt: off
STATES = {
    # names
    "function": (SYSTEM, "banned-global"),
    "class": (state("TypeNode", "subprocess:Popen"), "banned-global"),
    "object": (object_state("subprocess:Popen"), "banned-global"),
    "function of an estimator": (
        object_state("sklearn.preprocessing._function_transformer:FunctionTransformer",
                     func=SYSTEM), "banned-global"),
    "metric": (object_state("sklearn.neighbors._classification:KNeighborsClassifier",
                    metric=state("TypeNode", "builtins:exec")), "banned-global"),
    "eval": (call("builtins:eval", json_state("1")), "banned-global"),
    "list of a class": (state("ListNode", "subprocess:Popen", content=[]), "banned-global"),
    "set of a class": (state("SetNode", "builtins:map", content=[]), "banned-global"),
    "tuple of a class": (state("TupleNode", "os:stat_result", content=[]), "banned-global"),
    "dict of a class": (dict_state("shelve:DbfilenameShelf"), "banned-global"),
    "array of a class": ({**ARRAY, "__class__": "memmap"}, "banned-global"),
    "array of a function": (
        {**ARRAY, "__class__": "system", "__module__": "posix"}, "banned-global"),
    "operator": (state("OperatorFuncNode", "operator:methodcaller",
                       attrs=tuple_state(json_state("fit"))), "banned-global"),
    "partial": (partial(SYSTEM), "banned-global"),
    "default factory": (
        state("DefaultDictNode", "collections:defaultdict",
              content={"main": dict_state(), "default_factory": SYSTEM}), "banned-global"),
    "numpy.__builtins__": (state("FunctionNode", "numpy:__builtins__"), "banned-global"),
    "method of a known class": (method(object_state(SCALER), "fit"), "banned-global"),
    "dunder of a known class": (method(object_state(SCALER), "__reduce__"), "banned-global"),
    "dotted class": (state("FunctionNode", "pathlib:os.system"), "bad-name"),
    "lambda": (state("FunctionNode", "__main__:<lambda>"), "bad-name"),
    "no module": (state("FunctionNode", ":system"), "bad-name"),
    "relative module": (state("FunctionNode", ".os:system"), "bad-name"),
    "hidden character": (state("FunctionNode", "o\u200bs:system"), "bad-name"),
    "long name": (state("FunctionNode", f"{'a' * 10_000}:b"), "bad-name"),
    "name that is no text": ({**SYSTEM, "__module__": ["os"]}, "malformed"),
    "many names": (list_state(*(state("TypeNode", f"a:B{i}") for i in range(5_001))), "limit"),
    # what a name is used for
    "estimator as a dict": (dict_state(SCALER, a=json_state(1)), "bad-items"),
    "estimator as an empty dict": (dict_state(SCALER), "bad-items"),
    "estimator as a list": (state("ListNode", SCALER, content=[]), "unexpected-role"),
    "estimator as a tuple": (state("TupleNode", SCALER, content=[]), "unexpected-role"),
    "estimator as an array": (
        state("NdArrayNode", SCALER, type="numpy", file="x.npy"), "unexpected-role"),
    "call of an estimator": (call(SCALER), "unexpected-role"),
    "call of a function": (call("numpy:log1p", json_state(1)), "unexpected-role"),
    "object of a function": (object_state("numpy:log1p"), "unexpected-role"),
    "loss that is a function": (loss("numpy:log1p"), "unexpected-class"),
    "getattr as a value": (list_state(state("TypeNode", "builtins:getattr")), "unexpected-role"),
    "getattr": (call("builtins:getattr", object_state(SCALER), json_state("fit")), "bad-arguments"),
    "partial of a function": (partial(state("FunctionNode", "numpy:mean")), "bad-arguments"),
    "memory by a number": (call("builtins:bytearray", json_state(2**40)), "bad-arguments"),
    "scipy's template": (normal("import os"), "bad-arguments"),
    "scalar of objects": (
        call("numpy._core.multiarray:scalar",
             state("DTypeNode", "numpy:dtype", content=object_array(shape=(0,))), json_state("x")),
        "bad-arguments"),
    "attribute of Python": (object_state(SCALER, __class__=json_state(1)), "bad-state"),
    # kinds that name what they do not make
    "value": ({**json_state(1), "__module__": "os", "__class__": "system"}, "unexpected-class"),
    "tree": (state("TreeNode", SCALER, content=dict_state(), __reduce__={"args": tuple_state()}),
             "unexpected-class"),
    "dtype": ({**DTYPE, "__class__": "memmap"}, "unexpected-class"),
    "slice": (state("SliceNode", "os:system", content={}), "unexpected-class"),
    "bytes": (state("BytesNode", "os:system", file="x.bin"), "unexpected-class"),
    "random state": (
        state("RandomStateNode", "numpy.random:seed", content=dict_state()), "unexpected-class"),
    "masked array": (
        state("MaskedArrayNode", "numpy:memmap", content={}), "unexpected-class"),
    "default dict": (
        state("DefaultDictNode", "os:system", content={}), "unexpected-class"),
    "partial that is none": (
        {**partial(SYSTEM), "__class__": "reduce"}, "unexpected-class"),
    "method of another class": (
        method(object_state(SCALER), "fit", "posix:system"), "unexpected-class"),
    "generator": (generator("seed"), "unexpected-class"),
    "generator of another module": (generator("RandomState"), "unexpected-class"),
    "array of objects": (
        {**object_array(json_state(1)), "__class__": "memmap"}, "unexpected-class"),
    "key made by a function": (keyed("numpy:nan_to_num"), "unexpected-class"),
    "key made by a class": (keyed("sklearn.pipeline:Pipeline"), "unexpected-class"),
    "matrix of another class": (matrix("csc_matrix"), "unexpected-class"),
    "matrix that is an array": (matrix("csr_array"), "unexpected-class"),
    "matrix of no class": (matrix("sum"), "unexpected-class"),
    # states that are none
    "unknown kind": (state("EvalNode", "builtins:eval"), "unknown-kind"),
    "no kind": ({"__class__": "a", "__module__": "b"}, "unknown-kind"),
    "kind that is no text": (state(["JsonNode"], "builtins:str"), "unknown-kind"),
    "no state": (list_state(3), "malformed"),
    "no content": (state("ListNode", "builtins:list"), "malformed"),
    "content that is no list": (state("ListNode", "builtins:list", content={}), "malformed"),
    "content that is no dict": ({**dict_state(), "content": []}, "malformed"),
    "more keys than types": (
        {**dict_state(a=json_state(1)), "key_types": list_state()}, "malformed"),
    "key that is no number": (keyed("builtins:int"), "malformed"),
    "key that is a long number": (
        {**keyed("builtins:int"), "content": {"1" * 10_000: json_state(1)}}, "malformed"),
    "default dict of no dict": (
        state("DefaultDictNode", "collections:defaultdict",
              content={"main": list_state(), "default_factory": json_state(None)}), "malformed"),
    "arguments that are no tuple": (
        state("ConstructorFromReduceNode", "builtins:range", content=json_state("abc")),
        "malformed"),
    "tree of no tuple": (
        state("TreeNode", TREE, content=dict_state(), __reduce__={"args": list_state()}),
        "malformed"),
    "slice of more": (state("SliceNode", "builtins:slice",
                            content={"start": SYSTEM, "stop": 1, "step": 1}), "malformed"),
    "seed of much memory": (generator(pool_size=json_state(2**40)), "malformed"),
    "seed of something else": (generator(x=json_state(1)), "malformed"),
    "method of no object": (method(list_state(), "sort"), "malformed"),
    "value that is a list": ({**json_state(1), "content": "[1]"}, "malformed"),
    "value behind a space": ({**json_state(1), "content": " 1"}, "malformed"),
    "two values": ({**json_state(1), "content": "1 2"}, "malformed"),
    "value without end": ({**json_state(1), "content": "1" * 10_000}, "malformed"),
    "value that is no text": ({**json_state(1), "content": 1}, "malformed"),
    # ids
    "value that holds itself": (
        {**list_state(state("CachedNode", "a:b", __id__=7)), "__id__": 7}, "malformed"),
    "id that was not met": (state("CachedNode", "a:b", __id__=7), "unknown-kind"),
    "one id, two values": (
        list_state({**json_state(1), "__id__": 7}, {**SYSTEM, "__id__": 7}), "malformed"),
    "one id, two names": (
        list_state(state("TypeNode", "builtins:str", __id__=7), {**SYSTEM, "__id__": 7}),
        "malformed"),
    "id of a key's type": (
        list_state({**state("FunctionNode", "numpy:nan_to_num"), "__id__": 7},
                {**dict_state(a=json_state(1)), "key_types":
                 list_state({**state("TypeNode", "builtins:str"), "__id__": 7})}), "malformed"),
    "id 0": ({**json_state(1), "__id__": 0}, "malformed"),
    "id true": ({**json_state(1), "__id__": True}, "malformed"),
    "id of text": ({**json_state(1), "__id__": "1"}, "malformed"),
    "id that is a fraction": ({**json_state(1), "__id__": 7.0}, "malformed"),
    "deep states": (nested(200), "limit"),
    # files
    "file that is not there": ({**ARRAY, "file": "y.npy"}, "malformed"),
    "file outside": ({**ARRAY, "file": "../x.npy"}, "malformed"),
    "file of another kind": ({**ARRAY, "file": "x.npz"}, "malformed"),
    "file that is no text": ({**ARRAY, "file": 1}, "malformed"),
    # arrays of objects
    "shape of more": (object_array(json_state(1), shape=(2,)), "malformed"),
    "shape that is too deep": (object_array(json_state(1), shape=(1, 1)), "malformed"),
    "shape of nothing": (object_array(json_state(1), shape=()), "malformed"),
    "negative shape": (object_array(json_state(1), shape=(-1,)), "malformed"),
}
# fmt: on


def npz(matrix):
    memory = io.BytesIO()
    sparse.save_npz(memory, matrix)
    return memory.getvalue()


CSR = npz(sparse.csr_matrix(np.eye(3)))


@pytest.mark.parametrize(("root", "code"), STATES.values(), ids=STATES)
def test_states(tmp_path, root, code):
    data = skops_file(root, x_npy=npy_bytes(1.0), x_npz=CSR, x_bin=b"")
    assert code in codes(data, tmp_path)


@pytest.mark.parametrize("protocol", [0, 1, 2])
def test_functions_of_each_protocol(tmp_path, protocol):
    content = {"module_path": "posix", "function": "system"}
    old = state("FunctionNode", "numpy:log1p", content=content)
    found = codes(skops_file(old if protocol == 0 else SYSTEM, protocol), tmp_path)
    assert found == {"banned-global"}


def test_generator_of_the_oldest_protocol(tmp_path):
    held = {"bit_generator": {"bit_generator": "seed"}}
    old = state("RandomGeneratorNode", "numpy.random._generator:Generator", content=held)
    assert codes(skops_file(old, 0), tmp_path) == {"unknown-kind"}


# fmt: off
HEADERS = {
    "objects": (("'|O'", "False", "(1,)"), bytes(8)),
    "objects in a field": (("[('a', '|O')]", "False", "(1,)"), bytes(8)),
    "call": (("__import__('os')", "False", "(1,)"), b""),
    "dtype of three bytes": (("'<i3'", "False", "(1,)"), bytes(3)),
    "text of no size": (("'<U'", "False", "(1,)"), b""),
    "more than there is": (("'<f8'", "False", "(2,)"), bytes(8)),
    "less than there is": (("'<f8'", "False", "(1,)"), bytes(16)),
    "all memory": (("'<f8'", "False", "(999999999999,)"), bytes(8)),
    "negative": (("'<f8'", "False", "(-1,)"), bytes(8)),
    "sum": (("'<f8'", "False", "(1+1,)"), bytes(16)),
    "number": (("'<f8'", "False", "1"), bytes(8)),
    "order": (("'<f8'", "1", "(1,)"), bytes(8)),
    "title": (("[(('t', 'a'), '<f8')]", "False", "(1,)"), bytes(8)),
    "deep shape": (("'<f8'", "False", f"({'1, ' * 100}1)"), bytes(8)),
    "deep": (("(" * 1_000, "False", "(1,)"), bytes(8)),
    "long": (("'<f8'", "False", "(1,)" + " " * 20_000), bytes(8)),
}
# fmt: on


@pytest.mark.parametrize(("parts", "data"), HEADERS.values(), ids=HEADERS)
def test_headers_of_arrays(tmp_path, parts, data):
    array = npy(HEADER % parts, data)
    assert codes(skops_file(ARRAY, x_npy=array), tmp_path) == {"broken-array"}
    memory = zip_archive({"data.npy": array})
    assert codes(skops_file(matrix(), x_npz=memory), tmp_path) == {"broken-array"}


def test_invalid_arrays_are_refused(tmp_path):
    for array in (
        b"\x80\x04N.",
        npy_bytes(np.array([{}]), allow_pickle=True),
        npy("", version=b"\4\0"),
    ):
        assert codes(skops_file(ARRAY, x_npy=array), tmp_path) <= {"broken-array", "truncated"}


@pytest.mark.parametrize("array", [[1.5], [[1, 2], [3, 4]], ["a", "bc"], [True], [b"x"], 3])
def test_unaltered_headers_pass(tmp_path, array):
    (tmp_path / "m").write_bytes(
        skops_file(list_state(ARRAY, DTYPE), x_npy=npy_bytes(np.array(array)))
    )
    assert [f.code for f in inspect(tmp_path / "m").safety.findings] == ["not-a-model"]


def test_code_that_is_not_known_has_to_be_trusted(tmp_path):
    own = object_state("shop.models:Own")
    forest = state("QuantileForestNode", "quantile_forest._quantile_forest_fast:QuantileForest",
                   content=dict_state(), __reduce__={"args": tuple_state()})  # fmt: skip
    bound = method(own, "predict", "shop.models:Own")
    (tmp_path / "m").write_bytes(skops_file(list_state(own, forest, bound)))
    names = [
        "quantile_forest._quantile_forest_fast:QuantileForest",
        "shop.models:Own",
        "shop.models:Own.predict",
    ]
    spec = inspect(tmp_path / "m")
    assert spec.safety.verdict == "trust"
    found = [f.global_ for f in spec.safety.findings if f.code == "unknown-global"]
    assert sorted(found) == names
    assert inspect(tmp_path / "m", trust=names).safety.verdict == "pass"
    assert set(skops.io.get_untrusted_types(data=skops_file(list_state(own, bound)))) == {
        "shop.models.Own", "shop.models.Own.predict"}  # fmt: skip


def changed(data, chosen, change, compression):
    """The file with the arrays changed that are chosen by their dtype."""
    memory = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(data)) as old,
        zipfile.ZipFile(memory, "w", compression) as new,
    ):
        for name in old.namelist():
            content = old.read(name)
            if name.endswith(".npy") and chosen(array := np.load(io.BytesIO(content))):
                change(array)
                content = npy_bytes(array)
            new.writestr(name, content)
    return memory.getvalue()


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("rows", [50, 40_000])  # of the nodes of the larger one, the head is kept
def test_trees_that_lead_out_of_themselves(tmp_path, rows, compression):
    chance = np.random.default_rng(0)
    tree = DecisionTreeRegressor().fit(chance.normal(size=(rows, 2)), chance.normal(size=rows))
    sound = changed(skops.io.dumps(tree), lambda array: False, None, compression)
    (tmp_path / "m").write_bytes(sound)
    assert inspect(tmp_path / "m").safety.findings == ()

    def lead_away(nodes):
        nodes["left_child"][len(nodes) // 2] = len(nodes)

    data = changed(sound, lambda array: array.dtype.names is not None, lead_away, compression)
    assert codes(data, tmp_path) == {"broken-invariant"}


@pytest.mark.parametrize("entries", [20, 300_000])
def test_matrices_that_lead_out_of_themselves(tmp_path, entries):
    rows = sparse.random(entries // 10, 20, 0.5, "csr", random_state=0)
    model = KNeighborsRegressor().fit(rows, np.arange(entries // 10))
    for expected, entry in ((set(), 3), ({"broken-invariant"}, 20)):
        model._fit_X.indices[-1] = entry
        skops.io.dump(model, tmp_path / "m")
        assert {f.code for f in inspect(tmp_path / "m").safety.findings} == expected


def test_nothing_is_imported_opened_or_run(tmp_path):
    paths = []
    for number, (root, _) in enumerate(STATES.values()):
        paths.append(tmp_path / f"{number}")
        paths[-1].write_bytes(skops_file(root, x_npy=npy_bytes(1.0), x_npz=CSR, x_bin=b""))
    skops.io.dump(GaussianNB().fit(X, Y), tmp_path / "model")
    command = [sys.executable, "-c", WATCH, str(tmp_path / "model"), *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


@pytest.fixture(scope="module")
def members(tmp_path_factory):
    """Those of a file that has states of most kinds."""
    models = [
        GridSearchCV(LogisticRegression(), {"C": [1, 2]}, cv=2).fit(X, Y),
        GradientBoostingClassifier(n_estimators=1, max_depth=1).fit(X, Y),
        make_pipeline(TfidfVectorizer(), SGDClassifier()).fit(TEXTS, [0, 1] * 10),
    ]
    generators = np.random.default_rng(0), np.random.RandomState(0)
    data = skops.io.dumps([*models, *generators, sparse.csr_matrix(np.eye(3)), range(2)])
    with zipfile.ZipFile(io.BytesIO(data)) as whole:
        return {name: whole.read(name) for name in whole.namelist()}


def all_states(node):
    if isinstance(node, dict):
        if "__loader__" in node:
            yield node
        for child in node.values():
            yield from all_states(child)
    elif isinstance(node, list):
        for child in node:
            yield from all_states(child)


HOSTILE_NAMES = [("posix", "system"), ("builtins", "eval"), ("numpy", "log1p"), ("a.b", "C")]


def mutate(root, chance):
    """Return a copy of a schema with states exchanged or replaced by hostile ones."""
    root = json.loads(root)
    found = list(all_states(root))
    for _ in range(chance.choice([1, 1, 2, 4])):
        one, other = chance.choice(found), chance.choice(found)
        kind = chance.randrange(5)
        if kind == 0:
            one["__module__"], one["__class__"] = chance.choice(HOSTILE_NAMES)
        elif kind == 1:
            key = chance.choice(["__loader__", "__id__", "__class__", "content", "file"])
            one[key] = deepcopy(other.get(key))
        elif kind == 2:
            one |= {key: other[key] for key in ("__module__", "__class__") if key in other}
        elif kind == 3:
            root["protocol"] = chance.randrange(3)
        else:
            one.pop(chance.choice([*one, None]), None)
    return json.dumps(root).encode()


def test_mutants_contain_no_types_without_a_finding(tmp_path, members):
    """The audit of skops is the oracle: for an accepted file, it reports no other names than the
    inspector."""
    chance = random.Random(0)
    path = tmp_path / "m"
    passed = 0
    for _ in range(150):
        text = mutate(members["schema.json"], chance)
        path.write_bytes(zip_archive({**members, "schema.json": text}))
        spec = inspect(path)
        if spec.safety.verdict != "refuse":
            passed += 1
            assert untrusted(path) <= {name.replace(":", ".") for name in spec.globals}
    assert 10 < passed < 140


def untrusted(path):
    try:
        return set(skops.io.get_untrusted_types(file=path))
    except (AttributeError, KeyError, TypeError, ValueError):
        return set()  # skops cannot read it


def test_mutants_of_archives_are_read_as_zipfile_reads_them(tmp_path):
    chance = random.Random(0)
    whole = skops_file(list_state(ARRAY, matrix()), x_npy=npy_bytes(np.arange(3)), x_npz=CSR)
    path = tmp_path / "m"
    for _ in range(1_000):
        data = bytearray(whole)
        for _ in range(chance.choice([1, 1, 1, 3])):
            data[chance.randrange(len(data))] = chance.randrange(256)
        path.write_bytes(data)
        spec = inspect(path)
        if spec.safety.verdict == "pass":
            with warnings.catch_warnings(), zipfile.ZipFile(path) as archive:
                warnings.simplefilter("error")
                assert archive.testzip() is None
                assert sorted(archive.namelist()) == ["schema.json", "x.npy", "x.npz"]
