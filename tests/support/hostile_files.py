"""Model files that the inspector refuses, by reason, and files that claim too much memory."""

import bz2
import gzip
import io
import lzma
import pickle
import struct
import zipfile
import zlib

from opcodes import (
    APPEND,
    APPENDS,
    BUILD,
    EMPTY_DICT,
    EMPTY_LIST,
    EMPTY_TUPLE,
    FALSE,
    MARK,
    MEMOIZE,
    NEWOBJ,
    NEWOBJ_EX,
    NONE,
    POP,
    REDUCE,
    SCALER,
    SETITEM,
    SETITEMS,
    STACK_GLOBAL,
    STOP,
    SYSTEM,
    TRUE,
    TUPLE,
    TUPLE1,
    TUPLE2,
    TUPLE3,
    call,
    dtype,
    framed,
    many,
    name,
    new,
    number,
    old,
    pickled,
    raw,
    table,
    text,
    u4,
    wrapper,
)

LAUGHS = EMPTY_LIST + b"".join(
    MEMOIZE + EMPTY_LIST + MARK + (b"h" + bytes([i])) * 10 + APPENDS for i in range(29)
)


WRAPPER = "joblib.numpy_pickle:NumpyArrayWrapper"


NUMPY_NAME = call(
    "numpy._core.multiarray:scalar",
    dtype("U19", size=76, flags=8),
    raw("_parse_arg_template".encode("utf-32-le")),
)


SCIPY = "scipy.stats._continuous_distns:norm_gen"


BENIGN = pickle.dumps({"a": [1, 2.5, "three"] * 20}, 4)


def torch_zip(crc: bool = True) -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        archive.writestr("archive/data.pkl", pickled(SYSTEM))
    data = memory.getvalue()
    if crc:
        return data
    checksum = struct.pack("<I", zipfile.ZipFile(memory).infolist()[0].CRC)
    return data.replace(checksum, bytes(4))


# fmt: off
REFUSED = {
    # calls, however they are spelt
    "01 os.system, protocol 0": (b"cposix\nsystem\n(S'true'\ntR.", "banned-global"),
    "02 os.system, STACK_GLOBAL": (pickled(SYSTEM), "banned-global"),
    "03 eval": (pickled(call("builtins:eval", text("1"))), "banned-global"),
    "03 exec": (pickled(call("builtins:exec", text("1"))), "banned-global"),
    "03 compile": (pickled(call("builtins:compile", text("1"))), "banned-global"),
    "03 __import__": (pickled(call("builtins:__import__", text("os"))), "banned-global"),
    "03 eval of Python 2": (b"c__builtin__\neval\n(S'1'\ntR.", "banned-global"),
    "04 INST": (b"(S'true'\nios\nsystem\n.", "forbidden-opcode"),
    "05 OBJ": (pickled(MARK + name("posix:system") + text("true") + b"o"), "forbidden-opcode"),
    "06 OBJ and POP": (pickled(MARK + name("smtplib:SMTP") + b"o" + POP + NONE), "banned-global"),
    "07 NEWOBJ": (pickled(name("subprocess:Popen") + many(text("true")) + NEWOBJ), "banned-global"),
    "08 NEWOBJ_EX": (
        pickled(name("subprocess:Popen") + EMPTY_TUPLE + table(args=text("true")) + NEWOBJ_EX),
        "banned-global"),
    "09 EXT1": (pickled(b"\x82\x01" + EMPTY_TUPLE + REDUCE), "forbidden-opcode"),
    "09 EXT2": (pickled(b"\x83\x01\x00" + EMPTY_TUPLE + REDUCE), "forbidden-opcode"),
    "10 EXT4": (pickled(b"\x84\x01\x00\x00\x00" + EMPTY_TUPLE + REDUCE), "forbidden-opcode"),
    "11 BINPERSID": (pickled(text("x") + b"Q"), "forbidden-opcode"),
    "11 PERSID": (b"Px\n.", "unsupported-format"),
    "12 names by way of the memo": (
        pickled(text("posix") + MEMOIZE + POP + text("system") + MEMOIZE + POP + b"h\x00h\x01"
                + STACK_GLOBAL + many(text("true")) + REDUCE), "dropped-value"),
    "13 state of a function": (
        pickled(name("numpy:prod") + many(NONE, EMPTY_DICT) + BUILD), "state-of-non-object"),
    "14 attributes of a known function": (
        pickled(name("numpy:log1p") + many(NONE, table(x=NONE)) + BUILD), "state-of-non-object"),
    "15 numpy.__builtins__": (pickled(name("numpy:__builtins__")), "banned-global"),
    "16 dotted name": (pickled(call("pathlib:os.system", text("true"))), "banned-global"),
    "17 dotted name below numpy": (
        pickled(name("numpy:core._internal.sys.modules")), "banned-global"),
    "17 dotted name of an unknown module": (pickled(name("somebody:os.system")), "banned-global"),
    # code reached through states
    "18 scipy's template": (
        pickled(new(SCIPY, _parse_arg_template=text("\ndef _parse_args(self): return ()\n"))),
        "bad-arguments"),
    "18 scipy's template, more after it": (
        pickled(new(SCIPY, _parse_arg_template=text(
            "\ndef _parse_args(self,  loc=0, scale=1):\n    return (), loc, scale\n"
            "\ndef _parse_args_rvs(self,  loc=0, scale=1, size=None):\n"
            "    return self._argcheck_rvs( loc, scale, size=size)\n"
            "\ndef _parse_args_stats(self,  loc=0, scale=1, moments='mv'):\n"
            "    return (), loc, scale, moments\n\nprint()\n"))), "bad-arguments"),
    "18 scipy's template, its name a string of numpy": (
        pickled(name(SCIPY) + EMPTY_TUPLE + NEWOBJ
                + EMPTY_DICT + NUMPY_NAME + text("1") + SETITEM + BUILD), "bad-state"),
    "18 scipy's template, made by an old pickler": (
        pickled(old(SCIPY) + table(_parse_arg_template=text("1")) + BUILD), "bad-arguments"),
    "18 scipy's template, made by a function of another module": (
        pickled(call("sklearn.metrics._dist_metrics:newObj",
                     name("scipy.stats._continuous_distns:uniform_gen"))
                + table(_parse_arg_template=text("1")) + BUILD), "bad-arguments"),
    "18 formula of statsmodels": (
        pickled(new("statsmodels.base.data:ModelData", restore_design_info=TRUE,
                    formula=text("y ~ x"))), "formula"),
    "19 numpy's DataSource": (
        pickled(new("numpy.lib._datasource:DataSource", _istmpdest=TRUE)), "banned-global"),
    "19 numpy's DataSource, by its public name": (
        pickled(new("numpy:DataSource", _istmpdest=TRUE)), "banned-global"),
    "20 FunctionTransformer(os.system)": (
        pickled(new("sklearn.preprocessing._function_transformer:FunctionTransformer",
                    func=name("posix:system"))), "banned-global"),
    "20 FunctionTransformer(a known callable)": (
        pickled(new("sklearn.preprocessing._function_transformer:FunctionTransformer",
                    func=name("builtins:getattr"))), "unexpected-role"),
    "21 metric": (pickled(new("sklearn.neighbors._classification:KNeighborsClassifier",
                              metric=name("builtins:exec"))), "banned-global"),
    "21 kernel": (pickled(new("sklearn.svm._classes:SVC", kernel=name("posix:system"))),
                  "banned-global"),
    "21 analyzer": (pickled(new("sklearn.feature_extraction.text:CountVectorizer",
                                analyzer=name("os:system"))), "banned-global"),
    "22 partial": (pickled(call("functools:partial", name("posix:system"))), "banned-global"),
    "22 partial of a known function": (
        pickled(call("functools:partial", name("numpy:log1p"))), "bad-arguments"),
    "22 partial, its function in the state": (
        pickled(call("functools:partial", name("sklearn.utils.validation:check_array"))
                + many(name("numpy:log1p"), EMPTY_TUPLE, EMPTY_DICT, NONE) + BUILD),
        "bad-arguments"),
    "23 attrgetter": (pickled(call("operator:attrgetter", text("x"))), "banned-global"),
    "24 methodcaller": (pickled(call("_operator:methodcaller", text("x"))), "banned-global"),
    "25 getattr of a class": (
        pickled(call("builtins:getattr", name(SCALER), text("__subclasses__"))), "bad-arguments"),
    "25 getattr of an object": (
        pickled(call("builtins:getattr", new(SCALER), text("fit"))), "bad-arguments"),
    "25 getattr of getattr": (
        pickled(call("builtins:getattr", call("builtins:getattr", new(SCALER), text("fit")),
                     text("x"))), "bad-arguments"),
    # libraries that run, import or fetch
    "26 pip": (pickled(call("pip:main", text("x"))), "banned-global"),
    "27 bdb": (pickled(call("bdb:Bdb.run", text("x"))), "banned-global"),
    "27 pdb": (pickled(call("pdb:run", text("x"))), "banned-global"),
    "27 timeit": (pickled(call("timeit:timeit", text("x"))), "banned-global"),
    "27 cProfile": (pickled(call("cProfile:run", text("x"))), "banned-global"),
    "28 idlelib": (pickled(name("idlelib.pyshell:ModifiedInterpreter.runcode")), "banned-global"),
    "29 runstring": (
        pickled(call("numpy.testing._private.utils:runstring", text("x"))), "banned-global"),
    "30 getlincoef": (
        pickled(call("numpy.f2py.crackfortran:getlincoef", text("x"))), "banned-global"),
    "31 resolve_name": (pickled(call("pkgutil:resolve_name", text("x"))), "banned-global"),
    "32 import_module": (pickled(call("importlib:import_module", text("x"))), "banned-global"),
    "33 marshal": (pickled(call("marshal:loads", raw(b"x"))), "banned-global"),
    "33 FunctionType": (pickled(call("types:FunctionType", NONE)), "banned-global"),
    "34 cloudpickle": (
        pickled(call("cloudpickle.cloudpickle:_make_function", NONE)), "banned-global"),
    "35 pickle in a pickle": (pickled(call("_pickle:loads", raw(b"N."))), "banned-global"),
    "35 dill": (pickled(call("dill._dill:loads", raw(b"N."))), "banned-global"),
    "36 joblib.load": (pickled(call("joblib.numpy_pickle:load", text("x"))), "banned-global"),
    "37 load_files": (pickled(call("sklearn.datasets._base:load_files", text("x"))),
                      "banned-global"),
    "37 fetch_openml": (pickled(call("sklearn.datasets._openml:fetch_openml", text("x"))),
                        "banned-global"),
    "37 ScoringMonitor": (pickled(new("sklearn.callback._scoring:ScoringMonitor")),
                          "banned-global"),
    "38 any other of the standard library": (
        pickled(call("uuid:_get_command_stdout", text("x"))), "banned-global"),
    "38 read_pickle": (pickled(call("pandas.io.pickle:read_pickle", text("x"))), "banned-global"),
    "38 pandas.eval": (pickled(call("pandas:eval", text("x"))), "banned-global"),
    "38 numpy.load": (pickled(call("numpy:load", text("x"))), "banned-global"),
    # broken on purpose, after the call
    "41 call, then no opcode": (pickled(SYSTEM)[:-1] + b"\xff", "banned-global"),
    "42 call, then cut": (pickled(SYSTEM)[:-1] + b"\x8c\x40x", "banned-global"),
    "43 call, then POP": (pickled(SYSTEM + POP + number(1)), "dropped-value"),
    "44 call in the memo only": (pickled(SYSTEM + MEMOIZE + POP + EMPTY_LIST), "dropped-value"),
    "44 known call, hidden by a GET": (
        pickled(EMPTY_LIST + MEMOIZE + call("collections:OrderedDict") + POP + b"h\x00"
                + TUPLE2), "dropped-global"),
    "45 second pickle": (BENIGN + pickled(SYSTEM), "trailing-data"),
    "46 zeros after STOP": (BENIGN + bytes(16), "trailing-data"),
    "47 value over the end of its frame": (
        b"\x80\x04\x95" + struct.pack("<Q", 2) + raw(b"abcdef") + STOP, "broken-frame"),
    "48 frame in a frame": (
        b"\x80\x04\x95" + struct.pack("<Q", 20) + b"\x95" + struct.pack("<Q", 2) + b"N.",
        "nested-frame"),
    "48 frame longer than the file": (
        b"\x80\x04\x95" + struct.pack("<Q", 99) + b"N.", "malformed"),
    "49 PROTO in the middle": (pickled(NONE + TUPLE1 + b"\x80\x02"), "malformed"),
    "50 PROTO 6": (pickled(NONE, protocol=6), "malformed"),
    # bombs
    "51 memo index": (pickled(EMPTY_LIST + b"r" + u4(0x7FFFFFFF)), "malformed"),
    "51 memo index set twice": (pickled(EMPTY_LIST + b"q\x00" + b"q\x00"), "malformed"),
    "52 length": (pickled(b"\x8e" + struct.pack("<Q", 2**40)), "truncated"),
    "53 billion laughs": (pickled(MARK + LAUGHS + TUPLE), "limit"),
    "54 deep tuples": (pickled(EMPTY_TUPLE + TUPLE1 * 200_000), "limit"),
    "54 deep marks": (pickled(MARK * 20_000), "limit"),
    "55 deep key": (
        pickled(EMPTY_DICT + NONE + TUPLE1 * 200_000 + NONE + SETITEM), "limit"),
    "56 digits": (b"L" + b"9" * 60_000 + b"L\n.", "unsupported-format"),
    "56 endless line": (b"L" + b"9" * 200_000, "unsupported-format"),
    "56 octal": (pickled(b"I010\n"), "malformed"),
    "56 hexadecimal": (pickled(b"L0x10L\n"), "malformed"),
    "56 underscore": (pickled(b"Np1_0\n"), "malformed"),
    "56 LONG4": (pickled(b"\x8b" + u4(100_000) + bytes(100_000)), "limit"),
    "59 ndarray by its constructor": (
        pickled(call("numpy:ndarray", number(2**31 - 1) + TUPLE1)), "unexpected-role"),
    "59 bytearray by its length": (
        pickled(call("builtins:bytearray", number(2**31 - 1))), "bad-arguments"),
    # known callables that call what they are given
    "generator made by another callable": (
        pickled(call("numpy.random._pickle:__generator_ctor", text("x"), name("builtins:bytes"))),
        "bad-arguments"),
    "generator made by an object that can be called": (
        pickled(call("numpy.random._pickle:__generator_ctor", text("x"),
                     new("numpy:vectorize", pyfunc=name("numpy:mean")))), "bad-arguments"),
    "index made by a class that reads files": (
        pickled(call("pandas.core.indexes.base:_new_Index", name("xgboost.core:Booster"),
                     table(model_file=text("x")))), "bad-arguments"),
    # numpy and joblib
    "57 scalar of objects": (
        pickled(call("numpy.core.multiarray:scalar", dtype("O8"), raw(bytes(8)))),
        "bad-arguments"),
    "57 buffer of objects": (
        pickled(call("numpy._core.numeric:_frombuffer", raw(bytes(8)), dtype("O8"),
                     number(1) + TUPLE1, text("C"))), "bad-arguments"),
    # numpy trusts a dtype, from which joblib gets the number of bytes and whether they are a pickle
    "57 dtype of no size": (pickled(wrapper("i", number(4) + TUPLE1) + b"abcd"), "broken-array"),
    "57 flags of objects on numbers": (
        pickled(wrapper(dtype("f8", flags=63), number(1) + TUPLE1) + bytes(8)), "broken-array"),
    "57 flags of numbers on objects": (
        pickled(call("numpy._core.multiarray:_reconstruct", name("numpy:ndarray"),
                     number(0) + TUPLE1, raw(b"b"))
                + many(number(1), number(1) + TUPLE1, dtype("O8", flags=0), FALSE, raw(bytes(8)))
                + BUILD), "bad-arguments"),
    "57 size of numbers in the state": (
        pickled(wrapper(dtype("f8", size=1), number(8) + TUPLE1) + bytes(8)), "broken-array"),
    "57 dtype without a state": (
        pickled(wrapper(call("numpy:dtype", text("f8"), FALSE, TRUE), number(1) + TUPLE1)
                + bytes(8)), "broken-array"),
    "57 state of the dtype that all share": (
        pickled(wrapper(call("numpy:dtype", text("V1"), FALSE, FALSE)
                        + many(number(3), text("|"), NONE, NONE, NONE, number(1), number(1),
                               number(0)) + BUILD, number(1) + TUPLE1) + bytes(1)),
        "broken-array"),
    "57 two states of a dtype": (
        pickled(dtype("f8") + many(number(3), text("|"), NONE, NONE, NONE, number(-1), number(-1),
                                   number(0)) + BUILD), "bad-arguments"),
    "57 field beyond its array": (
        pickled(dtype("V8", size=8, fields=table(a=dtype("f8") + number(8) + TUPLE2))),
        "bad-arguments"),
    "57 field that is changed afterwards": (
        pickled(table(a=dtype("u8") + number(0) + TUPLE2) + MEMOIZE
                + dtype("V8", size=8, fields=b"h\x00")
                + b"h\x00" + text("a") + dtype("O8") + number(0) + TUPLE2 + SETITEM + TUPLE2),
        "bad-arguments"),
    "57 subarray of objects": (
        pickled(dtype("V8", size=8, subarray=dtype("O8") + number(1) + TUPLE1 + TUPLE2)),
        "bad-arguments"),
    "58 memmap": (pickled(call("numpy:memmap", text("x"))), "banned-global"),
    "60 _reconstruct of a foreign class": (
        pickled(call("numpy.core.multiarray:_reconstruct", name("subprocess:Popen"),
                     number(0) + TUPLE1, raw(b"b"))), "bad-arguments"),
    "61 another codec": (
        pickled(call("_codecs:encode", text("x"), text("zlib_codec"))), "bad-arguments"),
    "62 nested pickle of joblib": (
        pickled(wrapper("O8", number(1) + TUPLE1) + pickled(SYSTEM)), "banned-global"),
    "63 call after the bytes of an array": (
        pickled(wrapper("i1", number(4) + TUPLE1) + b"abcd" + SYSTEM + TUPLE2), "banned-global"),
    "65 more values than bytes": (
        pickled(wrapper("f8", number(2**31 - 1) + TUPLE1) + bytes(16)), "truncated"),
    "65 padding that is none": (
        pickled(wrapper("i1", number(2) + TUPLE1, numpy_array_alignment_bytes=number(16))
                + b"\x03zzzab"), "broken-array"),
    "65 attribute of the wrapper by a string of numpy": (
        pickled(name(WRAPPER) + EMPTY_TUPLE + NEWOBJ + EMPTY_DICT + NUMPY_NAME + NONE + SETITEM
                + BUILD), "broken-array"),
    "65 method of the wrapper": (
        pickled(wrapper("i1", number(2) + TUPLE1, read=name("builtins:list")) + b"ab"),
        "broken-array"),
    "65 bytes of a wrapper by an old pickler": (
        pickled(old(WRAPPER) + table(subclass=name("numpy:ndarray"), shape=number(2) + TUPLE1,
                                     order=text("C"), dtype=dtype("i1")) + BUILD), "truncated"),
    "59 masked array of a size": (
        pickled(call("numpy.ma.core:_mareconstruct", name("numpy.ma:MaskedArray"),
                     name("numpy:ndarray"), number(2**31 - 1) + TUPLE1, raw(b"b"))),
        "bad-arguments"),
    "66 array in another file": (
        pickled(new("joblib.numpy_pickle:NDArrayWrapper", filename=text("../x.npy"))),
        "unsupported-format"),
    "67 container of old joblib": (b"ZF0x10                " + zlib.compress(pickled(SYSTEM)),
                                   "unsupported-format"),
    "68 dtype that is none": (
        pickled(new("joblib.numpy_pickle:NumpyArrayWrapper", subclass=name("numpy:ndarray"),
                    shape=number(1) + TUPLE1, order=text("C"), dtype=new(SCALER))),
        "broken-array"),
    # containers
    "69 zlib": (zlib.compress(pickled(SYSTEM)), "banned-global"),
    "70 gzip": (gzip.compress(pickled(SYSTEM)), "banned-global"),
    "71 bz2": (bz2.compress(pickled(SYSTEM)), "banned-global"),
    "72 xz": (lzma.compress(pickled(SYSTEM)), "banned-global"),
    "72 lzma": (lzma.compress(pickled(SYSTEM), lzma.FORMAT_ALONE), "banned-global"),
    "73 bomb": (gzip.compress(pickled(raw(bytes(60_000_000)))), "decompression-bomb"),
    "74 second stream of zlib": (zlib.compress(BENIGN) + zlib.compress(pickled(SYSTEM)),
                                 "trailing-data"),
    "74 second member of gzip": (gzip.compress(BENIGN) + gzip.compress(pickled(SYSTEM)),
                                 "trailing-data"),
    "74 second pickle in the stream": (zlib.compress(BENIGN + pickled(SYSTEM)), "trailing-data"),
    "74 cut stream": (gzip.compress(BENIGN)[:-12], "truncated"),
    "74 broken stream": (zlib.compress(BENIGN * 9)[:40] + bytes(30), "broken-container"),
    "74 nested compression": (
        gzip.compress(zlib.compress(pickled(SYSTEM))), "unsupported-format"),
    "75 torch": (torch_zip(), "unsupported-format"),
    "76 torch with a wrong checksum": (torch_zip(crc=False), "unsupported-format"),
    "78 pickle with a zip behind it": (BENIGN + torch_zip(), "trailing-data"),
    # grammar
    "80 call of a computed value": (pickled(NONE + EMPTY_TUPLE + REDUCE), "computed-call"),
    "80 call of a called value": (
        pickled(call("collections:OrderedDict") + EMPTY_TUPLE + REDUCE), "computed-call"),
    "81 APPENDS onto an estimator": (
        pickled(new(SCALER) + MARK + number(1) + APPENDS), "bad-items"),
    "81 SETITEM onto an estimator": (pickled(new(SCALER) + NONE + NONE + SETITEM), "bad-items"),
    "81 APPEND onto a number": (pickled(number(1) + number(1) + APPEND), "malformed"),
    "82 module that is no string": (pickled(number(1) + number(2) + STACK_GLOBAL), "bad-name"),
    "83 _reconstructor of a foreign class": (
        pickled(call("copyreg:_reconstructor", name("subprocess:Popen"),
                     name("builtins:object"), NONE)), "banned-global"),
    "84 defaultdict(os.system)": (
        pickled(call("collections:defaultdict", name("posix:system"))), "banned-global"),
    "84 defaultdict(a known class)": (
        pickled(call("collections:defaultdict", name(SCALER))), "bad-arguments"),
    "85 __class__ in a state": (pickled(new(SCALER, __class__=NONE)), "bad-state"),
    "85 slots in a state, made by an old pickler": (
        pickled(old(SCALER) + many(NONE, table(fit=NONE)) + BUILD), "bad-state"),
    "85 slots in a state": (
        pickled(new(SCALER) + many(NONE, table(fit=NONE)) + BUILD), "bad-state"),
    "86 zero-width space": (pickled(name("o\u200bs:system")), "bad-name"),
    "86 NUL": (pickled(name("os\0:system")), "bad-name"),
    "86 letter that looks like another": (pickled(name("\u043es:system")), "bad-name"),
    "87 carriage return": (b"cposix\r\nsystem\r\n(S'true'\ntR.", "unsupported-format"),
    "88 empty": (b"", "empty-file"),
    "89 bytes of all kinds": (bytes(range(256)) * 4, "unsupported-format"),
    "90 cut": (BENIGN[:-20], "truncated"),
    "100 long module": (pickled(name("a" * 10_000 + ":b")), "bad-name"),
    "100 very many names": (
        b"".join(b"cm\nn%d\n0" % i for i in range(10)) + b"N.", "dropped-value"),
    "100 names beyond counting": (
        pickled(EMPTY_LIST + MARK + b"".join(b"cm\nn%d\n" % i for i in range(6_000)) + APPENDS),
        "limit"),
    "DUP": (pickled(NONE + b"2" + TUPLE2), "forbidden-opcode"),
    "NEXT_BUFFER": (pickled(b"\x97", protocol=5), "forbidden-opcode"),
    "GET of nothing": (pickled(b"h\x05"), "malformed"),
    "unknown class of sklearn, called": (
        pickled(call("sklearn.linear_model._base:LinearRegression")), "unexpected-role"),
    "framed os.system": (framed(SYSTEM), "banned-global"),
}


# fmt: off
UNKNOWN = {
    "39 function of a third party": (call("some_pkg.mod:helper"), {"some_pkg.mod:helper"}),
    "40 class of __main__": (new("__main__:Model"), {"__main__:Model"}),
    "class of scikit-learn that is not known": (
        new("sklearn.linear_model._new:Better", coef_=NONE), {"sklearn.linear_model._new:Better"}),
    "class in a class": (new("pkg.models:Outer.Inner"), {"pkg.models:Outer.Inner"}),
    "two": (call("a.b:f", name("c:G")), {"a.b:f", "c:G"}),
}


RECONSTRUCT = call(
    "numpy._core.multiarray:_reconstruct", name("numpy:ndarray"), number(0) + TUPLE1, raw(b"b")
)


GET = b"h"


def sequence(*values):
    return EMPTY_LIST + MARK + b"".join(values) + APPENDS


def array(kind, count, content):
    return RECONSTRUCT + many(number(1), number(count) + TUPLE1, kind, FALSE, content) + BUILD


def record(*fields, size, flags=27):
    """Return a structured dtype of (name, dtype, offset)."""
    table_ = EMPTY_DICT + MARK + b"".join(text(n) + many(d, number(o)) for n, d, o in fields)
    state = many(number(3), text("|"), NONE, many(*(text(n) for n, _, _ in fields)),
                 table_ + SETITEMS, number(size), number(1), number(flags))  # fmt: skip
    return call("numpy:dtype", text(f"V{size}"), FALSE, TRUE) + state + BUILD


def distribution(**positions):
    state = table(bit_generator=text("MT19937"), state=table(key=NONE, **positions))
    return call("numpy.random._pickle:__randomstate_ctor", text("MT19937")) + state + BUILD


OBJECT = dtype("O8")


# fmt: off
FALSE_CLAIMS = {
    "array of more objects than its list holds": (array(OBJECT, 100, sequence(NONE)),
                                                  "broken-array"),
    "list that grows after numpy has read it": (
        EMPTY_LIST + MEMOIZE + array(OBJECT, 3, GET + b"\0") + GET + b"\0" + MARK + NONE * 3
        + APPENDS + TUPLE2, "broken-array"),
    "number at the place of an object": (
        record(("a", OBJECT, 0), ("b", dtype("u8"), 0), size=8), "bad-arguments"),
    "number in a part of an object": (
        record(("a", OBJECT, 0), ("b", dtype("u4"), 4), size=8), "bad-arguments"),
    "object in four bytes": (record(("a", dtype("O4"), 0), size=4), "bad-arguments"),
    "objects that numpy would not clear at first": (dtype("O8", flags=3), "bad-arguments"),
    "fewer numbers than stated": (array(dtype("f8"), 4, raw(bytes(8))),
                                                   "broken-array"),
    "number stated as a list": (array(dtype("f8"), 1, sequence(NONE)), "broken-array"),
    "more numbers than can be counted": (
        RECONSTRUCT + many(number(1), many(b"\x8a\x05\0\0\0\0\1", b"\x8a\x05\0\0\0\0\1"),
                           dtype("i1"), FALSE, text("")) + BUILD, "broken-array"),
    "array of arrays that numpy would not make": (
        array(dtype("V16", size=16, subarray=dtype("f8") + number(2) + TUPLE1 + TUPLE2), 1,
              raw(bytes(16))), "broken-array"),
    "array of a masked array": (
        call("numpy.ma.core:_mareconstruct", name("numpy.ma:MaskedArray"), name("numpy:ndarray"),
             number(0) + TUPLE1, raw(b"b"))
        + many(number(1), number(9) + TUPLE1, OBJECT, FALSE, sequence(NONE), raw(bytes(9)), NONE)
        + BUILD, "broken-array"),
    "metadata that is no dict": (
        call("numpy:dtype", text("f8"), FALSE, TRUE)
        + many(number(4), text("<"), NONE, NONE, NONE, number(-1), number(-1), number(0),
               number(5)) + BUILD, "bad-arguments"),
    "numbers in the memory of objects": (
        call("numpy._core.numeric:_frombuffer", array(OBJECT, 1, sequence(NONE)), dtype("f8"),
             number(1) + TUPLE1, text("C")), "bad-arguments"),
    "numbers in memory that is given back": (
        array(dtype("f8"), 1, raw(bytes(8))) + MEMOIZE
        + call("numpy._core.numeric:_frombuffer", GET + b"\0", dtype("f8"), number(1) + TUPLE1,
               text("C"))
        + GET + b"\0" + many(number(1), number(1) + TUPLE1, dtype("f8"), FALSE, raw(bytes(8)))
        + BUILD + TUPLE3, "bad-arguments"),
    "position beyond the numbers of a generator": (distribution(pos=number(10**6)),
                                                   "bad-arguments"),
    "position before the numbers of a generator": (distribution(pos=number(-1)), "bad-arguments"),
    "position in a state of old numpy": (
        call("numpy.random:__RandomState_ctor")
        + many(text("MT19937"), NONE, number(625), number(0)) + BUILD, "bad-arguments"),
    "position with a key that is not a string": (
        call("numpy.random._pickle:__randomstate_ctor", text("MT19937"))
        + EMPTY_DICT + NONE + NONE + SETITEM + BUILD, "bad-state"),
    "position in the buffer of Philox": (
        call("numpy.random._pickle:__bit_generator_ctor", text("Philox"))
        + many(table(buffer_pos=number(-9)), NONE) + BUILD, "bad-arguments"),
    # what one joblib skips, another takes for opcodes
    "arrays of two joblibs": (
        many(wrapper("i1", number(1) + TUPLE1) + b"N",
             wrapper("i1", number(1) + TUPLE1).replace(
                 text("joblib.numpy_pickle"), text("sklearn.externals.joblib.numpy_pickle")) + b"N"
             ), "two-joblibs"),
    "padding that old joblib does not skip": (
        wrapper("i1", number(1) + TUPLE1, numpy_array_alignment_bytes=number(16)).replace(
            text("joblib.numpy_pickle"), text("sklearn.externals.joblib.numpy_pickle"))
        + b"\x02\xff\xffN", "broken-array"),
    # what a request could do with it
    "vectorizer that opens what a row names": (
        new("sklearn.feature_extraction.text:CountVectorizer", input=text("filename")),
        "bad-arguments"),
    "vectorizer, named by a string of numpy": (
        new("sklearn.feature_extraction.text:CountVectorizer", input=call(
            "numpy._core.multiarray:scalar", dtype("U8", size=32, flags=8),
            raw("filename".encode("utf-32-le")))), "bad-arguments"),
    "function that opens a file by its name": (
        new("sklearn.preprocessing._function_transformer:FunctionTransformer",
            func=name("xgboost.core:Booster"), kw_args=table(model_file=text("x"))),
        "unexpected-role"),
    # what little can cost much
    "deque of a range": (
        call("collections:deque", call("builtins:range", b"\x8a\x06\0\0\0\0\0\x10")),
        "bad-arguments"),
    "state that a thousand objects share": (
        many(table(**{f"k{i}": NONE for i in range(3000)}) + MEMOIZE,
             *[new("sklearn.svm._classes:SVC") + GET + b"\0" + BUILD] * 3000), "limit"),
    "arguments that a thousand calls share": (
        many(many(*[number(1)] * 30_000) + MEMOIZE,
             *[name("builtins:set") + GET + b"\0" + TUPLE1 + b"R"] * 3000), "limit"),
    "fields beyond counting": (
        record(*((f"f{i}", dtype("i1"), i) for i in range(300)), size=300, flags=0),
        "bad-arguments"),
}
