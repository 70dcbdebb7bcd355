"""What notebooks show of the values of the flow: HTML without scripts.

Every text of a model, an image or a request passes through `_text`, because files are hostile.
"""

from __future__ import annotations

import html as markup
import json
import shlex
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from modelpack.cli.diff_view import ARROW, brief
from modelpack.cli.model_view import (
    field_values,
    join_values,
    shape_text,
    value_text,
    verdict_text,
)
from modelpack.cli.text import visible
from modelpack.errors import ModelpackError
from modelpack.types import Check, Estimator, ModelSpec, SmokeReport

if TYPE_CHECKING:
    from modelpack.api.service import ServedModel
    from modelpack.comparison import Change, Difference
    from modelpack.pipeline.package import PackageResult

_MAX_FIELDS, _MAX_COLUMNS, _MAX_CHANGES, _MAX_NODES = 40, 8, 100, 200

_STYLE = """<style>
.modelpack { font-size: 13px; line-height: 1.45; max-width: 62em; }
.modelpack h4 { font-size: 14px; font-weight: 600; margin: .2em 0 .5em; overflow-wrap: anywhere; }
.modelpack .muted { opacity: .7; font-weight: normal; }
.modelpack table { border-collapse: collapse; margin: .3em 0 .6em; font-size: 12px; }
.modelpack th, .modelpack td { text-align: left !important; vertical-align: top;
  padding: .25em .8em .25em 0 !important; border: 0;
  border-bottom: 1px solid rgba(128, 128, 128, .25); white-space: normal;
  overflow-wrap: break-word; max-width: 38em; }
.modelpack th { font-weight: 600; overflow-wrap: normal; }
.modelpack .number { text-align: right !important; font-variant-numeric: tabular-nums; }
.modelpack .mark { display: inline-block; border-radius: 3px; padding: 0 .5em; color: #fff;
  font-size: 12px; font-weight: 600; white-space: nowrap; }
.modelpack .green { background: #1a7f37; } .modelpack .red { background: #cf222e; }
.modelpack .yellow { background: #8a5a00; } .modelpack .grey { background: #59636e; }
.modelpack summary { cursor: pointer; font-weight: 600; margin: .3em 0; }
.modelpack ul { list-style: none !important; margin: 0 0 0 .4em; padding-left: 1.2em;
  border-left: 1px solid rgba(128, 128, 128, .35); }
.modelpack ul.root { border: 0; margin: 0; padding-left: 0; }
.modelpack li { margin: .15em 0; }
.modelpack code, .modelpack pre { font-size: 12px; background: rgba(128, 128, 128, .12);
  border-radius: 3px; padding: .1em .35em; }
.modelpack pre { padding: .5em .7em; margin: .3em 0; white-space: pre-wrap;
  overflow-wrap: anywhere; }
</style>"""
_COLORS = {
    "passed": "green", "failed": "red", "not run": "yellow", "untested": "yellow", "same": "green",
    "changed": "yellow", "compatible": "yellow", "breaking": "red", "unknown": "grey",
}  # fmt: skip


def html(value: Any) -> str:
    """Return the HTML of a value of a class in `VIEWS`."""
    return f'{_STYLE}<div class="modelpack">{VIEWS[type(value).__name__](value)}</div>'


def error_lines(error: ModelpackError) -> list[str]:
    """Return the message and the hint of an error: the traceback leads into modelpack only."""
    lines = f"{type(error).__name__}: {error.message}".splitlines()
    lines += f"hint: {error.hint}".splitlines() if error.hint else []
    return [visible(line) for line in lines]


def _model(spec: ModelSpec) -> str:
    shown, style, meaning = verdict_text(spec)
    library = " ".join(filter(None, (spec.framework, spec.framework_version))) or "unknown library"
    facts = [library, spec.task.replace("_", " "), _counted(len(spec.signature.inputs), "input")]
    name = (spec.estimator or "no estimator").rpartition(".")[2]
    parts = [_heading(name, ", ".join(facts), _mark(shown, style, meaning))]
    if spec.safety.findings:
        findings = [(each.code, each.message) for each in spec.safety.findings]
        parts.append(_details("Findings", _table(("code", "finding"), findings), is_open=True))
    if spec.steps:
        root = Estimator("", spec.estimator or "", steps=spec.steps)
        parts.append(_details("Estimator", f'<ul class="root">{_tree([root])}</ul>', is_open=True))
    if spec.signature.inputs:
        parts.append(_details("Signature", _signature(spec), is_open=True))
    rows = [
        (name, specifier or "any version", spec.reasons.get(name, ""))
        for name, specifier in spec.requirements.items()
    ]
    if rows:
        parts.append(_details("Requirements", _table(("distribution", "version", "why"), rows)))
    files = [(each.path, f"{each.size:,} bytes", each.format, each.sha256) for each in spec.files]
    parts.append(_details("Files", _table(("file", "size", "format", "SHA-256"), files)))
    return "".join(parts)


def _tree(nodes: Iterable[Estimator], left: list[int] | None = None) -> str:
    """Return list items of a tree, of which `left` counts how many may still be shown."""
    left = [_MAX_NODES] if left is None else left
    items: list[str] = []
    for node in nodes:
        left[0] -= 1
        if left[0] < 0:
            return "".join([*items, "<li>\u2026</li>" if left[0] == -1 else ""])
        name = f"{_text(node.name)}: " if node.name else ""
        kind = f"<code>{_text(node.type.rpartition('.')[2])}</code>"
        names = _text(join_values(node.columns or (), _MAX_COLUMNS))
        columns = f' <span class="muted">{names}</span>' if names else ""
        inner = f"<ul>{_tree(node.steps, left)}</ul>" if node.steps else ""
        items.append(f"<li>{name}{kind}{columns}{inner}</li>")
    return "".join(items)


def _signature(spec: ModelSpec) -> str:
    inputs, outputs = spec.signature.inputs, spec.signature.outputs
    rows: list[Sequence[object]] = [
        (
            field.name,
            field.type + (" or missing" if field.nullable else ""),
            field_values(field),
            value_text(field.example),
        )
        for field in inputs[:_MAX_FIELDS]
    ]
    if len(inputs) > _MAX_FIELDS:
        rows.append((f"\u2026 and {len(inputs) - _MAX_FIELDS:,} more", "", "", ""))
    rows += [
        (f"\u2192 {field.name}", field.type + shape_text(field), field_values(field), "")
        for field in outputs
    ]
    return _table(("input", "type", "values", "example"), rows)


def _smoke(report: SmokeReport) -> str:
    passed = sum(check.passed for check in report.checks)
    counts = f"{passed} of {_counted(len(report.checks), 'check')} passed"
    figures = [
        form.format(value)
        for value, form in (
            (report.ready_seconds, "ready after {:.1f} s"),
            (report.latency_ms, "one row in {:.1f} ms (median)"),
            (report.memory_bytes and report.memory_bytes / 1e6, "{:.0f} MB of memory"),
        )
        if value is not None
    ]
    heading = _heading("Smoke test", ", ".join([counts, *figures]), _status(report.status))
    rows = "".join(map(_check, report.checks))
    head = "<tr><th>check</th><th>status</th><th>seconds</th><th>detail</th></tr>"
    return f"{heading}<table><thead>{head}</thead><tbody>{rows}</tbody></table>"


def _check(check: Check) -> str:
    seconds = "" if check.status == "not run" else f"{check.seconds:.2f}"
    cells = (
        f"<td>{_text(check.name)}</td><td>{_status(check.status)}</td>"
        f'<td class="number">{seconds}</td><td>{_text(check.detail or check.reason)}</td>'
    )
    return f"<tr>{cells}</tr>"


def _package(result: PackageResult) -> str:
    from modelpack.bundle.manifest import example

    image = result.image
    status = _status(result.smoke.status) if result.smoke else _mark("not run", "grey")
    if image is None:
        parts = [_heading(f"Bundle {result.bundle}", "no image", status)]
    else:
        size = f"{image.size_bytes / 1e6:,.0f} MB, {image.id}"
        parts = [_heading(image.reference, size, status)]
        engine = result.engine if result.engine != "oci" else "docker"
        run = [engine, "run", "--rm", "-p", "127.0.0.1:8080:8080", image.reference]
        commands = [shlex.join(run)]
        if document := example(result.model):
            body = json.dumps(document, ensure_ascii=True)
            url = "http://127.0.0.1:8080/predict"
            commands.append(
                shlex.join(["curl", "-H", "Content-Type: application/json", "-d", body, url])
            )
        parts.append("<pre>" + "\n".join(map(_text, commands)) + "</pre>")
    seconds = [(name, f"{value:.1f}") for name, value in result.seconds.items()]
    if result.smoke:
        parts.append(_details("Smoke test", _smoke(result.smoke)))
    parts.append(_details("Model", _model(result.model)))
    locked = list(result.environment.requirements.items())
    title = f"Python {result.environment.python}, {_counted(len(locked), 'distribution')}"
    parts.append(_details(title, _table(("distribution", "version"), locked)))
    parts.append(_details("Seconds per stage", _table(("stage", "seconds"), seconds)))
    return "".join(parts)


def _difference(difference: Difference) -> str:
    names = f"{difference.old.name}{ARROW}{difference.new.name}"
    worst = "breaking" if difference.breaking else "changed" if difference.differing else "same"
    parts = [_heading("Difference", names, _status(worst))]
    for name, section in difference.sections:
        line = f"{_text(name)} {_status(section.verdict)} "
        line += f'<span class="muted">{_text(section.summary)}</span>'
        changes = sorted(section.changes, key=lambda change: change.impact != "breaking")
        rows = [_change(change) for change in changes[:_MAX_CHANGES]]
        rows += [("\u2026", f"{len(changes) - _MAX_CHANGES:,} more", "", "")][
            : len(changes) > _MAX_CHANGES
        ]
        rows += [("?", why, "", "") for why in section.unknown]
        body = _table(("change", "what", "value", "note"), rows) if rows else ""
        parts.append(_block(line, body, is_open=section.verdict == "breaking"))
    return "".join(parts)


def _change(change: Change) -> tuple[str, str, str, str]:
    sides = ARROW.join(brief(side) for side in (change.old, change.new) if side is not None)
    note = change.note if change.impact == "none" else f"{change.impact}: {change.note}"
    return change.kind, f"{change.what} {brief(change.name)}".strip(), sides, note.rstrip(": ")


def _service(service: ServedModel) -> str:
    is_running = service.is_running()
    status = _mark("running", "green") if is_running else _mark("ended", "grey")
    name = (service.model.estimator or "model").rpartition(".")[2]
    link = (
        f'<a href="{_text(service.url)}/" target="_blank" rel="noopener">{_text(service.url)}</a>'
    )
    return _heading(name, "", status) + (
        f"<p>{link if is_running else _text(service.url)}</p>"
        + _details("Model", _model(service.model))
    )


VIEWS: dict[str, Callable[[Any], str]] = {
    "Difference": _difference,
    "ModelSpec": _model,
    "PackageResult": _package,
    "ServedModel": _service,
    "SmokeReport": _smoke,
}
"""By the names of classes: importing the classes themselves would import all stages."""


def _text(value: object) -> str:
    return markup.escape(visible(value))


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _mark(text: str, color: str, title: str = "") -> str:
    return f'<span class="mark {color}" title="{_text(title)}">{_text(text)}</span>'


def _status(status: str) -> str:
    return _mark(status, _COLORS[status])


def _heading(title: str, facts: str, mark: str) -> str:
    return f'<h4>{_text(title)} {mark} <span class="muted">{_text(facts)}</span></h4>'


def _details(title: str, body: str, *, is_open: bool = False) -> str:
    return _block(_text(title), body, is_open=is_open)


def _block(summary: str, body: str, *, is_open: bool) -> str:
    """Return a part that can be opened, if it has a body. Both are HTML."""
    if not body:
        return f"<p><b>{summary}</b></p>"
    return f"<details{' open' if is_open else ''}><summary>{summary}</summary>{body}</details>"


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    header = "".join(f"<th>{_text(name)}</th>" for name in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{header}</tr></thead><tbody>{body}</tbody></table>"
