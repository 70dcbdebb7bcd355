"""The page at `GET /`: the clients that get it, and what it may do."""

from __future__ import annotations

import base64
import hashlib
import re

import pytest
import serving_models
from flask_clients import client_for
from playground_models import DESCRIPTION, HOSTILE, TITLE, bundle_folder, guests

from modelpack.serving import app as serving_app
from modelpack.serving import playground
from modelpack.serving.protocols import page as dialect
from modelpack.serving.service import Service

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
MAX_BYTES = 100_000


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    return client_for(serving_models.iris(), tmp_path_factory.mktemp("iris"))


@pytest.mark.parametrize(
    ("accept", "mimetype"),
    [
        (BROWSER, "text/html"),
        ("text/html", "text/html"),
        ("application/json", "application/json"),
        ("*/*", "application/json"),
        ("application/json, text/html;q=0.9", "application/json"),
        ("image/png", "application/json"),
        (None, "application/json"),
    ],
)
def test_browser_gets_the_page_and_other_clients_get_the_facts(client, accept, mimetype):
    answer = client.get("/", headers={"Accept": accept} if accept else {})
    assert (answer.status_code, answer.mimetype) == (200, mimetype)
    assert "Accept" in answer.vary
    kept = "no-cache" if mimetype == "text/html" else "no-store"
    assert answer.headers["Cache-Control"] == kept


def test_a_page_that_has_not_changed_is_not_sent_again(client):
    tag = client.get("/", headers={"Accept": BROWSER}).headers["ETag"]
    again = client.get("/", headers={"Accept": BROWSER, "If-None-Match": tag})
    assert (again.status_code, again.data) == (304, b"")
    assert client.get("/", headers={"If-None-Match": tag}).status_code == 200


def test_the_policy_allows_this_page_and_nothing_else(client):
    answer = client.get("/", headers={"Accept": BROWSER})
    policy = dict(
        part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; ")
    )
    for name, tag in (("script-src", "script"), ("style-src", "style")):
        (inside,) = re.findall(rf"<{tag}[^>]*>(.*?)</{tag}>", answer.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert policy.pop(name) == f"'sha256-{digest}'"
    assert policy == {
        "default-src": "'none'",
        "img-src": "data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }


def test_page_is_small_and_self_contained():
    html = playground.assemble().html
    assert len(html) < MAX_BYTES
    elsewhere = set(re.findall(rb"https?://[^'\"\s)]+", html)) - {b"http://www.w3.org/2000/svg"}
    assert elsewhere == set()
    assert not re.search(rb"\b(src|srcset|@import)\b\s*=|\burl\(|\son\w+=|\sstyle=", html)


def test_script_never_parses_text_as_html():
    script = "".join((playground.DIRECTORY / name).read_text() for name in playground.SCRIPTS)
    forbidden = r"innerHTML|outerHTML|insertAdjacent|document\.write|DOMParser|eval\(|Function\("
    assert re.findall(forbidden, script) == []
    assert {path.name for path in playground.DIRECTORY.glob("*.js")} == set(playground.SCRIPTS)


def test_the_page_is_the_same_for_every_model(client, tmp_path):
    """No text of a model is between its tags."""
    app = serving_app.empty_app()
    app.register_blueprint(dialect.routes(Service.load(bundle_folder("hostile", tmp_path))))
    answer = app.test_client().get("/", headers={"Accept": BROWSER})
    assert answer.data == client.get("/", headers={"Accept": BROWSER}).data
    facts = app.test_client().get("/").json
    assert facts["environment"]["warnings"] == list(HOSTILE)


def test_the_facts(client, monkeypatch):
    monkeypatch.setenv("MODELPACK_PARITY", "equal bit for bit to the expected predictions (3 rows)")
    facts = client.get("/").json
    assert facts["model"].items() >= {
        "name": "model",
        "version": "1",
        "title": None,
        "description": None,
        "task": "classifier",
        "estimator": "sklearn.pipeline.Pipeline",
        "framework": "scikit-learn",
        "steps": [],
    }.items()  # fmt: skip
    assert re.fullmatch("[0-9a-f]{64}", facts["model"]["sha256"])
    assert facts["environment"] == {
        "python": "3.11",
        "versions": {"scikit-learn": {"recorded": "1.9.1", "installed": "1.9.1"}},
        "warnings": [],
    }
    assert facts["service"] == {
        "ready": True,
        "grpc": None,
        "parity": "equal bit for bit to the expected predictions (3 rows)",
        "proof": None,
    }
    assert facts["example"] == {"instances": [[5.0] * 4]}


def test_title_and_description_are_facts_and_in_openapi(tmp_path):
    client = client_for(guests(), tmp_path)
    model = client.get("/").json["model"]
    assert (model["title"], model["description"]) == (TITLE, DESCRIPTION)
    info = client.get("/openapi.json").json["info"]
    assert info["title"] == TITLE
    assert info["description"].startswith(f"{DESCRIPTION}\n\nThe sha256 ")
