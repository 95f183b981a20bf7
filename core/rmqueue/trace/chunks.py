"""A trace in pieces: what a reader hands over so that no trace must fit in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rmqueue.trace.events import Events


@dataclass(frozen=True)
class BrokenLine:
    """A line that should be an event and is none.

    Attributes
    ----------
    line : int
        Its number, 1-based.
    text : str
        Its beginning.
    reason : str
        What is wrong with it.
    """

    line: int
    text: str
    reason: str


@dataclass(frozen=True, eq=False)
class Chunk:
    """Consecutive lines of a trace.

    Attributes
    ----------
    events : ndarray of EVENTS
        The events that the reader knows, in the order of the lines.
    marks : tuple of (int, str)
        Index in `events` and text of each ``tracing_mark_write``.
    lines : int
        Lines that should be events [lines].
    others : int
        Events of other kinds, which are left out [events].
    nr_broken : int
        Lines that should be events and are none [lines].
    broken : tuple of BrokenLine
        The first of them; a reader keeps some hundreds.
    lost : tuple of (int, str)
        Number and text of the lines that say that events were lost.
    about : mapping of str to str
        What the source says of itself, on the first chunk: ``format``, ``kernel``,
        whatever else it has to say.
    """

    events: Events
    marks: tuple[tuple[int, str], ...] = ()
    lines: int = 0
    others: int = 0
    nr_broken: int = 0
    broken: tuple[BrokenLine, ...] = ()
    lost: tuple[tuple[int, str], ...] = ()
    about: Mapping[str, str] = field(default_factory=dict)
