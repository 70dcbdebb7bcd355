"""Counts what `modelpack inspect` finds in the test files of other projects.

    python scripts/count_corpora.py picklescan=clones/picklescan pickletester=pickletester.py

Each argument is the name of a corpus and a folder, a git directory (bare or not) or a file. Model
files and the pickles that tests write down as bytes literals are inspected, each by a process of
the inspector; nothing of them is executed. The output is a table in Markdown and a list of the
files on which modelpack and the project disagree. Exits 1 if the inspector fails on a file, or if
modelpack and the project disagree without a reason in corpora/labels.py.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from corpora.labels import explanation, label
from corpora.reading import Payload, payloads, revision

from modelpack.inspection import isolation

VERDICTS = ("pass", "trust", "refuse", "not supported", "failure")


@dataclass(frozen=True)
class Result:
    """The findings of the inspector in a payload.

    Attributes:
        verdict: one of VERDICTS; "failure" is a bug of the inspector.
        reason: its first finding, as text.
    """

    payload: Payload
    label: str
    verdict: str
    reason: str
    seconds: float

    @property
    def is_disputed(self) -> bool:
        wrong = {"malicious": ("pass",), "benign": ("refuse",)}
        return self.verdict == "failure" or self.verdict in wrong.get(self.label, ())


def inspected(path: Path) -> tuple[str, str]:
    """Return the verdict on a file and its first finding."""
    try:
        safety = isolation.inspect(path).safety
    except isolation.InspectorError as error:
        return "failure", repr(error)
    codes = {finding.code for finding in safety.findings}
    reason = f"{safety.findings[0].code}: {safety.findings[0].message}" if safety.findings else ""
    if codes == {"unsupported-format"}:
        return "not supported", reason
    return safety.verdict, reason


def results(corpus: str, directory: Path) -> Iterator[Result]:
    with tempfile.TemporaryDirectory() as folder:
        for payload in payloads(directory):
            suffix = ".pkl" if payload.is_literal else PurePosixPath(payload.path).suffix
            path = Path(folder, f"model{suffix}")
            path.write_bytes(payload.data)
            start = time.perf_counter()
            verdict, reason = inspected(path)
            seconds = time.perf_counter() - start
            path.unlink()
            yield Result(payload, label(corpus, payload.path), verdict, reason, seconds)


def row(corpus: str, version: str, counted: list[Result]) -> str:
    """Return a row of the table."""
    literal = sum(result.payload.is_literal for result in counted)
    counts = Counter(result.verdict for result in counted)
    by_label = Counter((result.label, result.verdict) for result in counted)
    cells = [
        f"{corpus} {version}".strip(),
        str(len(counted) - literal),
        str(literal),
        *(str(counts[verdict]) for verdict in VERDICTS),
        *(
            f"{by_label[name, verdict]} of {sum(result.label == name for result in counted)}"
            for name, verdict in (("malicious", "pass"), ("benign", "refuse"))
        ),
        f"{max((result.seconds for result in counted), default=0):.2f} s",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpora", nargs="+", metavar="NAME=PLACE")
    parser.add_argument("--all", action="store_true", help="list every file, not the disputed ones")
    options = parser.parse_args()
    heads = ("corpus", "files", "literals", *VERDICTS, "malicious, pass", "benign, refuse")
    print(f"| {' | '.join((*heads, 'slowest'))} |\n{'|---' * (len(heads) + 1)}|")
    lines, is_wrong = [], False
    for corpus, _, directory in (text.partition("=") for text in options.corpora):
        found = list(results(corpus, Path(directory)))
        print(row(corpus, revision(Path(directory))[:12], found), flush=True)
        for result in found:
            why = explanation(corpus, result.payload.path) if result.is_disputed else ""
            is_wrong |= result.verdict == "failure" or (result.is_disputed and not why)
            if result.is_disputed or options.all:
                words = (result.label or "no label", result.verdict, ascii(result.reason), why)
                path = ascii(result.payload.path)
                lines.append(f"{corpus}: {path}: {', '.join(filter(None, words))}")
    print("", *lines, sep="\n")
    return int(is_wrong)


if __name__ == "__main__":
    sys.exit(main())
