"""Requests through the fast path and through Flask, to compare the responses."""

from __future__ import annotations

import re

from gunicorn.config import Config

from modelpack.serving import app as serving_app
from modelpack.serving.protocols import metadata
from modelpack.serving.server import http1
from modelpack.serving.server import predictor as server_predictor
from modelpack.serving.server.predictor import Job
from modelpack.serving.settings import Limits

ADDRESSES = (("127.0.0.1", 40000), ("127.0.0.1", 8080))


JSON = "application/json"


def head(path="/predict", length=0, **more: str) -> bytes:
    fields = {"Host": "localhost", "Content-Type": JSON, "Content-Length": str(length), **more}
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in fields.items() if value]
    return "\r\n".join([f"POST {path} HTTP/1.1", *lines, "", ""]).encode()


def environ(raw: bytes):
    return server_predictor.environ(raw, ADDRESSES, Config(), Limits())


def make_job(fast_path, body: bytes, path="/predict", **more: str) -> Job | None:
    """Return a job as the worker creates it; None if the fast path does not take its head."""
    raw = head(path, len(body), **more)
    plain = fast_path.match(raw, environ)
    return None if plain is None else Job(None, raw, body, plain)


def handle_jobs(fast_path, *jobs: Job, only_fast: bool = False) -> list[bytes]:
    fast_path.handle(jobs, draining=False, only_fast=only_fast)()
    return [job.response for job in jobs]


def flask_response(app, raw: bytes, body: bytes) -> bytes:
    class Connection:
        addresses = ADDRESSES

    job = Job(
        Connection(),
        http1.parse(raw, Config(), ADDRESSES[0], 1, Limits()).request,
        body,
    )
    return server_predictor.call(app, job, Config())[0]


def split_response(response: bytes) -> tuple[list[str], bytes]:
    """The head of a response as lines, and its body; ids and dates, which differ, as one word. The
    name of the server is left out if gunicorn has the hooks of the service.
    """
    top, _, body = response.partition(b"\r\n\r\n")
    lines = top.decode("latin-1").split("\r\n")
    varying = re.compile("(Date|X-Request-Id|traceresponse): .*")
    normalized = [varying.sub(r"\1: -", line) for line in lines if not line.startswith("Server:")]
    return sorted(normalized), body


def jobs(*bodies, plain=True):
    return [Job(None, None, body, plain or None) for body in bodies]


def runner_facts(service) -> dict:
    """Return the `runner` member of `GET /signature`."""
    app = serving_app.empty_app()
    app.register_blueprint(metadata.signature_routes(service))
    return app.test_client().get("/signature").json["runner"]
