"""What the layout of a file tells of versions where none is recorded: names, forms of arrays.

The names of scikit-learn's modules and classes, which moved often, are dated by the releases that
they were seen in when allowlist.json was made.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from packaging.version import Version

from .. import allowlist
from ..allowlist import contract_name
from ..contracts import class_key
from ..machine import Trace
from . import layouts
from .distributions import DISTRIBUTIONS, top
from .parts import attributes

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
    return {name: _together(parts) for name, parts in told.items() if parts}


def telling(distribution: str, keys: Iterable[str]) -> str | None:
    """The first of the names "module:name" that imply something of a distribution's version."""
    patterns = [pattern for name, pattern, _ in _IMPLIED if name == distribution]
    return next((key for pattern in patterns for key in keys if pattern.match(key)), None)


def naming(distribution: str, keys: Iterable[str]) -> str | None:
    """The name "module:name" that tells that the distribution is needed: the first of those that
    imply something of its version, else the first that it provides.
    """
    provided = [key for key in keys if DISTRIBUTIONS.get(top(key)) == distribution]
    return telling(distribution, provided) or (provided[0] if provided else None)


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
    if any(map(layouts.splits_missing, trace.objects)):
        yield ">=1.3"
    elif any(map(layouts.splits_none, trace.objects)):
        yield "<1.3"


def _formulas(trace: Trace) -> Iterator[str]:
    """Which releases of statsmodels restore the formula of a model: 0.15 renamed the key."""
    found = [made for made in trace.objects if contract_name(class_key(made)) == "formula"]
    keys = {name for made in found for name in attributes(made)}
    if "restore_model_spec" in keys:
        yield ">=0.15"
    elif "restore_design_info" in keys:
        yield "<0.15"


def _together(specifiers: list[str]) -> str:
    """The tightest of each kind; of two that contradict each other, the first."""
    lower = [Version(part[2:]) for part in specifiers if part.startswith(">=")]
    upper = [Version(part[1:]) for part in specifiers if not part.startswith(">=")]
    if lower and upper and max(lower) >= min(upper):
        return specifiers[0]
    bounds = [f">={max(lower)}"] if lower else []
    return ",".join([*bounds, *([f"<{min(upper)}"] if upper else [])])
