"""The op stream: rows in, a checked array out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rmqueue.mm import replay
from rmqueue.ops import (
    ALLOC,
    BULK,
    CHECK,
    FREE,
    OPERATIONS,
    OPS_DTYPE,
    SPLIT,
    WITH_RESULT,
    as_ops,
    request,
    slots_needed,
)


def test_the_codes_are_those_of_the_jitted_loop() -> None:
    for code, name in enumerate(OPERATIONS):
        assert getattr(replay, f"OP_{name}") == code
    assert OPS_DTYPE.itemsize == vars(replay)["OP_BYTES"]
    assert WITH_RESULT == (1, 3, 4, 7, 10)


def test_a_request_is_packed_into_one_operand() -> None:
    a = request(order=5, migratetype=2, flags=0b1001_0001)
    assert (a & 255, (a >> 8) & 255, a >> 16) == (5, 2, 0b1001_0001)


def test_rows_become_an_array() -> None:
    rows = [(ALLOC, 256, 3, 4), (CHECK, 0, 0, 0)]
    ops = as_ops(rows)
    assert ops.dtype == OPS_DTYPE
    assert ops.tolist() == rows
    assert as_ops(np.array(rows, np.uint16)).tolist() == rows


def test_an_op_stream_is_taken_as_it_is() -> None:
    ops = np.zeros(6, OPS_DTYPE)
    assert as_ops(ops) is ops
    assert as_ops(ops[::2]).flags.c_contiguous


@pytest.mark.parametrize(
    "wrong",
    [
        [(1, 2, 3)],
        [1, 2, 3, 4],
        [(1.0, 2.0, 3.0, 4.0)],
        np.zeros((2, 2), OPS_DTYPE),
        [("ALLOC", 0, 0, 0)],
        7,
    ],
)
def test_anything_else_is_refused(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"ops are .* found shape"):
        as_ops(wrong)


@pytest.mark.parametrize(
    ("rows", "slots"),
    [
        ([(CHECK, 9, 9, 9)], 0),
        ([(ALLOC, 0, 4, 0)], 5),
        ([(FREE, 0, 7, 0), (ALLOC, 0, 4, 0)], 5),
        ([(BULK, 0, 10, 20)], 30),
        ([(SPLIT, 13, 2, 40)], 41),
        ([(SPLIT, 12, 2, 40)], 42),
    ],
)
def test_slots_that_a_stream_fills(
    rows: list[tuple[int, int, int, int]], slots: int
) -> None:
    assert slots_needed(as_ops(rows)) == slots
