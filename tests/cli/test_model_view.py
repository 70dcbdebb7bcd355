"""The output of `modelpack inspect` for people."""

from __future__ import annotations

import io
import pickle
import re
import shutil
from dataclasses import replace
from pathlib import Path

import opcodes as op
import pytest
from click.testing import CliRunner
from rich.console import Console

from modelpack.cli.commands import main
from modelpack.cli.model_card import card
from modelpack.cli.model_view import view
from modelpack.inspection.inspector import inspect
from modelpack.types import (
    Estimator,
    Field,
    Finding,
    ModelContext,
    ModelFile,
    ModelSpec,
    Safety,
    Signature,
    Tensor,
)

MIXED = Path(__file__).parents[2] / "sample_models" / "mixed-columns" / "model.joblib"


@pytest.fixture(scope="module")
def spec() -> ModelSpec:
    return inspect(MIXED)


def shown(spec: ModelSpec, *, terminal: bool = False, width: int = 100) -> str:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=width, highlight=False)
    console.print(view(spec))
    return stream.getvalue()


def test_the_estimator_is_a_tree(spec):
    lines = shown(spec).splitlines()
    start = lines.index("Pipeline")
    assert [line.rstrip() for line in lines[start : start + 6]] == [
        "Pipeline",
        "├── columntransformer: ColumnTransformer",
        "│   ├── numbers: Pipeline  age, tenure_months, monthly_charge",
        "│   │   ├── simpleimputer: SimpleImputer",
        "│   │   └── standardscaler: StandardScaler",
        "│   └── categories: OneHotEncoder  contract, payment",
    ]


def test_requirements_are_listed_with_their_origin(spec):
    reasons = {"scikit-learn": "recorded in the file"}
    (line,) = [
        line for line in shown(replace(spec, reasons=reasons)).splitlines() if "==1.7.2" in line
    ]
    assert line.split("==1.7.2")[1].strip() == "recorded in the file"


@pytest.mark.parametrize(("verdict", "colour"), [("pass", "32"), ("trust", "33"), ("refuse", "31")])
def test_the_verdict_has_a_colour_on_a_terminal_only(spec, verdict, colour):
    with_verdict = replace(spec, safety=Safety(verdict, (Finding("code", "why", 1_234),)))
    assert f"\x1b[1;{colour}m{verdict}" in shown(with_verdict, terminal=True)
    assert "\x1b" not in shown(with_verdict)
    assert "byte 1,234" in shown(with_verdict)


def test_list_of_many_inputs_is_cut(spec):
    inputs = tuple(Field(f"x{i}", "number", example=0.5) for i in range(1_000))
    many = replace(spec, signature=replace(spec.signature, inputs=inputs))
    assert "... and 960 more" in shown(many)
    assert "x40" not in shown(many)
    few = replace(spec, signature=replace(spec.signature, inputs=inputs[:40]))
    assert "x39" in shown(few)
    assert "more" not in shown(few)


@pytest.mark.parametrize("hostile", ["\x1b[2Jgone", "a\u202eb", "line\nline", "\r", "[bold]x[/]"])
def test_text_of_the_file_can_neither_move_the_cursor_nor_style_itself(spec, hostile):
    step = replace(spec.steps[0], name=hostile, columns=(hostile,), type=hostile)
    field = Field(hostile, "string", categories=(hostile,), example=hostile)
    evil = replace(
        spec,
        file=replace(spec.file, path=hostile),
        steps=(step,),
        signature=replace(spec.signature, inputs=(field,)),
        requirements={hostile: hostile},
        reasons={hostile: hostile},
        local_modules=(hostile,),
        callables=(hostile,),
        choices=(hostile,),
        safety=Safety("refuse", (Finding(hostile, hostile, 0, hostile, hostile),)),
    )
    text = shown(evil, width=200)
    assert not {"\x1b", "\u202e", "\r"} & set(text)
    assert text.count("\n") == shown(replace(evil, file=spec.file), width=200).count("\n")
    if hostile.startswith("["):
        assert hostile in text


@pytest.mark.parametrize(
    ("data", "heading"),
    [
        (b"%PDF-1.7\n", "safety not checked  modelpack does not support this format"),
        (b"a,b\n1,2\n", "safety not checked  modelpack does not support this format"),
        (bytes(40), "safety not checked  modelpack does not support this format"),
        (
            pickle.dumps([1])[:-1],
            "safety refuse  it cannot be read: it is damaged, or not a model file",
        ),
        (b"", "safety refuse  it cannot be read: it is damaged, or not a model file"),
        (b"cposix\nsystem\n(S'true'\ntR.", "safety refuse  it must not be loaded"),
        (
            op.pickled(op.new("pmdarima.arima.arima:ARIMA", inner=op.NONE)),
            "safety refuse  modelpack does not serve such models",
        ),
        (
            op.pickled(op.new("pmdarima.arima.arima:ARIMA", inner=op.SYSTEM)),
            "safety refuse  it must not be loaded",
        ),
        (b"cown\nModel\n.rest", "safety refuse  it must not be loaded"),
    ],
)
def test_only_dangerous_findings_are_called_dangerous(data, heading, tmp_path):
    path = tmp_path / "model.pkl"
    path.write_bytes(data)
    assert heading in shown(inspect(path))


def test_each_file_of_the_model_is_listed(spec):
    second = replace(spec.file, path="second.pkl", sha256="ab" * 32)
    text = shown(replace(spec, more_files=(second,)))
    assert text.count("sha256") == 2
    assert "second.pkl" in text


def test_unknown_inputs_need_rows(spec):
    line = "inputs      unknown: the smoke test needs rows of the data, with --example FILE"
    unknown = replace(spec, signature=Signature((), ()))
    own = Safety("trust", (Finding("unknown-global", "own code"),))
    harmful = Safety("refuse", (Finding("dangerous-global", "system"),))
    unsupported = Safety("pass", (Finding("misfit", "no order"),))
    assert "--example" not in shown(spec)
    for safety in (unknown.safety, own):
        text = " ".join(shown(replace(unknown, safety=safety)).split())
        assert " ".join(line.split()) in text
    for safety in (harmful, unsupported):
        assert "--example" not in shown(replace(unknown, safety=safety))


def test_the_card_describes_inputs_predictions_and_parts(spec):
    text = card(spec)
    assert "| `contract` | string | no | `monthly, one year, two years` | `monthly` |" in text
    assert "One of 2 classes: `no, yes`. Probabilities of the classes are available." in text
    assert "\n  - `numbers: Pipeline`\n    - `simpleimputer: SimpleImputer`\n" in text
    assert "only plausible" not in text
    assert "\n\n\n" not in text


def test_the_card_marks_ranges_that_are_plausible_only(spec):
    age = replace(spec.signature.inputs[0], minimum=18.0, maximum=90.0)
    for quantiles, is_guessed in ((None, True), ((18.0,) * 6 + (90.0,), False)):
        inputs = (replace(age, quantiles=quantiles),)
        text = card(replace(spec, signature=replace(spec.signature, inputs=inputs)))
        assert "`18 to 90`" in text
        assert ("only plausible" in text) == is_guessed


def test_no_text_of_a_file_leaves_its_place_in_the_card(spec):
    hostile = "|`\n# owned <script>"
    inputs = (Field(hostile, "string", categories=(hostile,), example=hostile),)
    changed = replace(
        spec,
        estimator=hostile,
        framework=hostile,
        signature=Signature(inputs, (), (hostile, "b")),
        versions={hostile: hostile},
        steps=(Estimator(hostile, hostile),),
    )
    lines = card(changed).splitlines()
    assert not [line for line in lines if line.startswith("# owned")]
    (row,) = [line for line in lines if "| string |" in line]
    assert len(re.findall(r"(?<!\\)\|", row)) == 6


def test_the_card_has_title_and_description_as_plain_text(spec):
    text = card(
        replace(spec, title="Churn *next* month", description="# For sales\n\n1. <b>Only</b>")
    )
    assert "\n# Churn \\*next\\* month\n\n\\# For sales\n\n1\\. \\<b\\>Only\\</b\\>\n\n" in text
    assert "what the model is for" not in text


def test_inspect_prints_the_card_with_the_title_of_the_settings(tmp_path):
    model = shutil.copy(MIXED, tmp_path / "model.joblib")
    settings = 'title = "Churn"\ndescription = "Who leaves next month?"'
    (tmp_path / "modelpack.toml").write_text(settings)
    done = CliRunner().invoke(main, ["inspect", "--card", str(model)])
    assert "\n# Churn\n\nWho leaves next month?\n\n" in done.output
    done = CliRunner().invoke(main, ["inspect", "--card", "--title", "a" * 101, str(model)])
    assert done.exit_code != 0


def test_inspect_prints_the_card_of_a_model_that_can_be_served(tmp_path):
    done = CliRunner().invoke(main, ["inspect", "--card", str(MIXED)])
    assert (done.exit_code, done.output[:4]) == (0, "---\n")
    (tmp_path / "notes.txt").write_text("no model")
    done = CliRunner().invoke(main, ["inspect", "--card", str(tmp_path / "notes.txt")])
    assert done.stdout == ""


def test_tensors_and_artifacts_are_listed(spec):
    tensors = (Tensor("picture", (8, 8, 3)), Tensor("words", (-1, 4)))
    files = tuple(
        ModelFile(f"artifacts/{n}", "0" * 64, 1, "raw", None, "artifact") for n in range(9)
    )
    context = ModelContext({"many": "artifacts"}, files, "/home/me/churn")
    signature = replace(spec.signature, tensors=tensors)
    text = shown(replace(spec, signature=signature, context=context), width=300)
    assert "picture (n, 8, 8, 3), words (n, any, 4)" in text
    assert "artifacts/7, ... (9)" in text
    assert "/home/me" not in text
    assert "tensors" not in shown(spec)


def test_inputs_whose_categories_are_unknown_are_named(spec):
    city = Field("city", "any", nullable=True, dtype="category")
    lacking = replace(spec, signature=replace(spec.signature, inputs=(city,)))
    assert re.search(r"^categories +unknown for city: call modelpack.record", shown(lacking), re.M)
    assert "unknown for" not in shown(spec)
