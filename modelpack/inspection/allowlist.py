"""The names that pickles may contain, from `allowlist.json`.

`scripts/make_allowlist.py` writes it from the pickles of real releases: the exact "module:name" ->
the roles in which picklers write it, the contract of its arguments, and the releases that wrote it.
Prefixes are not enough: numpy, scipy and scikit-learn have functions that run text or open files.
"""

from __future__ import annotations

import json
import sys
from _compat_pickle import IMPORT_MAPPING
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Any, Literal

Standing = Literal["known", "unknown", "banned"]

# The standard library of this Python, of other versions, and of Python 2, whose names unpicklers
# translate; and packages that import, load or run their arguments.
_PYTHON_2 = {name.partition(".")[0] for name in IMPORT_MAPPING}
_BANNED = sys.stdlib_module_names | _PYTHON_2 | {
    "aifc", "asynchat", "asyncore", "audioop", "binhex", "cStringIO", "cgi", "cgitb", "chunk",
    "cloudpickle", "commands", "crypt", "dill", "distutils", "dummy_threading", "exceptions",
    "formatter", "formulaic", "imghdr", "imp", "importlib_metadata", "joblib", "jsonpickle",
    "lib2to3", "macpath", "macurl2path", "mailcap", "msilib", "nis", "nntplib", "nt", "ossaudiodev",
    "parser", "patsy", "pip", "pipes", "pkg_resources", "posix", "setuptools", "sitecustomize",
    "smtpd", "sndhdr", "spwd", "sunau", "symbol", "telnetlib", "test", "tomllib", "uu", "wheel",
    "xdrlib", "xxlimited", "xxsubtype",
}  # fmt: skip
# Libraries of which a model needs only known names and classes.
_FRAMEWORKS = {
    "catboost", "lightgbm", "numpy", "pandas", "scipy", "sklearn", "statsmodels", "xgboost",
}  # fmt: skip
_BANNED_PARTS = (
    "numpy.distutils", "numpy.f2py", "numpy.lib", "numpy.testing", "numpy.ctypeslib", "pandas.io",
    "pandas.core.computation", "scipy.io", "scipy._lib", "sklearn.callback", "sklearn.datasets",
    "sklearn.externals", "sklearn.utils", "statsmodels.datasets", "statsmodels.formula",
    "statsmodels.iolib",
    # names from these modules under their public paths
    "numpy.DataSource", "pandas.ExcelFile", "pandas.ExcelWriter",
    "pandas.HDFStore",
)  # fmt: skip


@cache
def _table() -> dict[str, dict[str, Any]]:
    text = (Path(__file__).parent / "allowlist.json").read_text("utf-8")
    table: dict[str, dict[str, Any]] = json.loads(text)
    return table


def is_known(key: str) -> bool:
    return key in _table()


def roles(key: str) -> Collection[str]:
    """Return the roles in which picklers write this "module:name"; empty if it is unknown.

    The roles: its instances are created (new), appended to (append) or get items (items); it is
    called (call); it is a value (ref).
    """
    entry = _table().get(key)
    return entry["roles"] if entry else ()


def contract_name(key: str) -> str | None:
    """Return the name of the contract in `inspection.contracts` for this "module:name"."""
    entry = _table().get(key)
    return entry.get("contract") if entry else None


def seen(key: str) -> str:
    """Return the series of scikit-learn that wrote this name, such as "0.20-0.22, 1.7-1.9".

    "" or text without numbers if the name does not depend on the series.
    """
    return str(_table().get(key, {}).get("seen", ""))


@cache
def all_seen() -> frozenset[str]:
    """Return the results of `seen` for all names of the table."""
    return frozenset(entry["seen"] for entry in _table().values())


@cache
def all_modules() -> frozenset[str]:
    """Return the modules of all names of the table."""
    return frozenset(key.partition(":")[0] for key in _table())


@cache
def standing(key: str) -> Standing:
    """Return "known", "unknown" (the user may trust it) or "banned" (nobody may)."""
    if is_known(key):
        return "known"
    module, _, name = key.partition(":")
    parts = module.split(".")
    if parts[0] != "__main__" and (parts[0] in _BANNED or parts[0].startswith("_")):
        return "banned"  # an underscore: compiled modules of some release of Python
    # Cython's functions of this name restore objects of a class in their module.
    path = [*parts, *name.removeprefix("__pyx_unpickle_").split(".")]
    if any(p.startswith("__") and p != "__main__" for p in path):
        return "banned"
    if parts[0] in _FRAMEWORKS:
        return "unknown" if _may_be_class(module, name) else "banned"
    return "banned" if _crosses(name) else "unknown"


def _may_be_class(module: str, name: str) -> bool:
    inside = any(f"{module}.{name}.".startswith(f"{part}.") for part in _BANNED_PARTS)
    return not inside and name.isidentifier() and name.lstrip("_")[:1].isupper()


def _crosses(name: str) -> bool:
    """Return whether a dotted name may lead to another module: only classes are safe on its way."""
    return any(not part.lstrip("_")[:1].isupper() for part in name.split(".")[:-1])
