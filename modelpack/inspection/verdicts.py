"""The verdict that follows from findings, and whether a model may be packaged.

The process that reads no model files imports only this part of the inspector.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import PurePath

from modelpack.errors import ModelNotSupportedError, ModelRefusedError
from modelpack.types import Code, Field, Finding, ModelFile, ModelSpec, Safety, Verdict

from .known_formats import ALL, format_hint

UNKNOWN = "unknown-global"
NOTES = {
    "not-a-model", "not-fitted", "no-prediction", "repeated-name", "several-models", "misfit",
    "file-order", "mlflow-method", "network-inputs", "takes-sequences",
}  # fmt: skip
"""Codes of findings that describe the file. They do not change the verdict."""

NATIVE = frozenset(form.name for form in ALL if form.reader)
"""Formats of files that contain one model, which transformers in other files may precede."""

_PLAIN_PATH = re.compile(r"[\w./ +=@,:-]+", re.ASCII)
_MAX_NAMED = 3
_MAX_OPTIONS = 20
_HINTS = {
    "external-data": "Save one file: onnx.save(model, 'model.onnx', save_as_external_data=False).",
    "not-a-model": "Save the fitted estimator or pipeline itself, with "
    "joblib.dump(model, 'model.joblib').",
    "explainer": "Save the model itself, with joblib.dump(model, 'model.joblib').",
    "only-a-name": "Save the fitted model that it uses, with joblib.dump(model, 'model.joblib'), "
    "or an object of your own class with a method predict(X), and give the file of the class: "
    "--code FILE.py. docs/code.md has an example.",
    "not-fitted": "Call fit before joblib.dump.",
    "no-prediction": "Save an estimator that has predict or transform.",
    "repeated-name": "Rename one of the columns, and train the model again.",
    "misfit": "Give the files of one model, in the order in which rows pass through them.",
    "empty-file": "Save or copy the model again.",
    "truncated": "Save or copy the model again: its size differs from that of the original.",
    "byte-code": "Move the function or class to a file (write a lambda with def), import it "
    "from there in the training script, save the model again with "
    "joblib.dump(model, 'model.joblib') (MLflow: code_paths=['FILE.py']), and name the file: "
    "--code FILE.py",
    "dill-session": "If you trust its author, load it where it was saved and save the model alone: "
    "dill.load_session('{path}'); joblib.dump(model, 'model.joblib')",
    "takes-sequences": "Save an object of your own class, whose predict makes the sequences "
    "from columns, and give its file: --code FILE.py. docs/formats.md has an example.",
    "network-inputs": "Save a model whose inputs are numbers, with fixed sizes and at most 100,000 "
    "values in a row. Encode texts before the model, such as by a transformer of scikit-learn in a "
    "file before it.",
    "neural-network": "Export it to ONNX, such as torch.onnx.export(model.eval(), (rows,), "
    "'model.onnx', external_data=False), where model is the attribute module_ of a skorch model. "
    "It needs the packages torch, onnx and onnxscript.",
    "unread-function": "Write a function with def in a file instead, import it from there in the "
    "training script, save the model again, and name the file: --code FILE.py",
    "unread-value": "Replace the object by numbers, texts, lists or dicts, such as vars(args) for "
    "a Namespace, and save the model again.",
    "unserved-model": "Package a model that predicts from the values of one row. That may be an "
    "object of your own class, whose predict(X) calls another method of this model: --code FILE.py "
    "names the file of the class. docs/formats.md has examples.",
    "arrow-type": "Convert the column before training, such as data.astype(object), and save the "
    "model again.",
    "formulaic": "Train without a formula, on columns that contain its terms.",
    "numpy-matrix": "Convert it with numpy.asarray before training, and save the model again.",
    "skops-pandas": "Save the model again with joblib.dump(model, 'model.joblib').",
    "path-object": "Store the path as text, as str(path) returns it, and save the model again.",
    "formula": "Compute the other terms before training, as columns of the data. docs/security.md "
    "lists the supported terms.",
    "old-layout": "Train the model again with scikit-learn 0.20 or later.",
    "lz4-missing": "Run: pip install 'modelpack[lz4]'",
    "keras-2": "Convert it where it was saved: python -m tf2onnx.convert --keras {path} --output "
    "model.onnx. The file of a simple model may be saved as HDF5 instead: model.save('model.h5')",
    "keras-class": "If you trust its author, load it where its classes are defined and export it: "
    "model.export('model.onnx', format='onnx'). It needs the packages onnx and onnxscript, or "
    "tf2onnx for TensorFlow.",
    "keras-code": "Replace the layer by layers of Keras or functions of keras.ops, and save the "
    "model again. Or, if you trust its author, load it with keras.saving.load_model('{path}', "
    "safe_mode=False) and export it: model.export('model.onnx', format='onnx'). It needs the "
    "packages onnx and onnxscript, or tf2onnx for TensorFlow.",
    "keras-tensorflow": "Encode the texts before the model, such as by a transformer of "
    "scikit-learn in a file before it, and save the model without these layers.",
    "keras-weights": format_hint("keras-weights"),
    "hdf5-layout": "Load it with keras.saving.load_model and save it: model.save('model.keras')",
    "mlflow-flavour": "Log the model with one of these flavours, such as mlflow.sklearn, or "
    "export it to ONNX and log it with mlflow.onnx.",
    "mlflow-savedmodel": "Convert it, where FOLDER is the one with saved_model.pb in it: "
    "python -m tf2onnx.convert --saved-model FOLDER --output model.onnx. Or log it with Keras 3, "
    "as mlflow.keras does.",
    "mlflow-method": "Give the file in the folder itself, whose predictions are those of its "
    "method predict, or log the model with pyfunc_predict_fn='predict'.",
    "mlflow-python-model": "Save an object of your own class, whose predict takes a DataFrame, and "
    "whose model_config has texts, numbers, lists and dicts: mlflow.pyfunc.save_model(..., "
    "code_paths=['FILE.py']). Or save it without MLflow, with joblib.dump(model, 'model.joblib'), "
    "and give the file of the class: --code FILE.py. docs/code.md has an example.",
    "torch-code": "Export the model with a new tensor as its example, and save the program alone: "
    "torch.export.save(program, 'model.pt2').",
    "torch-division": "If you trust its author, freeze the module, so that attributes become "
    "constants: torch.jit.save(torch.jit.freeze(torch.jit.load('{path}').eval()), 'frozen.pt'). If "
    "the divisor is computed, export the model with torch.export, whose divisions the service "
    "checks: torch.export.save(torch.export.export(model.eval(), (example,), "
    "dynamic_shapes=[{0: torch.export.Dim('rows')}]), 'model.pt2').",
    "torch-operator": "Export the model to ONNX: torch.onnx.export(model.eval(), (example,), "
    "'model.onnx', external_data=False). It needs the packages onnx and onnxscript.",
    "torch-recurrent": "Export the model with torch.export, whose recurrent networks are served: "
    "torch.export.save(torch.export.export(model.eval(), (example,), "
    "dynamic_shapes=[{0: torch.export.Dim('rows')}]), 'model.pt2').",
    "torch-signature": "Export the model in evaluation mode, for a tensor of several rows and a "
    "fixed number of columns: torch.export.save(torch.export.export(model.eval(), (example,), "
    "dynamic_shapes=[{0: torch.export.Dim('rows')}]), 'model.pt2').",
    "torch-unsupported": "Export the model again, on the CPU, with tensors as the only arguments "
    "of its forward: torch.export.save(torch.export.export(model.cpu().eval(), (example,), "
    "dynamic_shapes=[{0: torch.export.Dim('rows')}]), 'model.pt2').",
    "trailing-data": "Save all parts of the model in one call, as one tuple or dict.",
}
_UNSUPPORTED = {
    "arrow-type", "dill-session", "empty-file", "explainer", "hdf5-layout", "keras-2",
    "keras-tensorflow", "keras-weights", "lz4-missing", "mlflow-flavour",
    "mlflow-python-model", "mlflow-savedmodel", "neural-network", "only-a-name", "skops-pandas",
    "takes-sequences", "torch-division", "torch-operator", "torch-recurrent", "torch-signature",
    "torch-unsupported",
    "unread-function", "unread-value", "unserved-model", "unsupported-format",
}  # fmt: skip
_UNREAD = (
    {"unsupported-format"}, {"mlflow-flavour"}, {"mlflow-python-model"}, {"mlflow-savedmodel"},
)  # fmt: skip
_HARMFUL = {
    "bad-arguments", "bad-callable", "bad-items", "bad-member", "bad-name", "bad-state", "bad-text",
    "banned-global", "broken-array", "broken-invariant", "computed-call", "decompression-bomb",
    "dropped-global", "dropped-value", "hidden-code", "outside-file", "replaced-method",
    "state-of-non-object", "two-joblibs", "unexpected-class", "unexpected-role",
}  # fmt: skip
"""Codes of files that only an attack writes. The others mean damaged, too large, or unsupported."""

_UNREADABLE = {
    "broken-frame", "changed", "empty-file", "external-data", "lz4-missing", "malformed",
    "too-large", "truncated",
}  # fmt: skip
_EXPLAINED = {"byte-code", "formula", "numpy-matrix"}
"""Codes of honest models that never pass. Other findings of these files are consequences."""

_BY_VALUE = {"cloudpickle", "dill", "__main__"}
_OF_BY_VALUE = {"__builtin__:__main__", "builtins:type"}
"""Modules and names in files with byte code, which the finding "byte-code" explains."""

_DANGEROUS = "Look at `modelpack inspect` for all findings; do not load this file."
_DAMAGED = "Look at `modelpack inspect` for all findings, and save or copy the model again."
_WITH_FINDINGS = {
    _DANGEROUS: "Do not load this file.", _DAMAGED: "Save or copy the model again.",
}  # fmt: skip
"""A hint -> the hint where all findings are shown already."""


def verdict(findings: Iterable[Finding]) -> Verdict:
    """Return the verdict that follows from the codes of the findings."""
    codes = {finding.code for finding in findings} - NOTES
    if not codes:
        return "pass"
    return "trust" if codes == {UNKNOWN} else "refuse"


def is_unreadable(findings: Iterable[Finding]) -> bool:
    """Return whether the findings say only that a file is damaged, incomplete or too large."""
    return {finding.code for finding in findings} <= _UNREADABLE


def is_harmful(code: str) -> bool:
    """Return whether only an attack has findings of this code."""
    return code in _HARMFUL


def is_unsupported(findings: Iterable[Finding]) -> bool:
    """Return whether the only finding is that modelpack does not read the format."""
    return {finding.code for finding in findings} in _UNREAD


def is_unserved(findings: Iterable[Finding]) -> bool:
    """Return whether the model is only not supported, and nothing in it is harmful."""
    return bool(_unsupported(tuple(findings)))


def with_trusted(spec: ModelSpec, code: Code) -> ModelSpec:
    """Return the spec that `inspect` returns if it trusts all names that `code` defines.

    The file is not read again, because trust changes no other finding. The result also has the
    findings that only the code of the author's classes reveals.
    """
    kept = [f for f in spec.safety.findings if f.code != UNKNOWN or f.global_ not in code.defined]
    kept += _replaced(code)
    return replace(spec, safety=Safety(verdict(kept), tuple(kept)))


def _replaced(code: Code) -> Iterator[Finding]:
    """Find the states that replace a method of a class whose code was found."""
    if not code.classes:
        return
    from .methods import reserved_by_import  # noqa: PLC0415 - few models need its table

    for each in code.classes:
        inherited = frozenset[str]().union(*map(reserved_by_import, each.bases))
        for name in sorted({*each.replaced, *inherited.intersection(each.unset)}):
            message = f"{each.name.replace(':', '.')} has a state that replaces its method {name}"
            yield Finding("replaced-method", message, global_=each.name)


def hint_with_findings(hint: str) -> str:
    """Return a hint for the output of `modelpack inspect`, which it does not name."""
    return _WITH_FINDINGS.get(hint, hint)


def require_servable(spec: ModelSpec) -> None:
    """Raise an error unless the model may be loaded in the image.

    Raises:
        ModelNotSupportedError: The file is not a model, or modelpack does not read its format.
        ModelRefusedError: The file is malformed or hostile, or names code that is not trusted.
    """
    findings = spec.safety.findings
    for finding in _unsupported(findings):
        raise _not_supported(spec, finding)
    if spec.safety.verdict == "refuse":
        raise _refused(spec, [f for f in findings if f.code not in {*NOTES, UNKNOWN}])
    if spec.safety.verdict == "trust":
        raise _untrusted(spec, [f for f in findings if f.code == UNKNOWN])
    for finding in findings:
        raise _not_supported(spec, finding)


def _unsupported(findings: tuple[Finding, ...]) -> list[Finding]:
    """Return why the model is not supported; nothing if it is harmful."""
    if any(is_harmful(f.code) for f in findings):  # of another file
        return []
    unsupported = [f for f in findings if f.code in _UNSUPPORTED]
    if all(map(_is_of_old_layout, findings)):
        unsupported += [f for f in findings if f.code == "old-layout"]
    return unsupported


def _is_of_old_layout(finding: Finding) -> bool:
    is_old_class = finding.code == UNKNOWN and (finding.global_ or "").startswith("sklearn.")
    return is_old_class or finding.code in {"old-layout", *NOTES}


def lacks_categories(field: Field) -> bool:
    """Return whether an input has categories that the file does not contain."""
    return field.dtype == "category" and field.categories is None


def require_categories(spec: ModelSpec) -> None:
    """Raise ModelNotSupportedError unless the values of all categorical columns are known."""
    unknown = [f.name for f in spec.signature.inputs if lacks_categories(f)]
    if unknown:
        more = f" and {len(unknown) - _MAX_NAMED} more" if len(unknown) > _MAX_NAMED else ""
        raise ModelNotSupportedError(
            f"{_name(spec)} cannot be served: it was trained on categorical columns "
            f"({', '.join(unknown[:_MAX_NAMED])}{more}), and the file does not contain their "
            "values. XGBoost 3.1 and later save them if they are ASCII.",
            hint="Call modelpack.record(model, X, path) with X as in training: the record contains "
            "the categories.",
        )


def _not_supported(spec: ModelSpec, finding: Finding) -> ModelNotSupportedError:
    message = f"{_name(spec)} cannot be served: {finding.message}."
    hint = _HINTS.get(finding.code, "").replace("{path}", _plain_path(spec.file))
    if finding.code == "several-models":
        hint = _select_hint(spec)
    if finding.code == "unsupported-format":
        hint = _format_hint(spec)
    if finding.code == "file-order":
        hint = f"Give the files in this order: {' '.join(_in_order(spec))}"
    natives = [name for name, file in _named(spec.files) if file.format in NATIVE]
    if finding.code == "misfit" and len(natives) > 1:
        hint = f"Give each of these models alone, such as: modelpack package {natives[0]}"
    return ModelNotSupportedError(message, hint=hint)


def _format_hint(spec: ModelSpec) -> str:
    """Return the way out of the first file in a format that is not read."""
    name, file = next((n, f) for n, f in _named(spec.files) if format_hint(f.format))
    hint = format_hint(file.format, file.container)
    return hint.replace("{file}", name).replace("{path}", _plain_path(file))


def _plain_path(file: ModelFile) -> str:
    """Return the path for the text of a program, or FILE.

    A shell would run parts of some names, and their quotes would end the text.
    """
    return file.path if _PLAIN_PATH.fullmatch(file.path) else "FILE"


def _select_hint(spec: ModelSpec) -> str:
    if spec.more_files:
        return "Give files with one estimator each, or one file and --select."
    names = spec.suggestion or spec.choices[:1]
    options = " ".join(f"--select {shlex.quote(repr(name)[1:-1])}" for name in names)
    if len(names) > 1:
        return f"Select all estimators of the pipeline in order, such as: {options}"
    return (
        f"Choose one with --select, such as {options}. Several --select in the order of the rows "
        "create a pipeline."
    )


def _in_order(spec: ModelSpec) -> list[str]:
    """Return the files in the order of the members. If those are open, native models are last."""
    named = _named(spec.files)
    if len(spec.members) == len(named):
        return [named[member.file][0] for member in spec.members]
    return [name for name, _ in sorted(named, key=lambda pair: pair[1].format in NATIVE)]


def _named(files: Iterable[ModelFile]) -> list[tuple[str, ModelFile]]:
    """Return the files with their paths as a shell takes them, and no command as an option."""
    paths = [(repr(file.path)[1:-1], file) for file in files]
    return [(shlex.quote(f"./{p}" if p.startswith("-") else p), file) for p, file in paths]


def _refused(spec: ModelSpec, findings: list[Finding]) -> ModelRefusedError:
    if findings[0].code == "byte-code":
        findings = [findings[0], *(f for f in findings if not _is_of_byte_code(f))]
    if findings[0].code == "truncated":
        findings = [findings[0], *(f for f in findings if is_harmful(f.code))]
    clauses = [f"{f.message}{_where(f)}" for f in findings[:_MAX_NAMED]]
    more = len(findings) - len(clauses)
    text = "; ".join(clauses) + (f"; and {more} more" if more else "")
    is_attack = any(is_harmful(f.code) for f in findings)
    is_attack = is_attack and findings[0].code not in _EXPLAINED - {"byte-code"}
    notes = [f.code for f in spec.safety.findings if f.code in NOTES]
    code = next(iter(notes), findings[0].code)
    hint = _HINTS.get(code, _DAMAGED).replace("{path}", _plain_path(spec.file))
    return ModelRefusedError(
        f"{_name(spec)} is refused and was not executed: {text}." + _notes(spec, "in any case"),
        hint=_DANGEROUS if is_attack else hint,
    )


def _is_of_byte_code(finding: Finding) -> bool:
    """Return whether a finding follows from the byte code that cloudpickle or dill saves."""
    name = finding.global_ or ""
    top = name.partition(":")[0].partition(".")[0]
    return top in _BY_VALUE or name in _OF_BY_VALUE or finding.code == "byte-code"


def _untrusted(spec: ModelSpec, findings: list[Finding]) -> ModelRefusedError:
    names = sorted({f.global_ for f in findings if f.global_})
    listed = ", ".join(name.replace(":", ".") for name in names[:_MAX_NAMED])
    more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    options = " ".join(f"--trust {name}" for name in names[:_MAX_OPTIONS])
    if len(names) > _MAX_OPTIONS:
        options += f" (and {len(names) - _MAX_OPTIONS} more: see modelpack inspect --json)"
    trust = f"If you trust the author of this code, add: {options}"
    has_explainer = any(name.startswith("shap.explainers") for name in names)
    return ModelRefusedError(
        f"{_name(spec)} is not trusted yet: loading it would run code that modelpack does not "
        f"know ({listed}{more}). It was not executed." + _notes(spec, "even if trusted"),
        hint=f"{_HINTS['explainer']} {trust}" if has_explainer else trust,
    )


def _notes(spec: ModelSpec, condition: str) -> str:
    """Return why a refused model could not be served either."""
    notes = "; ".join(f.message for f in spec.safety.findings if f.code in NOTES)
    return f" It could not be served {condition}: {notes}." if notes else ""


def _where(finding: Finding) -> str:
    return "" if finding.offset is None else f" (at byte {finding.offset:,})"


def _name(spec: ModelSpec) -> str:
    return repr(PurePath(spec.file.path).name).strip("'\"")
