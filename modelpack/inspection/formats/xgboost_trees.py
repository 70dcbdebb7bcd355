"""The trees of XGBoost, as attributes of a record.

A node of XGBoost sends a value below its threshold to the left child, and a category in its set to
the right one. In a record, sets lead to the left.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import xgboost_binary
from .trees import MISSING_NAN, NO_CHILD, NO_SET, Node, TreeTables, Unrecordable, table_of
from .xgboost import Learner, Tree, read_learner


def record_attributes(data: bytes, otherwise: tuple[int, int]) -> dict[str, Any]:
    """Return the attributes of the record of a file, or of a Booster in a pickle, with tables.

    Args:
        data: A document or the binary format.
        otherwise: Major and minor version of the XGBoost that will predict, if the data does not
            record that of the one that saved it.

    Raises:
        Malformed: XGBoost does not write such data.
        Unrecordable: Its trees have several outputs each.
    """
    is_document = data.startswith(b"{")
    learner = read_learner(data) if is_document else xgboost_binary.read_learner(data)
    if len(learner.tree_outputs) != len(learner.trees or ()):
        raise Unrecordable("a Booster with several outputs per tree")
    return {
        "n_features": learner.width,
        "n_outputs": max(learner.groups, learner.targets, 1),
        "objective": learner.objective,
        "booster": learner.booster,
        "release": list(_release(learner) or otherwise),
        "base_scores": table_of("f", learner.base_scores),
        "base_is_margin": learner.base_is_margin,
        "best_round": learner.best_round,
        "best_trees": learner.best_trees,
        "wrapper": learner.wrapper,
        "predicts_labels": learner.predicts_labels,
        "parallel_trees": learner.parallel_trees,
        "round_starts": table_of("q", learner.round_starts),
        "tree_outputs": table_of("i", learner.tree_outputs),
        "tree_weights": table_of("f", learner.tree_weights),
        "weights": table_of("f", learner.weights),
        "category_values": learner.known or {},
        **_tables(learner),
    }


def _release(learner: Learner) -> tuple[int, ...]:
    """Return major and minor version, otherwise nothing.

    The last release that reads a newer binary file predicts, because its environment has this one.
    """
    version = learner.version or ""
    if version.endswith(",<3.1"):
        return 3, 0
    numbers = version.split(".")[:2]
    return tuple(map(int, numbers)) if all(map(str.isdigit, numbers)) else ()


def _tables(learner: Learner) -> dict[str, Any]:
    tables = TreeTables("f")
    for tree in learner.trees or ():
        tables.add_tree(_nodes(tree, tables))
    return tables.tables()


def _nodes(tree: Tree, tables: TreeTables) -> list[Node]:
    """Return the nodes level by level. Nodes that pruning has cut off are left out."""
    sets = {
        node: tables.add_set(sorted(set(tree.categories[start : start + size])))
        for node, start, size in tree.sets
    }
    order = [0]
    for node in order:
        if tree.left[node] != NO_CHILD:
            order += (tree.left[node], tree.right[node])
    numbers = {node: number for number, node in enumerate(order)}
    return [_node(tree, node, numbers, sets) for node in order]


def _node(tree: Tree, node: int, numbers: Mapping[int, int], sets: Mapping[int, int]) -> Node:
    if tree.left[node] == NO_CHILD:
        return Node(value=tree.thresholds[node])
    children = numbers[tree.left[node]], numbers[tree.right[node]]
    is_missing_left = bool(tree.missing_left[node])
    if not tree.kinds or not tree.kinds[node]:
        missing = 2 * MISSING_NAN + is_missing_left
        return Node(*children, tree.features[node], missing, NO_SET, tree.thresholds[node])
    missing = 2 * MISSING_NAN + (not is_missing_left)
    return Node(children[1], children[0], tree.features[node], missing, sets[node])
