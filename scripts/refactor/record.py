"""Record what modelpack does today, to compare it after modules were moved.

    python scripts/refactor/record.py BEFORE                     # all parts but `ids`
    python scripts/refactor/record.py BEFORE errors help         # some of them
    python scripts/refactor/record.py BEFORE ids --models iris --engines docker oci
    python scripts/refactor/record.py AFTER --checkout ../other  # of another checkout
    python scripts/refactor/compare.py BEFORE AFTER

Each part writes text files to OUTPUT_FOLDER/PART, in which seconds, temporary paths, request ids,
dates and ports are masked. `errors`, `help` and `imports` do not depend on --models.
Both recordings have to be made on the same machine, with the same container engines running and
the same package index. Commands of the checkout's `.venv/bin/modelpack` are run; nothing of
modelpack is imported.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import samples
from checkout import Checkout
from parts import PARTS, Settings

_ROOT = Path(__file__).resolve().parents[2]
_ONLY_BY_NAME = {"ids"}


def main() -> None:
    arguments = _arguments()
    settings = Settings(
        samples.select(arguments.models),
        tuple(arguments.engines),
        arguments.cold,
        arguments.corpus and arguments.corpus.resolve(),
    )
    output: Path = arguments.output.resolve()
    with tempfile.TemporaryDirectory(prefix="record-") as folder:
        checkout = Checkout(arguments.checkout.resolve(), Path(folder))
        shutil.copytree(checkout.root / samples.FOLDER, checkout.work / samples.FOLDER)
        for name in arguments.parts or [part for part in PARTS if part not in _ONLY_BY_NAME]:
            began = time.monotonic()
            part = output / name
            if not arguments.models:
                shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True, exist_ok=True)
            (part / "machine.txt").write_text(_machine())
            PARTS[name](checkout, settings, part)
            print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)


def _machine() -> str:
    """Return the base images here, as bundles and images depend on them."""
    command = ["docker", "images", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return "no Docker\n"
    return "".join(sorted(line for line in done.stdout.splitlines(True) if "python:" in line))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("output", type=Path, metavar="OUTPUT_FOLDER")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--checkout", type=Path, default=_ROOT)
    parser.add_argument(
        "--models",
        nargs="+",
        default=[],
        metavar="NAME",
        help="beginnings of names of samples; recordings of others are kept",
    )
    parser.add_argument("--engines", nargs="+", default=["docker", "oci"], help="for ids")
    parser.add_argument("--cold", action="store_true", help="ids with empty caches")
    parser.add_argument(
        "--corpus", type=Path, metavar="FOLDER", help="json: also inspect the files in it"
    )
    arguments = parser.parse_args()
    unknown = set(arguments.parts) - set(PARTS)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    return arguments


if __name__ == "__main__":
    main()
