"""Sparse matrices of all formats with indices outside of their shape are refused unloaded."""

import copyreg

import numpy as np
import pytest
from altered_models import DENSE, assert_refused, findings, in_format, model
from scipy import sparse
from sklearn.cluster import AffinityPropagation

KINDS = [
    getattr(sparse, f"{name}_{kind}")
    for name in ("bsr", "coo", "csc", "csr", "dia", "dok", "lil")
    for kind in ("matrix", "array")
]
SHAPES = {
    "a table": DENSE,
    "zeros": np.zeros((3, 2)),
    "no rows": np.zeros((0, 4)),
    "no columns": np.zeros((4, 0)),
    "a row": DENSE[:1],
}


@pytest.mark.parametrize("how", [0, 2, 5, "zlib"])
@pytest.mark.parametrize("cls", KINDS, ids=lambda cls: cls.__name__)
def test_all_formats_pass(cls, how, tmp_path):
    for content in SHAPES.values():
        name, kind = cls.__name__.split("_")
        assert findings(in_format(name, kind, content), tmp_path, how) == []


@pytest.mark.parametrize("name", ["coo", "csr", "dok"])
def test_arrays_of_one_dimension_pass(name, tmp_path):
    assert findings(in_format(name, "array", DENSE[1]), tmp_path, 5) == []


def test_arrays_of_three_dimensions(tmp_path):
    altered = in_format("coo", "array", DENSE.reshape(2, 3, 4))
    assert findings(altered, tmp_path, 5) == []
    altered.coords[2][-1] = 4
    assert_refused(altered, tmp_path, "contain 4 at position 22", 5)


class Old:
    """Is pickled as a matrix of this state, as scipy does for some format or release."""

    def __init__(self, cls, base, content, **state):
        self.reduced = copyreg._reconstructor, (cls, base, content), state

    def __reduce__(self):
        return self.reduced


def changed(altered, **attributes):
    vars(altered).update(attributes)
    return altered


def coordinates(axis, value):
    altered = in_format("coo")
    altered.coords[axis][-1] = value
    return altered


def blocks(**attributes):
    altered = sparse.bsr_matrix(DENSE, blocksize=(2, 3))
    found = {name: getattr(altered, name).copy() for name in ("data", "indices", "indptr")}
    return changed(altered, **{name: change(found) for name, change in attributes.items()})


def lists(row, index, value, name="rows"):
    altered = in_format("lil")
    getattr(altered, name)[row][index] = value
    return altered


def keyed(*keys, shape=(4, 6)):
    return Old(sparse.dok_matrix, dict, {}, _shape=shape, _dict=dict.fromkeys(keys, 1.0))


def with_last(name, value):
    def change(arrays):
        arrays[name][-1] = value
        return arrays[name]

    return change


BROKEN = {
    "coo beyond rows": (lambda: coordinates(0, 4), "contain 4 at position 22"),
    "coo beyond columns": (lambda: coordinates(1, 6), "contain 6 at position 22"),
    "coo before": (lambda: coordinates(1, -1), "contain -1 at position 22"),
    "coo of fewer values": (
        lambda: changed(in_format("coo"), data=np.ones(3)),
        "the shape of the indices",
    ),
    "coo of a table": (
        lambda: changed(in_format("coo"), data=np.ones((23, 1))),
        "values .* do not have one dimension",
    ),
    "coo of one coordinate": (
        lambda: changed(in_format("coo"), coords=in_format("coo").coords[:1]),
        "one index for each dimension",
    ),
    "coo of floats": (
        lambda: changed(in_format("coo"), coords=tuple(np.ones((2, 23)))),
        "is f8",
    ),
    "coo of two kinds of coordinates": (
        lambda: changed(in_format("coo"), row=in_format("coo").coords[0]),
        "one index for each dimension",
    ),
    "coo without coordinates": (
        lambda: changed(in_format("coo"), coords=()),
        "one index for each dimension",
    ),
    "coo without a shape": (lambda: changed(in_format("coo"), _shape=()), "no shape"),
    "bsr beyond": (lambda: blocks(indices=with_last("indices", 2)), "contain 2 at position 3"),
    "bsr pointers": (lambda: blocks(indptr=with_last("indptr", 9)), "row pointers"),
    "bsr of fewer pointers": (lambda: blocks(indptr=lambda a: a["indptr"][:-1]), "row pointers"),
    "bsr of fewer blocks": (
        lambda: blocks(data=lambda a: a["data"][:-1]),
        "one index for each value",
    ),
    "bsr of smaller blocks": (lambda: blocks(data=lambda a: a["data"][:, :1]), "row pointers"),
    "bsr of empty blocks": (
        lambda: blocks(data=lambda a: a["data"][:, :, :0]),
        "do not fit its shape",
    ),
    "bsr of odd blocks": (
        lambda: blocks(data=lambda a: np.ones((4, 2, 4))),
        "do not fit its shape",
    ),
    "bsr of high blocks": (
        lambda: blocks(data=lambda a: np.ones((4, 3, 3))),
        "do not fit its shape",
    ),
    "bsr of no blocks": (lambda: blocks(data=lambda a: a["data"][:, 0]), "are not blocks"),
    "csr of blocks": (
        lambda: changed(in_format("csr"), data=np.ones((23, 1))),
        "values .* do not have one dimension",
    ),
    "dia beyond columns": (
        lambda: changed(in_format("dia"), offsets=np.arange(-1, 8, dtype="i4")),
        "contain 7 at position 8",
    ),
    "dia beyond rows": (
        lambda: changed(in_format("dia"), offsets=np.arange(-5, 4, dtype="i4")),
        "contain -5 at position 0",
    ),
    "dia of fewer offsets": (
        lambda: changed(in_format("dia"), offsets=np.arange(3, dtype="i4")),
        "one offset for each diagonal",
    ),
    "dia of a list": (
        lambda: changed(in_format("dia"), data=np.ones(9)),
        "one offset for each diagonal",
    ),
    "dia of floats": (lambda: changed(in_format("dia"), offsets=np.zeros(9)), "is f8"),
    "lil beyond": (lambda: lists(3, 5, 6), "contain 6, which is not between 0 and"),
    "lil before": (lambda: lists(0, 0, -1), "contain -1, which"),
    "lil of a text": (lambda: lists(0, 0, "a"), "contain a value that is not an integer"),
    "lil of fewer values": (
        lambda: changed(in_format("lil"), data=in_format("lil", content=DENSE * (DENSE < 20)).data),
        "one index for each value",
    ),
    "lil of numbers": (
        lambda: changed(in_format("lil"), rows=np.array([1, 2, 3, 4], object)),
        "one index for each value",
    ),
    "lil of no lists": (
        lambda: changed(in_format("lil"), rows=np.arange(4)),
        "does not contain lists",
    ),
    "lil of fewer rows": (
        lambda: changed(in_format("lil"), rows=in_format("lil").rows[:-1].copy()),
        "one list of indices for each row",
    ),
    "dok beyond rows": (lambda: keyed((4, 0)), "contain 4, which is not between 0 and"),
    "dok beyond columns": (lambda: keyed((0, 0), (0, 6)), "contain 6, which is not between 0 and"),
    "dok before": (lambda: keyed((-1, 0)), "contain -1, which"),
    "dok of three": (lambda: keyed((0, 0, 0)), "one index for each dimension"),
    "dok of one": (lambda: keyed(0), "one index for each dimension"),
    "dok of floats": (lambda: keyed((0.5, 0)), "contain a value that is not an integer"),
    "dok without a shape": (lambda: keyed((0, 0), shape=None), "no shape"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_sparse_matrix_is_refused(name, tmp_path):
    make, message = BROKEN[name]
    altered = make()
    assert_refused(altered, tmp_path, message, 5)


@pytest.mark.parametrize("value", [1, 2])
def test_coordinates_of_old_releases(value, tmp_path):
    row, col = np.array([0, value], "i4"), np.array([2, 1], "i4")
    altered = Old(
        sparse.coo_matrix, object, None, _shape=(2, 3), row=row, col=col, data=np.ones(2)
    )  # fmt: skip
    if value == 1:
        assert findings(altered, tmp_path, 2) == []
    else:
        assert_refused(altered, tmp_path, "contain 2 at position 1", 2)


@pytest.mark.parametrize("value", [1, 2])
def test_keys_of_old_releases(value, tmp_path):
    altered = Old(sparse.dok_matrix, dict, {(0, 2): 1.0, (value, 1): 1.0}, _shape=(2, 3))
    if value == 1:
        assert findings(altered, tmp_path, 2) == []
    else:
        assert_refused(altered, tmp_path, "contain 2, which is not between 0 and", 2)


def test_inside_an_estimator(tmp_path):
    clusters = AffinityPropagation(random_state=0).fit(DENSE)
    clusters.cluster_centers_ = coordinates(1, 6)
    assert_refused(clusters, tmp_path, "contain 6 at position 22", 5)


def test_lists_that_are_shared(tmp_path):
    """Each row is read: many rows of one list would be read more often than the file is long."""
    altered = sparse.lil_matrix((6_000, 2))
    shared, values = [0] * 1_000, [1.0] * 1_000
    altered.rows[:], altered.data[:] = [shared] * 6_000, [values] * 6_000
    assert [f.code for f in findings(altered, tmp_path, 5)] == ["limit"]


def test_sparse_samples(tmp_path):
    search = model("sparse neighbours")
    search._fit_X = coordinates(1, 6)
    found = [f.message for f in findings(search, tmp_path, 5)]
    assert any("contain 6 at position 22" in message for message in found)
