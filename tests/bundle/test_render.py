"""Rendering bundles: their files against golden ones, all-or-nothing writing, reading back.

`MODELPACK_UPDATE_GOLDEN=1 pytest tests/bundle/test_render.py` writes tests/golden anew.
"""

from __future__ import annotations

import ast
import difflib
import hashlib
import json
import os
import re
import stat
from dataclasses import replace
from pathlib import Path

import pytest
import serving_models
from bundle_specs import GOLDEN, PARITY, hostile_spec, spec_for, user_code
from serving_models import BASE, ENVIRONMENT

from modelpack.bundle import manifest as bundle_manifest
from modelpack.bundle import render, templates
from modelpack.errors import ModelRefusedError, UsageError
from modelpack.parity.claims import Claim
from modelpack.types import Code, ModelSpec

FILES = [name for _, name in templates.TEMPLATES] + ["modelpack.json", "requirements.lock"]
FILES += [render.SBOM, render.PROVENANCE]
# Files without a golden copy: they change with each line of the service.
UNTOLD = re.compile(r'(?<="dirHash": ")[0-9a-f]{64}|(?<=\.sha256=")[0-9a-f]{64}(?=")')


@pytest.fixture
def spec(tmp_path) -> ModelSpec:
    return spec_for(tmp_path, serving_models.iris())


# --- golden --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["iris", "mixed", "author", "hostile"])
def test_bundles_equal_the_golden_files(tmp_path, name):
    makers = dict.fromkeys(("iris", "author"), serving_models.iris)
    makers["mixed"] = serving_models.mixed
    code = user_code() if name == "author" else Code()
    spec = spec_for(tmp_path, makers[name]()) if name in makers else hostile_spec(tmp_path)
    parity = PARITY if name == "mixed" else None
    rendered = render.render(
        spec, ENVIRONMENT, BASE, tmp_path / "bundle", code, claim=Claim(parity)
    ).directory
    if os.environ.get("MODELPACK_UPDATE_GOLDEN") and not os.environ.get("CI"):
        (GOLDEN / name).mkdir(parents=True, exist_ok=True)
        for file in FILES:
            (GOLDEN / name / file).write_text(normalized_text(rendered / file))
    assert "".join(differences(GOLDEN / name, rendered)) == ""


def test_readme_lists_the_origin_of_each_version(spec, tmp_path):
    environment = replace(
        ENVIRONMENT,
        requirements={"numpy": "1.26.2", "scikit-learn": "1.3.2"},
        origins={"numpy": "installed", "scikit-learn": "file"},
        warnings=("Python 3.11 is used; 3.12 is likelier.", "Parts of the model record another."),
    )
    spec = replace(spec, versions={"numpy": "<2|", "scikit-learn": "1.3.2"})
    bundle = render.render(spec, environment, BASE, tmp_path / "bundle")
    lines = (bundle.directory / "README.md").read_text().splitlines()
    assert "| numpy | 1.26.2 | installed | `<2\\|` |" in lines
    assert "| scikit-learn | 1.3.2 | file | `1.3.2` |" in lines
    first = lines.index("- Python 3.11 is used; 3.12 is likelier.")
    assert lines[first - 1] == lines[first + 2] == ""
    assert lines[first + 1] == "- Parts of the model record another."
    assert bundle_manifest.read(bundle.path).environment == environment


def normalized_text(path: Path) -> str:
    return UNTOLD.sub("0" * 64, path.read_text())


def differences(golden: Path, rendered: Path):
    for file in FILES:
        yield from difflib.unified_diff(
            (golden / file).read_text().splitlines(keepends=True),
            normalized_text(rendered / file).splitlines(keepends=True),
            f"golden/{file}",
            f"rendered/{file}",
        )


# --- hostile names -------------------------------------------------------------------------------


def test_hostile_names_add_no_statement_to_app_py(tmp_path, spec):
    plain = render.render(spec, ENVIRONMENT, BASE, tmp_path / "plain").directory
    hostile = render.render(hostile_spec(tmp_path), ENVIRONMENT, BASE, tmp_path / "bad").directory

    def statements(folder: Path) -> list[str]:
        first, *rest = ast.parse((folder / "app.py").read_text()).body
        assert isinstance(first, ast.Expr)
        assert isinstance(first.value, ast.Constant)
        return [ast.dump(statement) for statement in rest]

    assert statements(hostile) == statements(plain)


def test_hostile_names_add_no_line_anywhere(tmp_path, spec):
    spec = replace(
        spec,
        signature=replace(
            spec.signature,
            inputs=tuple(replace(field, name=f"x{i}") for i, field in enumerate(
                hostile_spec(tmp_path).signature.inputs
            )),
            named=True,
        ),
    )  # fmt: skip
    plain = render.render(spec, ENVIRONMENT, BASE, tmp_path / "plain").directory
    hostile = render.render(hostile_spec(tmp_path), ENVIRONMENT, BASE, tmp_path / "bad").directory
    for file in [name for _, name in templates.TEMPLATES]:
        text = (hostile / file).read_text()
        assert len(text.splitlines()) == len((plain / file).read_text().splitlines()), file
        assert text.replace("\n", "").isprintable()
        assert not re.search(r"^\s*RUN touch", text, re.MULTILINE)
        without_digests = re.sub("[0-9a-f]{64}", "", text)
        assert "49" not in without_digests.replace("{{ 7 * 7 }}", "")


def test_hostile_names_survive_in_the_manifest(tmp_path):
    spec = hostile_spec(tmp_path)
    written = render.render(spec, ENVIRONMENT, BASE, tmp_path / "bundle")
    assert bundle_manifest.read(written.path).model.signature == spec.signature


# --- what a bundle is ----------------------------------------------------------------------------


def test_locale_is_generated_in_a_separate_stage(tmp_path, spec):
    """And no package of it reaches the image."""
    spec = replace(spec, locales=("en_US.UTF-8",))
    rendered = render.render(spec, ENVIRONMENT, BASE, tmp_path / "bundle").directory
    *_, locales, _, _, image = (rendered / "Dockerfile").read_text().split("\nFROM ")
    assert " AS locales\n" in locales
    assert "modelpack.assembly.packages --stage locales locales\n" in locales
    assert "localedef -i en_US -f UTF-8 /locales/usr/lib/locale/en_US.utf8 " in locales
    assert "COPY --from=locales /locales/ /\n" in image
    assert "apt-get" not in image


def contents(folder: Path) -> dict[str, tuple]:
    return {
        str(path.relative_to(folder)): (
            path.stat().st_mode,
            path.stat().st_mtime,
            path.read_bytes() if path.is_file() else None,
        )
        for path in [folder, *folder.rglob("*")]
    }


@pytest.mark.parametrize(
    ("task", "kind", "served"),
    [
        ("outlier_detector", "An outlier detector", "served over HTTP: 1 input per row."),
        ("unknown", "A model", "served over HTTP."),
    ],
)
def test_bundle_describes_its_task_in_app_and_readme(tmp_path, spec, task, kind, served):
    count = 1 if "per row" in served else 0
    signature = replace(spec.signature, inputs=spec.signature.inputs[:count])
    described = render.render(
        replace(spec, task=task, signature=signature), ENVIRONMENT, BASE, tmp_path / "bundle"
    )
    assert served in (described.directory / "app.py").read_text().splitlines()[0]
    readme = (described.directory / "README.md").read_text()
    assert f"\n{kind} of " in readme
    assert ("| input |" in readme) == (count > 0)
    assert "\n\n\n" not in readme


def test_files_of_one_size_that_differ_have_different_times(tmp_path, spec):
    """BuildKit distinguishes files by path, size and time alone."""
    other = replace(ENVIRONMENT, lock=ENVIRONMENT.lock[::-1])
    first = (
        render.render(spec, ENVIRONMENT, BASE, tmp_path / "first").directory / bundle_manifest.LOCK
    )
    second = render.render(spec, other, BASE, tmp_path / "second").directory / bundle_manifest.LOCK
    assert first.stat().st_size == second.stat().st_size
    assert first.stat().st_mtime != second.stat().st_mtime


def test_two_renders_are_identical(tmp_path, spec):
    old_mask = os.umask(0o077)
    try:
        first = render.render(spec, ENVIRONMENT, BASE, tmp_path / "a").directory
    finally:
        os.umask(old_mask)
    second = render.render(spec, ENVIRONMENT, BASE, tmp_path / "b").directory
    assert contents(first) == contents(second)


def test_file_modes_are_set(tmp_path, spec):
    folder = render.render(spec, ENVIRONMENT, BASE, tmp_path / "bundle").directory
    for path in [folder, *folder.rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        expected = 0o755 if path.is_dir() else 0o444 if "model.joblib" in path.name else 0o644
        assert mode == expected, path


def test_a_model_of_several_files_is_copied_whole(tmp_path, spec):
    other = tmp_path / "other.pkl"
    other.write_bytes(b"the bytes of another")
    sha256 = hashlib.sha256(b"the bytes of another").hexdigest()
    second = replace(spec.file, path=str(other), sha256=sha256, size=20)
    both = replace(spec, more_files=(second, replace(second, format="pickle")))
    bundle = render.render(both, ENVIRONMENT, BASE, tmp_path / "bundle")
    paths = ["model/model.joblib", "model/model-2.joblib", "model/model-3.pkl"]
    assert [file.path for file in bundle.model.files] == paths
    copies = [bundle.directory / path for path in paths]
    assert [hashlib.sha256(c.read_bytes()).hexdigest() for c in copies] == [
        file.sha256 for file in both.files
    ]
    assert all(copy.stat().st_mode & 0o777 == 0o444 for copy in copies)
    dockerfile = (bundle.directory / "Dockerfile").read_text()
    assert "--mount=type=bind,source=model,target=/bundle/model" in dockerfile
    assert dockerfile.splitlines()[-1] == "COPY --from=model /model/ /"
    assert bundle_manifest.read(bundle.path).model == bundle.model


def test_serving_is_copied_completely_and_without_modelpack(tmp_path, spec):
    folder = render.render(spec, ENVIRONMENT, BASE, tmp_path / "bundle").directory
    ours = Path(render.__file__).parents[1] / "serving"
    copied = folder / "modelpack" / "serving"
    assert {p.relative_to(copied): p.read_bytes() for p in copied.rglob("*") if p.is_file()} == {
        p.relative_to(ours): p.read_bytes()
        for p in ours.rglob("*")
        if p.suffix in {".py", ".html", ".css", ".js"} and p.parent.name != "rpc"  # of --grpc
    }
    assert not (folder / "modelpack" / "__init__.py").exists()


def test_bundle_contains_no_path_of_this_machine(tmp_path, spec):
    folder = render.render(spec, ENVIRONMENT, BASE, tmp_path / "bundle").directory
    for path in folder.rglob("*"):
        if path.is_file():
            assert str(tmp_path).encode() not in path.read_bytes(), path
    assert json.loads((folder / "modelpack.json").read_text())["model"]["file"]["path"] == (
        "model/model.joblib"
    )


def test_rendered_bundle_reads_back(tmp_path, spec):
    written = render.render(spec, ENVIRONMENT, BASE, tmp_path / "bundle")
    assert bundle_manifest.read(tmp_path / "bundle") == written
    assert written.environment == ENVIRONMENT
    assert written.model.signature == spec.signature


# --- where it is written -------------------------------------------------------------------------


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_older_bundle_is_replaced_completely(tmp_path, spec):
    target = tmp_path / "bundle"
    render.render(spec, ENVIRONMENT, BASE, target)
    (target / "app.py").write_text("old")
    render.render(spec, replace(ENVIRONMENT, lock="new\n"), BASE, target)
    assert (target / "requirements.lock").read_text() == "new\n"
    assert (target / "app.py").read_text() != "old"
    assert names(tmp_path) == {"bundle", "model.joblib"}


def test_an_empty_folder_is_filled(tmp_path, spec):
    (tmp_path / "bundle").mkdir()
    render.render(spec, ENVIRONMENT, BASE, tmp_path / "bundle")
    assert bundle_manifest.read(tmp_path / "bundle")


@pytest.mark.parametrize("foreign", ["notes.txt", ".git/config", "app.py"])
def test_directory_without_a_bundle_is_not_changed(tmp_path, spec, foreign):
    path = tmp_path / "mine" / foreign
    path.parent.mkdir(parents=True)
    path.write_text("precious")
    with pytest.raises(UsageError, match="is not replaced"):
        render.render(spec, ENVIRONMENT, BASE, tmp_path / "mine")
    assert path.read_text() == "precious"


def test_bundle_with_additional_files_is_not_replaced(tmp_path, spec):
    target = render.render(spec, ENVIRONMENT, BASE, tmp_path / "bundle").directory
    (target / "notebook.ipynb").write_text("precious")
    with pytest.raises(UsageError, match=re.escape("'notebook.ipynb'")):
        render.render(spec, ENVIRONMENT, BASE, target)
    assert (target / "notebook.ipynb").read_text() == "precious"


def test_a_file_in_the_way_is_not_replaced(tmp_path, spec):
    with pytest.raises(UsageError):
        render.render(spec, ENVIRONMENT, BASE, tmp_path / "model.joblib")
    assert (tmp_path / "model.joblib").read_bytes() == b"the bytes of a model"


@pytest.mark.parametrize("content", [b"other bytes of a mod", b"the bytes of a model, longer", b""])
def test_a_model_that_changed_is_refused_and_the_old_bundle_stays(tmp_path, spec, content):
    target = render.render(spec, ENVIRONMENT, BASE, tmp_path / "bundle").directory
    before = contents(target)
    Path(spec.file.path).write_bytes(content)
    with pytest.raises(ModelRefusedError, match="changed"):
        render.render(spec, ENVIRONMENT, BASE, target)
    assert contents(target) == before
    assert names(tmp_path) == {"bundle", "model.joblib"}


def test_a_missing_model_is_a_usage_error(tmp_path, spec):
    Path(spec.file.path).unlink()
    with pytest.raises(UsageError, match="No such file"):
        render.render(spec, ENVIRONMENT, BASE, tmp_path / "bundle")
    assert names(tmp_path) == set()


def test_an_interrupt_leaves_nothing(tmp_path, spec, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(render, "_copy_part", interrupt)
    with pytest.raises(KeyboardInterrupt):
        render.render(spec, ENVIRONMENT, BASE, tmp_path / "bundle")
    assert names(tmp_path) == {"model.joblib"}


def test_old_bundle_is_restored_if_the_replacement_fails(tmp_path, spec, monkeypatch):
    target = render.render(spec, ENVIRONMENT, BASE, tmp_path / "bundle").directory
    before = contents(target)
    rename = Path.rename

    def failing(self, to):
        if Path(to) == target and self.parent.name.startswith(".bundle.") and self.name != "old":
            raise OSError(28, "No space left on device", str(to))
        return rename(self, to)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(UsageError, match="No space left"):
        render.render(spec, replace(ENVIRONMENT, lock="new\n"), BASE, target)
    assert contents(target) == before
    assert names(tmp_path) == {"bundle", "model.joblib"}


# --- reading -------------------------------------------------------------------------------------


def damage(document: dict, **changes) -> str:
    return json.dumps({**document, **changes})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda document: "{", "Expecting property name"),
        (lambda document: "[]", "list indices"),
        (lambda document: damage(document, schema=2), "its schema is 2"),
        (lambda document: damage(document, model={}), "required field missing"),
        (lambda document: json.dumps({"schema": 1}), "lacks 'model'"),
    ],
)
def test_a_damaged_manifest_is_a_usage_error(tmp_path, spec, change, reason):
    target = render.render(spec, ENVIRONMENT, BASE, tmp_path / "bundle").directory
    manifest = target / "modelpack.json"
    manifest.write_text(change(json.loads(manifest.read_text())))
    with pytest.raises(UsageError, match=reason):
        bundle_manifest.read(target)


def test_a_folder_without_a_manifest_is_no_bundle(tmp_path):
    with pytest.raises(UsageError, match=r"not a bundle.*modelpack.json"):
        bundle_manifest.read(tmp_path)
    with pytest.raises(UsageError, match="not a bundle"):
        bundle_manifest.read(tmp_path / "nowhere")
