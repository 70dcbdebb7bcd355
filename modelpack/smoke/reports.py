"""JSON and JUnit reports of a smoke test."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

from modelpack.errors import UsageError
from modelpack.files import atomic_write_text
from modelpack.types import SmokeReport, to_json

_NOT_IN_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_json(report: SmokeReport, path: Path) -> None:
    """Write a report as JSON, or raise UsageError."""
    _write(path, json.dumps(to_json(report), indent=2, ensure_ascii=False) + "\n")


def write_junit(report: SmokeReport, path: Path) -> None:
    """Write a report as JUnit XML: one test suite with one test case per check.

    Source: The `testsuites` schema of Jenkins and GitLab.

    Raises:
        UsageError: The file cannot be written.
    """
    statuses = [check.status for check in report.checks]
    seconds = f"{sum(check.seconds for check in report.checks):.3f}"
    totals = {
        "tests": str(len(report.checks)),
        "failures": str(statuses.count("failed")),
        "time": seconds,
    }
    skipped = str(statuses.count("not run"))
    root = ET.Element("testsuites", totals)
    named = {"name": _clean(f"smoke {report.target}"), **totals, "skipped": skipped}
    suite = ET.SubElement(root, "testsuite", named)
    for check in report.checks:
        case = ET.SubElement(
            suite,
            "testcase",
            name=check.name,
            classname=f"modelpack.smoke.{report.engine}",
            time=f"{check.seconds:.3f}",
        )
        if check.status == "not run":
            ET.SubElement(case, "skipped", message=_clean(check.reason))
            continue
        tag = "system-out" if check.passed else "failure"
        ET.SubElement(case, tag).text = _clean(check.detail)
    ET.indent(root)
    _write(path, ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n")


def _clean(text: str) -> str:
    """Replace the characters that XML 1.0 forbids, which responses may contain."""
    return _NOT_IN_XML.sub("\ufffd", text)


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write_text(path, text)
    except OSError as error:
        raise UsageError(
            f"The report cannot be written to {path}: {error.strerror}.",
            hint="Name a file in a folder that exists and can be written to.",
        ) from error
