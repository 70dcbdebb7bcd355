"""The HTML of notebooks: complete, well-formed, and without markup of files."""

from __future__ import annotations

import sys
import traceback
from html.parser import HTMLParser
from pathlib import Path

import pytest
from bundle_specs import hostile_spec
from hostile_text import HOSTILE

import modelpack
from modelpack.api import notebook
from modelpack.api.service import ServedModel
from modelpack.comparison import Change, Difference, Named, PredictionSection, Section
from modelpack.comparison.report import ImageSection
from modelpack.errors import UsageError
from modelpack.pipeline.package import PackageResult
from modelpack.types import (
    Check,
    Environment,
    Estimator,
    Finding,
    Image,
    ModelSpec,
    Safety,
    SmokeReport,
)

SAMPLES = Path(__file__).parents[2] / "sample_models"
VOID = {"br", "meta"}
ALLOWED = {
    "a", "b", "code", "details", "div", "h4", "li", "p", "pre", "span", "style", "summary", "table",
    "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip


class Tags(HTMLParser):
    """Collects tags, attributes and text, and requires that all elements are closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data if self.open[-1:] != ["style"] else ""


def shown(value: object) -> Tags:
    tags = Tags(value._repr_html_())
    assert tags.tags <= ALLOWED
    assert tags.attributes <= {"class", "open", "title", "href", "target", "rel"}
    return tags


def report(detail: str = "/readyz returned 200") -> SmokeReport:
    checks = (
        Check("ready", True, 0.5, detail),
        Check("prediction", False, 0.0, "", reason="no row is known"),
        Check("parity", False, 0.1, "row 3 differs"),
    )
    return SmokeReport("svc:1", "docker", checks, 0.5, 0.6, 108_000_000)


def packaged(spec: ModelSpec, text: str = "svc:1") -> PackageResult:
    environment = Environment("3.11", "linux/amd64", {"numpy": "1.26.2"}, {"numpy": "file"}, "")
    image = Image(text, "sha256:" + "0" * 64, 381_000_000)
    return PackageResult(spec, environment, None, image, report(text), {"build": 1.25})


def difference(text: str) -> Difference:
    changes = (Change("changed", "input", text, text, text, "breaking", text),)
    section = Section("breaking", text, changes)
    return Difference(
        Named(text, "image", ()), Named(text, "image", ()), section,
        PredictionSection("unknown", text, unknown=(text,)), section, section,
        ImageSection("same", text),
    )  # fmt: skip


def test_model_is_shown_with_tree_signature_and_verdict() -> None:
    tags = shown(modelpack.inspect(SAMPLES / "kserve-mixedtype" / "model.joblib"))
    for text in ("ColumnTransformer", "SGDRegressor", "MSZoning", "scikit-learn", "pass"):
        assert text in tags.text


def test_package_is_shown_with_commands_and_report() -> None:
    tags = shown(packaged(modelpack.inspect(SAMPLES / "kserve-svc" / "model.joblib")))
    for text in ("svc:1", "docker run --rm", "curl", "row 3 differs", "not run", "failed",
                 "108 MB of memory", "numpy", "381 MB"):  # fmt: skip
        assert text in tags.text


def test_difference_is_shown_with_breaking_sections() -> None:
    tags = shown(difference("OLD"))
    for text in ("breaking", "signature", "image", "unknown"):
        assert text in tags.text


def test_texts_of_files_are_not_markup(tmp_path) -> None:
    text = "".join(HOSTILE) + "<script>alert(1)</script><img src=x onerror=alert(1)>\x1b[2J\u202e"
    spec = hostile_spec(tmp_path)
    findings = Safety("refuse", (Finding(text, text),))
    tree = (Estimator(text, text, (text,), (Estimator(text, text),)),)
    values = (
        packaged(ModelSpec(**{**vars(spec), "safety": findings, "steps": tree}), text),
        report(text),
        difference(text),
    )
    for value in values:
        tags = shown(value)
        assert "script" not in tags.tags
        assert "<script>alert(1)</script>" in tags.text
        assert not set("\x1b\u202e") & set(value._repr_html_())


def test_large_models_are_cut() -> None:
    spec = modelpack.inspect(SAMPLES / "kserve-svc" / "model.joblib")
    field = spec.signature.inputs[0]
    steps = tuple(Estimator(f"s{n}", "a.B") for n in range(1000))
    signature = type(spec.signature)((field,) * 5000, spec.signature.outputs)
    html = ModelSpec(**{**vars(spec), "steps": steps, "signature": signature})._repr_html_()
    assert "4,960 more" in html
    assert len(html) < 100_000


def test_every_view_belongs_to_a_class_with_html() -> None:
    classes = {Difference, ModelSpec, PackageResult, ServedModel, SmokeReport}
    assert {each.__name__ for each in classes} == set(notebook.VIEWS)
    assert all(hasattr(each, "_repr_html_") for each in classes)


def test_error_is_shown_with_its_hint_and_without_a_traceback(tmp_path) -> None:
    with pytest.raises(UsageError) as caught:
        modelpack.inspect(tmp_path / "missing\x1b[2J.joblib")
    lines = caught.value._render_traceback_()
    assert lines[0].startswith("UsageError: ")
    assert "missing\\x1b[2J.joblib" in lines[0]
    assert lines[-1] == f"hint: {caught.value.hint}"
    shown = "".join(traceback.format_exception(caught.value))
    assert sys.version_info < (3, 11) or f"hint: {caught.value.hint}" in shown


@pytest.mark.slow
def test_service_is_shown_with_its_address() -> None:
    with modelpack.serve(SAMPLES / "kserve-svc" / "model.joblib") as service:
        assert service.url in shown(service).text
    assert "ended" in shown(service).text
