"""A report in Chromium: to see it as readers do, and to write its figures."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Error, Locator, Page, sync_playwright

from rmqueue.errors import OutputError, UsageError

#: What the browser is called in distributions.
PROGRAMS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
#: Matches when all of the page is drawn.
READY = "html[data-ready='true']"
#: What is of no use in a picture.
STILL = (
    ".controls button, .controls fieldset, .controls input, .vega-embed summary"
    "{ display: none !important }"
)
#: Longest wait for the page [ms].
PATIENCE_MS = 120_000
WIDTH, HEIGHT = 1200, 900


def find_chromium() -> str:
    """Path of an installed Chromium.

    Raises
    ------
    UsageError
        There is none.
    """
    found = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if found is None:
        raise UsageError(
            "--png: the figures are drawn by Chromium, and none of "
            f"{', '.join(PROGRAMS)} is installed: apt install chromium, or leave out "
            "--png"
        )
    return found


@contextmanager
def opened(page: Path, scheme: str = "light", scale: float = 1) -> Iterator[Page]:
    """Open a report in a headless browser that has no network.

    Parameters
    ----------
    page : Path
        The report.
    scheme : str
        ``"light"`` or ``"dark"``.
    scale : float
        Pixels of a picture for one of the page.

    Raises
    ------
    OutputError
        The browser does not start, or the page is never drawn.
    """
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=find_chromium(), args=arguments
            )
            context = browser.new_context(
                viewport={"width": WIDTH, "height": HEIGHT},
                device_scale_factor=scale,
                color_scheme="dark" if scheme == "dark" else "light",
                offline=True,
            )
            tab = context.new_page()
            tab.goto(page.resolve().as_uri())
            tab.wait_for_selector(READY, state="attached", timeout=PATIENCE_MS)
            yield tab
            browser.close()
    except Error as error:
        first = error.message.strip().splitlines()[0]
        raise OutputError(f"{page}: chromium cannot show it: {first}") from error


def write_pictures(page: Path, folder: Path) -> int:
    """Write each figure of a report as a PNG file.

    Parameters
    ----------
    page : Path
        The report.
    folder : Path
        Made if it is not there.

    Returns
    -------
    int
        Files written.

    Raises
    ------
    OutputError
        The folder cannot be made, or the browser does not show the page.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made: {error.strerror}") from None
    count = 0
    with opened(page, scale=2) as tab:
        tab.evaluate("rmqueueOpenAll()")
        tab.wait_for_selector(READY, state="attached", timeout=PATIENCE_MS)
        tab.add_style_tag(content=STILL)
        for figure in tab.locator("figure[id]").all():
            if figure.is_visible():
                figure.screenshot(path=folder / f"{name_of(figure)}.png")
                count += 1
    return count


def name_of(figure: Locator) -> str:
    """Name the picture of a figure: what it is of, and what it shows."""
    of: str = figure.evaluate("figure => figure.closest('[data-name]').dataset.name")
    kind = (figure.get_attribute("id") or "").partition("-")[2]
    words = of if kind == "against" else f"{of} {kind}"
    return re.sub(r"[^\w.]+", "-", words.replace("µ", "u")).strip("-")
