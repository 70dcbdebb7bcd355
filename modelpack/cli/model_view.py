"""The tree and tables of `modelpack inspect`.

Every text of the file passes through `printable`.
"""

from __future__ import annotations

from collections.abc import Iterable

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from modelpack.inspection import is_unreadable, is_unserved, is_unsupported, lacks_categories
from modelpack.types import Code, Estimator, Field, ModelFile, ModelSpec, Scalar, Tensor

from .text import grid, printable

_NO_CODE = Code()
_STYLES = {"pass": "green", "trust": "yellow", "refuse": "red"}
_VERDICTS = {
    "pass": "it may be loaded in the sandbox of an image",
    "trust": "it refers to code that modelpack does not know: see --trust",
    "refuse": "it must not be loaded",
}
_UNREADABLE = "it cannot be read: it is damaged, or not a model file"
_UNSUPPORTED = "modelpack does not support this format, and has not checked the file"
_UNSERVED = "modelpack does not serve such models"
_UNKNOWN_INPUTS = "unknown: the smoke test needs rows of the data, with --example FILE"
_MOST_COLUMNS, _MOST_CATEGORIES, _MOST_FIELDS = 6, 8, 40


def view(spec: ModelSpec, code: Code = _NO_CODE) -> Group:
    """Return everything known of a model and its user code, from files to verdict."""
    parts: list[RenderableType] = [_facts(spec)]
    if spec.estimator:
        parts += [_heading("estimator"), _tree(Estimator("", spec.estimator, steps=spec.steps))]
    if spec.signature.inputs:
        parts += [_heading("signature"), _signature(spec)]
    if spec.requirements:
        parts += [_heading("requirements"), _requirements(spec)]
    if code.files or code.missing:
        parts += [_heading("user code"), _code(code)]
    return Group(*parts, _verdict(spec))


def _heading(text: str) -> Text:
    return Text(f"\n{text}", "bold")


def _facts(spec: ModelSpec) -> Table:
    library = " ".join(filter(None, (spec.framework, spec.framework_version)))
    rows = [(name, text) for file in spec.files for name, text in _file(file)]
    rows += [
        ("framework", library or "unknown"),
        ("task", spec.task + (" with probabilities" if spec.signature.probabilities else "")),
        ("inputs", _UNKNOWN_INPUTS if _needs_rows(spec) else ""),
        ("categories", _unknown_categories(spec)),
        ("tensors", ", ".join(map(_tensor, spec.signature.tensors))),
        ("artifacts", join_values(_artifacts(spec), _MOST_CATEGORIES)),
        ("n_jobs", "" if spec.n_jobs is None else f"{spec.n_jobs} as saved, 1 when served"),
        ("functions", ", ".join(spec.callables)),
        ("local code", ", ".join(spec.local_modules)),
        ("models", ", ".join(spec.choices)),
        ("compiled", _compiled(spec)),
        ("notes", " ".join(spec.notices)),
    ]
    table = grid()
    for name, value in rows:
        if value:
            table.add_row(Text(name, "bold"), printable(value))
    return table


def _artifacts(spec: ModelSpec) -> list[str]:
    return [file.path for file in spec.context.files] if spec.context else []


def _tensor(tensor: Tensor) -> str:
    sizes = ["n", *("any" if size < 0 else str(size) for size in tensor.shape)]
    return f"{tensor.name} ({', '.join(sizes)})"


def _compiled(spec: ModelSpec) -> str:
    """Return whether `--compiled` is possible, for a model that is served."""
    if spec.safety.verdict != "pass" or not spec.estimator:
        return ""
    return f"not possible: {spec.not_compilable}" if spec.not_compilable else "possible: --compiled"


def _needs_rows(spec: ModelSpec) -> bool:
    """Return whether only rows of the user can describe the inputs of a model to be served."""
    is_servable = spec.safety.verdict == "trust" or not spec.safety.findings
    return is_servable and not spec.signature.inputs


def _unknown_categories(spec: ModelSpec) -> str:
    """Return which inputs need a record or rows, because the file lacks their categories."""
    lacking = [f.name for f in spec.signature.inputs if lacks_categories(f)]
    if not lacking:
        return ""
    return (
        f"unknown for {join_values(lacking, _MOST_CATEGORIES)}: call modelpack.record in training"
    )


def _file(file: ModelFile) -> tuple[tuple[str, str], ...]:
    protocol = "" if file.protocol is None else f", protocol {file.protocol}"
    return (
        ("file", f"{file.path} ({file.size:,} bytes)"),
        ("sha256", file.sha256),
        ("format", f"{file.format} ({file.container}{protocol})"),
    )


def _tree(node: Estimator, into: Tree | None = None) -> Tree:
    columns = f"  {join_values(node.columns, _MOST_COLUMNS)}" if node.columns else ""
    label = Text.assemble(
        printable(f"{node.name}: " if node.name else ""),
        printable(node.type.rpartition(".")[2], "" if into else "bold"),
        printable(columns, "dim"),
    )
    branch = into.add(label) if into else Tree(label, guide_style="dim")
    for step in node.steps:
        _tree(step, branch)
    return branch


def _signature(spec: ModelSpec) -> Table:
    table = Table(
        "input", "type", "values", "example", box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False
    )
    inputs = spec.signature.inputs
    for field in inputs[:_MOST_FIELDS]:
        table.add_row(
            printable(field.name),
            field.type + (" or missing" if field.nullable else ""),
            printable(field_values(field)),
            printable(value_text(field.example)),
        )
    if len(inputs) > _MOST_FIELDS:
        table.add_row(Text(f"... and {len(inputs) - _MOST_FIELDS:,} more", "dim"), "", "", "")
    table.add_section()
    for field in spec.signature.outputs:
        kind = field.type + shape_text(field)
        table.add_row(printable(field.name), kind, printable(field_values(field)), "", style="cyan")
    return table


def shape_text(field: Field) -> str:
    """Return the shape after the type, such as " x 3"; "" for a scalar."""
    return "".join(f" x {size}" if size >= 0 else " x ?" for size in field.shape)


def field_values(field: Field) -> str:
    """Return the categories or the range of a field; "" if neither is known."""
    if field.categories is not None:
        return join_values(field.categories, _MOST_CATEGORIES)
    if field.minimum is not None and field.maximum is not None:
        return f"{field.minimum:.4g} to {field.maximum:.4g}"
    return ""


def value_text(value: Scalar) -> str:
    """Return a value as text; None is "missing"."""
    return value if isinstance(value, str) else "missing" if value is None else f"{value}"


def join_values(values: Iterable[Scalar], limit: int) -> str:
    """Return the first values, and how many there are if that is more."""
    shown = [value_text(value) for value in values]
    more = f", ... ({len(shown)})" if len(shown) > limit else ""
    return ", ".join(shown[:limit]) + more


def _requirements(spec: ModelSpec) -> Table:
    table = grid()
    for name, specifier in spec.requirements.items():
        reason = printable(spec.reasons.get(name, ""), "dim")
        table.add_row(printable(name), printable(specifier or "any version"), reason)
    return table


def _code(code: Code) -> Table:
    from modelpack.user_code import origin

    table = grid()
    for file in code.files:
        what = "definitions of " if file.text is not None else ""
        table.add_row(printable(file.path), printable(what + origin(file), "dim"))
    for module in code.missing:
        table.add_row(printable(module), Text("not found: see --code", "yellow"))
    for name, specifier in code.requirements.items():
        reason = printable(code.reasons[name], "dim")
        table.add_row(printable(f"{name}{specifier}"), reason)
    for note in code.notes:
        table.add_row(Text("note", "yellow"), printable(note))
    return table


def verdict_text(spec: ModelSpec) -> tuple[str, str, str]:
    """Return the verdict of an inspection, its color, and what it means."""
    verdict, findings = spec.safety.verdict, spec.safety.findings
    if verdict == "refuse" and is_unsupported(findings):
        return "not checked", "yellow", _UNSUPPORTED
    if verdict == "refuse" and is_unreadable(findings):
        return verdict, _STYLES[verdict], _UNREADABLE
    if verdict == "refuse" and is_unserved(findings):
        return verdict, _STYLES[verdict], _UNSERVED
    return verdict, _STYLES[verdict], _VERDICTS[verdict]


def _verdict(spec: ModelSpec) -> RenderableType:
    shown, style, words = verdict_text(spec)
    heading = Text.assemble(("\nsafety ", "bold"), (shown, f"bold {style}"), (f"  {words}", "dim"))
    table = grid()
    for finding in spec.safety.findings:
        where = "" if finding.offset is None else f"byte {finding.offset:,}"
        table.add_row(printable(finding.code), Text(where, "dim"), printable(finding.message))
    return Group(heading, table) if spec.safety.findings else heading
