"""ONNX models, written field by field."""

import struct

FLOAT, INT64, STRING = 1, 7, 8


def varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def field(number, value):
    """A field of an integer, or of text or bytes."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value % 2**64)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def attribute(name, value):
    """Return an attribute with a text, a float, or a list of integers, floats or texts."""
    if isinstance(value, float):
        packed = varint(2 << 3 | 5) + struct.pack("<f", value)
        return field(5, field(1, name) + packed + field(20, 1))
    if isinstance(value, str):
        return field(5, field(1, name) + field(4, value) + field(20, 3))
    number, kind = {int: (8, 7), float: (7, 6), str: (9, 8)}[type(value[0])]
    if number == 7:
        packed = b"".join(varint(7 << 3 | 5) + struct.pack("<f", each) for each in value)
    else:
        packed = b"".join(field(number, each) for each in value)
    return field(5, field(1, name) + packed + field(20, kind))


def node(kind, inputs, outputs, *attributes, domain=""):
    names = [field(1, each) for each in inputs] + [field(2, each) for each in outputs]
    return field(1, b"".join(names) + field(4, kind) + b"".join(attributes) + field(7, domain))


def tensor(name, element, dims):
    """A `ValueInfoProto`; None in `dims` is a size that is not fixed."""
    sizes = b"".join(field(1, b"" if size is None else field(1, size)) for size in dims)
    return field(1, name) + field(2, field(1, field(1, element) + field(2, sizes)))


def constant(name, numbers, *, raw=True, dims=None):
    """An initializer of 64-bit integers: a field of a graph."""
    values = b"".join(struct.pack("<q", each) for each in numbers)
    kept = field(9, values) if raw else b"".join(field(7, each) for each in numbers)
    sizes = b"".join(field(1, size) for size in (dims or [len(numbers)]))
    return field(5, sizes + field(2, INT64) + field(8, name) + kept)


def model(nodes, inputs, outputs, *more, domains=("", "ai.onnx.ml")):
    graph = b"".join([*nodes, field(2, "made"), *more])
    graph += b"".join(field(11, each) for each in inputs)
    graph += b"".join(field(12, each) for each in outputs)
    opsets = b"".join(
        field(8, field(1, domain) + field(2, 17 if not domain else 1)) for domain in domains
    )
    return field(1, 8) + field(2, "tests") + field(7, graph) + opsets


def lowercase(locale="en_US.UTF-8"):
    """Return a model that lowercases texts, which needs a locale."""
    changed = (attribute("case_change_action", "LOWER"), attribute("locale", locale))
    return model(
        [node("StringNormalizer", ["text"], ["lower"], *changed)],
        [tensor("text", STRING, [None])],
        [tensor("lower", STRING, [None])],
    )


def imputer():
    """Return a model that replaces missing values of two numbers by 5 and 7."""
    attributes = (
        attribute("imputed_value_floats", [5.0, 7.0]),
        attribute("replaced_value_float", float("nan")),
    )
    return model(
        [node("Imputer", ["X"], ["y"], *attributes, domain="ai.onnx.ml")],
        [tensor("X", FLOAT, [None, 2])],
        [tensor("y", FLOAT, [None, 2])],
    )


def forest(features, before=(), on="X", width=3, inputs=None, *, more=(), **changed):
    """Return a tree of one split.

    `before` are nodes before it, one of which outputs `on`; `more` are other fields of the graph.
    """
    values = {
        "nodes_treeids": [0, 0, 0], "nodes_nodeids": [0, 1, 2], "nodes_featureids": features,
        "nodes_values": [0.5, 0.0, 0.0], "nodes_truenodeids": [1, 0, 0],
        "nodes_falsenodeids": [2, 0, 0], "nodes_modes": ["BRANCH_LEQ", "LEAF", "LEAF"],
        "target_treeids": [0, 0], "target_nodeids": [1, 2], "target_ids": [0, 0],
        "target_weights": [1.0, 2.0],
    }  # fmt: skip
    attributes = [attribute(name, value) for name, value in {**values, **changed}.items()]
    targets = field(5, field(1, "n_targets") + field(3, 1) + field(20, 2))
    return model(
        [
            *before,
            node("TreeEnsembleRegressor", [on], ["y"], *attributes, targets, domain="ai.onnx.ml"),
        ],
        inputs or [tensor("X", FLOAT, [None, width])],
        [tensor("y", FLOAT, [None, 1])],
        *more,
    )


def chain(depth, trees=1):
    """Return trees of nodes that each have the next one as both children."""
    ends = [kind for kind in (["BRANCH_LEQ"] * depth + ["LEAF"]) for _ in range(trees)]
    below = [level + 1 for level in range(depth) for _ in range(trees)] + [0] * trees
    count = len(ends)
    return forest(
        [0] * count,
        nodes_treeids=list(range(trees)) * (depth + 1),
        nodes_nodeids=[level for level in range(depth + 1) for _ in range(trees)],
        nodes_values=[0.5] * count,
        nodes_modes=ends,
        nodes_truenodeids=below,
        nodes_falsenodeids=below,
        target_nodeids=[depth] * 2,
    )
