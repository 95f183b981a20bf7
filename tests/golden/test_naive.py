"""The naive zone gives the kernel's answers, to the last counter.

By default a cross-section: every trace but the longest in one variant, the small ones
in all five. ``pytest -m slow tests/golden/test_naive.py`` runs the others.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.golden.vectors import TRACES, VARIANTS, load_result, load_trace
from tests.naive import NaiveZone

SMALL = ("micro", "tiny")
LONG = ("pcp8big",)


def pairs() -> list[Any]:
    """All traces in all variants; the quick cross-section carries no mark."""
    params = []
    for i, name in enumerate(TRACES):
        for j, variant in enumerate(VARIANTS):
            quick = name in SMALL or (i % len(VARIANTS) == j and name not in LONG)
            marks = () if quick else (pytest.mark.slow,)
            params.append(pytest.param(variant, name, marks=marks))
    return params


@pytest.mark.parametrize(("variant", "name"), pairs())
def test_naive_zone_is_exact(variant: str, name: str) -> None:
    trace, expected = load_trace(name), load_result(variant, name)
    found = NaiveZone(trace.config(variant)).replay(trace.ops)
    assert found.keys() == expected.keys()
    for key, values in expected.items():
        np.testing.assert_array_equal(found[key], values, err_msg=key)


def test_all_vectors_are_here() -> None:
    assert len(TRACES) == 16
    assert len(pairs()) == 80
