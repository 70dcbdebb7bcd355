"""HTTP exchanges of the services of the sample models, by the fast path and through Flask.

Traces make all requests go through Flask. Their sampler drops all of them, so nothing is sent.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

from checkout import Checkout
from samples import Sample

from . import services
from .requests import TRACE_ID, Case, Model, cases
from .settings import Settings

_OPENTELEMETRY = ("--requirement", "opentelemetry-exporter-otlp-proto-http")
_PYARROW = ("--requirement", "pyarrow>=17")
_THROUGH_FLASK = {
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
    "OTEL_TRACES_SAMPLER": "always_off",
}
# A request that never comes whole, and a connection that stays open, end after a second.
_SETTINGS = {
    "WEB_CONCURRENCY": "1",
    "MODELPACK_HEADER_SECONDS": "1",
    "MODELPACK_BODY_SECONDS": "1",
    "MODELPACK_IDLE_SECONDS": "1",
}
_MASKS = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (rb"\r\nDate: [^\r]*", rb"\r\nDate: -"),
        (rb"\r\nX-Request-Id: [0-9a-f]{32}\r\n", b"\r\nX-Request-Id: -\r\n"),
        (rb'("request_id":\s?")[0-9a-f]{32}"', rb'\1-"'),
        (
            rb"\r\ntraceresponse: 00-(?:(%s)|[0-9a-f]{32})-[0-9a-f]{16}" % TRACE_ID.encode(),
            rb"\r\ntraceresponse: 00-\1-",
        ),
        (rb"the estimator's bits on [^\"]*", b"the estimator's bits on N rows"),
    )
)
_ALLOW = re.compile(rb"(?<=\r\nAllow: )[^\r]*")
_LONG = 4000


def record(checkout: Checkout, settings: Settings, output: Path) -> None:
    for sample in settings.samples:
        model = _bundle(checkout, sample)
        for way, variables in {"fast": {}, "flask": _THROUGH_FLASK}.items():
            log = checkout.work / f"{sample.name}-{way}.log"
            bundle = f"served/{sample.name}"
            with services.serving(checkout, bundle, log, **_SETTINGS, **variables) as port:
                text = "".join(_record(port, case) for case in cases(model))
                metrics = services.exchange(port, _METRICS)
            (output / f"{sample.name}-{way}.txt").write_text(text)
            (output / f"{sample.name}-{way}-metrics.txt").write_text(_labels(metrics))


def _bundle(checkout: Checkout, sample: Sample) -> Model:
    """Make the bundle that is served, with pyarrow where the model's Python has a usable one."""
    more = _OPENTELEMETRY if sample.old else (*_OPENTELEMETRY, *_PYARROW)
    bundle = f"served/{sample.name}"
    checkout.require("bundle", *sample.arguments, "-o", bundle, "--quiet", *more)
    manifest = json.loads((checkout.work / bundle / "modelpack.json").read_text())
    return Model.of(manifest["model"]["signature"], sample.rows(checkout.work))


_METRICS = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def _labels(response: bytes) -> str:
    """Return the names and labels of the metrics, without their values."""
    lines = response.partition(b"\r\n\r\n")[2].decode().splitlines()
    return "\n".join(sorted({_label(line) for line in lines if line})) + "\n"


def _label(line: str) -> str:
    return line if line.startswith("#") else line.rpartition(" ")[0]


def _record(port: int, case: Case) -> str:
    response = _masked(services.exchange(port, *case.parts))
    sent = b"".join(case.parts)
    return f"### {case.name}\n{_shown(sent, '> ')}{_shown(response, '< ')}\n"


def _masked(response: bytes) -> bytes:
    """Replace dates and ids, and sort the allowed methods: their order differs by process."""
    for pattern, replacement in _MASKS:
        response = pattern.sub(replacement, response)
    return _ALLOW.sub(lambda found: b", ".join(sorted(found[0].split(b", "))), response)


def _shown(data: bytes, mark: str) -> str:
    """Return bytes as lines of ASCII; a long document by its digest, and indented if JSON."""
    top, separator, body = data.partition(b"\r\n\r\n")
    if len(body) <= _LONG:
        return _escaped(data, mark)
    digest = f"{mark}({len(body)} bytes, sha256 {hashlib.sha256(body).hexdigest()})\n"
    text = _escaped(top + separator, mark) + digest
    if mark == "> ":
        return text
    try:
        return text + _escaped(json.dumps(json.loads(body), indent=1).encode(), mark)
    except ValueError:
        return text + _escaped(body, mark)


def _escaped(data: bytes, mark: str) -> str:
    lines = data.decode("latin-1").split("\n")
    return "".join(f"{mark}{line.encode('unicode_escape').decode()}\n" for line in lines)
