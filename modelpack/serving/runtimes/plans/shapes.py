"""The shapes of the arrays in the record of each class.

numpy repeats an array of one number for every column, and takes a part of one that is too long, so
a plan of arrays with wrong shapes may answer, and answer wrongly.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Iterator, Mapping, NamedTuple

import numpy as np

from .records import is_record
from .shape_rules import RULES

DERIVED: Mapping[str, tuple[str, Callable[[int], int]]] = {
    "k": ("c", lambda classes: {1: 0, 2: 1}.get(classes, classes)),
    "e": ("c", lambda classes: classes - 1),
    "p": ("c", lambda classes: classes * (classes - 1) // 2),
    "i": ("s", lambda starts: starts - 1),
}
"""Size -> the one it follows from if that is known: a linear model has one row of coefficients for
two classes, SVMs one machine for each pair, and the starts of i trees are followed by the end."""

_FORM = re.compile(r"(?:\[(?P<count>[^\]]+)\])?(?P<shape>\(.*\))?(?: (?P<set>\w)=(?P<to>\d+))?")


class _Rule(NamedTuple):
    """A line of the table: a path of attributes, its forms, and the setting that requires it."""

    path: tuple[str, ...]
    forms: tuple[str, ...]
    setting: str
    value: str


def _parsed(text: str) -> dict[str, tuple[_Rule, ...]]:
    table: dict[str, tuple[_Rule, ...]] = {}
    names: list[str] = []
    rules_follow = True
    for line in text.split("\n")[1:-1]:
        if not line.startswith(" "):
            names = [*([] if rules_follow else names), *line.rstrip(":").split()]
            rules_follow = line.endswith(":")
            continue
        path, _, rest = line.strip().partition(" ")
        forms, _, condition = rest.partition(" if ")
        setting, _, value = condition.partition("=")
        forms_of = tuple(each.strip() for each in forms.split("|"))
        rule = _Rule(tuple(path.split(".")), forms_of, setting, value)
        for name in names:
            table[name] = (*table.get(name, ()), rule)
    return table


TABLE = _parsed(RULES)


def require_shapes(record: Any) -> dict[str, int]:
    """Return the sizes in a record by their names in the table.

    Raises:
        ValueError: An array of the record, or a list, has another shape than its class requires.
    """
    sizes: dict[str, int] = {}
    state, name = vars(record), type(record).__name__
    rules = TABLE.get(name, ())
    width = state.get("n_features_in_")
    if type(width) is int and rules:
        sizes["n"] = width
    for rule in rules:
        if rule.setting and not _applies(state.get(rule.setting), rule.value):
            continue
        for value in _values(record, rule.path):
            if not any(_matches(form, value, sizes) for form in rule.forms):
                raise ValueError(_message(name, rule, value, sizes))
    return sizes


def width_of(record: Any) -> int | None:
    """Return the number of columns that a record gets, None if it does not follow from arrays."""
    try:
        return require_shapes(record).get("n")
    except ValueError:
        return None


def _applies(setting: Any, value: str) -> bool:
    return str(setting) == value if value else bool(setting)


def _values(owner: Any, path: tuple[str, ...]) -> Iterator[Any]:
    """Yield what is at a path of attributes; `*` stands for every item of a list."""
    if not path:
        yield owner
    elif path[0] == "*":
        items = owner.ravel().tolist() if isinstance(owner, np.ndarray) else owner
        for each in items if isinstance(items, (list, tuple)) else ():
            yield from _values(each, path[1:])
    elif is_record(owner) and path[0] in vars(owner):
        yield from _values(vars(owner)[path[0]], path[1:])


def _message(name: str, rule: _Rule, value: Any, sizes: Mapping[str, int]) -> str:
    known = ", ".join(f"{key} = {size}" for key, size in sorted(sizes.items()))
    expected = " or ".join(rule.forms) + (f" with {known}" if known else "")
    return f"{'.'.join(rule.path)} of {name} is {_described(value)} instead of {expected}"


def _described(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"of shape {value.shape}"
    if isinstance(value, (list, tuple)):
        parts = ", ".join(map(_described, value[:3])) + (", ..." if len(value) > 3 else "")
        return f"a list of {len(value)} ({parts})"
    return f"{value!r:.40}" if value is None or isinstance(value, (int, float)) else "another value"


def _matches(form: str, value: Any, sizes: dict[str, int]) -> bool:
    """Return whether a value has a form, and add the sizes that follow from it."""
    found = dict(sizes)
    if not _has_form(form, value, found):
        return False
    sizes.update(found)
    return True


def _has_form(form: str, value: Any, sizes: dict[str, int]) -> bool:
    kind, _, argument = form.partition(" ")
    if kind in SPECIAL:
        return SPECIAL[kind](value, argument, sizes)
    if form.startswith("#"):
        return type(value) is int and _is_size(form[1:], value, sizes)
    if form.startswith("{"):
        return isinstance(value, dict) and _is_size(form[1:-1], len(value), sizes)
    match = _FORM.fullmatch(form)
    if match is None:
        raise AssertionError(form)
    if match["set"] and not _is_size(match["set"], int(match["to"]), sizes):
        return False
    if match["count"] is None:
        return _has_shape(match["shape"], value, sizes)
    return _is_list(value, match["count"], match["shape"], sizes)


def _is_list(value: Any, count: str, shape: str | None, sizes: dict[str, int]) -> bool:
    items = value.tolist() if isinstance(value, np.ndarray) and value.ndim == 1 else value
    if not isinstance(items, (list, tuple)) or not _is_size(count, len(items), sizes):
        return False
    return shape is None or all(
        _has_shape(shape.replace(".", f".{number}"), each, sizes)
        for number, each in enumerate(items)
    )


def _has_shape(text: str, value: Any, sizes: dict[str, int]) -> bool:
    names = [each.strip() for each in text.strip("()").split(",") if each.strip()]
    if isinstance(value, (bool, int, float)):
        return not names
    if not isinstance(value, np.ndarray) or value.ndim != len(names):
        return False
    return all(_is_size(each, size, sizes) for each, size in zip(names, value.shape))


def _is_size(name: str, size: int, sizes: dict[str, int]) -> bool:
    """Return whether a size is the one of this name, which may not be known yet."""
    if name == "*":
        return True
    if name.isdigit():
        return size == int(name)
    origin, function = DERIVED.get(name, (name, int))
    if origin != name and origin in sizes:
        return size == function(sizes[origin])
    return sizes.setdefault(name, size) == size


def _is_null(value: Any, *_: Any) -> bool:
    return value is None


def _is_zero(value: Any, *_: Any) -> bool:
    return isinstance(value, (int, float)) and value == 0


def _are_layers(value: Any, last: str, sizes: dict[str, int]) -> bool:
    """Check matrices that are multiplied one after another: (n, a), (a, b), (b, `last`)."""
    names = _layer_names(value, last)
    sizes["layers"] = len(names)
    return bool(names) and all(
        _has_shape(f"({one}, {two})", each, sizes)
        for one, two, each in zip(["n", *names], names, value)
    )


def _are_biases(value: Any, last: str, sizes: dict[str, int]) -> bool:
    names = _layer_names(value, last)
    if not names or sizes.get("layers", len(names)) != len(names):
        return False
    return all(_has_shape(f"({name},)", each, sizes) for name, each in zip(names, value))


def _layer_names(value: Any, last: str) -> list[str]:
    if not isinstance(value, list) or not value:
        return []
    return [*(f"layer {number}" for number in range(1, len(value))), last]


def _is_padded(value: Any, name: str, sizes: dict[str, int]) -> bool:
    """Check weights of estimators: boosting that ends early leaves zeros at the end."""
    if not isinstance(value, np.ndarray) or value.ndim != 1 or name not in sizes:
        return False
    return len(value) >= sizes[name] and not value[sizes[name] :].any()


def _are_given(value: Any, name: str, sizes: dict[str, int]) -> bool:
    """Check the methods of a list of estimators, None for those that were left out."""
    if not isinstance(value, (list, tuple)):
        return False
    return _is_size(name, sum(each is not None for each in value), sizes)


def _are_bins(value: Any, name: str, sizes: dict[str, int]) -> bool:
    """Check the numbers of bins, which have one edge more."""
    if not _has_shape(f"({name},)", value, sizes) or value.dtype.kind not in "iu":
        return False
    return all(_is_size(f"b.{at}", int(bins) + 1, sizes) for at, bins in enumerate(value))


def _are_encodings(value: Any, name: str, sizes: dict[str, int]) -> bool:
    """Check the numbers for the categories of each column, for each of t classes."""
    targets = sizes.get("t", 1)
    if not isinstance(value, list) or len(value) != sizes.get("n", 0) * targets:
        return False
    return all(
        _has_shape(f"({name}.{number // targets},)", each, sizes)
        for number, each in enumerate(value)
    )


def _are_knots(value: Any, name: str, sizes: dict[str, int]) -> bool:
    """Check the knots of splines: one more than coefficients and degree."""
    knots = sizes.get(name, 0) + sizes.get("degree", 0) + 1
    return _has_shape(f"({knots},)", value, sizes)


def _are_ends(value: Any, name: str, sizes: dict[str, int]) -> bool:
    """Check where the rows of a sparse matrix end: from 0 to the number of its values."""
    if not _has_shape("(*,)", value, sizes) or len(value) == 0 or value[0] != 0:
        return False
    return bool((value[1:] >= value[:-1]).all()) and _is_size(name, int(value[-1]), sizes)


def _are_rounds(value: Any, name: str, sizes: dict[str, int]) -> bool:
    """Check a list that contains as many items for each round."""
    if not isinstance(value, (list, tuple)):
        return False
    return len(value) % max(1, sizes.get(name, 1)) == 0


SPECIAL: Mapping[str, Callable[[Any, str, dict[str, int]], bool]] = {
    "0": _is_zero,
    "biases": _are_biases,
    "bins": _are_bins,
    "ends": _are_ends,
    "encodings": _are_encodings,
    "given": _are_given,
    "knots": _are_knots,
    "layers": _are_layers,
    "null": _is_null,
    "padded": _is_padded,
    "times": _are_rounds,
}
