"""Every golden vector, replayed by the product: the kernel's answers in every value.

Without the JIT only a cross-section runs: the smallest trace in all variants, and some
others in one each.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rmqueue.testing import golden
from tests.golden.vectors import DATA, TRACES, VARIANTS, load_result

QUICK = {
    "micro": tuple(VARIANTS),
    "tiny": ("latest",),
    "pb5": ("remembered",),
    "unaligned": ("hygiene",),
    "nofrag": ("smallest",),
    "cma": ("greedy",),
    "highatomic": ("latest",),
}


def pairs() -> list[Any]:
    """All traces in all variants; those that are quick without the JIT are unmarked."""
    params = []
    for name in TRACES:
        for variant in VARIANTS:
            quick = variant in QUICK.get(name, ())
            marks = () if quick else (pytest.mark.slow,)
            params.append(pytest.param(variant, name, marks=marks))
    return params


@pytest.mark.parametrize(("variant", "name"), pairs())
def test_vector_is_exact(variant: str, name: str) -> None:
    kernel, strategy = golden.VARIANTS[variant]
    expected = load_result(variant, name)
    found = golden.replay(DATA / f"trace_{name}.npz", kernel, strategy)
    assert found.keys() == expected.keys()
    for key, values in expected.items():
        assert found[key].dtype == values.dtype, key
        np.testing.assert_array_equal(found[key], values, err_msg=key)


def test_every_vector_is_replayed() -> None:
    files = {path.stem for path in DATA.glob("*__*.npz")}
    replayed = {f"{variant}__{name}" for variant, name in (p.values for p in pairs())}
    assert replayed == files
    assert len(files) == 80


def test_variants_are_those_of_the_product() -> None:
    assert golden.VARIANTS == VARIANTS


def test_a_changed_value_is_found() -> None:
    trace = golden.load_trace(DATA / "trace_micro.npz")
    expected = dict(load_result("latest", "micro"))
    assert golden.first_difference(trace.ops, expected, expected) is None
    for key in expected:
        changed = {**expected, key: expected[key].copy()}
        changed[key].flat[-1] += 1
        difference = golden.first_difference(trace.ops, changed, expected)
        assert difference is not None
        assert difference.field.startswith(key)
        assert 0 <= difference.op < len(trace.ops)
