"""The report in a real Chromium: drawn, silent, offline, and usable by keyboard."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rmqueue.errors import OutputError, UsageError
from rmqueue.study.page.page import page_of
from rmqueue.study.run import Wanted, run
from rmqueue.study.study import read_study
from tests.unit.test_study_design import study

if TYPE_CHECKING:
    from playwright.sync_api import Page

browser = pytest.importorskip(
    "rmqueue.study.page.browser", reason="playwright is not installed"
)
pytestmark = pytest.mark.skipif(
    not any(map(shutil.which, browser.PROGRAMS)), reason="chromium is not installed"
)
SWEEP = '[[sweep]]\nover = { "zone.cpus" = [1, 2] }\n[keep]\nsamples = 8\n'


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a study of two chapters."""
    folder = tmp_path_factory.mktemp("study")
    wanted = Wanted(str(study(folder, SWEEP)), folder=folder / "kept", quiet=True)
    run(wanted)
    path = folder / "report.html"
    path.write_text(page_of(read_study(folder / "kept"), "rmqueue"), encoding="utf-8")
    return path


@pytest.fixture
def tab(page: Path) -> Iterator[Page]:
    with browser.opened(page) as found:
        yield found


def rows(tab: Page) -> list[str]:
    heads = tab.locator("#c0 .sortable tbody th")
    return heads.all_inner_texts()


def test_it_loads_without_errors_and_without_network(tab: Page) -> None:
    said: list[str] = []
    asked: list[str] = []
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("request", lambda request: asked.append(request.url))
    tab.reload()
    tab.wait_for_selector(browser.READY, state="attached")
    tab.evaluate("rmqueueOpenAll()")
    tab.wait_for_selector(browser.READY, state="attached")
    assert said == []
    assert [
        url for url in asked if not url.startswith(("file:", "data:", "blob:"))
    ] == []
    charts = tab.locator(".chart").count()
    assert charts == tab.locator(".chart svg.marks").count() == 2 * 5 + 1
    named = tab.locator(".chart svg[aria-label], .chart svg [aria-label]")
    assert named.count() >= charts


def test_the_slider_moves_the_map_by_keyboard(tab: Page) -> None:
    slider = tab.locator("#c0-map input[type=range]")
    canvas = tab.locator("#c0-map canvas").first
    pixels = "canvas => canvas.toDataURL()"
    slider.focus()
    tab.keyboard.press("End")
    last = canvas.evaluate(pixels), canvas.get_attribute("aria-label")
    tab.keyboard.press("Home")
    first = canvas.evaluate(pixels), canvas.get_attribute("aria-label")
    assert first[0] != last[0]
    assert first[1] != last[1]
    tab.keyboard.press("ArrowRight")
    assert slider.input_value() == "1"
    assert slider.get_attribute("aria-valuetext") == "25 %"
    assert tab.locator("#c0-map output").inner_text() == "25 %"
    tab.keyboard.press("End")
    assert canvas.evaluate(pixels) == last[0]


def test_the_map_shows_one_thing_alone(tab: Page) -> None:
    canvas = tab.locator("#c0-map canvas").first
    seen = set()
    for name in ("everything", "types", "occupation", "pollution"):
        tab.locator("#c0-map").get_by_label(name, exact=True).check()
        seen.add(canvas.evaluate("canvas => canvas.toDataURL()"))
    assert len(seen) == 4


def test_the_map_plays(tab: Page) -> None:
    tab.locator("#c0-map input[type=range]").fill("5")
    play = tab.locator("#c0-map .play")
    play.click()
    assert play.get_attribute("aria-pressed") == "true"
    tab.wait_for_selector("#c0-map .play[aria-pressed=false]")
    assert tab.locator("#c0-map input[type=range]").input_value() == "7"


def test_the_table_sorts_by_click_and_by_keyboard(tab: Page) -> None:
    heading = tab.locator("#c0 .sortable th", has_text="worst hold").first
    button = heading.locator("button")
    at = heading.evaluate("head => head.cellIndex")
    number = f"#c0 .sortable tbody tr td:nth-child({at + 1})"

    def values() -> list[float]:
        cells = tab.locator(number)
        return [float(c.get_attribute("data-value") or "") for c in cells.all()]

    button.click()
    assert heading.get_attribute("aria-sort") == "ascending"
    assert values() == sorted(values())
    upwards = rows(tab)
    button.focus()
    tab.keyboard.press("Enter")
    assert heading.get_attribute("aria-sort") == "descending"
    assert rows(tab) == upwards[::-1]
    tab.keyboard.press("Space")
    assert rows(tab) == upwards
    tab.locator("#c0 .sortable th button").first.click()
    assert rows(tab) == sorted(rows(tab))
    assert heading.get_attribute("aria-sort") == "none"


def test_numbers_stand_out_from_their_shade(page: Path) -> None:
    """As WCAG measures contrast: 4.5 is enough for small letters."""
    contrast = """cell => {
      const pen = new OffscreenCanvas(1, 1).getContext("2d");
      const light = (...layers) => {
        layers.forEach((c) => { pen.fillStyle = c; pen.fillRect(0, 0, 1, 1); });
        const [r, g, b] = [...pen.getImageData(0, 0, 1, 1).data].map(
          (v) => v / 255 <= 0.04045 ? v / 3294.6 : ((v / 255 + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      const paper = getComputedStyle(document.documentElement).backgroundColor;
      const style = getComputedStyle(cell);
      const ground = light(paper, style.backgroundColor), ink = light(style.color);
      return (Math.max(ground, ink) + 0.05) / (Math.min(ground, ink) + 0.05);
    }"""
    for scheme in ("light", "dark"):
        with browser.opened(page, scheme) as tab:
            cells = tab.locator("#c0 .heat td.n").all()
            assert min(cell.evaluate(contrast) for cell in cells) >= 4.5


def test_all_chapters_can_be_opened(page: Path) -> None:
    with browser.opened(page) as tab:
        assert tab.locator("details.chapter:not([open])").count() == 1
        tab.get_by_role("button", name="Open all chapters").click()
        assert tab.locator("details.chapter:not([open])").count() == 0
        tab.wait_for_selector(browser.READY, state="attached")
        assert tab.locator("#c1 .chart svg.marks").count() == 5


def test_nothing_is_wider_than_a_phone(page: Path) -> None:
    with browser.opened(page) as tab:
        tab.set_viewport_size({"width": 390, "height": 800})
        assert tab.evaluate("document.documentElement.scrollWidth") == 390


def test_migratetypes_differ_without_colours(tab: Page) -> None:
    keys = tab.locator("#c0-map .keys i")
    images = keys.evaluate_all("all => all.map((e) => e.style.backgroundImage)")
    assert len(images) == len(set(images)) >= 2


def test_it_is_dark_in_the_dark_and_light_on_paper(page: Path) -> None:
    paper = "getComputedStyle(document.documentElement).backgroundColor"
    with browser.opened(page, "dark") as tab:
        assert tab.evaluate(paper) == "rgb(22, 24, 27)"
        ink = "getComputedStyle(document.querySelector('.chart svg text')).fill"
        assert tab.evaluate(ink) == "rgb(232, 232, 232)"
        tab.emulate_media(media="print")
        assert tab.evaluate(paper) == "rgb(255, 255, 255)"
        assert tab.locator("#c0 .printed").is_visible()
        assert not tab.locator("#c0 .sortable").is_visible()


def test_figures_are_written_as_pictures(page: Path, tmp_path: Path) -> None:
    count = browser.write_pictures(page, tmp_path / "png")
    found = sorted((tmp_path / "png").iterdir())
    assert len(found) == count == 2 * 7 + 1
    assert {path.suffix for path in found} == {".png"}
    names = [path.name for path in found]
    assert "small-zone.cpus-1-map.png" in names
    assert "small-worst-hold-us-against-zone.cpus.png" in names
    assert all(path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n" for path in found)


def test_what_cannot_be_shown_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        pytest.raises(OutputError, match="chromium cannot show it"),
        browser.opened(tmp_path / "none.html"),
    ):
        pass
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UsageError, match=r"none of chromium, .* is installed"):
        browser.find_chromium()
