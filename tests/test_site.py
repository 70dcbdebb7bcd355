"""The documentation site builds without warnings, has valid links, and loads only its own files."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
SITE = ROOT / "build" / "site"
LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "srcset"}


class Page(HTMLParser):
    """Links, anchors, and addresses that a browser loads by itself, of an HTML page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.loaded: list[str] = []
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.anchors |= {attributes[name] for name in ("id", "name") if attributes.get(name)}
        if tag == "a" and "href" in attributes:
            self.links.append(attributes["href"])
        if LOADED.get(tag) in attributes:
            self.loaded.append(attributes[LOADED[tag]])


@pytest.fixture(scope="module")
def pages() -> dict[Path, Page]:
    """The pages of the site, built with strict checks."""
    command = [str(Path(sys.executable).with_name("zensical")), "build", "--strict", "--clean"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return {path: Page(path) for path in SITE.rglob("*.html")}


def test_each_page_is_in_the_navigation() -> None:
    navigation = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]
    named = re.findall(r"[\w./-]+\.md", str(navigation))
    pages = {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")}
    assert pages - set(named) == set(), "add these to mkdocs.yml"
    assert sorted(named) == sorted(pages)


def test_pages_link_only_to_files_in_docs() -> None:
    """Others are named, as `modelpack/types.py`: the site does not contain them."""
    for path in DOCS.rglob("*.md"):
        for target in re.findall(r"\]\(\s*([^)#:\s]+)[^):]*\)", path.read_text()):
            assert (path.parent / target).resolve().is_relative_to(DOCS), f"{path}: {target}"


def test_links_and_anchors_of_the_built_pages_exist(pages: dict[Path, Page]) -> None:
    broken = []
    for path, page in pages.items():
        for link in (*page.links, *page.loaded):
            url = urlsplit(link)
            if url.scheme or url.netloc or path.name == "404.html":
                continue
            target = (path.parent / unquote(url.path)).resolve() if url.path else path
            target = target / "index.html" if target.is_dir() else target
            anchor = unquote(url.fragment)
            if not target.exists() or (anchor and anchor not in pages[target].anchors):
                broken.append(f"{path.relative_to(SITE)}: {link}")
    assert broken == []
    assert len(pages) > 50


def test_pages_and_styles_load_nothing_from_another_origin(pages: dict[Path, Page]) -> None:
    for path, page in pages.items():
        assert [url for url in page.loaded if urlsplit(url).netloc] == [], path
    for path in SITE.rglob("*.css"):
        assert re.findall(r"url\([\"']?(?:https?:)?//[^)]*", path.read_text()) == [], path


class QuietHandler(SimpleHTTPRequestHandler):
    """A handler for the files of the site, without a log."""

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address(pages: dict[Path, Page]) -> Iterator[str]:
    """The address of a server of the site."""
    handler = functools.partial(QuietHandler, directory=SITE)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_search_works_without_other_origins_on_a_phone(address: str) -> None:
    others = []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = chromium.new_page(viewport={"width": 390, "height": 844})
        page.on("request", lambda request: others.append(request.url))
        page.goto(f"{address}/tutorial/")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.wait_for_load_state("networkidle")
        page.keyboard.press("Control+k")
        page.keyboard.type("COSIGN_PASSWORD")
        page.get_by_text("Engines and registries").first.wait_for()
        chromium.close()
    assert [url for url in others if not url.startswith((address, "blob:", "data:"))] == []
