"""Versions implied by how a file is laid out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from packaging.version import Version

from .. import allowlist
from ..allowlist import contract_name
from ..contracts import class_key
from ..nodes import Global, ObjectNode
from ..pickle.machine import Trace
from ..pickle.ndarrays import WRAPPERS
from .distributions import DISTRIBUTIONS, top
from .estimators import attributes

_NODES = {"left_child", "right_child"}
_BIT_GENERATOR = "numpy.random._pickle:__bit_generator_ctor"
_GENERATORS = {"numpy.random._pickle:__randomstate_ctor", "numpy.random._pickle:__generator_ctor"}


def evidence(trace: Trace) -> tuple[str, ...]:
    """The names of the layouts in the file.

    tree-nodes          nodes of a tree as scikit-learn before 1.3 has them
    tree-nodes-1.3      and since: missing values have a side to go to (sklearn/tree/_tree.pxd)
    aligned-arrays      arrays padded as joblib does since 1.2
    random-state-1.24   random generators as numpy 1.24 to 1.26 saves them: with a constructor
    random-state-2      and numpy since 2.0: with the class itself (numpy/random/_pickle.py)
    """
    return tuple(name for name, is_there in _LAYOUTS if is_there(trace.objects))


def is_aligned(made: ObjectNode) -> bool:
    """Whether this is an array padded as joblib does since 1.2; older releases cannot read it."""
    if class_key(made) not in WRAPPERS:
        return False
    return attributes(made).get("numpy_array_alignment_bytes") is not None


def splits_missing(made: ObjectNode) -> bool:
    """Whether these are nodes of a tree since missing values have a side to go to."""
    return "missing_go_to_left" in _fields(made) >= _NODES


def splits_none(made: ObjectNode) -> bool:
    """Whether these are nodes of a tree before that."""
    return "missing_go_to_left" not in _fields(made) >= _NODES


def _fields(made: ObjectNode) -> set[str]:
    return {name for name, _, _ in made.dtype.fields} if made.dtype else set()


def _names_constructor(made: ObjectNode) -> bool:
    return made.how == "call" and made.cls.key in _GENERATORS and len(made.args) > 1


def _names_class(made: ObjectNode) -> bool:
    is_call = made.how == "call" and made.cls.key == _BIT_GENERATOR
    return is_call and any(isinstance(argument, Global) for argument in made.args)


def _any(test: Callable[[ObjectNode], bool]) -> Callable[[Iterable[ObjectNode]], bool]:
    return lambda objects: any(map(test, objects))


_LAYOUTS = (
    ("tree-nodes", _any(splits_none)),
    ("tree-nodes-1.3", _any(splits_missing)),
    ("aligned-arrays", _any(is_aligned)),
    ("random-state-1.24", _any(_names_constructor)),
    ("random-state-2", _any(_names_class)),
)


# The names of scikit-learn's modules and classes, which moved often, are dated by the releases
# that they were seen in when allowlist.json was made.
_IMPLIED = [
    (name, re.compile(pattern), specifier)
    for name, pattern, specifier in (
        ("numpy", r"numpy\._core[.:]", ">=2"),
        ("numpy", r"numpy\.core[.:]", "<2"),
        ("numpy", r"numpy\.random\._pickle:", ">=1.17"),
        ("numpy", r"numpy\.random:__RandomState_ctor", "<1.17"),
        ("pandas", r"pandas(\.arrays)?:[A-Z]", ">=3"),  # which says where its classes are public
        ("pandas", r"pandas\._libs\.internals:_unpickle_block", ">=1.3"),
        ("pandas", r"pandas\.core\.indexes\.numeric:", "<2"),
        ("scipy", r"scipy\.sparse\._", ">=1.8"),
        ("scipy", r"scipy\.sparse\.(bsr|coo|csc|csr|dia|dok|lil):", "<1.8"),
        ("scikit-learn", r"sklearn\.externals\.joblib", "<0.21"),
    )
]
"""Distribution, the names that tell of its version, and what they tell of the one that saved."""

_RANGE = re.compile(r"(\d+\.\d+)(?:-(\d+\.\d+))?")
_SKLEARN = re.compile(r"(sklearn\.|_loss:)")


def implied_versions(trace: Trace) -> dict[str, str]:
    """Distribution -> the specifier that the file implies."""
    told: dict[str, list[str]] = {}
    for name, pattern, specifier in _IMPLIED:
        if any(map(pattern.match, trace.globals)):
            told.setdefault(name, []).append(specifier)
    told.setdefault("scikit-learn", []).extend([*_moved(trace.globals), *_nodes(trace)])
    told["statsmodels"] = list(_formulas(trace))
    return {name: _intersect(parts) for name, parts in told.items() if parts}


def version_evidence(distribution: str, keys: Iterable[str]) -> str | None:
    """The first of the names "module:name" that imply something of a distribution's version."""
    patterns = [pattern for name, pattern, _ in _IMPLIED if name == distribution]
    return next((key for pattern in patterns for key in keys if pattern.match(key)), None)


def naming(distribution: str, keys: Iterable[str]) -> str | None:
    """The name "module:name" that tells that the distribution is needed: the first of those that
    imply something of its version, else the first that it provides.
    """
    provided = [key for key in keys if DISTRIBUTIONS.get(top(key)) == distribution]
    return version_evidence(distribution, provided) or (provided[0] if provided else None)


def _moved(keys: Iterable[str]) -> Iterator[str]:
    """The series of scikit-learn that have all the names: where these never lived together, the
    file was made of parts of several, and nothing is told.
    """
    seen = [found for key in keys if _SKLEARN.match(key) and (found := _seen(key))]
    if not seen:
        return
    first, last = max(low for low, _ in seen), min(high for _, high in seen)
    if first > last:
        return
    every = _series()
    if first > every[0]:
        yield f">={first}"
    if last < every[-1]:
        yield f"<{every[every.index(last) + 1]}"


def _seen(key: str) -> tuple[Version, Version] | None:
    """The first and the last series of scikit-learn that wrote a name; None for one not known."""
    found = _RANGE.findall(allowlist.seen(key))
    if not found:
        return None
    return Version(found[0][0]), Version(found[-1][1] or found[-1][0])


def _series() -> list[Version]:
    """Those that the table was made from, oldest first."""
    ends = {end for text in allowlist.all_seen() for pair in _RANGE.findall(text) for end in pair}
    return sorted(Version(end) for end in ends if end)


def _nodes(trace: Trace) -> Iterator[str]:
    """Since 1.3, the nodes of a tree tell to which side missing values go."""
    if any(map(splits_missing, trace.objects)):
        yield ">=1.3"
    elif any(map(splits_none, trace.objects)):
        yield "<1.3"


def _formulas(trace: Trace) -> Iterator[str]:
    """Which releases of statsmodels restore the formula of a model: 0.15 renamed the key."""
    found = [made for made in trace.objects if contract_name(class_key(made)) == "formula"]
    keys = {name for made in found for name in attributes(made)}
    if "restore_model_spec" in keys:
        yield ">=0.15"
    elif "restore_design_info" in keys:
        yield "<0.15"


def _intersect(specifiers: list[str]) -> str:
    """The tightest of each kind; of two that contradict each other, the first."""
    lower = [Version(part[2:]) for part in specifiers if part.startswith(">=")]
    upper = [Version(part[1:]) for part in specifiers if not part.startswith(">=")]
    if lower and upper and max(lower) >= min(upper):
        return specifiers[0]
    bounds = [f">={max(lower)}"] if lower else []
    return ",".join([*bounds, *([f"<{min(upper)}"] if upper else [])])
