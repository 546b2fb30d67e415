"""The page of a report with every kind of block, as a browser shows it."""

import re
import shutil

import cv2
import numpy as np
import pytest

from qcore_kit.reports import (  # fmt: skip
    Bars,
    Curves,
    Histogram,
    Picture,
    Pictures,
    Ranges,
    Report,
    Section,
    Table,
    Text,
)
from qcore_plugins.tools.report.html import HtmlReporter

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
EVIL = "<script>alert(1)</script>"
LONG = "a/very/long/folder/" * 6 + "model.onnx"


@pytest.fixture(scope="module")
def report():
    picture = Picture(cv2.imencode(".jpg", np.full((200, 480, 3), 99, np.uint8))[1].tobytes(), f"labels {EVIL}")
    steps = [place / 10 for place in range(11)]
    table = Table(("class", *"abcdefghij"), [(EVIL, *range(10)), (LONG, *([0.123456] * 10))], "wide", ("pass", "fail"))
    blocks = [
        table,
        Table(("step", "result", "expected"), [("pixels", "word " * 20, "other " * 20)], "sentences"),
        Table(("", ""), [("file", LONG), ("nothing", None)]),
        Table(("n",), [(number,) for number in range(50)], "long listing", folded=True),
        Bars([EVIL, "$math$", LONG], [3.0, 20.0, 1.5], "dB", "bars", limit=2),
        Curves({"one": (steps, steps), EVIL: (steps, steps[::-1])}, "recall", "precision", "curves"),
        Histogram(steps, {"right": [1] * 10, "wrong": [90000, *[1] * 9]}, "confidence", "histogram"),
        Ranges({LONG: (1.0, 2.0, 3.0), EVIL: (1.5, 1.6, 1.7)}, "ms", "ranges", mark=1.0),
        Pictures([(f"street.jpg {EVIL}", [picture, picture])], "pictures"),
        Text("words " * 40),
        Text("{" + "x" * 300 + "}", fixed=True, title="JSON", folded=True),
    ]
    sections = [Section(EVIL, blocks), Section("Second", [], "lead"), Section("Third", [Text("end")])]
    return Report(LONG, "note", f"Some words {EVIL}.", sections, {}, [f"qcore eval {LONG}"], {"cpu": EVIL})


@pytest.fixture(scope="module")
def page(report, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    HtmlReporter().write(report, path)
    return path


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no chromium is installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        made = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture
def opened(browser, page):
    """Opens the page at a width; gives it with what the console said and what it asked for."""
    contexts = []

    def open_at(width, scheme="light"):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        shown, said, asked = context.new_page(), [], []
        shown.on("console", lambda message: said.append(message.text))
        shown.on("pageerror", lambda error: said.append(str(error)))
        shown.on("dialog", lambda dialog: said.append(dialog.message))
        shown.on("request", lambda request: asked.append(request.url))
        shown.goto(page.as_uri())
        return shown, said, asked

    yield open_at
    for context in contexts:
        context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_it_fits_says_nothing_and_asks_for_nothing(opened, page, width, scheme):
    shown, said, asked = opened(width, scheme)
    assert shown.evaluate("document.documentElement.scrollWidth") == width
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [page.as_uri()]
    for details in shown.locator("summary").all():
        details.click()
    assert shown.evaluate("document.documentElement.scrollWidth") == width


def test_names_from_files_are_text(opened, page):
    shown, said, _ = opened(1280)
    assert shown.locator("script").count() == 0
    assert shown.locator("h2").first.inner_text() == EVIL
    assert said == []
    assert "<script" not in page.read_text()


def test_every_block_is_there(opened):
    shown, _, _ = opened(1280)
    words = shown.locator("main").inner_text()
    for title in ("wide", "long listing", "bars", "curves", "histogram", "ranges", "pictures", "JSON"):
        assert title in words
    assert shown.locator("svg[role=img]").count() == 4
    assert shown.locator("svg text", has_text="$math$").count() == 1
    labels = [plot.get_attribute("aria-label") for plot in shown.locator("svg[role=img]").all()]
    assert "$math$ 20 dB" in labels[0]
    loaded = "Array.from(document.images).every(image => image.complete && image.naturalWidth && image.alt)"
    assert shown.evaluate(loaded)
    assert shown.locator("img").count() == 2


@pytest.mark.parametrize(("width", "stacked"), [(390, True), (1280, False)])
def test_rows_of_sentences_are_cards_on_a_phone(opened, width, stacked):
    shown, _, _ = opened(width)
    step, found = (shown.locator("tr", has_text="pixels").locator(cell).first.bounding_box() for cell in ("th", "td"))
    assert (step["x"] == found["x"]) == stacked
    assert shown.locator("th", has_text="expected").is_visible() != stacked


def test_ids_are_unique(page):
    ids = re.findall(r'\bid="([^"]+)"', page.read_text())
    assert len(ids) == len(set(ids))
    used = re.findall(r'(?:href="#|url\(#)([^")]+)', page.read_text())
    assert set(used) <= set(ids)


@pytest.mark.parametrize("what", ["body", "svg text", "svg path[style*='--series-1']"])
def test_light_and_dark_differ_plots_too(opened, what):
    colour = (
        "element => { const of = getComputedStyle(element); return [of.color, of.backgroundColor, of.fill, of.stroke] }"
    )
    found = [opened(1280, scheme)[0].locator(what).first.evaluate(colour) for scheme in ("light", "dark")]
    assert found[0] != found[1]


def test_words_stand_out_from_the_paper(opened):
    """WCAG's contrast of 4.5 for text, of 3 for what is drawn, in both schemes."""
    ratio = """names => {
      const paint = document.createElement("canvas").getContext("2d");
      const light = name => {
        paint.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--" + name);
        paint.fillRect(0, 0, 1, 1);
        const of = Array.from(paint.getImageData(0, 0, 1, 1).data).slice(0, 3).map(v => v / 255)
          .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * of[0] + 0.7152 * of[1] + 0.0722 * of[2] };
      const [a, b] = names.map(light); return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) }"""
    for scheme in ("light", "dark"):
        shown, _, _ = opened(1280, scheme)
        for name in ("text", "muted", "link", "pass", "note", "fail"):
            assert shown.evaluate(ratio, [name, "paper"]) >= 4.5, (scheme, name)
            assert shown.evaluate(ratio, [name, "page"]) >= 4.5, (scheme, name)
        for number in range(1, 7):
            assert shown.evaluate(ratio, [f"series-{number}", "paper"]) >= 3, (scheme, number)


def test_on_paper_it_is_light_and_nothing_is_folded(opened):
    shown, _, _ = opened(794, "dark")
    shown.emulate_media(media="print")
    assert shown.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert shown.locator("details pre").bounding_box()["height"] > 10
    assert not shown.locator("nav").is_visible()


def test_the_same_report_is_the_same_page(report, page, tmp_path):
    HtmlReporter().write(report, tmp_path / "again.html")
    assert (tmp_path / "again.html").read_bytes() == page.read_bytes()
