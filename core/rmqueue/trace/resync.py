"""Back to the recording after a page that was not predicted (RECORDINGS 4).

The trace is silent on some things: the order in which two CPUs got the lock, pages that
compaction took, pages handed over before they were free.  After a miss the cheapest
explanation that makes the model give the recorded page is believed; if there is none,
the page is taken out by force.  Whatever mends it, a miss stays a miss.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from rmqueue.mm import surgery
from rmqueue.mm.mmzone import RMQUEUE_NORMAL, RMQUEUE_STEAL
from rmqueue.trace.twin import TwinZone

if TYPE_CHECKING:
    from collections.abc import Callable

#: First page, absolute, and order.
Block = tuple[int, int]
#: Guesses about pages that left the lists unseen, per miss.
MOST_SILENT = 2000
#: More blocks than this have not left the lists together.
MOST_IN_FRONT = 64
#: With more blocks in flight than this it is not tried whether all have landed.
MOST_FLYING = 256


@dataclass(frozen=True)
class Request:
    """A block that the recorded kernel took from the free lists of a zone.

    Attributes
    ----------
    at : int
        Index of the event.
    pfn, order, mt : int
        The block, and the type asked for.
    kind : str
        ``"native"``, ``"claim"`` or ``"steal"``.
    head : tuple of (int, int) or None
        The stolen block and its order, where the kernel's trace names it (until 6.9).
    """

    at: int
    pfn: int
    order: int
    mt: int
    kind: str
    head: Block | None = None

    def holds(self, pfn: int, order: int) -> bool:
        """Whether a block and the request have a page in common."""
        return pfn < self.pfn + (1 << self.order) and self.pfn < pfn + (1 << order)


@dataclass(frozen=True)
class Guess:
    """What the model would do with a request.

    Attributes
    ----------
    pfn : int
        The page, absolute; -1: none.
    kind : str
        As of `Request`, or ``"none"``.
    mode : int
        What the batch remembered before.
    """

    pfn: int
    kind: str
    mode: int


class Resync:
    """Mends one zone of the model.

    Parameters
    ----------
    zone : TwinZone
        The zone.
    ask : callable
        ``ask(mode, keep) -> Guess``: asks for the block of the present request again;
        a right guess may be kept.
    landed : ndarray of uint8
        For each event whether its free has taken effect.
    has_left : callable or None
        ``has_left(pfn, at)``: whether a page cannot be in the free lists after an
        event; None: no look-ahead, so that nothing can be said of it.
    sees_end : bool
        Look-ahead goes to a recorded end: it knows the fate of every page.
    """

    def __init__(
        self,
        zone: TwinZone,
        ask: Callable[[int, bool], Guess],
        landed: npt.NDArray[Any],
        has_left: Callable[[int, int], bool] | None,
        sees_end: bool,
    ) -> None:
        self.zone, self.ask, self.landed = zone, ask, landed
        self.has_left, self.sees_end = has_left, sees_end
        self.last_wrong = -1
        #: Blocks kept away from the lists until they are needed.
        self.deferred: list[Block] = []

    def mend(
        self, request: Request, guess: Guess, flying: dict[int, Block]
    ) -> tuple[str, int]:
        """Make the zone give the recorded block.

        Parameters
        ----------
        request : Request
            What the kernel did.
        guess : Guess
            What the zone would have done; it has been undone.
        flying : dict of int to (int, int)
            Blocks that are freed but not yet in the lists, by event.

        Returns
        -------
        how : str
            What explained the recording: ``"order_inferred"``, ``"deferred"``,
            ``"removed"``, ``"rotated"`` or ``"forced"``.
        mode : int
            What the batch remembers now.
        """
        mode = guess.mode
        previous, self.last_wrong = self.last_wrong, guess.pfn
        if flying or self.deferred:
            guess = self._land_early(request, flying, mode)
            if guess.pfn == request.pfn:
                return "order_inferred", guess.mode
        if 0 <= guess.pfn == previous and self._defer(request, guess):
            guess = self._retry(request, mode)
            if guess.pfn == request.pfn:
                return "deferred", guess.mode
        for _ in range(MOST_SILENT):
            if not self._remove(request, guess):
                break
            guess = self._retry(request, mode)
            if guess.pfn == request.pfn:
                return "removed", guess.mode
        how = self._force(request, guess)
        return how, RMQUEUE_STEAL if request.kind == "steal" else RMQUEUE_NORMAL

    def land_deferred(self) -> None:
        """Put everything on the lists that was kept away."""
        for pfn, order in self.deferred:
            self.zone.change(surgery.GIVE, pfn, order, -1)
        self.deferred.clear()

    def cause(self, request: Request, guess: Guess) -> str:
        """Say what is wrong with a page that was predicted."""
        wanted = self.zone.free_block(request.pfn)
        if wanted is None:
            return "recorded page not free"
        if guess.kind != request.kind:
            return "kind"
        given = self.zone.free_block(guess.pfn)
        if self.has_left is not None and self.has_left(guess.pfn, request.at):
            return "silent take"
        if given and self._on_one_list(given, wanted):
            return "list order"
        return "other list"

    def _on_one_list(self, one: Block, other: Block) -> bool:
        """Whether two free blocks are on the same list."""
        same_order = one[1] == other[1]
        return same_order and self.zone.list_of(one[0]) == self.zone.list_of(other[0])

    def _retry(self, request: Request, mode: int) -> Guess:
        """Guess again; a right guess is kept, a wrong one undone.

        A kept guess has the mode afterwards.
        """
        guess = self.ask(mode, True)
        if guess.pfn != request.pfn:
            self.zone.undo()
        return guess

    def _land_early(
        self, request: Request, flying: dict[int, Block], mode: int
    ) -> Guess:
        """Let the frees in flight land first: all, or what the kernel then took."""
        everything = [*flying.values(), *self.deferred]
        landing = [block for block in everything if request.holds(*block)]
        if len(everything) <= MOST_FLYING:
            for pfn, order in everything:
                self.zone.attempt(surgery.GIVE, pfn, order, -1)
            guess = self.ask(mode, False)
            self.zone.undo()
            if guess.pfn == request.pfn:
                landing = everything
        for block in landing:
            self.zone.change(surgery.GIVE, *block, -1)
        self.deferred = [block for block in self.deferred if block not in landing]
        for event, block in flying.items():
            self.landed[event] |= block in landing
        return self._retry(request, mode)

    def _defer(self, request: Request, guess: Guess) -> bool:
        """Keep away what was predicted in vain a second time, and what goes with it."""
        blocks = self._in_front(request, guess)
        if not blocks or any(request.holds(*block) for block in blocks):
            return False
        for block in blocks:
            self.zone.change(surgery.CARVE, *block)
        self.deferred += blocks
        return True

    def _in_front(self, request: Request, guess: Guess) -> list[Block]:
        """Blocks that the kernel would have taken before the one that it took.

        Those before it on its list, or on the lists of smaller blocks; if it is of
        another kind altogether, or look-ahead knows better, only the block predicted.
        """
        zone = self.zone
        given, taken = zone.free_block(guess.pfn), zone.free_block(request.pfn)
        if given is None:
            return []
        if self.sees_end or taken is None or guess.kind != request.kind:
            return [given]
        if request.kind == "claim":
            return [given]
        mt = zone.list_of(given[0])
        if mt != zone.list_of(taken[0]) or given[1] > taken[1]:
            return [given]
        before: list[Block] = []
        for order in range(given[1], taken[1]):
            before += [(pfn, order) for pfn in zone.free_list(order, mt)]
        if given[1] == taken[1]:
            pfns = zone.free_list(given[1], mt)
            before = [(pfn, given[1]) for pfn in pfns[: pfns.index(taken[0])]]
        return before if len(before) <= MOST_IN_FRONT else [given]

    def _remove(self, request: Request, guess: Guess) -> bool:
        """Take out what must have left the lists unseen, around a page predicted."""
        if self.has_left is None or guess.pfn < 0:
            return False
        block = self.zone.free_block(guess.pfn)
        if block is None or not self.has_left(guess.pfn, request.at):
            return False
        for order in range(block[1], request.order - 1, -1):
            first = guess.pfn >> order << order
            pages = range(first, first + (1 << order))
            if all(self.has_left(page, request.at) for page in pages):
                self.zone.change(surgery.CARVE, first, order)
                return True
        return False

    def _force(self, request: Request, guess: Guess) -> str:
        """Take the recorded block out, wherever it is."""
        zone, how = self.zone, "forced"
        block = zone.free_block(request.pfn)
        if block is not None and block[1] >= request.order:
            if self._same_list(request, guess, block):
                zone.change(surgery.ROTATE, block[0])
                how = "rotated"
            elif request.head is not None:
                self._take_over(*request.head, request)
            elif request.kind == "claim" and (
                zone.pageblock_type(request.pfn) != request.mt
            ):
                zone.change(surgery.TAKE_OVER, block[0], request.mt, 1)
        zone.change(surgery.CARVE, request.pfn, request.order)
        return how

    def _same_list(self, request: Request, guess: Guess, block: Block) -> bool:
        """Whether only the order of a list was wrong."""
        if guess.pfn < 0 or guess.kind != request.kind or request.kind == "claim":
            return False
        given = self.zone.free_block(guess.pfn)
        return given is not None and self._on_one_list(given, block)

    def _take_over(self, pfn: int, order: int, request: Request) -> None:
        """Move the block that the kernel's trace says was stolen."""
        if self.zone.free_block(pfn) == (pfn, order):
            convert = int(request.kind == "claim")
            self.zone.change(surgery.TAKE_OVER, pfn, request.mt, convert)
