"""How long an image of one model takes, how large it is, and what a retrained model pushes.

    python -m benchmarks.package [--runs N] [--slow-runs N] [--only NAME] [--json FILE] [--markdown]

modelpack next to a Dockerfile by hand, BentoML, MLflow and vetiver: the same model of iris, on the
same base image, in turn. Seconds are medians of the whole way from the model's file to the image:

    cold        the image's base is here, and nothing else: no layer, no wheel in BuildKit's cache
                mounts, nothing in uv's and pip's caches. This empties those cache mounts.
    warm        no layer, but what was downloaded before is kept where the packager keeps it
    changed     the model was retrained, all else is as before
    unchanged   all is as before

--markdown writes the tables into docs/performance.md.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import certifi

from benchmarks.packagers.table import DIRECTORY, PACKAGERS, Order, Packager
from benchmarks.peers.run import environment
from benchmarks.peers.table import PEERS
from modelpack.engines import select_engine
from modelpack.environment import index_settings
from scripts.sections import replace_section

DOCUMENT = Path(__file__).parents[1] / "docs" / "performance.md"
SCENARIOS = ("cold", "warm", "changed", "unchanged")
SLOW = SCENARIOS[:2]
AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
DOCKERFILE = f"""
ARG BASE
FROM $BASE
ARG RUN
COPY ca.pem {AUTHORITIES}
ENV PIP_CERT={AUTHORITIES} SSL_CERT_FILE={AUTHORITIES}
RUN echo $RUN > /etc/benchmark
"""
"""With the authorities that this machine trusts, and of other content each time."""


@dataclass
class Measured:
    """`seconds`: scenario -> those of each run. `pushed`: bytes of the layers that a retrained
    model changes, gzipped; of each run of `changed`.
    """

    seconds: dict[str, list[float]] = field(
        default_factory=lambda: {name: [] for name in SCENARIOS}
    )
    size: int = 0
    pushed: list[int] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=5, help="of changed and unchanged")
    parser.add_argument("--slow-runs", type=int, default=3, help="of cold and warm")
    parser.add_argument("--patience", type=float, default=60, help="seconds to wait for quiet")
    parser.add_argument("--only", nargs="+", choices=PACKAGERS, default=list(PACKAGERS))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        benches = [Bench(PACKAGERS[name], Path(folder) / name) for name in options.only]
        measured = {bench.packager.name: vars(bench.measured) for bench in benches}
        for scenario in SCENARIOS:
            for _ in range(options.slow_runs if scenario in SLOW else options.runs):
                for bench in benches:
                    wait_until_idle(options.patience)
                    bench.run(scenario)
                    print_results(bench, scenario)
                    if options.json:
                        options.json.write_text(json.dumps(measured, indent=1) + "\n")
    table = markdown(measured)
    if options.markdown:
        replace_section(DOCUMENT, "package", table)
    print(table)


class Bench:
    """One packager, its folder, and what was measured of it."""

    def __init__(self, packager: Packager, folder: Path) -> None:
        self.packager = packager
        self.measured = Measured()
        self._folder = folder
        self._tag = f"modelpack-benchmark/{packager.name.lower()}"
        self._trained = 0
        own = DIRECTORY / packager.name.lower()
        shutil.copytree(own, folder / "work") if own.exists() else (folder / "work").mkdir(
            parents=True
        )
        packager.prepare()
        self._forget()
        self._base = self._new_base()
        self._train()

    def run(self, scenario: str) -> None:
        before = layers(self._tag) if scenario == "changed" else []
        if scenario in SLOW:
            self._base = self._new_base()
        if scenario == "cold":
            self._forget()
        if scenario == "changed":
            self._train()
        work = self._folder / "work"
        started = time.monotonic()
        self.packager.make(Order(work, self._base, self._tag, self._environ))
        self.measured.seconds[scenario].append(round(time.monotonic() - started, 2))
        self.measured.size = inspected(self._tag)["Size"]
        if scenario == "changed":
            self.measured.pushed.append(pushed(self._tag, before))

    def _train(self) -> None:
        self._trained += 1
        python = environment(PEERS["flask"]) / "bin" / "python"
        target = self._folder / "work" / "model.joblib"
        subprocess.run([python, DIRECTORY / "train.py", target, str(self._trained)], check=True)

    def _forget(self) -> None:
        """Empties the caches of the packagers, on this machine and in BuildKit's cache mounts."""
        caches = Path(tempfile.mkdtemp(dir=self._folder))
        self._environ = {
            **os.environ,
            "UV_CACHE_DIR": str(caches / "uv"),
            "PIP_CACHE_DIR": str(caches / "pip"),
            "BENTOML_HOME": str(caches / "bentoml"),
            "BENTOML_DO_NOT_TRACK": "True",
            "BUILDX_BUILDER": "default",
        }
        mounts = ("docker", "buildx", "prune", "--all", "--force", "--filter=type=exec.cachemount")
        subprocess.run(mounts, env=self._environ, check=True, capture_output=True)

    def _new_base(self) -> str:
        """A base of new content, which no layer was built on before."""
        name = "modelpack-benchmark/base:latest"
        base = select_engine("docker").builder.find_base_image(("3.11",)).reference
        with tempfile.TemporaryDirectory() as context:
            trusted = index_settings().ca_bundle or certifi.where()
            shutil.copy(trusted, Path(context, "ca.pem"))
            Path(context, "Dockerfile").write_text(DOCKERFILE)
            build_args = (f"--build-arg=BASE={base}", f"--build-arg=RUN={time.time_ns()}")
            build_command = (
                "docker",
                "buildx",
                "build",
                "--load",
                f"--tag={name}",
                *build_args,
                context,
            )
            subprocess.run(build_command, env=self._environ, check=True, capture_output=True)
        return name


# --- images --------------------------------------------------------------------------------------


def inspected(tag: str) -> dict[str, Any]:
    command = ("docker", "image", "inspect", tag)
    done = subprocess.run(command, check=True, capture_output=True)
    found: dict[str, Any] = json.loads(done.stdout)[0]
    return found


def layers(tag: str) -> list[str]:
    """The digests of the layers' archives."""
    found: list[str] = inspected(tag)["RootFS"]["Layers"]
    return found


def pushed(tag: str, before: Sequence[str]) -> int:
    """The bytes of the layers that are not among those `before`, gzipped as a push does."""
    names = {f"blobs/sha256/{digest.partition(':')[2]}" for digest in layers(tag)}
    names -= {f"blobs/sha256/{digest.partition(':')[2]}" for digest in before}
    with saved(tag) as archive:
        return sum(
            len(gzip.compress(archive.extractfile(member).read(), 6))  # type: ignore[union-attr]
            for member in archive
            if member.name in names
        )


@contextmanager
def saved(tag: str) -> Iterator[tarfile.TarFile]:
    with (
        subprocess.Popen(("docker", "save", tag), stdout=subprocess.PIPE) as process,
        tarfile.open(fileobj=process.stdout, mode="r|") as archive,
    ):
        yield archive


# --- the machine, and words ----------------------------------------------------------------------


def wait_until_idle(at_most: float) -> None:
    """Waits until the processors have had little to do for half a second."""
    deadline = time.monotonic() + at_most
    before = busy()
    while time.monotonic() < deadline:
        time.sleep(0.5)
        now = busy()
        if now - before < 0.05 * (os.cpu_count() or 1):
            return
        before = now


def busy() -> float:
    """Seconds that all processors together have worked."""
    user, nice, system, _, _, *more = Path("/proc/stat").read_text().split()[1:8]
    return sum(map(int, (user, nice, system, *more))) / os.sysconf("SC_CLK_TCK")


def print_results(bench: Bench, scenario: str) -> None:
    seconds = bench.measured.seconds[scenario][-1]
    print(f"{bench.packager.name:<10} {scenario:<10} {seconds:6.1f} s", file=sys.stderr)


def markdown(measured: dict[str, dict[str, Any]]) -> str:
    lines = [
        "| | cold | warm | model changed | unchanged | image, MB | pushed after a retrain |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, found in measured.items():
        seconds = [f"{statistics.median(found['seconds'][each]):.1f}" for each in SCENARIOS]
        size = f"{found['size'] / 1e6:.0f}"
        lines.append(f"| {' | '.join((name, *seconds, size, pushed_text(found['pushed'])))} |")
    return "\n".join(lines)


def pushed_text(pushed: Sequence[int]) -> str:
    size = statistics.median(pushed)
    return f"{size / 1e6:.1f} MB" if size > 1e6 else f"{size / 1e3:.1f} kB"


if __name__ == "__main__":
    main()
