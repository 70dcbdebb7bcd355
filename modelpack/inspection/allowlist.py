"""What is known of the names that a pickle may hold.

`allowlist.json` is made by scripts/make_allowlist.py from the pickles of real releases: exact
"module:name" -> the roles in which picklers write it, the contract that its arguments keep, and the
releases that it was seen in. Prefixes would not do: numpy, scipy and scikit-learn hold functions
that run text or open files.
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

# Beyond the standard library of the Python that runs us: those of other versions and of Python 2,
# whose names unpicklers translate, and packages that import, load or run what they are given.
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
# Libraries whose every name that a model needs is known, or is a class.
_FRAMEWORKS = {
    "catboost", "lightgbm", "numpy", "pandas", "scipy", "sklearn", "statsmodels", "xgboost",
}  # fmt: skip
_BANNED_PARTS = (
    "numpy.distutils", "numpy.f2py", "numpy.lib", "numpy.testing", "numpy.ctypeslib", "pandas.io",
    "pandas.core.computation", "scipy.io", "scipy._lib", "sklearn.callback", "sklearn.datasets",
    "sklearn.externals", "sklearn.utils", "statsmodels.datasets", "statsmodels.formula",
    "statsmodels.iolib",
    # what these hold, under the names that they are shown by
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
    """How picklers write this "module:name": it is made (new), called (call), a mere value (ref),
    appended to (append), given items (items). Empty for one that is not known.
    """
    entry = _table().get(key)
    return entry["roles"] if entry else ()


def contract_name(key: str) -> str | None:
    """The contract, in modelpack.inspection.contracts, of this "module:name"."""
    entry = _table().get(key)
    return entry.get("contract") if entry else None


def seen(key: str) -> str:
    """The series of scikit-learn whose files held this name, as "0.20-0.22, 1.7-1.9"; "" or words
    for a name that tells nothing of them.
    """
    return str(_table().get(key, {}).get("seen", ""))


@cache
def all_seen() -> frozenset[str]:
    """What `seen` says of all the names in the table."""
    return frozenset(entry["seen"] for entry in _table().values())


@cache
def all_modules() -> frozenset[str]:
    """The modules of all the names in the table."""
    return frozenset(key.partition(":")[0] for key in _table())


@cache
def standing(key: str) -> Standing:
    """Whether the global is `known`, `unknown` (the user may trust it) or `banned` (nobody may)."""
    if is_known(key):
        return "known"
    module, _, name = key.partition(":")
    parts = module.split(".")
    if parts[0] != "__main__" and (parts[0] in _BANNED or parts[0].startswith("_")):
        return "banned"  # with an underscore: compiled modules of some release of Python
    if any(p.startswith("__") and p != "__main__" for p in [*parts, *name.split(".")]):
        return "banned"
    if parts[0] in _FRAMEWORKS:
        return "unknown" if _may_be_class(module, name) else "banned"
    return "banned" if _crosses(name) else "unknown"


def _may_be_class(module: str, name: str) -> bool:
    inside = any(f"{module}.{name}.".startswith(f"{part}.") for part in _BANNED_PARTS)
    return not inside and name.isidentifier() and name.lstrip("_")[:1].isupper()


def _crosses(name: str) -> bool:
    """Whether a dotted name may lead from its module into another: a class holds classes, a module
    anything that it imported.
    """
    return any(not part.lstrip("_")[:1].isupper() for part in name.split(".")[:-1])
