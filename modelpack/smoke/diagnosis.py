"""Why a service did not start, and what to do."""

from __future__ import annotations

import re

from modelpack.smoke.checks import PARITY, READY
from modelpack.smoke.checks.predictions import RANDOM
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

_REQUIREMENTS = {
    **LIBRARIES,
    "cloudpickle": "cloudpickle",
    "dateutil": "python-dateutil",
    "dill": "dill",
    "pkg_resources": "'setuptools<81'",
    "setuptools": "setuptools",
    "six": "six",
    "tqdm": "tqdm",
    "yaml": "PyYAML",
}
"""Top-level module -> what --requirement needs to provide it.

Others are not derived from the name of the module: it may be a module of the author, and an index
may have a distribution of a stranger with its name.
"""

_RELEASE = (
    "Leave out --requirement for it. If the file records no version, name the release that saved "
    "it: --requirement {library}==VERSION"
)
_RELEASE_OR_CODE = (
    "Name the release that saved it: --requirement NAME==VERSION. If {top} is your own code, give "
    "all of it: --code PATH"
)
_OTHER_RELEASE = (
    r"'(?P<name>\w+)' object has no attribute '(?P<attribute>\w+)'",
    "The model loads and then fails: its {name} has no {attribute}. Another release of a library "
    "may have saved it.",
    "Leave out --requirement for that library. If the file records no version, name the release "
    "that saved it: --requirement NAME==VERSION",
)
_LIBRARY = "|".join(LIBRARIES)

# Ordered: the first pattern found in the output of the service decides.
_CAUSES = (
    (
        r"the model in the file has no method (?P<name>\w+)\.",
        "The object in the file has no method {name}.",
        "Save an object of your own class, whose predict(X) calls another method of this object: "
        "--code FILE.py names the file of the class.",
    ),
    (
        r"Can't get attribute '(?P<name>[\w.]+)' on <module '(gunicorn\.)?__main__'",
        "The model needs {name}, which was defined in the script or notebook that saved it.",
        "Give that script: --code FILE.py. Or move {name} into a separate module and save the "
        "model again.",
    ),
    (
        r"No module named '(?P<module>\w+)'; also missing: (?P<others>\w+(, \w+)*)",
        "The model needs the modules {modules}, which are not in the image.",
        "{provide}",
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
        r"No module named 'pkg_resources'",
        "The image has no pkg_resources, which a library of the model imports. It is a part of "
        "setuptools before 81.",
        "Require it: --requirement 'setuptools<81'",
    ),
    (
        rf"No module named '(?P<module>{_LIBRARY})'",
        "The model needs the module {module}, which is not in the image.",
        "Require it: --requirement {library}",
    ),
    (  # Python names the first module that is missing: the package above it was imported.
        r"No module named '(?P<module>\w+(\.\w+)+)'",
        "The {top} in the image has no {module}, which the model needs. Another release of {top} "
        "may have saved the model.",
        _RELEASE_OR_CODE,
    ),
    (
        r"No module named '(?P<module>[\w.]+)'",
        "The model needs the module {module}, which is not in the image.",
        "{provide}",
    ),
    (
        r"Can't get attribute '(?P<name>[\w.]+)' on <module '(?P<module>[\w.]+)'",
        "The {top} in the image has no {module}.{name}, which the model needs. Another release of "
        "{top} may have saved the model.",
        _RELEASE_OR_CODE,
    ),
    (
        r"unsupported pickle protocol: (?P<name>\d+)",
        "The model file is a pickle of protocol {name}, which is too new for the Python in the "
        "image.",
        "Leave out --python, or give a later one: protocol 5 needs --python 3.8 or later.",
    ),
    (
        r"node array from the pickle has an incompatible dtype|Did not recognise loaded array",
        "The scikit-learn in the image cannot read the trees in the model file: their format "
        "changed with 1.3, and another release saved it.",
        _RELEASE.format(library="scikit-learn"),
    ),
    (
        r"not load: (KeyError: \d|.*python 3 a joblib pickle|.*'str' object .* attribute 'append')",
        "The joblib in the image cannot read the arrays in the model file, whose format is that of "
        "joblib since 1.2.",
        "Require a newer joblib: --requirement 'joblib>=1.2'",
    ),
    (
        r"__(randomstate|generator)_ctor\(\) takes|is not a known BitGenerator",
        "The numpy in the image is older than the one that saved the model's random generator.",
        "Leave out --requirement for numpy, or require a later one: --requirement 'numpy>=2'",
    ),
    (
        r"numpy\.dtype size changed|compiled using NumPy 1|_ARRAY_API not found",
        "A library in the image was compiled for another numpy.",
        "Leave out --requirement numpy, so that compatible versions are chosen.",
    ),
    (
        r"`np\.(?P<name>\w+)` was removed in the NumPy 2",
        "A library of the model uses numpy.{name}, which numpy 2 has removed.",
        "Require an older numpy: --requirement 'numpy<2'",
    ),
    (
        r"module 'numpy' has no attribute '(?P<name>bool|complex|float|int|long|object|str)'",
        "A library of the model uses numpy.{name}, which numpy 1.24 has removed.",
        "Require an older numpy: --requirement 'numpy<1.24'",
    ),
    (
        r"(?P<name>lib[\w.+-]+\.so[\w.]*): cannot open shared object",
        "A system library is missing in the image: {name}.",
        "Use a base image that has it: --base-image REF",
    ),
    (
        r"Ran out of input|pickle data was truncated",
        "The model file ends too early.",
        "Copy or save it again.",
    ),
    (
        r"(?P<name>'list' object has no attribute '(apply|columns|fillna|iloc|map|str|values)'"
        r"|list indices must be integers or slices, not str)",
        "The model gets texts as a list, but its code takes a DataFrame or a Series of pandas: "
        "{name}.",
        "For a DataFrame, call modelpack.record(model, X, path) with X as in training. For a "
        "Series, let the code of --code begin with: rows = pandas.Series(rows)",
    ),
    _OTHER_RELEASE,
    (
        r"NotFittedError|Buffer dtype mismatch",
        "The model loads and then fails. It was saved before it was fitted, or by another release "
        "of its library.",
        _OTHER_RELEASE[2],
    ),
    (
        r"locale::facet::_S_create_c_locale|construct locale with name:?\s*(?P<name>[\w.-]+)",
        "The model changes the case of texts, and this machine lacks the locale that it needs, "
        "usually en_US.UTF-8.",
        "Use an engine that builds an image, which contains the locale: --engine docker. Or "
        "generate the locale here, on Debian and Ubuntu with: sudo locale-gen en_US.UTF-8",
    ),
    (
        r"(?P<name>(?:\w+\.)?(?:predict|transform)\(\) (?:missing|takes) .*arguments?.*)",
        "The model does not predict rows alone, as the service calls it: {name}",
        "Save an object whose method takes only the rows, such as one of a class of yours that "
        "calls this model: def predict(self, rows). Give its file: --code FILE.py",
    ),
    (
        r"does not answer its own example: .*failed in the TorchScript interpreter",
        "The TorchScript module fails on tensors of the type of its first weights, which the "
        "service gives it because the file records no types of inputs.",
        "If an input takes integers, such as the indices of an Embedding, or if the types differ, "
        "export the model with torch.export, which records them: torch.export.save("
        "torch.export.export(model.eval(), (first, second), dynamic_shapes="
        "[{{0: rows}}, {{0: rows}}]), 'model.pt2') with rows = torch.export.Dim('rows'). Otherwise "
        "give rows of the right number of columns: --example FILE.",
    ),
    (
        r"train and valid dataset categorical_feature do not match",
        "The model was trained on columns of the dtype category, and its file contains their "
        "categories, but not which columns these are.",
        "Give rows with the dtypes of training: X[:20].to_parquet('rows.parquet', index=False), "
        "and --example rows.parquet. Or call modelpack.record(model, X, path) in the training "
        "script.",
    ),
    (
        r"the model does not answer its own example: (?P<name>.+)",
        "The model fails on the row that the service starts with: {name}",
        "If that row was generated from the model file, give real rows: --example FILE, or call "
        "modelpack.record(model, X, path) in the training script.",
    ),
)

_MAX_LINE = 2_000
"""The model may print any text. The time of some patterns grows with the square of a line."""

_RANDOM = (
    "The model predicts the same row differently each time, so its predictions cannot be tested.",
    "Turn its random draws off and save it again: model.uncertainty_samples = 0 for Prophet, a "
    "fixed random_state for others.",
)


_DIFFERENT = {
    "expected": "Give the predictions of this model file for these rows, in order: --expected "
    "FILE. Without --expected, the service is compared with the model itself.",
    "record": "Record the rows again with the saved model: modelpack.record(model, X, path). "
    "Without the record, the service is compared with the model itself.",
}
"""The way out if predictions differ, by the source of the expected ones."""

_TOLERANCE = re.compile(r"; (?P<hint>[^;]*--tolerance [^;]*)$")


def diagnose(report: SmokeReport) -> tuple[str, str] | None:
    """Return message and hint for a service that was not ready; None if the cause is unknown.

    Also for a model that draws random numbers, whose predictions cannot be compared.
    """
    if any(check.detail.startswith(RANDOM) for check in report.checks if not check.passed):
        return _RANDOM
    if found := _differences(report):
        return found
    failed = "".join(c.detail for c in report.checks if c.name == READY.name and not c.passed)
    return find_cause(failed)


def find_cause(output: str) -> tuple[str, str] | None:
    """Return message and hint for the output of a service that did not start."""
    output = "\n".join(line[:_MAX_LINE] for line in output.splitlines())
    for pattern, message, hint in _CAUSES:
        if match := re.search(pattern, output):
            values = _values(match.groupdict())
            return message.format(**values), hint.format(**values)
    return None


def _differences(report: SmokeReport) -> tuple[str, str] | None:
    """Return message and hint if only the comparison with expected predictions failed."""
    failed = [check for check in report.checks if check.status == "failed"]
    if [check.name for check in failed] != [PARITY.name] or report.parity is None:
        return None
    detail = failed[0].detail
    hint = _DIFFERENT.get(report.parity.source, "")
    if match := _TOLERANCE.search(detail):
        detail = detail[: match.start()]
        hint = f"{match['hint'][:1].upper()}{match['hint'][1:]}"
    return (f"The service predicts something else: {detail}.", hint) if hint else None


def _values(groups: dict[str, str | None]) -> dict[str, str]:
    values = {name: value for name, value in groups.items() if value}
    top = values.get("module", "").partition(".")[0]
    modules = [top, *filter(None, values.get("others", "").split(", "))]
    return {
        **values,
        "top": top,
        "library": LIBRARIES.get(top, ""),
        "modules": ", ".join(modules),
        "provide": _provide(modules),
    }


def _provide(modules: list[str]) -> str:
    """Return the hint for modules that are missing: the options for all of them at once."""
    known = dict.fromkeys(_REQUIREMENTS[each] for each in modules if each in _REQUIREMENTS)
    hints = [f"Require: {' '.join(f'--requirement {each}' for each in known)}"] if known else []
    if unknown := [each for each in modules if each not in _REQUIREMENTS]:
        hints.append(
            f"For {', '.join(unknown)}: if a distribution provides the module, --requirement NAME, "
            "which may differ from the module's. If it is your own module, --code PATH"
        )
    return ". ".join(hints)
