"""The page in a browser: headless Chromium, driven by Playwright; skipped where there is none.

    SCREENSHOTS=folder pytest tests/report/test_browser.py

also keeps the pictures, to look at.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pages
import pytest

from ascore.report import server as served
from ascore.report.build import report
from ascore.report.server import Server, Watched

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
if CHROMIUM is None:
    pytest.skip("needs Debian's chromium", allow_module_level=True)
playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")

CANVAS = """document.querySelector('.chart[data-chart="return"] canvas')"""
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page about a sweep of fifteen runs, in which something looks wrong."""
    folder = tmp_path_factory.mktemp("sweep")

    def odd(cell: Any, index: int) -> dict[str, Any]:
        return {"clip_fraction": [0.4, 0.1]} if "penalty_weight=10" in cell.name else {}

    pages.write_sweep(folder, 5, settings={"penalty_weight": [1.0, 10.0]}, make=odd)
    machine = {"cpu": "some processor", "cores": 2, "system": "Linux"}
    return report([folder], folder / "r.html", command="ascore report x", machine=machine).path


class Seen:
    """A page in the browser, and what it complained about."""

    def __init__(self, browser: Any, url: str, offline: bool = True, **options: Any) -> None:
        self.context = browser.new_context(viewport=WIDE, **options)
        self.context.set_offline(offline)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(url)
        self.page.wait_for_selector(".u-over")

    def chart(self, name: str = "return") -> Any:
        return self.page.locator(f'.chart[data-chart="{name}"]')

    def drawn(self) -> str:
        """What the chart of returns shows."""
        return str(self.page.evaluate(f"{CANVAS}.toDataURL()"))

    def wait_until(self, comparison: str, drawn: str) -> None:
        """Waits until what that chart shows is (===) or is not (!==) what it showed once."""
        is_so = f"{CANVAS}.toDataURL() {comparison} then"
        self.page.wait_for_function(f"then => {CANVAS} && {is_so}", arg=drawn)  # or none is there


@pytest.fixture
def seen(browser: Any, file: Path) -> Iterator[Seen]:
    seen = Seen(browser, file.as_uri())
    yield seen
    seen.context.close()


def keep(page: Any, name: str) -> bytes:
    folder = os.environ.get("SCREENSHOTS")
    path = {"path": str(Path(folder) / f"{name}.png")} if folder else {}
    return bytes(page.screenshot(full_page=True, **path))


def test_it_opens_without_a_network_and_without_complaint(seen: Seen, file: Path) -> None:
    assert seen.asked == [file.as_uri()] + [url for url in seen.asked if url.startswith("data:")]
    assert seen.complaints == []
    assert seen.page.title() == "predation-v1 – ascore report"
    assert seen.page.locator("html").get_attribute("lang") == "en"
    assert seen.page.locator(".u-over").count() >= 6
    for canvas in seen.page.locator(".grid canvas, figure canvas").all():
        assert canvas.bounding_box()["width"] > 200


def test_hover_shows_the_values_with_intervals_and_anchors(seen: Seen, file: Path) -> None:
    chart = seen.chart()
    box = chart.locator(".u-over").bounding_box()
    seen.page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] / 2)
    tip = chart.locator(".tip")
    assert tip.is_visible()
    text = tip.inner_text()
    data = json.loads(seen.page.locator("#data").text_content() or "")
    charts = {c["id"]: c for c in data["chapters"][0]["charts"]}
    curve = charts["return"]["curves"][0]
    at = next(k for k, x in enumerate(curve["x"]) if f"{x:,.0f} training episodes" in text)
    assert abs(at / len(curve["x"]) - 0.5) < 0.02
    shown = f"{curve['mid'][at]:.5g} [{curve['low'][at]:.5g}, {curve['high'][at]:.5g}]"
    assert shown.replace("-", "−") in text
    for words in ("A AS, penalty_weight 1", "random", "−120", "cooperative", "−60"):
        assert words in text
    seen.page.mouse.move(5, 5)
    assert tip.is_hidden()


def ends(seen: Seen) -> tuple[float, float]:
    """First and last place that the arrow keys reach: the ends of what is shown."""
    plot = seen.chart().locator(".plot")
    plot.focus()
    places = []
    for key in ("Home", "End"):
        plot.press(key)
        text = seen.chart().locator("[aria-live]").inner_text()
        places.append(float(text.partition(" ")[0].replace(",", "")))
    return places[0], places[1]


def test_dragging_zooms_and_a_double_click_shows_all(seen: Seen) -> None:
    whole = ends(seen)
    assert whole == (32, 3200)
    box = seen.chart().locator(".u-over").bounding_box()
    y = box["y"] + box["height"] / 2
    seen.page.mouse.move(box["x"] + box["width"] * 0.25, y)
    seen.page.mouse.down()
    seen.page.mouse.move(box["x"] + box["width"] * 0.5, y, steps=4)
    seen.page.mouse.up()
    first, last = ends(seen)
    assert first == pytest.approx(32 + 0.25 * 3168, abs=64)
    assert last == pytest.approx(32 + 0.5 * 3168, abs=64)
    seen.page.mouse.dblclick(box["x"] + box["width"] * 0.5, y)
    assert ends(seen) == whole


def test_keys_and_buttons_zoom_and_move(seen: Seen) -> None:
    whole = ends(seen)
    plot = seen.chart().locator(".plot")
    plot.press("Escape")
    seen.page.get_by_role("button", name="Zoom in: Team return", exact=True).click()
    near = ends(seen)
    assert near[1] - near[0] < 0.6 * (whole[1] - whole[0])
    seen.page.get_by_role("button", name="Move left: Team return", exact=True).click()
    assert ends(seen)[1] < near[1]
    seen.page.get_by_role("button", name="Zoom out: Team return", exact=True).click()
    assert ends(seen)[1] - ends(seen)[0] > near[1] - near[0]
    plot.press("0")
    assert ends(seen) == whole
    plot.press("+")
    assert ends(seen) != whole
    seen.page.get_by_role("button", name="Show all: Team return", exact=True).click()
    assert ends(seen) == whole


def test_every_control_is_reached_by_the_keyboard(seen: Seen) -> None:
    controls = "a[href], button, summary, [tabindex='0']"
    seen.page.evaluate(
        "controls => document.querySelectorAll(controls).forEach((e, k) => (e.dataset.number = k))",
        controls,
    )
    count = seen.page.locator(controls).count()
    hidden = seen.page.evaluate(
        "c => [...document.querySelectorAll(c)].filter(e => !e.checkVisibility())"
        ".map(e => e.dataset.number)",  # within what is closed
        controls,
    )
    reached = set()
    for _ in range(count + 2):
        seen.page.keyboard.press("Tab")
        number = seen.page.evaluate("document.activeElement.dataset.number")
        if number is not None:
            reached.add(number)
    assert count > 40
    assert reached | set(hidden) == {str(k) for k in range(count)}
    focused = seen.page.locator("button").first
    focused.focus()
    assert "solid" in focused.evaluate("e => getComputedStyle(e).outlineStyle")


def test_the_legend_switches_curves(seen: Seen) -> None:
    buttons = seen.page.locator(".legend button")
    assert buttons.count() == 3
    last = buttons.nth(2)
    assert last.get_attribute("aria-pressed") == "true"
    before = seen.drawn()
    last.press("Enter")
    assert last.get_attribute("aria-pressed") == "false"
    seen.wait_until("!==", before)
    plot = seen.chart().locator(".plot")
    plot.press("End")
    text = seen.chart().locator("[aria-live]").inner_text()
    assert "penalty_weight 1" in text
    assert "IPPO" not in text


def test_curves_of_agents_open_with_their_section(seen: Seen) -> None:
    summary = seen.page.locator("summary", has_text="Over training").first
    summary.press("Enter")
    seen.chart("agents-A").locator(".u-over").wait_for()
    plot = seen.chart("agents-A").locator(".plot")
    plot.press("End")
    text = seen.chart("agents-A").locator("[aria-live]").inner_text()
    assert "agent 0" in text
    assert "agent 1" in text


def test_what_looks_wrong_is_on_the_page(seen: Seen) -> None:
    wrong = seen.page.locator(".wrong li").first.inner_text()
    assert "Clip fraction is too high: 0.40 for agent 0" in wrong
    assert "4 more runs of this setting likewise" in wrong


@pytest.mark.parametrize("width", ["wide", "narrow"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pictures(browser: Any, file: Path, width: str, scheme: str) -> None:
    seen = Seen(browser, file.as_uri(), color_scheme=scheme)
    seen.page.set_viewport_size(WIDE if width == "wide" else NARROW)
    seen.page.wait_for_timeout(300)
    keep(seen.page, f"{width}-{scheme}")
    widths = seen.page.evaluate("[document.body.scrollWidth, window.innerWidth]")
    assert widths[0] <= widths[1]  # nothing sticks out at the side
    assert seen.complaints == []
    paper = seen.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(20, 24, 29)")
    seen.context.close()


def test_charts_follow_when_the_scheme_changes(seen: Seen) -> None:
    light = seen.drawn()
    seen.page.emulate_media(color_scheme="dark")
    seen.wait_until("!==", light)
    seen.page.emulate_media(color_scheme="light")
    seen.wait_until("===", light)


def test_nothing_moves_by_itself(browser: Any, file: Path) -> None:
    for motion in ("reduce", "no-preference"):
        seen = Seen(browser, file.as_uri(), reduced_motion=motion)
        assert seen.page.evaluate("document.getAnimations().length") == 0
        assert seen.page.locator("img:visible").count() == 0
        seen.context.close()


def test_tables_hold_the_numbers_without_javascript(browser: Any, file: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(file.as_uri())
    assert "Charts need JavaScript" in page.locator("noscript").inner_text()
    page.locator("summary", has_text="Numbers").first.click()
    assert "training episodes" in page.locator("details[open] table").first.inner_text()
    context.close()


def test_hostile_names_run_nothing(browser: Any, tmp_path: Path) -> None:
    bad = "<img src=x onerror=window.hit=1></script><script>window.hit=1</script>"
    for k, gamma in enumerate((0.1, 0.2)):
        config = pages.config(env="farm:Meadow", env_params={"a": bad}, algorithm=f"m:{bad}")
        run = tmp_path / f"run{k}"
        pages.write_run(run, config.replace(gamma=gamma), pages.records(60))
    out = report(
        [tmp_path], tmp_path / "r.html", command=bad, machine={"cpu": bad}, episodes=0
    ).path
    seen = Seen(browser, out.as_uri())
    assert seen.complaints == []
    assert seen.page.evaluate("window.hit") is None
    seen.chart().locator(".plot").press("End")
    assert bad[:20] in seen.chart().locator(".tip").inner_text()
    assert seen.page.evaluate("window.hit") is None
    seen.page.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<b onclick=\"hit=1\">x</b>')"
    )
    assert any("Content Security Policy" in text for text in seen.complaints)
    seen.context.close()


# ---------------------------------------------------------------------- ascore watch


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Server, Path]]:
    monkeypatch.setattr(served, "FRESH", 0.0)
    folder = tmp_path / "sweep"
    pages.write_sweep(folder, 2, done=lambda index: index < 2)
    with Server(Watched([folder], {"command": "ascore watch x", "machine": {}})) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server, folder
        server.shutdown()
        thread.join()


def test_a_watched_page_follows_the_runs(browser: Any, watched: tuple[Server, Path]) -> None:
    server, folder = watched
    seen = Seen(browser, server.url, offline=False)
    page = seen.page
    page.wait_for_selector("#live:not([hidden])")
    plot = seen.chart().locator(".plot")
    plot.press("+")
    details = page.locator("details", has=page.locator("summary", has_text="Numbers")).first
    details.locator("summary").focus()
    details.locator("summary").press("Enter")
    lines = pages.records(100, 2, -62.0)[:70]
    run = folder / "runs/as/s1/metrics.jsonl"
    run.write_text("".join(json.dumps(line) + "\n" for line in lines))
    page.wait_for_selector("#part-runs-0 td:has-text('70')")
    assert details.get_attribute("open") is not None
    assert page.evaluate("document.activeElement.textContent") == "Numbers"
    first, last = ends(seen)
    assert last - first < 2000  # the zoom is kept
    run = folder / "runs/as/s1"
    pages.write_run(run, pages.config(seed=1), pages.records(100, 2, -62.0))
    page.wait_for_selector("#part-state:has-text('3 finished')")
    assert "\t2 runs" in page.locator("#part-summary-0 tbody tr").first.inner_text()
    assert seen.complaints == []
    seen.context.close()


def test_a_watched_page_grows_with_its_sweep(browser: Any, watched: tuple[Server, Path]) -> None:
    server, folder = watched
    seen = Seen(browser, server.url, offline=False)
    assert seen.page.locator(".legend button").count() == 2
    pages.write_sweep(folder, 2, algorithms=("as", "ippo", "vs"))
    seen.page.wait_for_selector(".legend button:nth-of-type(3)")
    seen.page.wait_for_selector("#part-state:has-text('6 runs of 3 settings, finished')")
    seen.chart().locator(".plot").press("End")
    assert "VS" in seen.chart().locator("[aria-live]").inner_text()
    assert seen.complaints == []
    seen.context.close()


def test_a_page_whose_server_has_ended_says_so(
    browser: Any, watched: tuple[Server, Path], tmp_path: Path
) -> None:
    server, folder = watched
    seen = Seen(browser, server.url, offline=False)
    seen.page.wait_for_selector("#live:has-text('Live')")
    seen.context.set_offline(True)
    seen.page.wait_for_selector("#live:has-text('does not answer')")
    seen.context.set_offline(False)
    seen.page.wait_for_selector("#live:has-text('Live')")
    os.rename(folder, tmp_path / "away")
    seen.page.wait_for_selector("#live:has-text('holds no run')")
    assert np.isfinite(ends(seen)).all()
    seen.context.close()
