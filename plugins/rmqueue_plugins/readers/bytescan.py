"""Reading text byte by byte, jitted: numbers, spaces, equal words.

A text is an address, as everywhere in jitted code.  Without the JIT it is a `bytes`,
since ctypes would take ten times as long.  Functions are few and not small: numba takes
20 ms for each, on every cold start.
"""

from __future__ import annotations

import operator
from typing import Any

from rmqueue.mm.jit import ENABLED, jit, load_u8

byte: Any = load_u8 if ENABLED else operator.getitem

#: More digits do not fit a number of the kernel's.
_DIGITS = 15


@jit
def back(text: Any, at: int, low: int, high: int) -> int:
    """Begin of the bytes from `low` to `high` that end at a position."""
    while low <= byte(text, at - 1) <= high:
        at -= 1
    return at


@jit
def find(text: Any, at: int, end: int, character: int) -> int:
    """Position of the next such byte, or the end."""
    while at < end and byte(text, at) != character:
        at += 1
    return at


@jit
def number(text: Any, at: int, end: int, base: int) -> int:
    """Value of the digits between two positions; -1 if they are no number."""
    if at >= end or end - at > _DIGITS:
        return -1
    value = 0
    while at < end:
        digit = byte(text, at) - 48
        if digit > 9:
            digit = digit - 39 if digit > 48 else base  # a letter, in lower case
        if digit < 0 or digit >= base:
            return -1
        value = value * base + digit
        at += 1
    return value


@jit
def same(text: Any, at: int, other: int, length: int) -> bool:
    """Whether the same stands at two positions."""
    for i in range(length):  # noqa: SIM110 - numba has no generators
        if byte(text, at + i) != byte(text, other + i):
            return False
    return True
