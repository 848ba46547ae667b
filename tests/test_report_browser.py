"""Reports in a browser: every control works, nothing is loaded, nothing is complained about.

These tests need Chromium, `playwright` and `axe-playwright-python`, and skip themselves without.
"""

import re
import shutil

import numpy as np
import pandas as pd
import pytest
from shared import correlated_table, quick

from sktae import WindowedDetector, write_report

playwright = pytest.importorskip(
    "playwright.sync_api", reason="needs playwright, see CONTRIBUTING", exc_type=ImportError
)
axe = pytest.importorskip(
    "axe_playwright_python.sync_playwright",
    reason="needs axe-playwright-python, see CONTRIBUTING",
    exc_type=ImportError,
)
CHROMIUM = next(filter(None, map(shutil.which, ["chromium", "chromium-browser"])), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium, see CONTRIBUTING")


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """A report on a table with a known outlier, and one on a series."""
    folder, n = tmp_path_factory.mktemp("reports"), 600
    table = pd.DataFrame(correlated_table(200, 5), columns=list("abcde"))
    table.iloc[7] += 30
    y = (np.arange(200) == 7).astype(int)
    model = quick(n_components=2, contamination=0.1, calibration=0.3).fit(table)
    write_report(model, table, folder / "table.html", y=y, n_rows=40)
    rng = np.random.default_rng(0)
    series = pd.DataFrame(
        {"sine": np.sin(np.arange(n) / 4), "noise": rng.normal(size=n)},
        index=pd.date_range("2026-01-01", periods=n, freq="h"),
    )
    series.iloc[500:510, 0], series.iloc[300, 1] = 3, 30
    detector = WindowedDetector(quick(), window_size=30, random_state=0).fit(series[:250])
    write_report(detector, series, folder / "series.html")
    return folder


@pytest.fixture
def opened(browser, reports):
    """Open a report; in the end, check that it has asked for nothing and said nothing."""
    contexts, said, asked = [], [], []

    def open_(name, **settings):
        context = browser.new_context(viewport={"width": 1280, "height": 800}, **settings)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto((reports / f"{name}.html").as_uri())
        return page

    yield open_
    for context in contexts:
        context.close()
    assert not said
    # A picture within the page counts as a request, too.
    assert len([url for url in asked if not url.startswith("data:")]) == len(contexts)


def count(page):
    return int(re.match(r"([\d,]+) of", page.locator("#now-count").inner_text())[1])


def shown(page, query):
    return page.locator(query).locator("visible=true").count()


@pytest.mark.parametrize("name", ["table", "series"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_reports_are_accessible_and_fit(name, scheme, opened):
    """No finding of axe is serious, and nothing is wider than a window of any size."""
    page = opened(name, color_scheme=scheme)
    found = axe.Axe().run(page).response["violations"]
    assert [one["id"] for one in found if one["impact"] in {"serious", "critical"}] == []
    for width, height in ((390, 844), (1280, 800), (1920, 1080)):
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_threshold_moves(opened):
    """By keys and by the mouse; counts, list, cards and picture follow, and come back."""
    page = opened("table")
    slider = page.locator("#slider")
    fitted = count(page)
    assert fitted == shown(page, "#flagged > li") == shown(page, ".cards .badge")
    slider.focus()
    page.keyboard.press("End")
    assert count(page) == shown(page, "#flagged > li") < fitted
    assert page.locator("#now-hits").inner_text() == f"{min(1, count(page))} of 1"
    page.keyboard.press("Home")
    assert count(page) == shown(page, "#flagged > li") == 200
    assert page.locator("#now-alarms").inner_text() == "about 100 %"
    box = slider.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert slider.input_value() == "200"
    line = page.locator("#threshold-line").bounding_box()
    assert abs(line["x"] - box["x"] - box["width"] / 2) < 4  # the thumb is below the line
    flagged = page.locator("#codes .dot.flagged").get_attribute("d")
    assert flagged.count("M") == count(page)
    page.locator("#reset").click()
    assert count(page) == fitted
    assert page.evaluate("document.activeElement.id") == "slider"
    page.locator("#flagged a").first.click()
    assert page.url.endswith("#row-0")


def test_the_map_says_what_rows_are(opened):
    """Under the mouse and by arrow keys, with what makes them unusual."""
    page = opened("table")
    tip, plot = page.locator("#tip"), page.locator("#codes .plot")
    plot.focus()
    page.keyboard.press("Home")
    first = tip.inner_text()
    assert first.startswith("Row 7: flagged; anomaly score")
    assert "number 1 of 200; most of all by" in first
    page.keyboard.press("ArrowRight")
    assert "number 2 of 200" in tip.inner_text()
    ring = page.locator("#codes .ring").bounding_box()
    page.mouse.move(5, 5)
    page.keyboard.press("End")
    assert "number 200 of 200" in tip.inner_text()
    page.mouse.move(ring["x"] + ring["width"] / 2, ring["y"] + ring["height"] / 2)
    assert "number 2 of 200" in tip.inner_text()


def test_timelines_zoom(opened):
    """By buttons, by keys, with the mouse, and from an event to where it is."""
    page = opened("series")
    timeline = page.locator(".timeline")

    def window():
        return [int(timeline.get_attribute(f"data-{end}")) for end in ("from", "to")]

    page.get_by_role("button", name="Zoom in").click()
    assert window() == [150, 449]
    times = timeline.locator(".x-ticks span").all_inner_texts()
    assert times[0].startswith("2026-01-07")
    box = timeline.locator(".track svg").first.get_attribute("viewBox").split()
    assert [float(box[0]), float(box[2])] == [149.75, 299.5]
    timeline.locator(".tracks").focus()
    page.keyboard.press("ArrowRight")
    assert window() == [225, 524]
    page.keyboard.press("0")
    assert window() == [0, 599]
    area = timeline.locator(".tracks").bounding_box()
    page.mouse.move(area["x"] + area["width"] / 2, area["y"] + 20)
    page.mouse.down()
    page.mouse.move(area["x"] + area["width"] * 3 / 4, area["y"] + 60)
    page.mouse.up()
    start, end = window()
    assert abs(start - 300) < 3
    assert abs(end - 449) < 3
    page.get_by_role("button", name="Show event 1", exact=True).click()
    start, end = window()
    own = page.locator("[data-show]").first
    assert start <= int(own.get_attribute("data-start"))
    assert end >= int(own.get_attribute("data-end"))
    page.locator("#slider").focus()
    page.keyboard.press("End")
    assert shown(page, "#flagged > li") == count(page)


def test_keys_reach_every_control(opened):
    """Tab goes through links, slider, list and map, and each shows that it has the focus."""
    page, reached = opened("table"), []
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                "[document.activeElement.id || document.activeElement.className, "
                "getComputedStyle(document.activeElement).outlineStyle]"
            )
        )
    assert {"slider", "flagged", "plot"} <= {name for name, _ in reached}
    assert all(style != "none" for name, style in reached if name in {"slider", "plot"})


def test_pages_are_complete_without_scripts(opened):
    """Without JavaScript, everything but the controls is there; on paper, too."""
    page = opened("series", java_script_enabled=False)
    words = page.locator("main").inner_text()
    assert "WindowedDetector judged 600 timestamps with 2 channels." in words
    assert "2026-01-01 00:00:00" in words
    assert page.locator(".slider").is_hidden()
    assert page.locator(".buttons").is_hidden()
    page = opened("table")
    page.emulate_media(media="print")
    assert page.locator(".slider").is_hidden()
    assert page.locator("nav").is_hidden()
    assert page.locator("#histogram").is_visible()
