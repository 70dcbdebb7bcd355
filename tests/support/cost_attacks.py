"""Files that cost an inspector time or memory. Nothing here is ever loaded.

Each function returns a file that grows with `size`, its approximate length in bytes without
compression. A file of double the length may take double the time.
"""

import json
import random
import struct
from pathlib import Path

import onnx_models as onnx
from opcodes import (
    APPENDS,
    BUILD,
    EMPTY_DICT,
    EMPTY_LIST,
    EMPTY_TUPLE,
    MARK,
    MEMOIZE,
    NEWOBJ,
    NONE,
    SETITEMS,
    STACK_GLOBAL,
    TUPLE,
    TUPLE1,
    TUPLE2,
    call,
    dtype,
    many,
    name,
    new,
    number,
    pickled,
    raw,
    text,
    u4,
)
from zips import zip_archive

ROOT = Path(__file__).parents[2]
MODULUS = 2**61 - 1
"""Integers that differ by a multiple of it have the same hash in CPython."""

FOREST = "sklearn.ensemble._forest:RandomForestClassifier"
VECTORIZER = "sklearn.feature_extraction.text:CountVectorizer"
SCALER = "sklearn.preprocessing._data:StandardScaler"
LOGISTIC = "sklearn.linear_model._logistic:LogisticRegression"
CSR = "scipy.sparse._csr:csr_matrix"


def integer(value):
    """LONG1 of any integer."""
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def big_integer(value):
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8b" + struct.pack("<i", len(data)) + data


def decimal(value):
    """BINFLOAT."""
    return b"G" + struct.pack(">d", value)


def pickled_list(values):
    return EMPTY_LIST + MARK + b"".join(values) + APPENDS


def mapping(pairs):
    return EMPTY_DICT + MARK + b"".join(key + value for key, value in pairs) + SETITEMS


def get(index):
    return b"j" + u4(index)


def array(kind, shape, data):
    """An array of numpy as protocol 4 writes it."""
    state = many(number(1), many(*map(integer, shape)), dtype(kind), b"\x89", data)
    head = call("numpy._core.multiarray:_reconstruct", name("numpy:ndarray"), many(number(0)),
                b"C\x01b")  # fmt: skip
    return head + state + BUILD


def floats(count):
    return array("f8", (count,), raw(bytes(8 * count)))


def repeated(key, attribute, value, size, *, memos=0):
    """Objects of one class with one attribute that together take `size` bytes.

    Args:
        memos: How many values were memoised before.
    """
    first = name(key) + MEMOIZE + b")\x81}" + text(attribute) + MEMOIZE + value + b"sb"
    again = b"h%c)\x81}h%c" % (memos, memos + 1) + value + b"sb"
    return first + again * (size // len(again))


def _colliding(count):
    return (integer(MODULUS * i) for i in range(1, count + 1))


# --- keys ----------------------------------------------------------------------------------------


def vocabulary_of_integers(size):
    pairs = ((key, number(i)) for i, key in enumerate(_colliding(size // 16)))
    return pickled(new(VECTORIZER, vocabulary_=mapping(pairs)))


def vocabulary_of_floats(size):
    keys = (decimal(float(m) * 2.0 ** (61 * e)) for m in range(1, size) for e in range(-16, 16))
    pairs = zip(keys, map(number, range(size // 14)), strict=False)
    return pickled(new(VECTORIZER, vocabulary_=mapping(pairs)))


def vocabulary_of_tuples(size):
    pairs = ((key + TUPLE1, number(i)) for i, key in enumerate(_colliding(size // 17)))
    return pickled(new(VECTORIZER, vocabulary_=mapping(pairs)))


def vocabulary_shared(size):
    terms = mapping((text(f"term{i}"), number(i)) for i in range(size // 40))
    one = name(VECTORIZER) + EMPTY_TUPLE + NEWOBJ + EMPTY_DICT + MARK
    one += text("vocabulary_") + get(0) + SETITEMS + BUILD
    return pickled(pickled_list([terms + MEMOIZE, one * (size // 250)]))


def labels_of_integers(size):
    pairs = ((key, number(i)) for i, key in enumerate(_colliding(size // 16)))
    return pickled(new("sklearn.preprocessing._label:MultiLabelBinarizer",
                       _cached_dict=mapping(pairs)))  # fmt: skip


def state_of_integers(size):
    return pickled(name(SCALER) + EMPTY_TUPLE + NEWOBJ
                   + mapping((key, NONE) for key in _colliding(size // 11)) + BUILD)  # fmt: skip


def state_of_integers_of_unknown_class(size):
    return pickled(name("own:Model") + EMPTY_TUPLE + NEWOBJ
                   + mapping((key, NONE) for key in _colliding(size // 11)) + BUILD)  # fmt: skip


def dict_of_integers(size):
    return pickled(mapping((key, NONE) for key in _colliding(size // 11)))


def label_map_of_integers(size):
    labels = mapping((key, text("a")) for key in _colliding(size // 13))
    scaler = new(LOGISTIC, classes_=array("i8", (3,), raw(struct.pack("<3q", 0, 1, 2))))
    return pickled(mapping([(text("model"), scaler), (text("idx2label"), labels)]))


def sparse_keys(size):
    keys = mapping((number(i) + number(i) + TUPLE2, NONE) for i in range(size // 12))
    return pickled(new("scipy.sparse._dok:dok_matrix", _dict=keys,
                       _shape=number(2**30) + number(2**30) + TUPLE2))  # fmt: skip


def nested_keys(size):
    inner = NONE + TUPLE1 * 100
    return pickled(mapping((inner, NONE) for _ in range(size // 102)))


def wide_tuples_as_keys(size):
    wide = MARK + NONE * 1000 + TUPLE
    return pickled(mapping((wide, NONE) for _ in range(size // 1003)))


# --- values that are shared ----------------------------------------------------------------------


def estimators_that_share_a_state(size):
    """A state of 100 attributes, given to one estimator after the other."""
    state = mapping((text(f"attribute{i}"), NONE) for i in range(100)) + MEMOIZE
    estimator = b"h\x01)\x81h\x00b"
    first = name(FOREST) + MEMOIZE + b")\x81h\x00b"
    return pickled(pickled_list([state, first, estimator * (size // len(estimator))]))


def estimators(size):
    """Estimators with a short state of their own."""
    return pickled(pickled_list([repeated(FOREST, "n_jobs", NONE, size)]))


def steps_of_a_pipeline(size):
    first = text("s") + name(SCALER) + MEMOIZE + b")\x81}" + text("mean_") + MEMOIZE + b"Nsb\x86"
    step = b"\x8c\x01sh\x00)\x81}h\x01Nsb\x86"
    steps = pickled_list([first, step * (size // len(step))])
    return pickled(new("sklearn.pipeline:Pipeline", steps=steps))


def members_of_a_voting(size):
    members = pickled_list([repeated(LOGISTIC, "C", NONE, size)])
    return pickled(new("sklearn.ensemble._voting:VotingClassifier", estimators_=members))


def doubled_tuples(size):
    """Build pairs of the previous pair: 2**n values in n tuples."""

    body = b"N" + MEMOIZE + b"".join(get(i) + get(i) + TUPLE2 + MEMOIZE for i in range(150))
    return pickled(pickled_list([body, NONE * size]))


def doubled_keys(size):
    """A key of 2**30 values, which hashing and comparing would visit."""
    body = b"N" + MEMOIZE + b"".join(get(i) + get(i) + TUPLE2 + MEMOIZE for i in range(30))
    return pickled(pickled_list([body, *(b"}" + get(30) + b"Ns" for _ in range(size // 8))]))


def shared_list(size):
    """A list of half of the file, which each of the rest holds."""
    half = size // 2
    items = pickled_list([NONE * half]) + MEMOIZE
    return pickled(pickled_list([items, b"h\x00" * (half // 2)]))


def shared_list_in_estimators(size):
    half = size // 2
    items = pickled_list([NONE * half]) + MEMOIZE
    return pickled(pickled_list([items, repeated(FOREST, "estimators_", b"h\x00", half, memos=1)]))


def shared_list_of_steps(size):
    half = size // 2
    step = text("a") + new(SCALER, mean_=NONE) + TUPLE2 + MEMOIZE
    steps = EMPTY_LIST + MEMOIZE + MARK + step + b"h\x01" * (half // 2) + APPENDS
    pipelines = repeated("sklearn.pipeline:Pipeline", "steps", b"h\x00", half, memos=2)
    return pickled(pickled_list([steps, pipelines]))


def shared_array(size):
    """One array of floats, which many objects hold."""
    half = size // 2
    numbers = floats(half // 8) + MEMOIZE
    return pickled(pickled_list([numbers, repeated(LOGISTIC, "coef_", b"h\x00", half, memos=1)]))


def shared_indices(size):
    """One array of indices, which many sparse matrices hold."""
    half = size // 2
    count = half // 4
    indices = array("i4", (count,), raw(bytes(4 * count))) + MEMOIZE
    values = array("f4", (count,), raw(bytes(4 * count))) + MEMOIZE
    starts = array("i4", (2,), raw(struct.pack("<2i", 0, count))) + MEMOIZE
    one = new(CSR, indices=b"h\x00", data=b"h\x01", indptr=b"h\x02",
              _shape=number(1) + number(1) + TUPLE2)  # fmt: skip
    return pickled(pickled_list([indices, values, starts, one * (half // len(one))]))


def shared_nodes(size):
    """One array of objects, which many ensembles hold."""
    half = size // 2
    count = half // 2
    items = array("O8", (count, 1), pickled_list([b"N" * count])) + MEMOIZE
    one = new("sklearn.ensemble._gb:GradientBoostingClassifier", estimators_=b"h\x00",
              classes_=NONE)  # fmt: skip
    return pickled(pickled_list([items, one * (half // len(one))]))


def shared_categories(size):
    half = size // 2
    count = half // 12
    values = array("O8", (count,), pickled_list(text(f"value{i}") for i in range(count))) + MEMOIZE
    one = new(
        "sklearn.preprocessing._encoders:OrdinalEncoder", categories_=pickled_list([b"h\x00"])
    )
    return pickled(pickled_list([values, one * (half // len(one))]))


def categories_of_one_encoder(size):
    half = size // 2
    count = half // 12
    values = array("O8", (count,), pickled_list(text(f"value{i}") for i in range(count))) + MEMOIZE
    shared = pickled_list([values, b"h\x00" * (half // 2)])
    return pickled(new("sklearn.preprocessing._encoders:OrdinalEncoder", categories_=shared,
                       n_features_in_=number(half // 2 + 1)))  # fmt: skip


def columns_of_one_transformer(size):
    """Steps of a ColumnTransformer that all take the same list of columns."""
    half = size // 2
    columns = pickled_list(text(f"column{i}") for i in range(half // 12)) + MEMOIZE
    scaler = new(SCALER, mean_=NONE) + MEMOIZE
    step = text("s") + b"h\x01h\x00\x87"
    steps = pickled_list([step * (half // len(step))])
    transformer = new("sklearn.compose._column_transformer:ColumnTransformer", transformers_=steps)
    return pickled(pickled_list([columns, scaler, transformer]))


def long_name_of_many_columns(size):
    """One long text in the place of many names."""
    half = size // 2
    names = array(
        "O8", (half // 2,), pickled_list([text("x" * half) + MEMOIZE + b"h\x00" * (half // 2 - 1)])
    )
    return pickled(new(LOGISTIC, feature_names_in_=names, coef_=floats(2), classes_=NONE))


def long_name_of_many_classes(size):
    count = size // 4
    names = array(
        "O8", (count,), pickled_list([text("x" * count) + MEMOIZE + b"h\x00" * (count - 1)])
    )
    return pickled(new(LOGISTIC, classes_=names, coef_=floats(2)))


# --- opcodes -------------------------------------------------------------------------------------


def empty_lists(size):
    return pickled(pickled_list([EMPTY_LIST * size]))


def empty_dicts(size):
    return pickled(pickled_list([EMPTY_DICT * size]))


def memoized_lists(size):
    return pickled(pickled_list([(EMPTY_LIST + MEMOIZE) * (size // 2)]))


def marks(size):
    return pickled(MARK * 9_000 + NONE * size)


def states_of_one_object(size):
    state = b"}" + BUILD
    return pickled(name("own:Model") + EMPTY_TUPLE + NEWOBJ + state * (size // 2))


def states_of_a_known_object(size):
    return pickled(name(SCALER) + EMPTY_TUPLE + NEWOBJ + (b"}" + BUILD) * (size // 2))


def states_of_a_dtype(size):
    state = b"(K\x03\x8c\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t" + MEMOIZE + BUILD
    again = b"h\x00" + BUILD
    dtype = call("numpy:dtype", text("f8"), b"\x89", b"\x88") + state
    return pickled(dtype + again * (size // 3))


def fields_of_a_dtype(size):
    """A dtype of 250 fields that is given the same state again and again."""
    fields = mapping((text(f"f{i}"), dtype("f8") + number(8 * i) + TUPLE2) for i in range(250))
    names = many(*(text(f"f{i}") for i in range(250)))
    state = many(number(3), text("|"), NONE, names, fields, number(2000), number(1), number(16))
    structured = call("numpy:dtype", text("V2000"), b"\x89", b"\x88")
    return pickled(structured + state + MEMOIZE + BUILD + (b"h\x00" + BUILD) * (size // 3))


def arrays_of_one_state(size):
    """The state of an array of objects is given to many arrays."""
    half = size // 2
    state = many(number(1), many(number(half)), dtype("O8"), b"\x89", pickled_list([NONE * half]))
    array = call("numpy._core.multiarray:_reconstruct", name("numpy:ndarray"), many(number(0)),
                b"C\x01b")  # fmt: skip
    return pickled(pickled_list([state + MEMOIZE, (array + b"h\x00b") * (half // len(array))]))


def attributes_of_one_object(size):
    items = mapping((text(f"attribute{i}"), NONE) for i in range(size // 16))
    return pickled(name(SCALER) + EMPTY_TUPLE + NEWOBJ + items + BUILD)


def setitems_of_one_dict(size):
    return pickled(EMPTY_DICT + b"".join(text(f"key{i}") + b"Ns" for i in range(size // 12)))


def different_names(size):
    """Names of 500 characters each, 4,999 at the most."""
    keys = (f"own:C{'x' * 490}{i}" for i in range(min(size // 505, 4_999)))
    return pickled(pickled_list(map(name, keys)))


def one_name_again_and_again(size):
    return pickled(pickled_list([name("own:Model") * (size // 13)]))


def long_name_again_and_again(size):
    first = text("m" * 500) + MEMOIZE + text("N" * 500) + MEMOIZE + STACK_GLOBAL
    return pickled(pickled_list([first, b"h\x00h\x01\x93" * (size // 5)]))


def deep_name_again_and_again(size):
    first = text("m." * 200 + "m") + MEMOIZE + text("N." * 200 + "N") + MEMOIZE + STACK_GLOBAL
    return pickled(pickled_list([first, b"h\x00h\x01\x93" * (size // 5)]))


def calls(size):
    first = name("own:function") + MEMOIZE + b")R"
    return pickled(pickled_list([first, b"h\x00)R" * (size // 4)]))


def arguments_of_many_calls(size):
    """One tuple of arguments is given to many calls of a class."""
    half = size // 2
    first = name("own:Model") + MEMOIZE + MARK + NONE * half + TUPLE + MEMOIZE + NEWOBJ
    return pickled(pickled_list([first, b"h\x00h\x01\x81" * (half // 5)]))


def arguments_of_one_dtype(size):
    """A dtype with many arguments is given a state again and again."""
    half = size // 2
    dtype = name("numpy:dtype") + MARK + text("f8") + NONE * half + TUPLE + b"R"
    return pickled(dtype + EMPTY_TUPLE + MEMOIZE + BUILD + b"h\x00b" * (half // 3))


def lists_in_place_of_arguments(size):
    """One list is an argument of many calls that take pairs."""
    half = size // 2
    pairs = pickled_list([NONE + NONE + TUPLE2] * (half // 3))
    first = name("collections:OrderedDict") + MEMOIZE + pairs + TUPLE1 + MEMOIZE + b"R"
    return pickled(pickled_list([first, b"h\x00h\x01R" * (half // 5)]))


def findings(size):
    """Thousands of names, each of which is a finding."""
    keys = [f"own{i}:Model" for i in range(min(size // 40, 4_999))]
    return pickled(pickled_list(name(key) + EMPTY_TUPLE + NEWOBJ for key in keys))


def big_integers(size):
    return pickled(pickled_list(big_integer((1 << 8_000) + i) for i in range(size // 1010)))


def integers_of_text(size):
    line = b"L" + b"9" * 1_000 + b"L\n"
    return b"(l" + (line + b"a") * (size // 1_004) + b"."


def long_lines(size):
    line = b"V" + b"\\u0041" * 10_000 + b"\n"
    return b"(l" + (line + b"a") * (size // len(line)) + b"."


def kept_texts(size):
    """Texts that are just short enough to be kept."""
    one = text("\u20ac" * 1_300)
    return pickled(pickled_list([one * (size // len(one))]))


def _scalars(values):
    """Numbers of numpy, all with one dtype."""
    first = name("numpy._core.multiarray:scalar") + MEMOIZE + dtype("i8") + MEMOIZE
    for value in values:
        yield first + b"C\x08" + struct.pack("<q", value) + b"\x86R"
        first = b"h\x00h\x01"


def scalars_of_numpy(size):
    return pickled(pickled_list(_scalars(range(size // 16))))


def vocabulary_of_scalars(size):
    count = size // 30
    pairs = zip((text(f"term{i}") for i in range(count)), _scalars(range(count)), strict=True)
    return pickled(new(VECTORIZER, vocabulary_=mapping(pairs)))


# --- facts ---------------------------------------------------------------------------------------


def names_of_columns(size):
    count = size // 14
    names = array("O8", (count,), pickled_list(text(f"column{i}") for i in range(count)))
    return pickled(new(LOGISTIC, feature_names_in_=names, n_features_in_=number(count),
                       coef_=floats(2), _sklearn_version=text("1.5.0")))  # fmt: skip


def equal_names_of_columns(size):
    count = size // 4
    names = array("O8", (count,), pickled_list([text("a") + MEMOIZE, b"h\x00" * (count - 1)]))
    return pickled(new(LOGISTIC, feature_names_in_=names, n_features_in_=number(count),
                       coef_=floats(2), _sklearn_version=text("1.5.0")))  # fmt: skip


def pipelines_of_many_inputs(size):
    """Pipelines of steps that each take as many inputs as there may be."""
    first = text("s") + new(SCALER, n_features_in_=number(100_000)) + TUPLE2 + MEMOIZE
    one = new("sklearn.pipeline:Pipeline", steps=pickled_list([b"h\x00" * 100]))
    return pickled(pickled_list([first, one * (size // len(one))]))


def chain_of_many_inputs(size):
    """A pipeline of many steps, each of which takes 100,000 inputs."""
    step = text("s") + new(SCALER, n_features_in_=number(100_000), mean_=NONE) + TUPLE2
    return pickled(
        new("sklearn.pipeline:Pipeline", steps=pickled_list([step * (size // len(step))]))
    )


def dict_of_estimators(size):
    one = new(LOGISTIC, n_features_in_=number(3), classes_=NONE)
    pairs = ((text(f"model{i}"), one) for i in range(size // 120))
    return pickled(mapping(pairs))


def dict_of_encoders(size):
    values = array("O8", (2,), pickled_list([text("a"), text("b")]))
    one = new("sklearn.preprocessing._label:LabelEncoder", classes_=values)
    pairs = [(text(f"e{i}"), one) for i in range(size // len(one))]
    model = new(LOGISTIC, n_features_in_=number(3), coef_=floats(3),
                classes_=array("i8", (2,), raw(struct.pack("<2q", 0, 1))))  # fmt: skip
    return pickled(mapping([(text("model"), model), *pairs]))


def dict_of_dicts_of_models(size):
    one = mapping((text(f"m{i}"), b"h\x00") for i in range(1000)) + MEMOIZE
    model = new(LOGISTIC, n_features_in_=number(3)) + MEMOIZE
    return pickled(mapping([(text("model"), model), (text("x"), one),
                            *((text(f"y{i}"), b"h\x01") for i in range(size // 10))]))  # fmt: skip


def nested_searches(size):
    """Estimators in estimators, all of which are looked into."""
    inner = new(LOGISTIC, n_features_in_=number(3))
    for _ in range(30):
        inner = new("sklearn.model_selection._search:GridSearchCV", best_estimator_=inner,
                    estimator=NONE)  # fmt: skip
    return pickled(pickled_list([inner] * (size // len(inner))))


def doubled_pipelines(size):
    """Pipelines of two steps that are one pipeline: 2**n steps in n objects."""
    inner = new(SCALER, mean_=NONE) + MEMOIZE
    for _ in range(24):
        pair = pickled_list([text("a") + inner + TUPLE2, text("b") + b"h%c" + TUPLE2])
        inner = new("sklearn.pipeline:Pipeline", steps=pair) + MEMOIZE
    for i in range(24):
        inner = inner.replace(b"h%c", b"h%c" % i, 1)
    return pickled(mapping([(text("model"), inner), (text("n"), pickled_list([NONE * size]))]))


def pipelines_of_one_pipeline(size):
    """As many steps as may be reached by sharing."""
    first = text("s") + new(SCALER, mean_=NONE) + TUPLE2 + MEMOIZE
    inner = new("sklearn.pipeline:Pipeline", steps=pickled_list([first, b"h\x00" * 100]))
    second = text("p") + inner + TUPLE2 + MEMOIZE
    outer = pickled_list([second, b"h\x01" * 200])
    return pickled(mapping([(text("model"), new("sklearn.pipeline:Pipeline", steps=outer)),
                            (text("n"), pickled_list([NONE * size]))]))  # fmt: skip


# --- files of other libraries --------------------------------------------------------------------


def lightgbm_wide(size):
    count = size // 20
    names = " ".join(f"Column_{i}" for i in range(count))
    infos = " ".join(["[0:1]"] * count)
    lines = ["tree", "version=v4", "num_class=1", "num_tree_per_iteration=1", "label_index=0",
             f"max_feature_idx={count - 1}", "objective=regression", f"feature_names={names}",
             f"feature_infos={infos}", "tree_sizes=", "", "end of trees", ""]  # fmt: skip
    return "\n".join(lines).encode()


def lightgbm_trees(size):
    """Trees of one leaf."""
    head = ["tree", "version=v4", "num_class=1", "num_tree_per_iteration=1", "label_index=0",
            "max_feature_idx=0", "objective=regression", "feature_names=a", "feature_infos=[0:1]",
            "", ""]  # fmt: skip
    tree = "Tree={}\nnum_leaves=1\nnum_cat=0\nleaf_value=0\n\n\n"
    trees = "".join(tree.format(i) for i in range(size // 50))
    return ("\n".join(head) + trees + "end of trees\n").encode()


def lightgbm_line(size):
    """A line without an end."""
    return b"tree\nversion=v4\nfeature_names=" + b"a" * size


def lightgbm_keys(size):
    lines = "".join(f"k{i}=0\n" for i in range(size // 9))
    return f"tree\nversion=v4\n{lines}\nend of trees\n".encode()


def lightgbm_digits(size):
    digits = "9" * size
    head = f"tree\nnum_class={digits}\nnum_tree_per_iteration=1\nmax_feature_idx=0\n\n"
    return (head + "end of trees\n").encode()


def lightgbm_categories(size):
    """Lists of categories that fit in many ways."""
    count = 300
    values = json.dumps([["a"]] * (count // 2))
    infos = " ".join(["0:1"] * count)
    names = " ".join(f"c{i}" for i in range(count))
    head = (f"tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nmax_feature_idx={count - 1}"
            f"\nobjective=binary\nfeature_names={names}\nfeature_infos={infos}\n\n"
            "end of trees\n")  # fmt: skip
    return (head + "\nparameters:\n" + "[a: 1]\n" * (size // 7) + "end of parameters\n"
            + f"\npandas_categorical:{values}\n").encode()  # fmt: skip


def _xgboost(**learner):
    document = json.loads((ROOT / "tests/data/native/kserve-xgboost.json").read_bytes())
    document["learner"].update(learner)
    return document


def xgboost_wide(size):
    count = size // 20
    document = _xgboost(feature_names=[f"column{i}" for i in range(count)],
                                feature_types=["float"] * count)  # fmt: skip
    document["learner"]["learner_model_param"]["num_feature"] = str(count)
    return json.dumps(document).encode()


def xgboost_trees(size):
    document = _xgboost()
    model = document["learner"]["gradient_booster"]["model"]
    tree = model["trees"][0]
    count = size // len(json.dumps(tree)) + 1
    model["trees"] = [dict(tree, id=i) for i in range(count)]
    model["tree_info"] = [0] * count
    model["iteration_indptr"] = list(range(count + 1))
    model["gbtree_model_param"]["num_trees"] = str(count)
    return json.dumps(document).encode()


def xgboost_numbers(size):
    """Integers of 4,000 digits."""
    document = _xgboost(other=["@"] * (size // 4_003))
    return json.dumps(document).replace('"@"', "9" * 4_000).encode()


def xgboost_keys(size):
    document = _xgboost(other={f"k{i}": 0 for i in range(size // 13)})
    return json.dumps(document).encode()


def xgboost_lists(size):
    return json.dumps(_xgboost(other=[[]] * (size // 4))).encode()


def ubjson_lists(size):
    return b"{L" + struct.pack(">q", 7) + b"learner[" + b"[]" * (size // 2) + b"]}"


def ubjson_depth(size):
    return b"{L" + struct.pack(">q", 7) + b"learner" + b"[" * size


def ubjson_nothing(size):
    """Build an array that claims to have as many values as the file has bytes."""
    inner = b"[#L" + struct.pack(">q", size) + b"Z" * size
    return b"{L" + struct.pack(">q", 7) + b"learner" + inner + b"}"


def onnx_nodes(size):
    nodes = [onnx.node("Identity", [f"x{i}"], [f"x{i + 1}"]) for i in range(size // 32)]
    return onnx.model(nodes, [onnx.tensor("x0", onnx.FLOAT, [None, 2])],
                      [onnx.tensor(f"x{len(nodes)}", onnx.FLOAT, [None, 2])])  # fmt: skip


def onnx_inputs(size):
    inputs = [onnx.tensor(f"input{i}", onnx.FLOAT, [None, 1]) for i in range(size // 40)]
    return onnx.model([onnx.node("Concat", ["input0"], ["y"])], inputs,
                      [onnx.tensor("y", onnx.FLOAT, [None, 1])])  # fmt: skip


def onnx_one_node_of_many_inputs(size):
    names = [f"x{i}" for i in range(size // 9)]
    return onnx.model([onnx.node("Concat", names, ["y"])],
                      [onnx.tensor("x0", onnx.FLOAT, [None, 1])],
                      [onnx.tensor("y", onnx.FLOAT, [None, 1])])  # fmt: skip


def onnx_encoders(size):
    """Build nodes that all contain categories of the same inputs."""
    categories = onnx.attribute("cats_int64s", list(range(20)))
    nodes = [onnx.node("OneHotEncoder", ["X"], [f"y{i}"], categories, domain="ai.onnx.ml")
             for i in range(size // 130)]  # fmt: skip
    return onnx.model(nodes, [onnx.tensor("X", onnx.INT64, [None, 1000])],
                      [onnx.tensor("y0", onnx.FLOAT, [None, 1])])  # fmt: skip


def onnx_depth(size):
    inner = b""
    for _ in range(15):
        graph = onnx.node("Loop", ["x"], ["y"]) + inner
        inner = onnx.field(
            1, onnx.field(4, "Loop") + onnx.field(5, onnx.field(1, "body") + onnx.field(6, graph))
        )
    return onnx.model([inner * (size // len(inner) + 1)], [onnx.tensor("x", 1, [None, 1])],
                      [onnx.tensor("y", 1, [None, 1])])  # fmt: skip


def onnx_empty_fields(size):
    nodes = [onnx.node("Identity", ["x"], ["y"]), onnx.field(1, b"") * (size // 2)]
    return onnx.model(nodes, [onnx.tensor("x", 1, [None, 1])], [onnx.tensor("y", 1, [None, 1])])


def skops_members(size):
    schema = json.dumps({"__class__": "list", "__module__": "builtins", "__loader__": "ListNode",
                         "content": [], "protocol": 2, "_skops_version": "0.13"})  # fmt: skip
    members = {f"{i}.npy": b"" for i in range(size // 100)}
    return zip_archive({"schema.json": schema.encode(), **members})


def _skops(states):
    schema = {"__class__": "list", "__module__": "builtins", "__loader__": "ListNode",
              "content": states, "protocol": 2, "_skops_version": "0.13"}  # fmt: skip
    return zip_archive({"schema.json": json.dumps(schema).encode()})


def skops_ids(size):
    """States with ids of one hash value."""
    return _skops([{"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode",
                    "content": "1", "is_json": True, "__id__": MODULUS * i + 1}
                   for i in range(size // 130)])  # fmt: skip


def skops_types(size):
    return _skops([{"__class__": "str", "__module__": "builtins", "__loader__": "TypeNode",
                    "__id__": MODULUS * i + 1}
                   for i in range(size // 110)])  # fmt: skip


def skops_again(size):
    one = {"__class__": "list", "__module__": "builtins", "__loader__": "ListNode", "__id__": 1,
           "content": [{"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode",
                        "content": "1", "is_json": True, "__id__": 2}] * 100}  # fmt: skip
    return _skops([one] * (size // 9_500))


def skops_objects(size):
    one = {"__class__": "StandardScaler", "__module__": "sklearn.preprocessing._data",
           "__loader__": "ObjectNode", "content": None}  # fmt: skip
    return _skops([dict(one, __id__=i + 1) for i in range(size // 125)])


def noise(size):
    return random.Random(0).randbytes(size)


ATTACKS = {
    build.__name__: build
    for build in list(globals().values())
    if getattr(build, "__module__", "") == __name__
    and build.__code__.co_varnames[: build.__code__.co_argcount] == ("size",)
}
