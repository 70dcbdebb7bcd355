"""XGBoost's JSON and UBJSON, which hold the same document.

Schema: doc/model.schema of XGBoost. Its numbers of parameters are texts: "num_feature": "4".
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from .. import ubjson
from ..arrays import clean
from ..facts.containers import xgboost_values
from ..invariants import CODE
from ..nodes import Malformed, require
from . import xgboost
from .told import Told, unserved
from .xgboost_trees import Tree, check_groups, check_rounds, check_tree

_WORDS = {"json": "an XGBoost model (JSON)", "ubjson": "an XGBoost model (UBJSON)"}
_LONGEST_ATTRIBUTE = 10_000_000
_WHOLE = {"b", "B", "h", "i", "q"}
Document = dict[str, Any]


def read(data: bytes) -> Told:
    """Raises:
    Malformed: it is no document of XGBoost, or its trees are not what its code believes.
    """
    try:
        kind, document = _parsed(data)
        return xgboost.told(_learner(kind, document))
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        reason = f"an XGBoost model is not as XGBoost writes it ({type(error).__name__})"
        raise Malformed("malformed", reason) from None


def check_saved(data: bytes) -> None:
    """Check what a Booster in a pickle holds: the document of a model, with its configuration.

    Raises:
        Malformed: As for `read`, or the configuration is that of another model.
    """
    try:
        kind, document = _parsed(data)
        model = document.get("Model", document)
        _learner(kind, model)
        if "Config" in document:
            _check_configuration(document["Config"]["learner"], model["learner"])
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        reason = f"an XGBoost model is not as XGBoost writes it ({type(error).__name__})"
        raise Malformed("malformed", reason) from None


def _check_configuration(told: Document, learner: Document) -> None:
    sizes, counts = told["learner_model_param"], learner["learner_model_param"]
    fits = told["gradient_booster"]["name"] == learner["gradient_booster"]["name"] and all(
        sizes[name] == counts[name] for name in ("num_class", "num_feature")
    )
    require(fits, "the configuration of an XGBoost model is that of another model", CODE)


def _parsed(data: bytes) -> tuple[str, Any]:
    if not data.lstrip()[1:].lstrip().startswith(b'"'):
        return "ubjson", ubjson.loads(data)
    try:
        return "json", json.loads(data, object_pairs_hook=_once)
    except RecursionError:
        raise Malformed("limit", "the JSON is nested too deeply") from None
    except json.JSONDecodeError as error:
        code = "truncated" if error.pos >= len(error.doc.rstrip()) else "malformed"
        message = f"the JSON of an XGBoost model is broken ({error.msg})"
        raise Malformed(code, message, offset=error.pos) from None


def _once(pairs: list[tuple[str, Any]]) -> Document:
    found = dict(pairs)
    require(len(found) == len(pairs), "the JSON of an XGBoost model names a value twice")
    return found


def _learner(kind: str, document: Document) -> xgboost.Learner:
    learner = document["learner"]
    told, booster = learner["learner_model_param"], learner["gradient_booster"]
    found = xgboost.Learner(
        words=_WORDS[kind],
        width=_count(told["num_feature"]),
        groups=_count(told["num_class"]),
        targets=_count(told.get("num_target", "1")),
        objective=clean(str(learner["objective"]["name"])),
        names=_texts(learner.get("feature_names")),
        kinds=_texts(learner.get("feature_types")),
        version=_version(document.get("version")),
        wrapper=_wrapper(learner.get("attributes") or {}),
    )
    _read_booster(booster, found)
    return found


def _wrapper(attributes: Document) -> str:
    """What the estimators for scikit-learn write of themselves: JSON in an attribute. Releases
    before 1.7 wrote the name of the class as `type`.
    """
    text = attributes.get("scikit_learn", "")
    if not isinstance(text, str) or len(text) > _LONGEST_ATTRIBUTE:
        return ""
    try:
        told = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return ""
    kind = told.get("_estimator_type") or told.get("type") if isinstance(told, dict) else ""
    return kind.lower().removeprefix("xgb") if isinstance(kind, str) else ""


def _read_booster(booster: Document, found: xgboost.Learner) -> None:
    name, groups = booster["name"], max(found.groups, found.targets, 1)
    if name == "gblinear":
        weights = booster["model"]["weights"]
        fits = len(weights) == (found.width + 1) * groups
        require(fits, "a linear model of XGBoost has not a weight for each feature", CODE)
        return
    require(name in {"gbtree", "dart"}, f"XGBoost has no booster {str(name)[:40]!a}")
    model = (booster["gbtree"] if name == "dart" else booster)["model"]
    trees = model["trees"]
    require(isinstance(trees, list), "the trees of an XGBoost model are no list")
    require(_count(model["gbtree_model_param"]["num_trees"]) == len(trees),
            "an XGBoost model has not the trees that it tells of", CODE)  # fmt: skip
    if name == "dart":
        fits = len(booster["weight_drop"]) == len(trees)
        require(fits, "a model of XGBoost has not a weight for each tree", CODE)
    check_groups(_integers(model["tree_info"]), len(trees), groups)
    check_rounds(_integers(model.get("iteration_indptr", ())), len(trees))
    for index, tree in enumerate(trees):
        _read_tree(index, tree, found)
    found.known = xgboost_values(model.get("cats") or {})


def _read_tree(index: int, tree: Document, found: xgboost.Learner) -> None:
    require(tree.get("id", index) == index, "the trees of XGBoost are out of order", CODE)
    told = tree["tree_param"]
    if _count(told.get("size_leaf_vector", "0")) > 1:
        found.problem = unserved("its trees give several outputs each, which is not checked yet")
        return
    fits = _count(told["num_nodes"]) == len(tree["left_children"])
    require(fits, "a tree of XGBoost has not the nodes that it tells of", CODE)
    made = _tree(tree)
    check_tree(made, found.width)
    if not found.splits.is_full:
        kinds = made.kinds or [0] * len(made.left)
        nodes = zip(made.left, made.features, made.thresholds, kinds, strict=True)
        found.splits.add((f, float(at)) for left, f, at, kind in nodes if left >= 0 and kind == 0)


def _tree(tree: Document) -> Tree:
    nodes, starts, sizes = (
        _integers(tree.get(f"categories_{name}", ())) for name in ("nodes", "segments", "sizes")
    )
    return Tree(
        parents=_integers(tree["parents"]),
        left=_integers(tree["left_children"]),
        right=_integers(tree["right_children"]),
        features=_integers(tree["split_indices"]),
        thresholds=_numbers(tree["split_conditions"]),
        kinds=_integers(tree.get("split_type", ())),
        sets=list(zip(nodes, starts, sizes, strict=True)),
        categories=_integers(tree.get("categories", ())),
    )


def _count(text: Any) -> int:
    require(isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 11,
            "a number of an XGBoost model is none")  # fmt: skip
    return int(text)


def _integers(values: Any) -> Sequence[int]:
    plain = getattr(values, "typecode", None) in _WHOLE or set(map(type, values)) <= {int}
    require(plain, "an XGBoost model has other things where whole numbers belong")
    return values  # type: ignore[no-any-return]


def _numbers(values: Any) -> Sequence[float]:
    plain = getattr(values, "typecode", None) or set(map(type, values)) <= {int, float}
    require(bool(plain), "an XGBoost model has other things where numbers belong")
    return values  # type: ignore[no-any-return]


def _texts(values: Any) -> list[str] | None:
    if not values:
        return None
    require(set(map(type, values)) == {str}, "names of features of XGBoost are no texts")
    return [clean(value) for value in values]


def _version(told: Any) -> str | None:
    plain = told and len(told) == 3 and all(0 <= n < 1000 for n in _integers(told))
    return ".".join(map(str, told)) if plain else None
