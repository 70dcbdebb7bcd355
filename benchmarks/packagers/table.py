"""Which packagers there are, and the commands by which each makes an image of model.joblib."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import uv

from benchmarks.peers.run import environment
from benchmarks.peers.table import PEERS

DIRECTORY = Path(__file__).parent


@dataclass(frozen=True)
class Order:
    """`folder`: a copy of the packager's own, with model.joblib. `base`: the image to build on."""

    folder: Path
    base: str
    tag: str
    environ: Mapping[str, str]

    def run(self, *command: str | Path, tools: Path | None = None) -> None:
        """`tools`: the virtual environment whose programs are meant."""
        path = f"{tools}/bin:{os.environ['PATH']}" if tools else os.environ["PATH"]
        environ = {**self.environ, "PATH": path}
        program = shutil.which(str(command[0]), path=path) or str(command[0])
        done = subprocess.run(
            [program, *map(str, command[1:])],
            cwd=self.folder,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{command}: {done.stdout[-2000:]}\n{done.stderr[-2000:]}")

    def build(self, context: Path, started_from: str, dockerfile: Path | None = None) -> None:
        """Return the Dockerfile with its base image replaced by ours."""
        replaced = f"--build-context={started_from}=docker-image://{self.base}"
        named = f"--file={dockerfile or context / 'Dockerfile'}"
        self.run(
            "docker", "buildx", "build", "--load", f"--tag={self.tag}", replaced, named, context
        )


@dataclass(frozen=True)
class Packager:
    """`make`: the whole way from the model's file to an image. `peer`: whose environment it takes,
    of those of `benchmarks.peers`; `also`: what else it needs to make images.
    """

    name: str
    make: Callable[[Order], None]
    peer: str = ""
    also: tuple[str, ...] = ()

    def tools(self) -> Path:
        """The virtual environment with the packager's own program."""
        return environment(PEERS[self.peer])

    def prepare(self) -> None:
        """Makes that environment."""
        if self.peer:
            into = (f"--python={self.tools()}/bin/python", *self.also)
            if self.also:
                subprocess.run([uv.find_uv_bin(), "pip", "install", "--quiet", *into], check=True)


def _modelpack(order: Order) -> None:
    package = (sys.executable, "-m", "modelpack", "package", "model.joblib", "--quiet")
    order.run(*package, f"--tag={order.tag}", f"--base-image={order.base}")


def _naive(order: Order) -> None:
    order.build(order.folder, "python:3.11-slim")


def _bentoml(order: Order) -> None:
    order.run("bentoml", "build", "--version", "benchmark", tools=PACKAGERS["BentoML"].tools())
    bento = Path(order.environ["BENTOML_HOME"]) / "bentos" / "model" / "benchmark"
    order.build(bento, "python:3.11-slim", bento / "env" / "docker" / "Dockerfile")
    shutil.rmtree(bento)


def _mlflow(order: Order) -> None:
    tools = PACKAGERS["MLflow"].tools()
    for name in ("model", "image"):
        shutil.rmtree(order.folder / name, ignore_errors=True)
    order.run("python", "save.py", tools=tools)
    written = ("mlflow", "models", "generate-dockerfile", "--model-uri=model")
    order.run(*written, "--output-directory=image", tools=tools)
    first = (order.folder / "image" / "Dockerfile").read_text().partition("FROM ")[2]
    order.build(order.folder / "image", first.split()[0])


def _vetiver(order: Order) -> None:
    for name in ("app.py", "Dockerfile"):  # which it does not write over
        (order.folder / name).unlink(missing_ok=True)
    order.run("python", "prepare.py", tools=PACKAGERS["vetiver"].tools())
    order.build(order.folder, "python:3.11")


PACKAGERS = {
    packager.name: packager
    for packager in (
        Packager("modelpack", _modelpack),
        Packager("naive", _naive),
        Packager("BentoML", _bentoml, "bentoml", ("uv==0.13.9",)),
        Packager("MLflow", _mlflow, "mlflow"),
        Packager("vetiver", _vetiver, "vetiver"),
    )
}
