"""CPU time of trees: of estimators, their plans, compiled models, and other ways to find leaves.

    python -m benchmarks.trees [--seconds N] [--markdown]

The first table contains `predict_proba`, or `predict`, of each model, its plan, and the plan of the
compiled model. The second contains only the search for the leaves of all trees: by the numpy of
both plans, by treelite (if it is installed), and by a C program (if there is a compiler). Times are
medians in microseconds, of one thread, for 1, 8, 64 and 1,000 rows in a call.
"""

from __future__ import annotations

import argparse
import ctypes
import io
import os
import shutil
import statistics
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # read when the libraries are imported

import joblib
import numpy as np
from sklearn.datasets import load_iris, make_classification
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
)
from sklearn.tree import DecisionTreeClassifier

import modelpack
from benchmarks import tables
from modelpack.compilation.compile import compiled_content
from modelpack.inspection import record
from modelpack.serving.runtimes import compiled
from modelpack.serving.runtimes.plans import Context, compile_model
from modelpack.serving.runtimes.plans.nodes import LEAF, Forest, Splits
from modelpack.serving.runtimes.plans.runtime import installed_release
from modelpack.serving.runtimes.plans.traversal import Traversal, splits_of

COUNTS = (1, 8, 64, 1_000)
SOURCE = Path(__file__).with_suffix(".c")
Find = Callable[[np.ndarray], np.ndarray]
"""Function from float64 rows to the node of the leaf, (n_trees, n_rows)."""


def models() -> Iterator[tuple[str, Any, np.ndarray]]:
    """Yield fitted models, and rows that they were not fitted on."""
    iris, classes = load_iris(return_X_y=True)
    noise = np.random.default_rng(0).normal(0, 0.1, (1_000, 4))
    rows = np.round(np.resize(iris, (1_000, 4)) + noise, 2)
    forest = RandomForestClassifier(100, random_state=0)
    yield "random forest of iris, 100 trees", forest.fit(iris, classes), rows
    data, classes = make_classification(
        6_000, 24, n_informative=12, n_redundant=4, class_sep=0.8, random_state=6
    )
    fitted, rows, classes = data[:-1_000], data[-1_000:], classes[:-1_000]
    for name, model in (
        ("decision tree", DecisionTreeClassifier(random_state=0)),
        ("random forest, depth 11", RandomForestClassifier(max_depth=11, random_state=0)),
        ("random forest", RandomForestClassifier(random_state=0)),
        ("gradient boosting, depth 3", GradientBoostingClassifier(random_state=0)),
        ("histogram gradient boosting", HistGradientBoostingClassifier(early_stopping=False)),
        ("isolation forest", IsolationForest(random_state=0)),
    ):
        yield name, model.fit(fitted, classes), rows
    data, classes = make_classification(6_000, 200, n_informative=30, random_state=0)
    extra = ExtraTreesClassifier(random_state=0).fit(data[:-1_000], classes[:-1_000])
    yield "extra trees of 200 features", extra, data[-1_000:]


def compiled_plan(model: Any, folder: Path) -> dict[str, Find]:
    """Return the methods of the compiled model."""
    path = folder / "model.joblib"
    joblib.dump(model, path)
    spec = modelpack.inspect(path)
    read = compiled.read(io.BytesIO(compiled_content(spec, record(spec))))
    return compile_model(read.root, Context("array", (), read.release)).batch


def splits(model: Any) -> list[Splits]:
    """Return the trees of a model."""
    if hasattr(model, "_predictors"):
        return [_histogram(tree.nodes) for several in model._predictors for tree in several]
    return [splits_of(each.tree_) for each in np.ravel(getattr(model, "estimators_", [model]))]


def _histogram(nodes: np.ndarray) -> Splits:
    is_leaf = nodes["is_leaf"] != 0
    left, right = (np.where(is_leaf, LEAF, nodes[n].astype(np.intp)) for n in ("left", "right"))
    feature = nodes["feature_idx"].astype(np.intp)
    return Splits(left, right, feature, nodes["num_threshold"], nodes["missing_go_to_left"] != 0)


def by_numpy(trees: Sequence[Splits], dtype: type) -> Find:
    traversal = Traversal(trees, dtype)
    return lambda rows: traversal.leaf_nodes.take(traversal.leaves(rows.astype(dtype)))


def by_treelite(trees: Sequence[Splits], width: int) -> Find | None:
    """Return the search of treelite's GTIL, without the sum; None if it is not installed."""
    try:
        from treelite import gtil
        from treelite import model_builder as made
    except ImportError:
        return None
    count = len(trees)
    builder = made.ModelBuilder(
        threshold_type="float64",
        leaf_output_type="float64",
        metadata=made.Metadata(width, "kRegressor", False, 1, [1], (1, 1)),
        tree_annotation=made.TreeAnnotation(count, [0] * count, [0] * count),
        postprocessor=made.PostProcessorFunc("identity"),
        base_scores=[0.0],
    )
    for tree in trees:
        builder.start_tree()
        for number, (left, right, feature, threshold, is_left) in enumerate(
            zip(*tree, strict=True)
        ):
            builder.start_node(number)
            if left == LEAF:
                builder.leaf(float(number))
            else:
                builder.numerical_test(
                    int(feature), float(threshold), bool(is_left), "<=", int(left), int(right)
                )
            builder.end_node()
        builder.end_tree()
    model = builder.commit()
    return lambda rows: gtil.predict_leaf(model, rows, nthread=1).T


def by_c(trees: Sequence[Splits], folder: Path) -> Find | None:
    """Return the search by a C program; None without a compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    library = folder / "trees.so"
    command = [compiler, "-O3", "-shared", "-fPIC", "-o", str(library), str(SOURCE)]
    subprocess.run(command, check=True)
    call = ctypes.CDLL(str(library)).leaves
    forest = Forest(trees)
    order = np.concatenate(forest.levels)
    order = order[np.argsort(np.searchsorted(forest.roots, order, side="right"), kind="stable")]
    place = np.empty(len(order), np.int32)
    place[order] = np.arange(len(order))
    is_leaf = forest.is_leaf[order]
    nodes = np.zeros(len(order), [("threshold", "f8"), ("feature", "i4"), ("left", "i4")])
    nodes["threshold"] = np.where(is_leaf, np.inf, forest.threshold[order])
    nodes["feature"] = np.where(is_leaf, 0, forest.feature[order])
    nodes["left"] = np.where(is_leaf, np.arange(len(order)), place[forest.left[order]])
    roots = place[forest.roots]
    depths = np.array([len(Forest([tree]).levels) - 1 for tree in trees], np.int32)

    def find(rows: np.ndarray) -> np.ndarray:
        found = np.empty((len(trees), len(rows)), np.int32)
        places = (ctypes.c_void_p(a.ctypes.data) for a in (nodes, roots, depths, rows, found))
        table, first, deep, values, result = places
        call(table, first, deep, len(trees), values, rows.shape[1], len(rows), result)
        return order.take(found)

    return find


def microseconds(call: Callable[[], object], seconds: float) -> float:
    call()
    times: list[int] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 3:
        started = time.process_time_ns()
        call()
        times.append(time.process_time_ns() - started)
    return statistics.median(times) / 1e3


def cells(call: Callable[[np.ndarray], Any] | None, rows: np.ndarray, seconds: float) -> str:
    """Return the times for all numbers of rows."""
    if call is None:
        return ""
    times = (microseconds(lambda chosen=rows[:n]: call(chosen), seconds) for n in COUNTS)
    return " / ".join(f"{each:,.0f}" for each in times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=0.3, help="of each measurement")
    parser.add_argument("--markdown", action="store_true")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    whole, searches = [], []
    with tempfile.TemporaryDirectory() as scratch:
        for name, model, rows in models():
            folder = Path(scratch) / name
            folder.mkdir()
            method = "predict_proba" if hasattr(model, "predict_proba") else "predict"
            plan = compile_model(model, Context("array", (), installed_release())).batch
            calls = (getattr(model, method), plan[method], compiled_plan(model, folder)[method])
            whole.append([name, *(cells(call, rows, given.seconds) for call in calls)])
            trees = splits(model)
            dtype = np.float64 if hasattr(model, "_predictors") else np.float32
            exact = rows.astype(dtype).astype(np.float64)
            found = (by_numpy(trees, dtype), by_treelite(trees, rows.shape[1]), by_c(trees, folder))
            searches.append([name, *(cells(find, exact, given.seconds) for find in found)])
    heads = ("model", "estimator", "plan", "compiled model")
    tables.show(heads, whole, markdown=given.markdown)
    print()
    tables.show(("model", "numpy", "treelite", "C"), searches, markdown=given.markdown)


if __name__ == "__main__":
    main()
