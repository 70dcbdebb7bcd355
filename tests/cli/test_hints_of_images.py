"""Hints about engines, registries and attestations are followed literally, and lead to exit code 0.

The image has the files of a bundle and is built without an engine, so no container is started.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import joblib
import numpy as np
import pytest
import serving_models
from attested_images import KEY_PASSWORD, build_image, make_keys
from bundle_specs import spec_for
from hints import Case, follow, run
from registries import PASSWORD, USER, run_registry_with_passwords
from serving_models import BASE, ENVIRONMENT
from sklearn.linear_model import LogisticRegression

from modelpack import oci
from modelpack.bundle import render
from modelpack.oci import archive, layout

pytestmark = pytest.mark.engine

NAME = "modelpack-test/hints:1"
SHORT = "modelpack-test-hints:1"


class Setup(NamedTuple):
    """The hosts of two registries, and a folder with the image as a layout and two key pairs."""

    host: str
    locked: str
    folder: Path


@pytest.fixture(scope="module")
def setup(
    registry: str, cosign_command: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Setup]:
    folder = tmp_path_factory.mktemp("hints")
    make_keys(cosign_command, folder)
    (folder / "other").mkdir()
    make_keys(cosign_command, folder / "other")
    load_image(folder)
    with run_registry_with_passwords(tmp_path_factory.mktemp("locked")) as locked:
        setup = Setup(registry, locked, folder)
        yield setup
    listing = ["docker", "images", "--quiet", NAME]
    image = subprocess.run(listing, check=True, capture_output=True, text=True).stdout.strip()
    docker("rmi", "--force", image)  # with its names in the registries


def load_image(folder: Path) -> None:
    bundle = render.render(
        spec_for(folder, serving_models.iris()), ENVIRONMENT, BASE, folder / "bundle"
    )
    built = build_image(bundle.directory)
    rootfs = {"type": "layers", "diff_ids": [layer.diff_id for layer in built.layers]}
    config = {"os": "linux", "architecture": "amd64", **built.config, "rootfs": rootfs}
    layout.write_layout(folder / "layout", [oci.Image(config, built.layers)], NAME)
    archive.write(folder / "image.tar", folder / "layout")
    docker("load", "-qi", folder / "image.tar")
    docker("tag", NAME, SHORT)


def docker(*arguments: object) -> None:
    subprocess.run(["docker", *map(str, arguments)], check=True, capture_output=True)


@pytest.fixture
def new_user(
    setup: Setup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Setup, pytest.MonkeyPatch]:
    """A folder with the keys of the first pair; the variables are those of a new user."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setenv("COSIGN_PASSWORD", KEY_PASSWORD)
    for name in ("cosign.key", "cosign.pub"):
        shutil.copy(setup.folder / name, name)
    return setup, monkeypatch


def save_model() -> None:
    joblib.dump(LogisticRegression().fit(np.arange(24.0).reshape(12, 2), [0, 1] * 6), "m.pkl")


def nothing() -> None:
    """The folder already contains what the command needs."""


def push(name: str, *options: str) -> Callable[[], None]:
    return lambda: require_success(f"push {NAME} --as {name} {' '.join(options)}")


def require_success(command: str) -> None:
    assert run(command) == (0, "")


CASES: dict[str, Callable[[Setup, pytest.MonkeyPatch], Case]] = {
    # Engines.
    "engine that does not run": lambda s, patch: Case(
        lambda: patch.setenv("DOCKER_HOST", "unix:///none"),
        f"push {NAME} --as {s.host}/team/hints:1 --engine docker",
        "Start it ",
        lambda: patch.delenv("DOCKER_HOST"),
        values=((", or package without one: --engine process", ""),),
    ),
    "engine without images": lambda s, _: Case(
        nothing,
        f"push {NAME} --as {s.host}/team/hints:1 --engine process",
        "Start Docker or Podman and leave out --engine",
        values=(("leave out", "Leave out"),),
    ),
    "Python 2": lambda *_: Case(save_model, "lock m.pkl --python 2.7"),
    "Python without wheels": lambda *_: Case(save_model, "lock m.pkl --python 3.7"),
    # Registries.
    "name without a registry": lambda s, _: Case(
        nothing, f"push {SHORT}", values=(("REGISTRY/TEAM", f"{s.host}/team"),)
    ),
    "name with a digest": lambda s, _: Case(
        nothing,
        f"push {NAME} --as {s.host}/team/hints@sha256:{'0' * 64}",
        "Give a name without a digest, such as iris:1",
        values=(("--as", f"{s.host}/team/hints:1"),),
    ),
    "image that only the registry has": lambda s, _: Case(
        lambda: (push(f"{s.host}/team/hints:1")(), docker("rmi", f"{s.host}/team/hints:1")),
        f"push {s.host}/team/hints:1",
        "^docker pull ",
    ),
    "registry with passwords": lambda s, _: Case(
        nothing,
        f"push {NAME} --as {s.locked}/team/hints:1",
        "^docker login ",
        values=(("docker login", f"docker login --username {USER} --password-stdin"),),
        typed=PASSWORD,
    ),
    "image that is not in the registry": lambda s, _: Case(
        push(f"{s.host}/team/hints:1"),
        f"verify {s.host}/team/hint:1 --no-smoke",
        "Check the spelling",
        values=(("verify", f"{s.host}/team/hints:1"),),
    ),
    "name that is not in the layout": lambda s, _: Case(
        nothing,
        f"verify oci:{s.folder}/layout:2 --no-smoke",
        f"Append one of its names after a colon: .*{NAME}",
        values=(("verify", f"oci:{s.folder}/layout:{NAME}"),),
    ),
    # Attestations.
    "password of the key": lambda s, patch: Case(
        lambda: patch.delenv("COSIGN_PASSWORD"),
        f"push {NAME} --as {s.host}/team/hints:1 --key cosign.key",
        "Set COSIGN_PASSWORD",
        lambda: patch.setenv("COSIGN_PASSWORD", KEY_PASSWORD),
    ),
    "key that does not exist": lambda s, _: Case(
        lambda: Path("cosign.key").unlink(),
        f"push {NAME} --as {s.host}/team/hints:1 --key cosign.key",
        "`cosign generate-key-pair` creates cosign.key",
        lambda: Path("cosign.pub").unlink(),
    ),
    "private key for verification": lambda s, _: Case(
        lambda: (
            push(f"{s.host}/team/hints:1", "--key cosign.key")(),
            Path("cosign.pub").unlink(),
        ),
        f"verify {s.host}/team/hints:1 --no-smoke --key cosign.key",
        values=(("--key", "cosign.pub"),),
    ),
    "key of another author": lambda s, _: Case(
        push(f"{s.host}/team/hints:1", "--key cosign.key"),
        f"verify {s.host}/team/hints:1 --no-smoke --key {s.folder}/other/cosign.pub",
        "Get the key from the author",
        values=(("--key", "cosign.pub"),),
    ),
    "key for an image on disk": lambda s, _: Case(
        nothing, f"verify oci:{s.folder}/layout --no-smoke --key cosign.pub", "Leave out --key"
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_hints_lead_to_success(new_user, name):
    follow(CASES[name](*new_user))


def test_hint_about_an_unsigned_image_leads_to_a_signed_one(new_user):
    setup, _ = new_user
    reference = f"{setup.host}/team/without-signature:1"
    push(reference)()
    code, hint = run(f"verify {reference} --no-smoke --key cosign.pub")
    assert (code, hint.partition("who can sign it: ")[2]) == (
        3, "modelpack push REF --key cosign.key",
    )  # fmt: skip
    require_success(f"push {reference} --key cosign.key")
    require_success(f"verify {reference} --no-smoke --key cosign.pub")
    docker("rmi", reference)


@pytest.mark.parametrize(
    ("command", "hint"),
    [
        (
            "package m.pkl --platform linux/amd64,linux/amd64",
            "Name each once: --platform linux/amd64",
        ),
        (
            "bundle m.pkl -o b --base-image modelpack.invalid/none:1",
            "Check the name and the registry, or leave out --base-image.",
        ),
        (
            "export modelpack-test/none:1 image.tar",
            "Run: modelpack package MODEL -t modelpack-test/none:1 --engine oci",
        ),
    ],
)
def test_hints_that_lead_to_long_builds(new_user, monkeypatch, command, hint):
    monkeypatch.setenv("XDG_CACHE_HOME", str(Path("cache").absolute()))
    save_model()
    assert run(command)[1] == hint
