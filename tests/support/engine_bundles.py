"""A small bundle to build and run: tests/bundles/echo with the real Dockerfile template."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import jinja2

from modelpack.attestations import bundle as attested
from modelpack.attestations.documents import BundleContents
from modelpack.bundle import templates
from modelpack.bundle.manifest import BUILD_LOCK, COMPILER, LOCALES
from modelpack.platforms import MACHINES, wheel_platform_tags
from modelpack.types import (
    BaseImage,
    Bundle,
    Code,
    Environment,
    ModelFile,
    ModelSpec,
    Safety,
    Signature,
    to_json,
)

IMAGE_TIME, IMAGE_DATE = 1_700_000_000, "2023-11-14T22:13:20Z"
"""The date in the Dockerfile, and in an image of it."""

PYTHONS = ("3.11", "3.12", "3.13", "3.10")
"""Any of these will do."""

TESTS = Path(__file__).parents[1]
ECHO = TESTS / "bundles" / "echo"
_IGNORED = shutil.ignore_patterns("__pycache__")
SPEC = ModelSpec(
    file=ModelFile("model/model.pkl", "5d" * 32, 18, "raw", 4, "pickle"),
    format="pickle",
    framework="scikit-learn",
    framework_version="1.3.2",
    python=None,
    task="classifier",
    estimator="sklearn.svm._classes.SVC",
    steps=(),
    method="predict",
    requirements={},
    versions={},
    local_modules=(),
    signature=Signature((), ()),
    safety=Safety("pass"),
)


def make(folder: Path, base: BaseImage, **changes: object) -> Bundle:
    """Write a bundle on `base` to a new folder. `changes` apply to its Environment."""
    shutil.copytree(ECHO, folder, ignore=_IGNORED)
    assembly = TESTS.parent / "modelpack" / "assembly"
    shutil.copytree(assembly, folder / "modelpack" / "assembly", ignore=_IGNORED)
    lock = (folder / "requirements.lock").read_text()
    environment = replace(Environment(base.python, "linux/amd64", {}, {}, lock), **changes)
    (folder / "requirements.lock").write_text(environment.lock)
    if environment.build_lock:
        (folder / BUILD_LOCK).write_text(environment.build_lock)
    (folder / "Dockerfile").write_text(dockerfile(environment, base))
    facts = {"model": to_json(SPEC), "environment": {**to_json(environment)}}
    del facts["environment"]["lock"], facts["environment"]["build_lock"]
    (folder / "modelpack.json").write_text(json.dumps({"schema": 1, "modelpack": "0.1", **facts}))
    attested.write(folder, BundleContents(SPEC, environment, base))
    return Bundle(str(folder), SPEC, environment)


def dockerfile(environment: Environment, base: BaseImage, spec: ModelSpec = SPEC) -> str:
    loader = jinja2.FileSystemLoader(TESTS.parent / "templates")
    jinja = jinja2.Environment(
        loader=loader,
        undefined=jinja2.StrictUndefined,
        finalize=templates.checked,
        keep_trailing_newline=True,
    )
    jinja.filters.update(templates.FILTERS)
    template = jinja.get_template("Dockerfile.j2")
    return template.render(
        spec=spec,
        environment=environment,
        base=base,
        code=Code(),
        version="0.1",
        epoch=IMAGE_TIME,
        slim_base=base.slim,
        wheel_platforms=wheel_platform_tags(MACHINES[environment.platform]),
        compiler=COMPILER,
        locales=LOCALES,
        parity={},
        parity_in_words="",
        proof={},
        proof_in_words="",
    )
