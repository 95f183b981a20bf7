"""Pictures of zones: a map of the pageblocks at each moment, packed for the page."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

from rmqueue.mm.mmzone import MIGRATETYPES
from rmqueue.samples import Sample
from rmqueue.study.page.chapters import Chapter
from rmqueue.study.page.series import clock, moments

#: Cells of a map on the page, at the most.
MOST_CELLS = 1024
#: Bytes of all pictures of a page before they are packed.
BUDGET_BYTES = 12 << 20
FEWEST_MOMENTS = 8


def pack(raw: bytes) -> str:
    """Pack bytes as text that browsers unpack themselves."""
    return base64.b64encode(zlib.compress(raw, 9)).decode("ascii")


class Album:
    """Pictures of a page, one after another in one run of bytes.

    Parameters
    ----------
    chapters : int
        Chapters that share the room.
    """

    def __init__(self, chapters: int) -> None:
        self.room = BUDGET_BYTES // max(1, chapters)
        self.parts: list[bytes] = []
        self.length = 0

    def add(self, planes: npt.NDArray[np.uint8]) -> int:
        """Keep the planes of a strategy; return where they begin.

        Each moment is kept as its difference (exclusive or) to the one before: a
        zone changes little at a time.
        """
        changes = planes.copy()
        changes[1:] ^= planes[:-1]
        at = self.length
        self.parts.append(changes.tobytes())
        self.length += planes.size
        return at

    def packed(self) -> str:
        """All pictures as text."""
        return pack(b"".join(self.parts))


def pictures(chapter: Chapter, album: Album) -> dict[str, Any] | None:
    """Lay out the maps of a chapter, of the first seed of each strategy.

    Parameters
    ----------
    chapter : Chapter
        The runs.
    album : Album
        Where the pictures go.

    Returns
    -------
    dict or None
        What the page must know of them; None if nothing was looked at on the way.
    """
    firsts = [chapter.runs_of(label)[0] for label in chapter.table.labels]
    ways = [(run, chapter.samples_of(run)) for run in firsts if run.samples]
    if not ways:
        return None
    shortest = min((way for _, way in ways), key=len)
    cells = min(MOST_CELLS, len(shortest[0].types))
    fitting = album.room // (3 * cells * len(ways))
    chosen = moments(shortest, max(FEWEST_MOMENTS, min(fitting, 96)))
    title, at = clock(shortest)
    return {
        "zone": shortest[0].zone,
        "axis": title,
        "times": [round(at(shortest[number]), 4) for number in chosen],
        "cells": cells,
        "types": list(MIGRATETYPES),
        "maps": [
            {
                "label": run.row.label,
                "seed": run.row.seed,
                "at": album.add(planes([way[number] for number in chosen], cells)),
            }
            for run, way in ways
        ],
    }


def planes(samples: list[Sample], cells: int) -> npt.NDArray[np.uint8]:
    """Types, use and mixing of some moments: moments x 3 x cells."""
    return np.array(
        [
            (
                thinned(sample.types, cells, average=False),
                thinned(sample.used, cells),
                thinned(sample.mixed, cells),
            )
            for sample in samples
        ],
        np.uint8,
    )


def thinned(plane: bytes, cells: int, average: bool = True) -> npt.NDArray[np.uint8]:
    """Reduce a plane to fewer cells: averages, or the first of each."""
    values = np.frombuffer(plane, np.uint8)
    if len(values) <= cells:
        return values
    firsts = np.arange(cells) * len(values) // cells
    if not average:
        return values[firsts]
    members = np.diff(np.append(firsts, len(values)))
    sums = np.add.reduceat(values.astype(np.int64), firsts)
    return (sums // members).astype(np.uint8)
