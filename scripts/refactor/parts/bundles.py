"""Bundles of the sample models: the digest of each file, and the text of those at the top."""

from __future__ import annotations

import hashlib
from pathlib import Path

from checkout import Checkout

from .settings import Settings


def record(checkout: Checkout, settings: Settings, output: Path) -> None:
    for sample in settings.samples:
        bundle = Path("bundles") / sample.name
        checkout.require("bundle", *sample.arguments, "-o", str(bundle), "--quiet")
        folder = checkout.work / bundle
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        kept = output / sample.name
        kept.mkdir(exist_ok=True)
        (kept / "files.txt").write_text("".join(_line(folder, path) for path in files))
        for path in files:
            if path.parent == folder:
                (kept / path.name).write_bytes(path.read_bytes())


def _line(folder: Path, path: Path) -> str:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return f"{digest}  {path.stat().st_mode:o}  {path.relative_to(folder)}\n"
