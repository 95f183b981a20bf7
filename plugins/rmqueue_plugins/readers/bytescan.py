"""Reading text byte by byte, jitted: numbers, spaces, equal words.

A text is an address, as everywhere in jitted code.  Without the JIT it is a `bytes`,
since ctypes would take ten times as long.
"""

from __future__ import annotations

import operator
from typing import Any

from rmqueue.mm.jit import ENABLED, jit, load_u8

byte: Any = load_u8 if ENABLED else operator.getitem

#: More digits do not fit a number of the kernel's.
_DIGITS = 15
_SPACE = 32


@jit(forceinline=True)
def digits_back(text: Any, at: int) -> int:
    """Begin of the decimal digits that end at a position."""
    while 48 <= byte(text, at - 1) <= 57:
        at -= 1
    return at


@jit(forceinline=True)
def spaces_back(text: Any, at: int) -> int:
    """Begin of the spaces that end at a position."""
    while byte(text, at - 1) == _SPACE:
        at -= 1
    return at


@jit(forceinline=True)
def skip_spaces(text: Any, at: int, end: int) -> int:
    """End of the spaces that begin at a position."""
    while at < end and byte(text, at) == _SPACE:
        at += 1
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
def same(text: Any, at: int, other: Any, start: int, length: int) -> bool:
    """Whether two texts agree over a length."""
    for i in range(length):  # noqa: SIM110 - numba has no generators
        if byte(text, at + i) != byte(other, start + i):
            return False
    return True
