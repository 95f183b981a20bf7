"""Reading many short strings of one text at once, with numpy.

A `Block` is a piece of text between two line ends.  The functions take one position per
string and work on all of them in step, so the cost is that of the longest string, not
of a Python loop over lines.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rmqueue.trace.events import Bools, Ints

#: Zero bytes around a block, so that a look past either end finds no text.
PAD = 64
#: No number or padding of a trace is longer [bytes].
LONGEST = 24

Bytes = npt.NDArray[np.uint8]


def table(characters: bytes) -> Bools:
    """Make a table of which bytes are among `characters`."""
    members = np.zeros(256, np.bool_)
    members[list(characters)] = True
    return members


DIGITS = table(b"0123456789")
HEX_DIGITS = table(b"0123456789abcdef")
SPACE = table(b" ")
#: What the column of flags may hold.
INK = table(bytes(range(33, 127)))
_VALUE = np.zeros(256, np.int64)
for _digit in b"0123456789abcdef":
    _VALUE[_digit] = int(chr(_digit), 16)


class Block:
    """A piece of text and where its interesting characters are.

    Parameters
    ----------
    text : bytes
        The whole text.
    start, stop : int
        The piece; `stop` lies behind a line end, or at the end of the text.
    """

    def __init__(self, text: bytes, start: int, stop: int) -> None:
        self.text, self.start = text, start
        self._where: dict[str, Ints] = {}
        self.buf: Bytes = np.zeros(stop - start + 2 * PAD, np.uint8)
        self.buf[PAD : PAD + stop - start] = np.frombuffer(
            text, np.uint8, stop - start, start
        )
        ends = self.where("\n")
        last = PAD + stop - start
        if not len(ends) or ends[-1] != last - 1:
            ends = np.append(ends, last)
        self.starts: Ints = np.concatenate(([PAD], ends[:-1] + 1))
        carriage = (self.buf[ends - 1] == ord("\r")) & (ends > self.starts)
        self.ends: Ints = ends - carriage

    def where(self, character: str) -> Ints:
        """Positions of a character, ascending."""
        if character not in self._where:
            self._where[character] = np.flatnonzero(self.buf == ord(character))
        return self._where[character]

    def line(self, index: int) -> str:
        """Text of a line."""
        offset = self.start - PAD
        raw = self.text[offset + self.starts[index] : offset + self.ends[index]]
        return raw.decode("ascii", "backslashreplace")

    def is_at(self, word: str, at: Ints) -> Bools:
        """Whether a word stands at each position."""
        found = np.ones(len(at), np.bool_)
        for offset, character in enumerate(word.encode()):
            found &= self.buf[at + offset] == character
        return found

    def back(self, at: Ints, members: Bools) -> Ints:
        """Go back from each position over the bytes of a table."""
        at = at.copy()
        for _ in range(LONGEST):
            step = members[self.buf[at - 1]]
            if not step.any():
                break
            at -= step
        return at

    def forward(self, at: Ints, members: Bools) -> Ints:
        """Go on from each position over the bytes of a table."""
        at = at.copy()
        for _ in range(LONGEST):
            step = members[self.buf[at]]
            if not step.any():
                break
            at += step
        return at

    def number(self, at: Ints, end: Ints, base: int = 10) -> Ints:
        """Read the number between each two positions; garbage if it is none."""
        value = np.zeros(len(at), np.int64)
        longest = int((end - at).max(initial=0))
        for offset in range(min(longest, LONGEST)):
            here = at + offset
            inside = here < end
            digit = _VALUE[self.buf[np.minimum(here, end)]]
            value = np.where(inside, value * base + digit, value)
        return value
