"""Why a service did not start, and what to do."""

from __future__ import annotations

import re

from modelpack.smoke.checks import READY
from modelpack.types import SmokeReport

LIBRARIES = {
    "_loss": "scikit-learn",
    "catboost": "catboost",
    "joblib": "joblib",
    "lightgbm": "lightgbm",
    "numpy": "numpy",
    "pandas": "pandas",
    "scipy": "scipy",
    "sklearn": "scikit-learn",
    "xgboost": "xgboost",
}
"""Top-level module -> the distribution of a library whose releases move their modules."""

_RELEASE = (
    "Leave its version to the model file, without --requirement; where the file records none, name "
    "the release that saved it: --requirement {library}==VERSION"
)
_PROVIDE = (
    "Where a distribution provides it: --requirement NAME, which may differ from the module's. "
    "Where it is your own: --code PATH"
)
_OTHER_RELEASE = (
    r"'(?P<name>\w+)' object has no attribute '(?P<attribute>\w+)'",
    "The model loads and then fails: its {name} has no {attribute}. Another release of a library "
    "may have saved it.",
    "Leave the library's version to the model file, without --requirement; where the file records "
    "none, name the release that saved it: --requirement NAME==VERSION",
)
_LIBRARY = "|".join(LIBRARIES)

# Ordered: the first pattern found in the service's words decides.
_CAUSES = (
    (
        r"Can't get attribute '(?P<name>[\w.]+)' on <module '(gunicorn\.)?__main__'",
        "The model needs {name}, which was defined in the script or notebook that saved it.",
        "Give that script: --code train.py; or move {name} into a module of its own and save the "
        "model again.",
    ),
    (
        rf"No module named '(?P<module>({_LIBRARY})\.[\w.]+|_loss)'",
        "The {library} in the image has no {module}, which the model file names: another release "
        "saved it.",
        _RELEASE,
    ),
    (
        rf"Can't get attribute '(?P<name>[\w.]+)' on <module '(?P<module>({_LIBRARY})[\w.]*)'",
        "The {library} in the image has no {module}.{name}, which the model file names: another "
        "release saved it.",
        _RELEASE,
    ),
    (
        r"No module named '(?P<module>[\w.]+)'",
        "The model needs the module {module}, which is not in the image.",
        _PROVIDE,
    ),
    (
        r"Can't get attribute '(?P<name>[\w.]+)' on <module '(?P<module>[\w.]+)'",
        "The model needs {module}.{name}, which the {module} in the image does not have.",
        _PROVIDE,
    ),
    (
        r"unsupported pickle protocol: (?P<name>\d+)",
        "The model file is a pickle of protocol {name}, which is too new for the Python in the "
        "image.",
        "Leave out --python, or give a later one: protocol 5 takes --python 3.8 or later.",
    ),
    (
        r"node array from the pickle has an incompatible dtype|Did not recognise loaded array",
        "The scikit-learn in the image cannot read the trees in the model file: their nodes have "
        "changed with 1.3, and another release saved it.",
        _RELEASE.format(library="scikit-learn"),
    ),
    (
        r"not load: (KeyError: \d|.*python 3 a joblib pickle|.*'str' object .* attribute 'append')",
        "The joblib in the image cannot read the arrays in the model file, which are laid out as "
        "joblib does since 1.2.",
        "Let joblib be as new as the file: --requirement 'joblib>=1.2'",
    ),
    (
        r"__(randomstate|generator)_ctor\(\) takes|is not a known BitGenerator",
        "The numpy in the image is older than the one that saved the model's random generator.",
        "Leave numpy to the model file, without --requirement, or take a later one: "
        "--requirement 'numpy>=2'",
    ),
    (
        r"numpy\.dtype size changed|compiled using NumPy 1|_ARRAY_API not found",
        "A library in the image was compiled for another numpy.",
        "Leave out --requirement numpy, so that the versions are chosen together.",
    ),
    (
        r"(?P<name>lib[\w.+-]+\.so[\w.]*): cannot open shared object",
        "A system library is missing in the image: {name}.",
        "Take a base image that has it: --base-image REF",
    ),
    (
        r"Ran out of input|pickle data was truncated",
        "The model file ends too early: it is cut off.",
        "Copy or save it again.",
    ),
    _OTHER_RELEASE,
    (
        r"NotFittedError|Buffer dtype mismatch",
        "The model loads and then fails, as another release of its library saved it.",
        _OTHER_RELEASE[2],
    ),
    (
        r"the model does not answer its own example: (?P<name>.+)",
        "The model fails on the row that the service starts with: {name}",
        "If that row was made up from the model file, give real rows: --example FILE, or call "
        "modelpack.record(model, X, path) where the model is trained.",
    ),
)


def diagnose(report: SmokeReport) -> tuple[str, str] | None:
    """The message and the hint for a service that was not ready; None where that tells nothing."""
    words = "".join(c.detail for c in report.checks if c.name == READY.name and not c.passed)
    for pattern, message, hint in _CAUSES:
        if found := re.search(pattern, words):
            told = _told(found.groupdict())
            return message.format(**told), hint.format(**told)
    return None


def _told(groups: dict[str, str | None]) -> dict[str, str]:
    found = {name: value for name, value in groups.items() if value}
    top = found.get("module", "").partition(".")[0]
    return {**found, "library": LIBRARIES.get(top, "")}
