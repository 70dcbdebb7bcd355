"""Names, classes and versions of a model file, as hostile as can be, all the way into a real image:
they are text in its Dockerfile, labels, files, answers, pages, logs and metrics, and nothing else.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import requests
from hostile_text import HOSTILE
from prometheus_client.parser import text_string_to_metric_families
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from modelpack import hardening
from modelpack.bundle import render as bundles
from modelpack.bundle import templates
from modelpack.oci import filesystem
from modelpack.pipeline import options, stages

pytestmark = [pytest.mark.engine, pytest.mark.slow]

NAMES = [
    *HOSTILE,
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "'; touch /owned; '",
    "\\\nRUN touch /owned\n#",
    "FROM scratch\nUSER 0",
    "%(asctime)s {0} %s",
    "=cmd|' /C calc'!A0",
    "../../../owned",
    "constructor",
    "__proto__",
]
"""Beyond quotes and line ends: of HTML, of shells, of Dockerfiles, of formats, of spreadsheets."""

LONG = "".join(NAMES) + "x" * 100_000
CLASSES = ["</script><marquee>", "a\nb\x1b[31m", "$(touch /owned)"]


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(60, len(NAMES))), columns=NAMES)
    steps = [("".join(HOSTILE).replace("__", ""), LogisticRegression())]
    path = tmp_path_factory.mktemp("hostile") / "$(touch owned) `x`;\u202e.joblib"
    joblib.dump(Pipeline(steps).fit(frame, np.array(CLASSES)[np.arange(60) % 3]), path)
    return path


@pytest.fixture(scope="module")
def run() -> stages.Pipeline:
    return stages.Pipeline(options.Options(engine="docker"))


@pytest.fixture(scope="module")
def bundle(run, model, tmp_path_factory):
    """With words that no file can have today, too: the inspector would refuse them."""
    found, code = run.inspect([model])
    spec, _ = run.reference(found, [model])
    environment, base = run.resolve(spec)
    spec = replace(spec, estimator=LONG, framework=LONG, framework_version=LONG)
    folder = tmp_path_factory.mktemp("bundle") / "bundle"
    return bundles.render(spec, environment, base, folder, code)


@pytest.fixture(scope="module")
def image(run, bundle):
    built = run.engine.builder.build(bundle, run.index, lambda _: None)
    yield built
    run.remove_untagged(built)


@pytest.fixture(scope="module")
def service(run, image):
    with run.engine.runner.run(image.id) as running:
        deadline = time.monotonic() + 60
        while not is_ready(running.url) and time.monotonic() < deadline:
            time.sleep(0.1)
        yield running


def is_ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/readyz", timeout=30).ok
    except requests.ConnectionError:
        return False


def test_image_follows_every_rule_and_no_injected_command_ran(run, image):
    with run.engine.images.open_image(image.id) as contents:
        rulings = hardening.scan(contents)
        files = filesystem.merge_layers(
            filesystem.layer_listing(layer) for layer in contents.layers
        )
    assert [ruling for ruling in rulings if not ruling.passed] == []
    assert [path for path in files if "owned" in path] == []


def test_labels_contain_the_hostile_text_on_one_line(image):
    line = templates.line(LONG)
    for name in ("dev.modelpack.estimator", "dev.modelpack.framework"):
        assert image.labels[name].replace("\\x5c", "\\") == f"{line[:253]}..."
    assert all(value.isprintable() and len(value) < 300 for value in image.labels.values())


def test_service_with_hostile_names_passes_the_smoke_test(run, image, bundle):
    report = run.smoke(image.id, *run.reference(bundle.model))
    assert [check for check in report.checks if not check.passed] == []
    assert report.parity.passed


def test_responses_are_json_with_the_names(service):
    row = dict.fromkeys(NAMES, 0.5)
    answer = requests.post(f"{service.url}/predict", json={"instances": [row]}, timeout=30)
    assert answer.json()["predictions"][0] in CLASSES
    wrong = requests.post(
        f"{service.url}/predict", json={"instances": [{**row, NAMES[0]: "x"}]}, timeout=30
    )
    assert wrong.status_code == 422
    assert wrong.json()["errors"][0]["column"] == NAMES[0]
    assert wrong.text.isascii()
    assert wrong.text.strip().isprintable()
    document = requests.get(f"{service.url}/openapi.json", timeout=30).json()
    assert document["openapi"].startswith("3.")


class Tags(HTMLParser):
    """The tags of a page, with their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def handle_starttag(self, tag, attrs) -> None:
        self.seen.append(f"{tag} {' '.join(name for name, _ in attrs)}")


def tags(url: str) -> list[str]:
    page = requests.get(url, headers={"Accept": "text/html"}, timeout=30)
    parser = Tags()
    parser.feed(page.text)
    return parser.seen


def test_page_contains_no_injected_tag(service):
    seen = tags(f"{service.url}/")
    assert not [tag for tag in seen if tag.startswith(("img", "marquee")) or "onerror" in tag]
    assert sum(tag.startswith("script") for tag in seen) <= 2


def test_hostile_text_adds_no_metric_and_no_log_line(service):
    metrics = requests.get(f"{service.url}/metrics", timeout=30).text
    assert list(text_string_to_metric_families(metrics))
    assert not re.search(r"^(RUN|FROM|USER) ", metrics, re.MULTILINE)
    for line in filter(None, service.logs().splitlines()):
        assert line.isprintable()
        assert isinstance(json.loads(line), dict)
