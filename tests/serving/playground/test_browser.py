"""The playground in a real browser, with a real service."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import playground_models
import pytest
from axe_playwright_python.sync_playwright import Axe
from gunicorn_server import Server, serve
from playground_models import HOSTILE
from playwright.sync_api import Browser, Page, expect, sync_playwright
from serving_models import IRIS_NAMES

HANDSET = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
PHONE = {"viewport": {"width": 360, "height": 640}, "has_touch": True, "is_mobile": True}
expect.set_options(timeout=15_000)
KINDS = (
    "guests", "flowers", "visitors", "texts", "letters", "pair", "forest", "scaler", "several",
    "unnamed", "wide", "echo",
)  # fmt: skip


@pytest.fixture(scope="module")
def browser():
    path = shutil.which("chromium")
    assert path, "there is no chromium; scripts/setup.sh test installs it"
    arguments = ["--no-sandbox"] if os.getuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Return the server of a model by its name, started at the first use."""
    with ExitStack() as stack:
        started: dict[str, Server] = {}

        def start(name: str, **environ: str) -> Server:
            if name not in started:
                folder = playground_models.bundle_folder(name, tmp_path_factory.mktemp(name))
                bundle = serve(folder, preload=True, WEB_CONCURRENCY="1", **environ)
                started[name] = stack.enter_context(bundle)
            return started[name]

        yield start
        for each in started.values():
            each.process.terminate()


@pytest.fixture
def visit(browser: Browser, server):
    """`visit(name)` is a context with the page of a model.

    At its end, the page has sent requests only to the service and violated no policy, and the
    console contains only the expected `failures`.
    """

    @contextmanager
    def open_(name: str, path: str = "/", failures: str = "(?!)", **options):
        origin = f"http://127.0.0.1:{server(name).port}"
        requests: list[str] = []
        complaints: list[str] = []
        context = browser.new_context(**options)
        context.grant_permissions(["clipboard-read", "clipboard-write"], origin=origin)
        page = context.new_page()
        page.on("request", lambda request: requests.append(request.url))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda message: complaints.append(message.text) if message.type != "log" else None,
        )
        try:
            page.goto(origin + path)
            yield page
            page.evaluate("1")  # lets the last messages arrive
        finally:
            context.close()
        assert {
            urlsplit(url).netloc for url in requests if not url.startswith(("data:", "blob:"))
        } == {urlsplit(origin).netloc}
        assert [text for text in complaints if not re.search(failures, text)] == []

    return open_


UNPROCESSABLE = r"^Failed to load resource: .* status of 422 "
LARGE = "#output .large"


def predicted(page: Page, text: str) -> None:
    expect(page.locator(LARGE)).to_have_text(text)


# --- what is shown -------------------------------------------------------------------------------


def test_example_is_shown_with_its_prediction(visit):
    (probabilities,) = playground_models.flowers().model.predict_proba([[5.8, 3.1, 3.8, 1.2]])
    with visit("flowers") as page:
        predicted(page, "versicolor")
        assert page.get_by_label(IRIS_NAMES[2], exact=True).input_value() == "3.8"
        bars = page.locator("#chances li").all_inner_texts()
        shown = {text.split()[0]: float(text.split()[1]) for text in bars}
    expected = dict(zip(("setosa", "versicolor", "virginica"), probabilities * 100, strict=True))
    assert shown == pytest.approx(expected, abs=0.051)
    assert list(shown.values()) == sorted(shown.values(), reverse=True)


def test_card_identifies_the_model(visit, server):
    (folder,) = server("flowers").log_path.parent.glob("bundle")
    model = json.loads((folder / "modelpack.json").read_text())["model"]
    with visit("flowers") as page:
        expect(page).to_have_title("Pipeline · playground")
        card = page.locator("#card")
        expect(page.locator("#digest")).to_be_hidden()
        page.get_by_text("About this model").click()
        expect(card).to_contain_text("A classifier of scikit-learn 1.9.1")
        expect(card).to_contain_text("its digest was checked at the start")
        expect(card).to_contain_text("Parity: no comparison with the author's model is recorded")
        facts = dict(zip(card.locator("dt").all_inner_texts(), card.locator("dd").all_inner_texts(),
                         strict=True))  # fmt: skip
        page.locator("#copy-digest").click()
        assert page.evaluate("navigator.clipboard.readText()") == model["file"]["sha256"]
    assert {name.lower(): value for name, value in facts.items()} == {
        "estimator": "Pipeline",
        "inputs": "4",
        "classes": "3",
        "version": "1",
        "python": "3.11",
        "format": "joblib",
        "size": f"{model['file']['size'] / 1000:.3g} kB",
    }


def test_card_shows_known_name_version_and_parity(browser, tmp_path):
    folder = playground_models.bundle_folder("forest", tmp_path)
    claim = "equal bit for bit to the predictions recorded in training (20 rows)"
    environ = {"MODELPACK_MODEL_NAME": "house-prices", "MODELPACK_MODEL_VERSION": "7"}
    with serve(
        folder, preload=True, WEB_CONCURRENCY="1", MODELPACK_PARITY=claim, **environ
    ) as server:
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{server.port}/")
        expect(page.get_by_role("heading", level=1)).to_have_text("house-prices")
        expect(page.locator("#checks")).to_contain_text(f"✓ Parity: {claim}")
        expect(page.locator("#facts")).to_contain_text("7")
        page.close()


def test_first_screen_of_a_phone_has_title_inputs_and_prediction(visit):
    with visit("guests", **HANDSET) as page:
        expect(page.locator("#mini")).to_have_text(re.compile(r"(early|late) \d"))
        expect(page).to_have_title(f"{playground_models.TITLE} · playground")
        heading, text = page.get_by_role("heading", level=1), page.locator("#description")
        expect(heading).to_have_text(playground_models.TITLE)
        expect(text).to_have_text(playground_models.DESCRIPTION)
        shown = [heading, text, page.get_by_label("age", exact=True), page.locator("#mini")]
        boxes = [each.bounding_box() for each in shown]
        assert all(box["y"] >= 0 and box["y"] + box["height"] <= 844 for box in boxes), boxes
        assert boxes[2]["y"] + boxes[2]["height"] < boxes[3]["y"]  # the bar covers no input
        more = page.get_by_role("button", name="Show all of it")
        more.click()
        assert text.bounding_box()["height"] > boxes[1]["height"]
        page.get_by_role("button", name="Show less").click()
        assert text.bounding_box()["height"] == boxes[1]["height"]
    with visit("flowers") as page:
        predicted(page, "versicolor")
        expect(page.locator("#description")).to_be_hidden()
        expect(page.locator("#whole")).to_be_hidden()


def test_a_regressor_gives_its_number_and_the_way_from_the_example(visit):
    model = playground_models.serving_models.forest().model
    before, after = model.predict([[0.01] * 3, [0.01, 0.01, 0.09]])
    with visit("forest") as page:
        predicted(page, f"{before:.6g}")
        page.get_by_label("x2").fill("0.09")
        predicted(page, f"{after:.6g}")
        sign = "+" if after > before else "\u2212"
        expect(page.locator("#output")).to_contain_text(f"{sign}{abs(after - before):.6g}")


def test_a_transformer_gives_a_vector(visit):
    with visit("scaler") as page:
        expect(page.locator(".vector li b")).to_have_text(["0", "-1.9"])


def test_several_outputs_and_many_classes(visit):
    with visit("several") as page:
        expect(page.locator(".vector li")).to_have_count(2)
        bars = page.locator("#chances ul")
        expect(bars).to_have_count(2)
        expect(bars.first.locator("li")).to_have_count(8)
        page.get_by_role("button", name="All 20 classes").click()
        expect(bars.first.locator("li")).to_have_count(20)


def test_a_text_has_one_large_field(visit):
    with visit("texts") as page:
        predicted(page, "true")
        area = page.get_by_role("textbox", name="text")
        assert area.evaluate("node => node.tagName") == "TEXTAREA"
        area.fill("bad\nbore")
        predicted(page, "false")


# --- the form ------------------------------------------------------------------------------------


def test_each_type_has_its_control(visit):
    model = playground_models.visitors().model
    frame = playground_models.serving_models.people()
    with visit("visitors") as page:
        predicted(page, str(*model.predict(frame.assign(
            age=30.0, city="Rome", visits=3, member=True).iloc[:1])))  # fmt: skip
        city = page.get_by_label("city")
        assert city.locator("option").all_inner_texts() == ["missing", "Oslo", "Rome"]
        city.select_option("missing")
        page.get_by_label("age", exact=True).fill("")
        page.get_by_label("visits").fill("5")
        page.get_by_role("switch", name="member").uncheck()
        with page.expect_response("**/predict*") as response:
            page.get_by_role("button", name="Predict").click()
        sent = json.loads(response.value.request.post_data)
    assert sent == {"instances": [{"age": None, "city": None, "visits": 5, "member": False}]}


def sent_by(page: Page) -> dict:
    """Return the request that the page sends for a prediction."""
    with page.expect_response("**/predict*") as response:
        page.get_by_role("button", name="Predict").click()
    assert response.value.status == 200, response.value.text()
    (row,) = json.loads(response.value.request.post_data)["instances"]
    return row


def test_dates_categories_and_booleans_have_their_controls(visit):
    with visit("guests") as page:
        expect(page.locator(LARGE)).to_have_text(re.compile("early|late"))
        year = page.get_by_label("year")
        assert year.locator("option").all_inner_texts() == ["2022", "2020", "2021"]
        year.select_option("2021")
        vip = page.get_by_label("vip")
        assert vip.locator("option").all_inner_texts() == ["missing", "yes", "no"]
        vip.select_option("missing")
        page.get_by_role("switch", name="member").uncheck()
        arrival, booked = page.get_by_label("arrival"), page.get_by_label("booked")
        assert [each.get_attribute("type") for each in (arrival, booked)] == ["datetime-local"] * 2
        assert booked.input_value() == "2023-06-01T00:00"
        expect(page.locator("#input-6-hint")).to_have_text("date and time · UTC")
        arrival.fill("2024-12-24T18:00")
        booked.fill("2024-01-01T00:00:30")
        sent = sent_by(page)
    assert sent == {
        "age": 18.0,
        "stays": 0,
        "year": 2021,
        "member": False,
        "vip": None,
        "arrival": "2024-12-24T18:00",
        "booked": "2024-01-01T00:00:30+00:00",
    }


def test_a_real_row_fills_the_form(visit):
    with visit("guests") as page:
        expect(page.locator(LARGE)).to_have_text(re.compile("early|late"))
        rows = page.get_by_label("Real rows to fill in")
        assert rows.locator("option").all_inner_texts() == [
            "Real rows…",
            "A young member",
            "Row 2: 40, 4, 2021, false, …",
        ]
        rows.select_option("1")
        assert page.get_by_label("age", exact=True).input_value() == "40"
        sent = sent_by(page)
    assert (sent["year"], sent["vip"], sent["arrival"]) == (2021, None, "2024-02-02T08:30:00")
    with visit("flowers") as page:
        expect(page.get_by_label("Real rows to fill in")).to_be_hidden()


def test_a_number_that_training_did_not_have_gets_a_remark(visit):
    with visit("guests") as page:
        age, remark = page.get_by_label("age", exact=True), page.locator("#input-0-remark")
        expect(page.locator("#input-0-hint")).to_have_text("number · mostly 19.9 to 55.1")
        expect(remark).to_be_empty()
        age.fill("-8000")
        expect(remark).to_have_text("Outside of the recorded data: 18 to 57")
        expect(page.locator("#input-0-error")).to_be_empty()
        assert "input-0-remark" in age.get_attribute("aria-describedby").split()
        page.get_by_role("button", name="Example").click()
        expect(remark).to_be_empty()
        assert page.get_by_role("slider", name="stays, slider").get_attribute("step") == "1"


def test_a_prediction_of_other_inputs_looks_so(visit):
    with visit("guests", failures=UNPROCESSABLE) as page:
        expect(page.locator(LARGE)).to_have_text(re.compile("early|late"))
        note = page.locator("#stale")
        expect(note).to_be_hidden()
        fresh = page.locator("#output").evaluate("node => getComputedStyle(node).backgroundColor")
        page.get_by_label("stays", exact=True).fill("2.5")
        expect(page.locator("#input-1-error")).not_to_be_empty()
        expect(note).to_be_visible()
        old = page.locator("#output").evaluate("node => getComputedStyle(node).backgroundColor")
        assert old != fresh
        page.get_by_label("stays", exact=True).fill("3")
        expect(note).to_be_hidden()
        page.get_by_role("switch", name="Live").uncheck()
        page.get_by_label("stays", exact=True).fill("4")
        expect(note).to_be_visible()
        page.get_by_role("button", name="Predict").click()
        expect(note).to_be_hidden()


def test_a_prediction_is_dimmed_from_the_change_of_an_input_to_the_next_one(visit):
    dim = "node => Number(getComputedStyle(node).opacity) < 0.6"
    with visit("flowers", failures="net::ERR_FAILED") as page:
        predicted(page, "versicolor")
        output = page.locator("#output")
        assert not output.evaluate(dim)
        requests = []
        page.route("**/predict?*", lambda route: requests.append(route))  # noqa: PLW0108
        page.get_by_label("petal length", exact=True).fill("6.9")
        assert output.evaluate(dim)
        page.wait_for_timeout(500)
        assert output.evaluate(dim)  # the service has not responded
        requests.pop().continue_()
        predicted(page, "virginica")
        assert not output.evaluate(dim)
        page.get_by_label("petal length", exact=True).fill("6.8")
        page.wait_for_timeout(500)
        requests.pop().abort()
        expect(page.locator("#stale")).to_be_visible()
        assert not output.evaluate(dim)


def test_error_is_shown_at_its_field(visit):
    with visit("visitors", failures=UNPROCESSABLE) as page:
        visits = page.get_by_label("visits")
        visits.fill("")
        error = page.locator("#input-2-error")
        expect(error).to_have_text("Expected an integer; got nothing.")
        expect(visits).to_have_attribute("aria-invalid", "true")
        assert "input-2-error" in visits.get_attribute("aria-describedby").split()
        expect(page.get_by_role("alert").filter(has_text="visits")).to_be_visible()
        page.get_by_role("button", name="visits", exact=True).click()
        expect(visits).to_be_focused()
        visits.fill("2.5")
        expect(error).to_have_text("Expected an integer; got 2.5.")
        visits.fill("2")
        expect(visits).to_have_attribute("aria-invalid", "false")
        expect(page.locator("#problem")).to_be_empty()


def test_incomplete_number_is_not_sent(visit):
    with visit("flowers") as page:
        predicted(page, "versicolor")
        field = page.get_by_label("petal length", exact=True)
        field.press("Control+A")
        field.press_sequentially("-")
        page.keyboard.press("Enter")
        expect(page.locator("#input-2-error")).to_have_text(
            "Expected a number; got something else."
        )
        field.press_sequentially("1")
        expect(page.locator("#input-2-error")).to_be_empty()
        predicted(page, "setosa")


def test_a_slider_and_its_field_are_one(visit):
    with visit("flowers") as page:
        slider = page.get_by_role("slider", name="petal length, slider")
        slider.focus()
        page.keyboard.press("End")
        assert page.get_by_label("petal length", exact=True).input_value() == "6.9"
        predicted(page, "virginica")
        page.get_by_role("button", name="Example").click()
        predicted(page, "versicolor")
        assert slider.input_value() == "3.8"


def test_an_integer_is_sent_as_it_was_typed(visit):
    with visit("visitors", failures=UNPROCESSABLE) as page:
        page.get_by_label("visits").fill("9007199254740993")
        with page.expect_request("**/predict*") as sent:
            page.get_by_role("button", name="Predict").click()
        assert '"visits": 9007199254740993,' in sent.value.post_data


def test_model_with_unknown_inputs_accepts_a_row(visit):
    with visit("unnamed", failures=r"status of (422|500) ") as page:
        row = page.get_by_label("A row")
        row.fill("5.1, 3.5, 1.4, 0.2")
        predicted(page, "setosa")
        row.fill("[6.5, 3.0, 5.5, 2.0]")
        predicted(page, "virginica")
        row.fill("1, two")
        page.get_by_role("button", name="Predict").click()
        expect(page.locator("#free-error")).to_contain_text("Expected numbers and texts")
        expect(row).to_have_attribute("aria-invalid", "true")


def test_a_model_without_an_example_waits_for_all_its_inputs(visit):
    (expected,) = playground_models.bare().model.predict([[0.01, 0.02, 0.03]])
    with visit("bare", failures=UNPROCESSABLE) as page:
        requests = []
        page.on("request", lambda request: requests.append(request.url))
        page.get_by_label("x0").fill("0.01")
        page.get_by_label("x1").fill("0.02")
        page.wait_for_timeout(600)
        assert requests == []
        page.get_by_role("button", name="Predict").click()
        expect(page.locator("#input-2-error")).to_contain_text("got nothing")
        page.get_by_label("x2").fill("0.03")
        predicted(page, f"{expected:.6g}")


def test_two_thousand_inputs_do_not_freeze_the_page(visit):
    with visit("wide", failures=UNPROCESSABLE) as page:
        predicted(page, "3")
        assert page.locator(".field").count() == 60
        page.get_by_role("button", name="Show 60 more").click()
        expect(page.get_by_label("reading 60", exact=True)).to_be_focused()
        find = page.get_by_label("Find an input")
        find.fill("reading 1999")
        page.get_by_label("reading 1999").fill("21")
        predicted(page, "42")
        page.get_by_label("reading 1999").fill("")
        find.fill("reading 7")
        expect(page.locator(".field").first).to_contain_text("Expected a finite number")
        frames = page.evaluate(
            """async () => {
                const frames = [];
                let last = performance.now();
                const input = document.querySelector("#filter");
                for (let turn = 0; turn < 20; turn++) {
                    input.value = `${turn}`;
                    input.dispatchEvent(new Event("input", {bubbles: true}));
                    await new Promise(requestAnimationFrame);
                    frames.push(performance.now() - last);
                    last = performance.now();
                }
                return frames;
            }"""
        )
        assert statistics.median(frames) < 500  # milliseconds


def test_a_link_brings_the_inputs_back(visit):
    with visit("flowers") as page:
        page.get_by_label("petal length", exact=True).fill("6.9")
        predicted(page, "virginica")
        page.get_by_role("button", name="Share").click()
        link = page.evaluate("navigator.clipboard.readText()")
    parts = urlsplit(link)
    with visit("flowers", f"/#{parts.fragment}") as page:
        predicted(page, "virginica")
        assert page.get_by_label("petal length", exact=True).input_value() == "6.9"
    with visit("flowers", "/#row=%7Bnonsense") as page:
        predicted(page, "versicolor")


def predict_file(page: Page) -> None:
    page.get_by_role("button", name="Predict these rows").click()


def saved_rows(page: Page) -> list[list[str]]:
    """Return the lines of the file that the page saves."""
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save the rows with their predictions").click()
    assert saved.value.suggested_filename.endswith("-predictions.csv")
    text = saved.value.path().read_bytes().decode()
    return list(csv.reader(io.StringIO(text, newline=""), strict=True))


@pytest.mark.parametrize("header", ["present", "absent"])
def test_saved_rows_are_those_of_the_file_however_it_is_written(visit, tmp_path, header):
    names = [*IRIS_NAMES, 'a "note", or more', "prediction"]
    lines = [
        ["5.1", "3.5", "1.4", "0.2", 'said "a,\r\nb"\n\n', ""],
        ["6.5", "3", "5.5", "2", "", "x"],
    ]
    if header == "absent":
        names, lines = list(IRIS_NAMES), [line[:4] for line in lines]
    file = io.StringIO(newline="")
    csv.writer(file).writerows([names, *lines] if header == "present" else lines)
    rows = tmp_path / "rows.csv"
    rows.write_bytes(b"\xef\xbb\xbf" + file.getvalue().replace("\r\n6.5", "\r\n\r\n6.5").encode())
    with visit("flowers") as page:
        page.get_by_label("A CSV file").set_input_files(rows)
        predict_file(page)
        expect(page.locator("#many-note")).to_contain_text("2 rows in ")
        first, *saved = saved_rows(page)
    added = "prediction_of_the_model" if header == "present" else "prediction"
    assert first[: len(names) + 1] == [*names, added]
    width = len(names)
    assert [line[:width] for line in saved] == lines
    assert [line[width] for line in saved] == ["setosa", "virginica"]


def test_inputs_that_a_file_lacks_are_named_before_it_is_sent(visit, tmp_path):
    rows = tmp_path / "rows.csv"
    rows.write_text("sepal length,<b>\n5.1,3.5\n")
    with visit("flowers") as page:
        page.get_by_label("A CSV file").set_input_files(rows)
        expect(page.locator("#many-note .error")).to_have_text(
            f"Inputs that are not in the file: {', '.join(IRIS_NAMES[1:])}"
        )


def test_a_file_of_rows(visit, tmp_path):
    rows = tmp_path / "plants, 'mine'.csv"
    rows.write_text(",".join(IRIS_NAMES) + "\n5.1,3.5,1.4,0.2\n6.5,3.0,5.5,2.0\n")
    with visit("flowers", failures=UNPROCESSABLE) as page:
        requests = []
        page.on("request", lambda request: requests.append(request.post_data))
        page.get_by_label("A CSV file").set_input_files(rows)
        table = page.get_by_role("region", name="First rows of plants, 'mine'.csv")
        assert table.locator("tr").all_inner_texts() == [
            "\t".join(IRIS_NAMES),
            "5.1\t3.5\t1.4\t0.2",
            "6.5\t3.0\t5.5\t2.0",
        ]
        assert not any(text and "5.1,3.5" in text for text in requests)
        predict_file(page)
        expect(page.locator("#many-note")).to_contain_text("2 rows in ")
        first = page.get_by_role("region", name="First predictions").locator("td").first
        expect(first).to_have_text("setosa")
        names, *lines = saved_rows(page)
        assert names[:6] == [*IRIS_NAMES, "prediction", "probability_setosa"]
        assert [line[:5] for line in lines] == [
            ["5.1", "3.5", "1.4", "0.2", "setosa"],
            ["6.5", "3.0", "5.5", "2.0", "virginica"],
        ]
        rows.write_text(",".join(IRIS_NAMES) + "\n5.1,3.5,1.4,0.2\n6.5,much,5.5,2.0\n")
        page.get_by_label("A CSV file").set_input_files(rows)
        predict_file(page)
        problems = page.locator("#many-note li")
        expect(problems).to_contain_text(f"Row 1, {IRIS_NAMES[1]}: Expected a finite number")


def test_columns_of_a_file_that_were_ignored_are_named(visit, tmp_path):
    rows = tmp_path / "rows.csv"
    rows.write_text(",".join(IRIS_NAMES) + "\n5.1,3.5,1.4,0.2\n")
    answer = {
        "status": 200,
        "body": "prediction\nsetosa\n",
        "headers": {
            "Content-Type": "text/csv",
            "Modelpack-Ignored-Inputs": '"id", "caf%C3%A9 %3Cb%3E";more=3',
        },
    }
    with visit("flowers") as page:
        predicted(page, "versicolor")
        page.route("**/predict*", lambda route: route.fulfill(**answer))
        page.get_by_label("A CSV file").set_input_files(rows)
        predict_file(page)
        expect(page.locator("#many-note")).to_contain_text(
            "Ignored, as the model has no such input: id, café <b> and 3 more"
        )


def test_a_file_is_dropped_and_the_form_is_a_file(visit, tmp_path):
    with visit("echo") as page:
        with page.expect_download() as saved:
            page.get_by_role("button", name="The inputs above as a file").click()
        content = saved.value.path().read_bytes().decode()
        page.evaluate(
            """content => {
                const data = new DataTransfer();
                data.items.add(new File([content], "rows.csv"));
                const drop = {dataTransfer: data, bubbles: true, cancelable: true};
                document.body.dispatchEvent(new DragEvent("drop", drop));
            }""",
            content,
        )
        predict_file(page)
        expect(page.locator("#many-note")).to_contain_text("1 row in ")
    (names, row) = csv.reader(io.StringIO(content, newline=""))
    assert names == row == list(HOSTILE)


# --- this visit, and the effects of inputs ---


def test_predictions_of_this_visit_are_loaded_and_compared(visit):
    with visit("flowers") as page:
        predicted(page, "versicolor")
        expect(page.locator("#history")).to_be_hidden()
        page.get_by_label("petal length", exact=True).fill("6.9")
        page.keyboard.press("Enter")
        predicted(page, "virginica")
        items = page.locator("#entries li")
        expect(items).to_have_count(2)
        expect(items.first).to_contain_text("petal length: 6.9")
        page.get_by_role("button", name="Compare number 1").click()
        expect(page.locator("#comparison")).to_be_focused()
        cells = [text.split("\t") for text in page.locator("#compared tr").all_inner_texts()]
        assert [text.lower() for text in cells[0][1:]] == ["number 1", "number 2"]
        assert cells[1] == ["Prediction", "versicolor", "virginica"]
        assert {row[0] for row in cells[2:-1]} == {
            f"Probability of {name}" for name in ("setosa", "versicolor", "virginica")
        }
        assert cells[-1] == ["petal length", "3.8", "6.9"]
        expect(page.locator("#equal")).to_have_text("3 inputs are equal.")
        page.get_by_role("button", name="Fill in the inputs of number 1").click()
        predicted(page, "versicolor")
        assert page.get_by_label("petal length", exact=True).input_value() == "3.8"
        expect(items).to_have_count(2)  # the same inputs are one prediction
        page.get_by_role("button", name="End the comparison").click()
        expect(page.locator("#comparison")).to_be_hidden()


def test_contributions_of_a_linear_model_are_shown_with_their_sum(visit):
    model = playground_models.flowers().model
    row = [5.8, 3.1, 6.9, 1.2]
    scaler, predictor = model[0], model[1]
    number = list(model.classes_).index("virginica")
    parts = predictor.coef_[number] * (row - scaler.mean_) / scaler.scale_
    base, total = predictor.intercept_[number], model.decision_function([row])[0, number]
    with visit("flowers") as page:
        predicted(page, "versicolor")
        page.get_by_text("Effect of each input").click()
        expect(page.locator("#how")).to_contain_text("coefficients of this linear model")
        less = page.locator("#effects .less")
        expect(less).to_have_count(4)
        color = "nodes => nodes.map((node) => getComputedStyle(node).backgroundColor)"
        assert len(set(less.evaluate_all(color))) == 1  # also of the first bar
        page.get_by_label("petal length", exact=True).fill("6.9")
        predicted(page, "virginica")
        effects = page.locator("#effects")
        expect(effects.locator("h3")).to_have_text("Added to the score of virginica")
        first = effects.locator("li").first
        expect(first.locator(".name")).to_have_text("petal length")
        expect(first.locator(".chance")).to_have_text(f"+{parts[2]:.3f}")
        expect(first.locator(".hint")).to_have_text("6.9, reference 3.758")
        sums = dict(zip(effects.locator("dt").all_inner_texts(),
                        effects.locator("dd").all_inner_texts(), strict=True))  # fmt: skip
    assert sums == {
        "Base: all inputs at their references": f"{base:.3f}".replace("-", "\u2212"),
        "All inputs": f"{sum(parts):+.3f}".replace("-", "\u2212"),
        "Together": f"{total:.3f}".replace("-", "\u2212"),
    }


def test_contributions_of_trees_are_in_the_unit_of_the_prediction(visit):
    (value,) = playground_models.serving_models.forest().model.predict([[0.01, 0.01, 0.09]])
    with visit("forest") as page:
        page.get_by_text("Effect of each input").click()
        page.get_by_label("x2").fill("0.09")
        predicted(page, f"{value:.6g}")
        effects = page.locator("#effects")
        expect(effects.locator("h3")).to_have_text("Added to the prediction")
        expect(effects.locator("dd").last).to_have_text(f"{value:.1f}")
        expect(page.locator("#how")).to_contain_text("Read from the trees")


def test_effects_on_an_output_of_several(visit):
    model = playground_models.pair().model
    with visit("pair") as page:
        page.get_by_text("Effect of each input").click()
        page.get_by_label("x2").fill("0.09")
        heading = page.locator("#effects h3")
        expect(heading).to_have_text("Added to <b>rest</b>")
        expect(page.locator("#target option")).to_have_text(
            ["the largest output", "progression", "<b>rest</b>"]
        )
        page.get_by_label("Effects on").select_option("progression")
        expect(heading).to_have_text("Added to progression")
        total = model.predict([[0.01, 0.01, 0.09]])[0, 0]
        expect(page.locator("#effects dd").last).to_have_text(f"{total:.1f}")
        page.get_by_label("x2").fill("0.01")
        expect(heading).to_have_text("Added to progression")
    with visit("forest") as page:
        page.get_by_text("Effect of each input").click()
        expect(page.locator("#effects h3")).to_be_visible()
        expect(page.locator("#target")).to_be_hidden()


def test_words_of_a_text_are_shown_with_their_sum(visit):
    vectorizer, predictor = playground_models.serving_models.texts().model
    row = vectorizer.transform(["good good bore"]).toarray()[0]
    parts = dict(zip(vectorizer.get_feature_names_out(), predictor.coef_[0] * row, strict=True))
    sign = 1 if predictor.predict([row])[0] else -1
    with visit("texts") as page:
        page.get_by_text("Effect of each word").click()
        expect(page.locator("#how")).to_contain_text("the coefficient of the word")
        page.get_by_role("textbox", name="text").fill("Good, good bore")
        effects = page.locator("#effects")
        expect(effects.locator("li")).to_have_count(2)
        expect(effects.locator("h3")).to_have_text(
            f"Added to the log odds of {'true' if sign > 0 else 'false'}"
        )
        shown = dict(zip(effects.locator(".name").all_inner_texts(),
                         effects.locator(".chance").all_inner_texts(), strict=True))  # fmt: skip
        numbers = {word: float(text.replace("\u2212", "-")) for word, text in shown.items()}
        expected = {word: sign * parts[word] for word in ("good", "bore")}
        assert numbers == pytest.approx(expected, abs=5e-4)
        expect(effects.locator("dt").first).to_have_text("Base: a text without these words")


def test_words_that_cancel_out_have_few_digits(visit):
    with visit("texts") as page:
        page.get_by_text("Effect of each word").click()
        page.get_by_role("textbox", name="text").fill("fun bore")
        effects = page.locator("#effects .chance")
        expect(effects).to_have_count(2)
        assert {len(text) for text in effects.all_inner_texts()} == {len("+0.1234")}


def test_words_are_left_out_if_the_model_is_of_characters(visit):
    model = playground_models.letters().model
    chances = model.predict_proba(["good bore", " bore", "good "])[:, 1]
    if chances[0] < 0.5:
        chances = 1 - chances
    with visit("letters") as page:
        page.get_by_text("Effect of each word").click()
        page.get_by_role("textbox", name="text").fill("good bore")
        effects = page.locator("#effects")
        expect(effects.locator("li")).to_have_count(2)
        expect(page.locator("#how")).to_contain_text("characters, not into words")
        expect(page.locator("#how")).to_contain_text("if this word alone is left out")
        shown = dict(zip(effects.locator(".name").all_inner_texts(),
                         effects.locator(".chance").all_inner_texts(), strict=True))  # fmt: skip
        numbers = {word: float(text.replace("\u2212", "-")) for word, text in shown.items()}
        expected = {word: (chances[0] - each) * 100 for word, each in zip(
            ("good", "bore"), chances[1:], strict=True)}  # fmt: skip
        assert numbers == pytest.approx(expected, abs=0.051)


def test_hostile_words_are_text(visit):
    with visit("sentences") as page:
        page.get_by_text("Effect of each word").click()
        for word in HOSTILE:
            page.get_by_role("textbox", name="text").fill(word)
            expect(page.locator("#effects .name bdi")).to_have_text(word)
        assert page.evaluate("window.owned") is None


def test_effect_of_an_input_is_the_difference_to_its_usual_value(visit):
    model = playground_models.probable().model
    before, after = model.predict_proba([[5.8, 3.1, 3.8, 1.2], [5.8, 3.1, 6.9, 1.2]])
    with visit("probable") as page:
        predicted(page, "versicolor")
        page.get_by_text("Effect of each input").click()
        effects = page.locator("#effects")
        expect(effects).to_have_text("4 inputs at the usual value.")
        expect(page.locator("#how")).to_contain_text("is not a linear model")
        is_change = lambda request: "3.8" in (request.post_data or "")  # noqa: E731
        with page.expect_request(is_change) as sent:
            page.get_by_label("petal length", exact=True).fill("6.9")
        expect(effects.locator("li")).to_have_count(1)
        expect(effects.locator(".name")).to_have_text("petal length")
        expect(effects.locator(".chance")).to_have_text(f"+{(after[2] - before[2]) * 100:.1f}")
        expect(effects.locator("li")).to_contain_text("usual: 3.8, then versicolor")
        assert len(json.loads(sent.value.post_data)["instances"]) == 1
    model = playground_models.nearby().model
    before, after = model.predict([[0.01] * 3, [0.01, 0.01, 0.09]])
    with visit("nearby") as page:
        page.get_by_text("Effect of each input").click()
        page.get_by_label("x2").fill("0.09")
        sign = "+" if after > before else "\u2212"
        expect(page.locator("#effects .chance")).to_have_text(f"{sign}{abs(after - before):.6g}")


def test_page_of_a_service_without_contributions_changes_inputs_one_by_one(visit):
    with visit("flowers", failures="status of 404") as page:
        page.route("**/contributions", lambda route: route.fulfill(status=404, body="{}"))
        page.get_by_text("Effect of each input").click()
        expect(page.locator("#effects")).to_have_text("4 inputs at the usual value.")
        page.get_by_label("petal length", exact=True).fill("6.9")
        expect(page.locator("#effects li")).to_contain_text("usual: 3.8, then versicolor")


def test_tensors_have_effects_if_they_are_lists_of_few_values(visit):
    with visit("pictures") as page:
        page.get_by_text("Effect of each input").click()
        expect(page.locator("#how")).to_contain_text("a tensor of 2 \u00d7 2 values")
        expect(page.locator("#effects")).to_be_empty()
    with visit("measured") as page:
        page.get_by_text("Effect of each input").click()
        page.get_by_label("petal length", exact=True).fill("6.9")
        expect(page.locator("#effects li")).to_contain_text("usual: 3.8, then versicolor")


def test_effect_on_a_label_is_no_difference_of_numbers(visit):
    before, after = playground_models.clusters().model.predict(
        [[5.8, 3.1, 3.8, 1.2], [5.8, 3.1, 1.0, 1.2]]
    )
    assert before != after
    with visit("clusters") as page:
        page.get_by_text("Effect of each input").click()
        page.get_by_label("petal length", exact=True).fill("1")
        predicted(page, str(after))
        expect(page.locator("#effects .chance")).to_have_text("decides")
        expect(page.locator("#effects li")).to_contain_text(f"usual: 3.8, then {before}")


def test_usual_value_is_the_median_if_it_is_known(visit):
    with visit("guests", failures="net::ERR_FAILED") as page:
        page.get_by_text("Effect of each input").click()
        expect(page.locator("#effects")).to_contain_text("18, reference 37.5")
        expect(page.locator("#effects")).to_contain_text("0, reference 4")
        page.route("**/contributions", lambda route: route.abort())
        page.get_by_role("button", name="Predict").click()
        expect(page.locator("#effects")).to_contain_text("usual: 37.5")
        expect(page.locator("#effects")).to_contain_text("usual: 4")
    with visit("unnamed") as page:
        expect(page.locator("#answer")).to_be_visible()
        expect(page.locator("#why")).to_be_hidden()


# --- what goes wrong -----------------------------------------------------------------------------


def test_a_service_that_is_gone_and_back(visit):
    with visit("flowers", failures="Failed to load resource") as page:
        predicted(page, "versicolor")
        page.route("**/predict*", lambda route: route.abort())
        page.get_by_role("button", name="Predict").click()
        expect(page.locator("#problem")).to_contain_text("cannot be reached")
        page.unroute("**/predict*")
        page.get_by_role("button", name="Predict").click()
        expect(page.locator("#problem")).to_be_empty()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"status": 502, "body": "<h1>Bad gateway</h1>", "content_type": "text/html"},
         "The service answered with status 502."),
        ({"status": 503, "json": {"detail": "Too busy."}, "headers": {"Retry-After": "3"}},
         "Too busy. Try again in 3 s."),
    ],
)  # fmt: skip
def test_error_of_the_service_or_a_proxy_is_shown(visit, answer, message):
    with visit("flowers", failures="Failed to load resource") as page:
        predicted(page, "versicolor")
        page.route("**/predict*", lambda route: route.fulfill(**answer))
        page.get_by_role("button", name="Predict").click()
        expect(page.locator("#problem")).to_have_text(message)


def test_service_that_disappears_before_its_first_response_is_reported(visit):
    with visit("flowers", failures="Failed to load resource") as page:
        predicted(page, "versicolor")
        page.route("**/signature", lambda route: route.abort())
        page.reload()
        expect(page.get_by_role("alert").filter(has_text="cannot be reached")).to_be_visible()
        page.unroute("**/signature")
        page.get_by_role("button", name="Try again").click()
        predicted(page, "versicolor")


# --- the token ---------------------------------------------------------------------------------


TOKEN = "5f1c0de8a91b4b7f9d3e6a2c8b7d4e10"


def test_token_is_requested_and_sent_but_never_shown_or_stored(browser, tmp_path):
    folder = playground_models.bundle_folder("flowers", tmp_path)
    with serve(folder, preload=True, WEB_CONCURRENCY="1", MODELPACK_TOKEN=TOKEN) as server:
        context = browser.new_context()
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        page = context.new_page()
        page.goto(f"http://127.0.0.1:{server.port}/")
        field = page.get_by_label("Bearer token")
        expect(field).to_be_focused()
        for text in ("setosa", "Pipeline", IRIS_NAMES[0]):
            assert text not in page.content()
        assert Axe().run(page).violations_count == 0
        field.fill("wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("does not accept this token")
        field.fill(TOKEN)
        page.keyboard.press("Enter")
        predicted(page, "versicolor")
        expect(field).to_be_hidden()
        assert TOKEN not in page.content()
        stored = "[localStorage.length, sessionStorage.length, document.cookie]"
        assert page.evaluate(stored) == [0, 0, ""]
        curl, python = snippet(page, "curl"), snippet(page, "Python")
        assert TOKEN not in curl + python
        environ = {**os.environ, "TOKEN": TOKEN}
        answer = json.loads(run(["/bin/sh", "-c", curl], tmp_path, environ))
        assert answer["predictions"] == ["versicolor"]
        assert str(answer) == run([sys.executable, "-c", python], tmp_path, environ).strip()
        page.reload()
        expect(field).to_be_focused()
        context.close()


# --- hostile names -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["hostile", "echo"])
def test_hostile_names_are_text(visit, name):
    with visit(name) as page:
        expect(page.locator("#output")).to_contain_text(HOSTILE[1])
        assert page.evaluate("[window.owned, document.images.length]") == [None, 0]
        assert page.locator("script").count() == 1
        labels = page.locator(".field > label bdi").all_text_contents()
        assert labels == list(HOSTILE if name == "echo" else HOSTILE[:1])


def test_hostile_categories_can_be_chosen(visit):
    with visit("hostile") as page:
        for text in HOSTILE:
            page.get_by_role("combobox").select_option(index=HOSTILE.index(text))
            expect(page.locator(LARGE)).to_have_text(text)


# --- snippets ------------------------------------------------------------------------------------


def snippet(page: Page, language: str) -> str:
    page.get_by_role("tab", name=language).click()
    page.locator("#copy").click()
    text: str = page.evaluate("navigator.clipboard.readText()")
    return text


def test_the_snippets_run_and_answer_the_same(visit, tmp_path):
    with visit("echo") as page:
        expect(page.locator("#output")).to_contain_text(HOSTILE[1])
        curl, python = snippet(page, "curl"), snippet(page, "Python")
        javascript = snippet(page, "JavaScript").replace("console.log(", "return (")
        by_javascript = page.evaluate(f"async () => {{ {javascript} }}")
    by_curl = json.loads(run(["/bin/sh", "-c", curl], tmp_path))
    code = (
        f"import json\n{python.replace('print(answer.json())', 'print(json.dumps(answer.json()))')}"
    )
    by_python = json.loads(run([sys.executable, "-c", code], tmp_path))
    assert by_curl == by_python == by_javascript == {"predictions": [list(HOSTILE)]}
    assert list(tmp_path.iterdir()) == []
    assert "\u202e" not in curl + python + javascript  # nothing is shown otherwise than it runs


def run(command: list[str], folder: Path, environ: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        command, cwd=folder, env=environ, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_the_snippets_of_types_and_of_probabilities(visit, tmp_path):
    with visit("visitors") as page:
        expect(page.locator("#chances li")).to_have_count(2)
        page.get_by_label("city").select_option("missing")
        page.get_by_role("switch", name="member").uncheck()
        expect(page.locator("#code")).to_contain_text('"city": null')
        expect(page.locator("#code")).to_contain_text('"member": false')
        curl, python = snippet(page, "curl"), snippet(page, "Python")
    answer = json.loads(run(["/bin/sh", "-c", curl], tmp_path))
    assert set(answer) == {"predictions", "probabilities"}
    assert str(answer) == run([sys.executable, "-c", python], tmp_path).strip()


def test_copying_works_without_tls(visit):
    with visit("flowers") as page:
        predicted(page, "versicolor")
        page.evaluate("void (navigator.clipboard.writeText = () => Promise.reject(new Error()))")
        page.locator("#copy").click()
        expect(page.locator("#copy")).to_have_text("Copied")
        assert page.evaluate("navigator.clipboard.readText()").startswith("curl ")


# --- accessibility -------------------------------------------------------------------------------


def test_by_keyboard_alone(visit):
    with visit("flowers") as page:
        predicted(page, "versicolor")
        press = page.keyboard.press
        press("Tab")
        expect(page.get_by_role("link", name="Skip to the inputs")).to_be_focused()
        press("Enter")
        for _ in range(20):
            press("Tab")
            if page.evaluate("document.activeElement.id") == "input-2":
                break
        page.keyboard.press("Control+A")
        page.keyboard.type("6.5")
        press("Control+Enter")
        predicted(page, "virginica")
        for _ in range(20):
            press("Tab")
            if page.evaluate("document.activeElement.getAttribute('role')") == "tab":
                break
        press("ArrowRight")
        expect(page.get_by_role("tab", name="Python")).to_be_focused()
        expect(page.locator("#code")).to_contain_text("import requests")
        press("Tab")
        press("Enter")
        assert '"petal length": 6.5' in page.evaluate("navigator.clipboard.readText()")


@pytest.mark.parametrize("name", KINDS)
def test_axe_finds_nothing_and_no_phone_scrolls_sideways(visit, name):
    """All rules of axe: WCAG 2.2 A and AA, and best practices. Also in the state of errors."""
    with visit(name, failures=UNPROCESSABLE, reduced_motion="reduce", **PHONE) as page:
        expect(page.locator("#request")).to_be_visible()
        if name == "visitors":
            page.locator("input[type=number]").last.fill("")
            expect(page.locator("#problem")).not_to_be_empty()
        elif name != "unnamed":
            expect(page.locator("#mini")).not_to_be_empty()
        for details in page.locator("details:visible > summary").all():
            details.click()
        for width in (320, 360):
            page.set_viewport_size({"width": width, "height": 640})
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        check(page)
        page.set_viewport_size({"width": 1280, "height": 800})
        page.emulate_media(color_scheme="dark")
        check(page)


def test_axe_finds_nothing_in_a_preview_and_a_comparison(visit, tmp_path):
    rows = tmp_path / "rows.csv"
    rows.write_text(",".join(IRIS_NAMES) + ",a column that is not an input\n5.1,3.5,1.4,0.2,no\n")
    with visit("flowers", reduced_motion="reduce", **PHONE) as page:
        predicted(page, "versicolor")
        for details in page.locator("details:visible > summary").all():
            details.click()
        page.get_by_label("petal length", exact=True).fill("6.9")
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Compare number 1").click()
        page.get_by_label("A CSV file").set_input_files(rows)
        expect(page.get_by_role("region", name="First rows")).to_be_visible()
        check(page)
        predict_file(page)
        expect(page.get_by_role("region", name="First predictions")).to_be_visible()
        expect(page.locator("#effects li")).to_have_count(4)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        check(page)
        page.emulate_media(color_scheme="dark")
        check(page)


def check(page: Page) -> None:
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_dark_mode_has_a_dark_background(visit):
    with visit("flowers", color_scheme="dark") as page:
        dark = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    with visit("flowers", color_scheme="light") as page:
        light = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert max(map(int, re.findall(r"\d+", dark))) < 60
    assert min(map(int, re.findall(r"\d+", light))) > 200


def test_behind_a_prefix(visit, server):
    port = server("flowers").port

    def below(route):
        route.fulfill(response=route.fetch(url=route.request.url.replace("/some/where/", "/")))

    with visit("flowers") as page:
        page.route("**/some/where/**", below)
        page.goto(f"http://127.0.0.1:{port}/some/where/")
        predicted(page, "versicolor")
        expect(page.locator("#code")).to_contain_text("/some/where/predict?probabilities=true")
