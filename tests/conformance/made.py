"""A class of tests for each installed plugin of a kind."""

from __future__ import annotations

from collections.abc import Iterable

from rmqueue.testing.conformance import Conformance


def make_tests(
    base: type[Conformance], attribute: str, names: Iterable[str]
) -> dict[str, type]:
    """Subclass as an author would, once for each name."""
    made = {}
    for name in names:
        title = "".join(part.capitalize() for part in name.split("-"))
        made[f"Test{title}"] = type(f"Test{title}", (base,), {attribute: name})
    return made
