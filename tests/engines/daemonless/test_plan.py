"""The build plan of the daemonless engine: what it refuses, and the keys of its layers.

`MODELPACK_UPDATE_GOLDEN=1 pytest FILE` writes tests/data/layer_keys.json again.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import engine_bundles
import pytest

from modelpack.bundle import manifest
from modelpack.engines.daemonless.copy import Context
from modelpack.engines.daemonless.plan import (
    Assemble,
    Copy,
    FetchWheels,
    Mount,
    Run,
    UnpackDebian,
    read_plan,
)
from modelpack.engines.daemonless.stages import BuildContext, StageBuilder
from modelpack.errors import BuildFailedError
from modelpack.types import BaseImage, Bundle, Environment

GOLDEN = Path(__file__).parents[2] / "golden"
OLD = Path(__file__).parents[2] / "bundles" / "version-0.1"
KEYS = Path(__file__).parents[2] / "data" / "layer_keys.json"
FILES = (
    "app.py", "code/a.py", "gunicorn.conf.py", "model/model.pkl", "modelpack.json",
    "modelpack/assembly/a.py", "modelpack/serving/a.py", "provenance.json", "requirements.lock",
    "sbom.cdx.json", "wheels/debian/image/a.deb",
)  # fmt: skip
ENVIRONMENT = Environment("3.11", "linux/amd64", {}, {}, "", system_packages=("libgomp1",))


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    """A bundle whose image needs a Debian package; only its Dockerfile is real."""
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("deb" if name.endswith(".deb") else name)
    text = engine_bundles.dockerfile(ENVIRONMENT, BaseImage("python:3.11-slim", "3.11", "registry"))
    (tmp_path / "Dockerfile").write_text(text)
    return Bundle(str(tmp_path), engine_bundles.SPEC, ENVIRONMENT)


@pytest.fixture
def old_bundle(bundle: Bundle) -> Bundle:
    """A bundle that modelpack 0.1 rendered."""
    shutil.copy(OLD / "Dockerfile", bundle.directory)
    return bundle


def edit(bundle: Bundle, old: str, new: str) -> str:
    """Replace `old`, which occurs in the Dockerfile, once; return the new text."""
    path = bundle.directory / "Dockerfile"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    return path.read_text()


def test_plan_has_every_step_of_a_bundle(bundle: Bundle) -> None:
    plan = read_plan(replace(bundle, slim_base=True))
    assert (plan.base, plan.is_on_base) == ("python:3.11-slim", False)
    copied = [step.stage for step in plan.image if isinstance(step, Copy)]
    assert copied == ["slim", "debian", "environment", "service", "application", "model"]
    runs = {
        name: next(step for step in steps if isinstance(step, Run))
        for name, steps in plan.stages.items()
    }
    assert runs["environment"].mounts == (Mount("/tmp/requirements.lock", "requirements.lock"),)
    assert runs["environment"].commands == (
        FetchWheels(),
        Assemble("environment", ("/environment", "/wheels")),
    )
    assert runs["debian"].commands == (UnpackDebian("image", ("libgomp1",)),)
    assert runs["slim"].mounts == (
        Mount("/base", "", "base"),
        Mount("/environment", "/environment", "environment"),
        Mount("/debian", "/debian", "debian"),
    )
    needing = [
        step.stage for step in plan.image if isinstance(step, Copy) and plan.needs_wheels(step)
    ]
    assert needing == ["slim", "debian", "environment"]


def test_only_stages_that_the_image_needs_are_read(bundle: Bundle) -> None:
    edit(
        bundle,
        "FROM base AS full-base",
        "FROM builder AS unused\nRUN make\n\nFROM base AS full-base",
    )
    assert "unused" not in read_plan(bundle).stages
    edit(bundle, "python -m modelpack.assembly.slim", "make")
    assert "slim" not in read_plan(bundle).stages
    with pytest.raises(BuildFailedError):
        read_plan(replace(bundle, slim_base=True))


LOCK_MOUNT = "--mount=type=bind,source=requirements.lock,target=/tmp/requirements.lock"
BASE_MOUNT = "--mount=type=bind,from=base,target=/base"
MODEL = "COPY --from=model /model/ /"
SYSTEM = f"RUN {BASE_MOUNT} python -m modelpack.assembly.system /system /base"
FOREIGN_FILES = "also has files of the base image"
COMMAND = "a command needs a container"

MUTATIONS = [
    # Debian packages
    ("--stage image", "--stage other", COMMAND),
    (" --unpack /debian /base", "", COMMAND),
    ("--unpack /debian /base", "--unpack /debian /", COMMAND),
    ("--unpack /debian /base libgomp1", "--unpack /debian /base $(cat x)", COMMAND),
    ("--unpack /debian /base libgomp1", "--unpack /debian /base libgomp1 curl", "has other Debian"),
    ("--unpack /debian /base libgomp1", "--unpack /debian /base", "has other Debian"),
    # wheels
    ("wheels /wheels", "wheels /other", COMMAND),
    ("--lock /tmp/requirements.lock", "--lock /tmp/other.lock", COMMAND),
    ("--python 3.11", "--build shop", COMMAND),
    ("--python 3.11", "--python 3.12", "modelpack.json has Python 3.11"),
    (LOCK_MOUNT, LOCK_MOUNT.replace("source=requirements", "source=other"), "is not its lock file"),
    (LOCK_MOUNT + " \\\n", "\\\n", "is not its lock file"),
    # commands
    (SYSTEM, f"{SYSTEM} && curl x", COMMAND),
    (SYSTEM, f"{SYSTEM}; curl x", COMMAND),
    (SYSTEM, f"{SYSTEM} || true", COMMAND),
    ("modelpack.assembly.system /system", "modelpack.assembly.system $X", COMMAND),
    (SYSTEM, SYSTEM.replace("python -m", "python -O -m"), COMMAND),
    (MODEL, f"RUN echo\n{MODEL}", COMMAND),
    (MODEL, f"{SYSTEM}\n{MODEL}", "only a container can create this layer"),
    (MODEL, f"RUN <<EOF\n{MODEL}", "it has a here document"),
    # options
    (SYSTEM, SYSTEM.replace("RUN ", "RUN --network=none "), "the option --network is unknown"),
    (BASE_MOUNT, f"{BASE_MOUNT},rw", f"the option {BASE_MOUNT},rw is not supported"),
    ("--mount=type=secret,id=netrc", "--mount=type=ssh", "--mount=type=ssh is not supported"),
    ("target=/root/.cache/pip", "target=/environment", "target=/environment is not supported"),
    (MODEL, "COPY --parents --from=model /model/ /", "it has an unknown option"),
    (MODEL, "COPY --chown=1000 --from=model /model/ /", "files of an image belong to root"),
    (MODEL, "COPY --chmod=u+x --from=model /model/ /", "an octal mode is expected"),
    (MODEL, "COPY --from=model /model/* /", "paths without wildcards are expected"),
    (MODEL, "COPY --from=model /a /b /c", "the target of several files ends with /"),
    # stages
    (MODEL, "COPY --from=other /model/ /", "no earlier stage is called 'other'"),
    (MODEL, "COPY --from=image /model/ /", "no earlier stage is called 'image'"),
    (MODEL, "COPY --from=model / /", FOREIGN_FILES),
    (MODEL, "COPY --from=base /usr/share /usr/share", FOREIGN_FILES),
    (BASE_MOUNT, BASE_MOUNT.replace("from=base", "from=builder"), "is not supported"),
    (" AS base\n", " AS base\nRUN make\n", COMMAND),
    (" AS base\n", " AS base\nCOPY app.py /\n", "the stage 'base' must add nothing"),
    (" AS wheelhouse\n", " AS wheelhouse\nCOPY app.py /\n", "the stage 'wheelhouse' must add"),
    ("FROM builder AS system", "FROM builder AS environment", "'environment' is already a stage"),
    ("FROM builder AS model", "FROM --platform=linux/arm64 builder AS model", "FROM IMAGE AS"),
    # other instructions
    ("USER 0\n", "USER 0\nSHELL [\"bash\"]\n", "SHELL is not supported"),
    ("USER 0\n", "USER 0\nARG DEBUG=1\n", "this argument is not supported"),
    ("USER 0\n", "USER 0\nENV A\n", "NAME=VALUE is expected"),
    ("USER 0\n", "USER 0\nWORKDIR ${A:-b}\n", "a variable has a modifier"),
    (MODEL, f"ADD https://example.org/x /\n{MODEL}", "ADD is not supported"),
    ("ARG BASE=full", "USER 0\nARG BASE=full", "no FROM precedes it"),
    ("ARG BASE=full", "# escape=`\nARG BASE=full", "directives are not supported"),
]  # fmt: skip


OLD_MUTATIONS = [
    ("apt-get \"$@\" update", "apt-get \"$@\" update --allow-insecure-repositories", COMMAND),
    ("--no-install-recommends", "--install-recommends", COMMAND),
    ("mkdir -p /debs/partial", "mkdir /debs/partial", COMMAND),
    ("debs=/wheelhouse/debian/image", "debs=/wheelhouse/debian/other", COMMAND),
    ('if ! test -d "$debs"', 'if test -d "$debs"', COMMAND),
    ("Acquire::https::CaInfo", "Acquire::http::Proxy", COMMAND),
    ("/debian /base \"$debs\"", "/debian / \"$debs\"", COMMAND),
    ("--mount=type=secret,id=ca,mode=0444", "--mount=type=secret,id=ca", COMMAND),
    ("--download-only libgomp1", "--download-only libgomp1 curl", "has other Debian"),
    ("--require-hashes ", "", COMMAND),
    ("--only-binary :all:", "--prefer-binary", COMMAND),
    ("--dest /wheels", "--dest /other", COMMAND),
    ("--python-version 3.11", "--python-version 3.12", "modelpack.json has Python 3.11"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "reason"), MUTATIONS, ids=[new for _, new, _ in MUTATIONS])
def test_edited_dockerfile_is_refused_with_line_and_reason(
    bundle: Bundle, old: str, new: str, reason: str
) -> None:
    require_refused(bundle, old, new, reason)


def require_refused(bundle: Bundle, old: str, new: str, reason: str) -> None:
    before = (bundle.directory / "Dockerfile").read_text().splitlines()
    lines = edit(bundle, old, new).splitlines()
    changed = next(
        n for n, pair in enumerate(zip(lines, before, strict=False), 1) if len({*pair}) > 1
    )
    with pytest.raises(BuildFailedError) as caught:
        read_plan(bundle)
    assert reason in caught.value.message
    match = re.search(r"line (\d+) of the Dockerfile", caught.value.message)
    assert match
    first = int(match[1])
    last = next(n for n in range(first, len(lines) + 1) if not lines[n - 1].endswith("\\"))
    assert first <= changed <= last


@pytest.mark.parametrize(
    ("old", "new", "reason"), OLD_MUTATIONS, ids=[new for _, new, _ in OLD_MUTATIONS]
)
def test_edited_dockerfile_of_modelpack_0_1_is_refused(
    old_bundle: Bundle, old: str, new: str, reason: str
) -> None:
    require_refused(old_bundle, old, new, reason)


def test_dockerfile_of_modelpack_0_1_is_read(bundle: Bundle) -> None:
    new = read_plan(bundle)
    shutil.copy(OLD / "Dockerfile", bundle.directory)
    old = read_plan(bundle)
    for name, steps in old.stages.items():
        commands = [step.commands for step in steps if isinstance(step, Run)]
        assert commands == [step.commands for step in new.stages[name] if isinstance(step, Run)]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (MODEL, f"LABEL mine=1\n{MODEL}"),
        (MODEL, f"COPY app.py /srv/\n{MODEL}"),
        ("USER 0\n", "USER 0\nENV A=1\n# comment\n"),
        (SYSTEM, SYSTEM.replace("type=bind,from=base", "from=base,type=bind")),
        (" AS base\n", " AS base\nLABEL mine=1\n"),
        ("python -m modelpack.assembly.system", "python  -m modelpack.assembly.system"),
    ],
)
def test_edit_that_needs_no_container_is_followed(bundle: Bundle, old: str, new: str) -> None:
    before = read_plan(bundle)
    edit(bundle, old, new)
    assert read_plan(bundle) != before


def test_several_base_images_are_refused(bundle: Bundle) -> None:
    edit(bundle, "FROM base AS full-base", "FROM node AS full-base")
    with pytest.raises(BuildFailedError, match="has node, python"):
        read_plan(bundle)


@pytest.mark.parametrize(
    "name", [*sorted(p.parent.name for p in GOLDEN.glob("*/Dockerfile")), "debian", OLD.name]
)
@pytest.mark.parametrize("base", ["full", "slim"])
def test_keys_of_layers_stay(bundle: Bundle, name: str, base: str) -> None:
    """Another key makes every user build every layer again."""
    if name == OLD.name:
        shutil.copy(OLD / "Dockerfile", bundle.directory)
    elif name != "debian":
        bundle = replace(bundle, environment=manifest.read(GOLDEN / name).environment)
        shutil.copy(GOLDEN / name / "Dockerfile", bundle.directory)
    for path in [bundle.directory, *bundle.directory.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
        os.utime(path, (1, 1))
    plan = read_plan(replace(bundle, slim_base=base == "slim"))
    unpacked = SimpleNamespace(identity="base")
    context = BuildContext(Context(bundle.directory), unpacked, bundle.directory / "wheels")
    builder = StageBuilder(plan, context, Path())
    copies = [step for step in plan.image if isinstance(step, Copy)]
    keys = {str(copy.instruction): builder.key(copy) for copy in copies}
    recorded = json.loads(KEYS.read_text())
    if os.environ.get("MODELPACK_UPDATE_GOLDEN") and not os.environ.get("CI"):
        recorded[f"{name}, {base} base"] = keys
        KEYS.write_text(json.dumps(recorded, indent=1, sort_keys=True) + "\n")
    assert keys == recorded[f"{name}, {base} base"]
