"""Files that claim more memory than they have bytes."""

from opcodes import (
    APPENDS,
    BUILD,
    EMPTY_DICT,
    EMPTY_LIST,
    FALSE,
    MARK,
    MEMOIZE,
    NONE,
    SETITEM,
    SETITEMS,
    TRUE,
    TUPLE1,
    TUPLE2,
    TUPLE3,
    call,
    dtype,
    many,
    name,
    new,
    number,
    raw,
    table,
    text,
    wrapper,
)

RECONSTRUCT = call(
    "numpy._core.multiarray:_reconstruct", name("numpy:ndarray"), number(0) + TUPLE1, raw(b"b")
)


GET = b"h"


def sequence(*values):
    return EMPTY_LIST + MARK + b"".join(values) + APPENDS


def array(kind, count, content):
    return RECONSTRUCT + many(number(1), number(count) + TUPLE1, kind, FALSE, content) + BUILD


def record(*fields, size, flags=27):
    """A structured dtype of (name, dtype, offset)."""
    table_ = EMPTY_DICT + MARK + b"".join(text(n) + many(d, number(o)) for n, d, o in fields)
    state = many(number(3), text("|"), NONE, many(*(text(n) for n, _, _ in fields)),
                 table_ + SETITEMS, number(size), number(1), number(flags))  # fmt: skip
    return call("numpy:dtype", text(f"V{size}"), FALSE, TRUE) + state + BUILD


def distribution(**positions):
    state = table(bit_generator=text("MT19937"), state=table(key=NONE, **positions))
    return call("numpy.random._pickle:__randomstate_ctor", text("MT19937")) + state + BUILD


OBJECT = dtype("O8")


# fmt: off
LIES = {
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
    "numbers of which there are fewer than told": (array(dtype("f8"), 4, raw(bytes(8))),
                                                   "broken-array"),
    "numbers told by a list": (array(dtype("f8"), 1, sequence(NONE)), "broken-array"),
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
    "position told by a key that is no string": (
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
    "vectorizer, told by a string of numpy": (
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
