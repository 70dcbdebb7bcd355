"""Library versions implied by the layout of a file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from packaging.version import Version

from .. import allowlist
from ..allowlist import contract_name
from ..contracts import class_key, constructed_class
from ..nodes import Global, ObjectNode
from ..pickle.machine import Trace
from ..pickle.ndarrays import WRAPPERS
from .distributions import DISTRIBUTIONS, top
from .estimators import attributes

_NODES = {"left_child", "right_child"}
_BIT_GENERATOR = "numpy.random._pickle:__bit_generator_ctor"
_GENERATORS = {"numpy.random._pickle:__randomstate_ctor", "numpy.random._pickle:__generator_ctor"}


def evidence(trace: Trace) -> tuple[str, ...]:
    """Return the names of the layouts in the file.

    tree-nodes          nodes of a tree in scikit-learn before 1.3
    tree-nodes-1.3      nodes since 1.3, with a side for missing values (sklearn/tree/_tree.pxd)
    aligned-arrays      arrays with the padding of joblib since 1.2
    random-state-1.24   random generators of numpy 1.24 to 1.26, with a constructor
    random-state-2      random generators since numpy 2.0, with a class (numpy/random/_pickle.py)
    """
    return tuple(name for name, is_there in _LAYOUTS if is_there(trace.objects))


def is_aligned(node: ObjectNode) -> bool:
    """Return whether an array has the padding of joblib 1.2, which older releases cannot read."""
    if class_key(node) not in WRAPPERS:
        return False
    return attributes(node).get("numpy_array_alignment_bytes") is not None


def splits_missing(node: ObjectNode) -> bool:
    """Return whether an array contains nodes of a tree with a side for missing values."""
    return "missing_go_to_left" in _fields(node) >= _NODES


def splits_none(node: ObjectNode) -> bool:
    """Return whether an array contains nodes of a tree without a side for missing values."""
    return "missing_go_to_left" not in _fields(node) >= _NODES


def _fields(node: ObjectNode) -> set[str]:
    return {name for name, _, _ in node.dtype.fields} if node.dtype else set()


def _names_constructor(node: ObjectNode) -> bool:
    return node.how == "call" and node.cls.key in _GENERATORS and len(node.args) > 1


def _names_class(node: ObjectNode) -> bool:
    is_call = node.how == "call" and node.cls.key == _BIT_GENERATOR
    return is_call and any(isinstance(argument, Global) for argument in node.args)


def _any(test: Callable[[ObjectNode], bool]) -> Callable[[Iterable[ObjectNode]], bool]:
    return lambda objects: any(map(test, objects))


_LAYOUTS = (
    ("tree-nodes", _any(splits_none)),
    ("tree-nodes-1.3", _any(splits_missing)),
    ("aligned-arrays", _any(is_aligned)),
    ("random-state-1.24", _any(_names_constructor)),
    ("random-state-2", _any(_names_class)),
)


# Modules and classes of scikit-learn moved often. allowlist.json contains the releases in which its
# scripts found each name.
_IMPLIED = [
    (name, re.compile(pattern), specifier)
    for name, pattern, specifier in (
        ("ngboost", r"ngboost\.api:", ">=0.2"),
        ("numpy", r"numpy\._core[.:]", ">=2"),
        ("numpy", r"numpy\.core[.:]", "<2"),
        ("numpy", r"numpy\.random\._pickle:", ">=1.17"),
        ("numpy", r"numpy\.random:__RandomState_ctor", "<1.17"),
        ("pandas", r"pandas(\.arrays)?:[A-Z]", ">=3"),  # its pickles use the public modules
        ("pandas", r"pandas\._libs\.internals:_unpickle_block", ">=1.3"),
        ("pandas", r"pandas\.core\.indexes\.numeric:", "<2"),
        ("pycaret", r"pycaret\.internal\.", ">=2"),
        ("pycaret", r"pycaret\.internal\.preprocess:", "<3"),  # a package since 3
        ("pycaret", r"pycaret\.internal\.preprocess\.", ">=3"),
        ("scipy", r"scipy\.sparse\._", ">=1.8"),
        ("scipy", r"scipy\.sparse\.(bsr|coo|csc|csr|dia|dok|lil):", "<1.8"),
        ("scikit-learn", r"sklearn\.externals\.joblib", "<0.21"),
        ("scikit-learn", r"sklearn\.(grid_search|lda|mixture\.(dpgmm|gmm)|qda):", "<0.20"),
        ("scikit-learn", r"sklearn\.covariance\.outlier_detection:", "<0.20"),
        ("scikit-learn", r"sklearn\.decomposition\.pca:RandomizedPCA", "<0.20"),
        ("scikit-learn", r"sklearn\.gaussian_process\.gaussian_process:", "<0.20"),
    )
]
"""Distribution, a pattern of names in the file, and the versions that write such a name."""

_RANGE = re.compile(r"(\d+\.\d+)(?:-(\d+\.\d+))?")
_SKLEARN = re.compile(r"(sklearn\.|_loss:)")


def implied_versions(trace: Trace) -> dict[str, str]:
    """Return distribution -> the specifier that the file implies."""
    specifiers: dict[str, list[str]] = {}
    for name, pattern, specifier in _IMPLIED:
        if any(map(pattern.match, trace.globals)):
            specifiers.setdefault(name, []).append(specifier)
    specifiers.setdefault("scikit-learn", []).extend([*_moved(trace.globals), *_nodes(trace)])
    specifiers.setdefault("pandas", []).extend(_managers(trace))
    specifiers["statsmodels"] = list(_formulas(trace))
    return {name: _intersect(parts) for name, parts in specifiers.items() if parts}


def version_evidence(distribution: str, keys: Iterable[str]) -> str | None:
    """Return the first "module:name" that implies a version of a distribution, or None."""
    patterns = [pattern for name, pattern, _ in _IMPLIED if name == distribution]
    return next((key for pattern in patterns for key in keys if pattern.match(key)), None)


def evidence_name(distribution: str, keys: Iterable[str]) -> str | None:
    """Return a "module:name" of the distribution, preferably one that implies a version."""
    provided = [key for key in keys if DISTRIBUTIONS.get(top(key)) == distribution]
    return version_evidence(distribution, provided) or (provided[0] if provided else None)


def _managers(trace: Trace) -> Iterator[str]:
    """Yield a bound for block managers of protocols 0 and 1.

    `_reconstructor` calls `object.__new__`, which fails for the compiled classes since pandas 1.3.
    """
    keys = {class_key(node) for node in trace.objects if constructed_class(node) is not node.cls}
    if any(key.startswith("pandas.") and key.endswith("BlockManager") for key in keys):
        yield "<1.3"


def _moved(keys: Iterable[str]) -> Iterator[str]:
    """Yield bounds of the scikit-learn series that have all names.

    If no series has all of them, the file has parts of several series, and no bound is known.
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
    """Return the first and the last series of scikit-learn that write a name, or None."""
    found = _RANGE.findall(allowlist.seen(key))
    if not found:
        return None
    return Version(found[0][0]), Version(found[-1][1] or found[-1][0])


def _series() -> list[Version]:
    """Return the series of scikit-learn in the allowlist, oldest first."""
    ends = {end for text in allowlist.all_seen() for pair in _RANGE.findall(text) for end in pair}
    return sorted(Version(end) for end in ends if end)


def _nodes(trace: Trace) -> Iterator[str]:
    """Yield the bound that the nodes of trees imply."""
    if any(map(splits_missing, trace.objects)):
        yield ">=1.3"
    elif any(map(splits_none, trace.objects)):
        yield "<1.3"


def _formulas(trace: Trace) -> Iterator[str]:
    """Yield the bound that the key of a formula implies: statsmodels 0.15 renamed it."""
    found = [node for node in trace.objects if contract_name(class_key(node)) == "formula"]
    keys = {name for node in found for name in attributes(node)}
    if "restore_model_spec" in keys:
        yield ">=0.15"
    elif "restore_design_info" in keys:
        yield "<0.15"


def _intersect(specifiers: list[str]) -> str:
    """Return the tightest bounds, or the first specifier if two contradict each other."""
    lower = [Version(part[2:]) for part in specifiers if part.startswith(">=")]
    upper = [Version(part[1:]) for part in specifiers if not part.startswith(">=")]
    if lower and upper and max(lower) >= min(upper):
        return specifiers[0]
    bounds = [f">={max(lower)}"] if lower else []
    return ",".join([*bounds, *([f"<{min(upper)}"] if upper else [])])
