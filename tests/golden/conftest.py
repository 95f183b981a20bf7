"""The long golden runs of the naive zone wait for ``-m slow``."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    if config.getoption("-m") or config.getoption("-k"):
        return
    waiting = {
        item.nodeid
        for item in items
        if item.get_closest_marker("slow") and item.path.name == "test_naive.py"
    }
    if waiting and len(waiting) < len(items):
        config.hook.pytest_deselected(
            items=[item for item in items if item.nodeid in waiting]
        )
        items[:] = [item for item in items if item.nodeid not in waiting]
