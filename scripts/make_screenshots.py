"""Take the pictures of docs/service-playground.md: a sample model in its container, in Chromium.

    python scripts/make_screenshots.py

Look at them before a commit, because machines have different fonts.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from containers import container, package, remove
from playwright.sync_api import Browser, Page, expect, sync_playwright

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "sample_models" / "mixed-columns"
IMAGES = ROOT / "docs" / "images"
IMAGE = "modelpack-screenshots:1"
SHOWN = "http://localhost:8080"  # in place of the port that the container happens to have
DESKTOP: dict[str, Any] = {"viewport": {"width": 1200, "height": 900}}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2}
TEXTS = (
    "--title=Customer churn",
    "--description=The probability that a customer leaves in the next month.",
)


def main() -> int:
    rows = ["--example", str(SAMPLE / "request.json"), "--expected", str(SAMPLE / "response.json")]
    packaged = package([SAMPLE / "model.joblib"], "-t", IMAGE, *TEXTS, *rows)
    if packaged.code:
        print(packaged.stderr, file=sys.stderr)
        return packaged.code
    try:
        with container(IMAGE, "--env=MODELPACK_MODEL_VERSION=3") as url, chromium(url) as browser:
            take_all(browser)
    finally:
        remove(IMAGE)
    return 0


def take_all(browser: Browser) -> None:
    IMAGES.mkdir(exist_ok=True)
    with open_page(browser, **DESKTOP, color_scheme="light") as page:
        take(page, "light", full_page=True)
    with open_page(browser, **DESKTOP, color_scheme="dark") as page:
        page.get_by_label("tenure_months", exact=True).fill("")
        page.get_by_label("contract").select_option("two years")
        page.get_by_text("Effect of each input").click()
        page.get_by_role("tab", name="Python").click()
        page.wait_for_load_state("networkidle")
        expect(page.locator("#effects li").first).to_be_visible()
        take(page, "dark", full_page=True)
    with open_page(browser, **PHONE, color_scheme="light") as page:
        expect(page.locator("#mini")).not_to_be_empty()
        take(page, "phone")


def take(page: Page, name: str, *, full_page: bool = False) -> None:
    page.wait_for_timeout(500)  # of transitions
    page.screenshot(path=IMAGES / f"playground-{name}.png", full_page=full_page)


@contextmanager
def chromium(url: str) -> Iterator[Browser]:
    """A browser for which SHOWN is the address of the container, `url`."""
    places = [urlsplit(each).netloc for each in (SHOWN, url)]
    arguments = [f"--host-resolver-rules=MAP {' '.join(places)}"]
    arguments += ["--no-sandbox"] if os.getuid() == 0 else []
    with sync_playwright() as playwright:
        path = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


@contextmanager
def open_page(browser: Browser, **options: Any) -> Iterator[Page]:
    """The page when it has answered its example."""
    page = browser.new_page(**options)
    page.goto(f"{SHOWN}/")
    expect(page.locator("#output .large")).not_to_be_empty()
    for _ in range(3):  # the first requests of a worker take longer
        with page.expect_response("**/predict*"):
            page.keyboard.press("Control+Enter")
        page.wait_for_load_state("networkidle")
    yield page
    page.close()


if __name__ == "__main__":
    sys.exit(main())
