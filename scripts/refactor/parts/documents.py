"""JSON documents of commands: `inspect` of every model, other commands of some."""

from __future__ import annotations

import subprocess
from pathlib import Path

from checkout import Checkout
from samples import Sample

from .settings import Settings

_TAG = "record-documents:1"


def record(checkout: Checkout, settings: Settings, output: Path) -> None:
    for sample in settings.samples:
        _write(checkout, output / f"inspect-{sample.name}", "inspect", *sample.arguments)
        _write(checkout, output / f"lock-{sample.name}", "lock", *sample.arguments)
        bundle = f"documents/{sample.name}"
        _write(
            checkout, output / f"bundle-{sample.name}", "bundle", *sample.arguments, "-o", bundle
        )
    if settings.corpus:
        _corpus(checkout, settings.corpus, output)
    for sample in settings.samples:
        if sample.name in {"iris", "text-classifier"}:
            _others(checkout, sample, output)
    _write(checkout, output / "doctor", "doctor")


def _corpus(checkout: Checkout, corpus: Path, output: Path) -> None:
    """Inspect each file that may be a model, by its path in the corpus."""
    for path in sorted(corpus.rglob("*")):
        if path.is_file() and path.name != "manifest.json" and path.suffix not in {".md", ".csv"}:
            name = str(path.relative_to(corpus))
            _write(
                checkout, output / f"corpus-{name.replace('/', '-')}", "inspect", name, cwd=corpus
            )


def _others(checkout: Checkout, sample: Sample, output: Path) -> None:
    """Record the commands that run something, or that compare."""
    bundle = f"documents/{sample.name}"
    request = str(Path(sample.files[0]).parent / "request.json")
    local = ("--engine", "process")
    _write(checkout, output / f"smoke-{sample.name}", "smoke", bundle, *local)
    _write(checkout, output / f"package-{sample.name}", "package", *sample.arguments, *local)
    answers = f"documents/{sample.name}.csv"
    predict = ("predict", bundle, request, "-o", answers, "--output-format", "csv")
    _write(checkout, output / f"predict-{sample.name}", *predict)
    other = "sample_models/two-files/model.joblib"
    _write(checkout, output / f"diff-{sample.name}-equal", "diff", bundle, bundle)
    _write(checkout, output / f"diff-{sample.name}-other", "diff", sample.files[0], other)
    if subprocess.run(["docker", "info"], capture_output=True, check=False).returncode:
        return
    try:
        image = ("package", *sample.arguments, "--engine", "docker", "--no-smoke", "-t", _TAG)
        _write(checkout, output / f"package-docker-{sample.name}", *image)
        _write(checkout, output / f"scan-{sample.name}", "scan", _TAG)
        _write(checkout, output / f"verify-{sample.name}", "verify", _TAG, "--no-smoke")
        _write(checkout, output / f"diff-{sample.name}-image", "diff", bundle, _TAG)
    finally:
        subprocess.run(["docker", "rmi", "--force", _TAG], capture_output=True, check=False)


def _write(checkout: Checkout, path: Path, *arguments: str, cwd: Path | None = None) -> None:
    path.with_name(f"{path.name}.txt").write_text(checkout.report(*arguments, "--json", cwd=cwd))
