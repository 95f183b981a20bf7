"""Back to the recording after a page that was not predicted (RECORDINGS 4).

The trace is silent on some things: the order in which two CPUs got the lock, pages that
compaction took, pages handed over before they were free.  After a miss the cheapest
explanation that makes the model give the recorded page is believed; if there is none,
the page is taken out by force.  Whatever mends it, a miss stays a miss.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rmqueue.mm import single
from rmqueue.mm.mmzone import RMQUEUE_NORMAL, RMQUEUE_STEAL
from rmqueue.trace.twin import Guess, TwinZone

if TYPE_CHECKING:
    from collections.abc import Callable

#: Guesses about pages that left the lists unseen, per miss.
MOST_SILENT = 2000


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
    head: tuple[int, int] | None = None

    def holds(self, pfn: int, order: int) -> bool:
        """Whether a block and the request have a page in common."""
        return pfn < self.pfn + (1 << self.order) and self.pfn < pfn + (1 << order)


class InFlight:
    """Blocks that are freed but not yet in the lists of a zone."""

    def __init__(self) -> None:
        self.blocks: dict[int, tuple[int, int]] = {}
        self._next = -1

    def defer(self, pfn: int, order: int) -> None:
        """Keep a block away from the lists until it is needed."""
        self.blocks[self._next] = (pfn, order)
        self._next -= 1

    def land(self, zone: TwinZone, key: int) -> None:
        """Put a block on the lists, if it is still in flight."""
        if key in self.blocks:
            zone.do(single.give, *self.blocks.pop(key), -1)


class Resync:
    """Mends a zone of the model.

    Parameters
    ----------
    zone : TwinZone
        The zone.
    flying : InFlight
        Its frees in flight.
    was_free : callable or None
        ``was_free(pfn, at)``: whether a page must be in the free lists after an event;
        None: no look-ahead, so that nothing can be said of it.
    """

    def __init__(
        self,
        zone: TwinZone,
        flying: InFlight,
        was_free: Callable[[int, int], bool] | None,
    ) -> None:
        self.zone, self.flying, self.was_free = zone, flying, was_free
        self.last_wrong = -1

    def mend(self, request: Request, guess: Guess, mode: int) -> tuple[str, int]:
        """Make the zone give the recorded block.

        Parameters
        ----------
        request : Request
            What the kernel did.
        guess : Guess
            What the zone would have done; it has been undone.
        mode : int
            What the batch remembered at the request.

        Returns
        -------
        how : str
            What explained the recording: ``"order_inferred"``, ``"deferred"``,
            ``"removed"``, ``"rotated"`` or ``"forced"``.
        mode : int
            What the batch remembers now.
        """
        previous, self.last_wrong = self.last_wrong, guess.pfn
        if self.flying.blocks:
            guess = self._land_early(request, mode)
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

    def cause(self, request: Request, guess: Guess) -> str:
        """Say what is wrong with a page that was predicted."""
        wanted = self.zone.free_block(request.pfn)
        if wanted is None:
            return "recorded page not free"
        if guess.kind != request.kind:
            return "kind"
        given = self.zone.free_block(guess.pfn)
        if self.was_free is not None and not self.was_free(guess.pfn, request.at):
            return "silent take"
        if given and self._on_one_list(given, wanted):
            return "list order"
        return "other list"

    def _on_one_list(self, one: tuple[int, int], other: tuple[int, int]) -> bool:
        """Whether two free blocks are on the same list."""
        same_order = one[1] == other[1]
        return same_order and self.zone.list_of(one[0]) == self.zone.list_of(other[0])

    def _retry(self, request: Request, mode: int) -> Guess:
        """Guess again; a wrong guess is undone."""
        guess = self.zone.guess(request.order, request.mt, mode)
        if guess.pfn == request.pfn:
            self.zone.keep()
        else:
            self.zone.undo()
        return guess

    def _land_early(self, request: Request, mode: int) -> Guess:
        """Let the frees in flight land first: all, or what the kernel then took."""
        flying = self.flying
        for pfn, order in flying.blocks.values():
            self.zone.attempt(single.give, pfn, order, -1)
        guess = self.zone.guess(request.order, request.mt, mode)
        self.zone.undo()
        needed = list(flying.blocks)
        if guess.pfn != request.pfn:
            needed = [k for k in needed if request.holds(*flying.blocks[k])]
        for key in needed:
            flying.land(self.zone, key)
        return self._retry(request, mode)

    def _defer(self, request: Request, guess: Guess) -> bool:
        """Keep the block away that was predicted in vain a second time."""
        block = self.zone.free_block(guess.pfn)
        if block is None or request.holds(*block):
            return False
        self.zone.do(single.carve, *block)
        self.flying.defer(*block)
        return True

    def _remove(self, request: Request, guess: Guess) -> bool:
        """Take out what must have left the lists unseen, around a page predicted."""
        if self.was_free is None or guess.pfn < 0:
            return False
        block = self.zone.free_block(guess.pfn)
        if block is None or self.was_free(guess.pfn, request.at):
            return False
        for order in range(block[1], request.order - 1, -1):
            first = guess.pfn >> order << order
            pages = range(first, first + (1 << order))
            if not any(self.was_free(page, request.at) for page in pages):
                self.zone.do(single.carve, first, order)
                return True
        return False

    def _force(self, request: Request, guess: Guess) -> str:
        """Take the recorded block out, wherever it is."""
        zone, how = self.zone, "forced"
        block = zone.free_block(request.pfn)
        if block is not None and block[1] >= request.order:
            if self._same_list(request, guess, block):
                zone.do(single.rotate, block[0])
                how = "rotated"
            elif request.head is not None:
                self._take_over(*request.head, request)
            elif request.kind == "claim" and (
                zone.pageblock_type(request.pfn) != request.mt
            ):
                zone.do(single.take_over, block[0], request.mt, 1)
        zone.do(single.carve, request.pfn, request.order)
        return how

    def _same_list(
        self, request: Request, guess: Guess, block: tuple[int, int]
    ) -> bool:
        """Whether only the order of a list was wrong."""
        if guess.pfn < 0 or guess.kind != request.kind or request.kind == "claim":
            return False
        given = self.zone.free_block(guess.pfn)
        return given is not None and self._on_one_list(given, block)

    def _take_over(self, pfn: int, order: int, request: Request) -> None:
        """Move the block that the kernel's trace says was stolen."""
        if self.zone.free_block(pfn) == (pfn, order):
            convert = int(request.kind == "claim")
            self.zone.do(single.take_over, pfn, request.mt, convert)
