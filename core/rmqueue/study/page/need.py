"""What reports need beside rmqueue itself."""

from __future__ import annotations

from importlib.util import find_spec

from rmqueue.errors import UsageError

#: Modules that the page is made with, and their distributions.
MODULES = {"altair": "altair", "jinja2": "jinja2", "vl_convert": "vl-convert-python"}


def need_charts() -> None:
    """Refuse to go on without what the page is made with.

    Raises
    ------
    UsageError
        Some of it is not installed.
    """
    missing = [name for module, name in MODULES.items() if find_spec(module) is None]
    if missing:
        raise UsageError(
            f"a report is made with {' and '.join(missing)}, not installed here: "
            'pip install "rmqueue[report]"'
        )


def need_playwright() -> None:
    """Refuse to write pictures without Playwright.

    Raises
    ------
    UsageError
        It is not installed.
    """
    if find_spec("playwright") is None:
        raise UsageError(
            "--png: a browser draws the figures, through playwright, which is not "
            'installed here: pip install "rmqueue[report]"'
        )
