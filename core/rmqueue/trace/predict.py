"""Level A: whether the model chooses the pages that the kernel chose (RECORDINGS 4).

From the recorded start state the events are followed one by one.  Requests under the
zone lock are asked of the model, which decides; the page is compared with the recorded
one, and after a miss the model is brought back to the recording.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from rmqueue.faults import all_asked
from rmqueue.mm import follow, surgery
from rmqueue.mm.mmzone import MOVABLE
from rmqueue.trace.compaction import free_blocks, isolated
from rmqueue.trace.plan import make_plan, make_steps
from rmqueue.trace.resync import Guess, Request, Resync
from rmqueue.trace.score import Score, count_fallbacks
from rmqueue.trace.takes import CLAIM, FALLBACK_RETURNS_PAGE, NATIVE, NO_TAKE, STEAL
from rmqueue.trace.twin import TwinZone
from rmqueue.types import Evidence

KINDS = {NATIVE: "native", CLAIM: "claim", STEAL: "steal"}
GUESSED = {
    follow.NATIVE: "native",
    follow.CLAIM: "claim",
    follow.STEAL: "steal",
    follow.NOTHING: "none",
}


class Prediction:
    """Follows a recording with one strategy.

    Parameters
    ----------
    evidence : Evidence
        The recording.
    strategy : str
        Name of the strategy that decides.
    kernel : str
        Kernel profile that it runs on.
    strict : bool
        Nothing that comes later is looked at, and compaction is not followed.

    Attributes
    ----------
    score : Score
        What was counted; complete after `run`.
    zones : list of TwinZone
        The model.
    """

    def __init__(
        self, evidence: Evidence, strategy: str, kernel: str, strict: bool = False
    ) -> None:
        self.evidence = evidence
        self.plan = make_plan(evidence, strict)
        self.score = Score()
        self.zones = [TwinZone(zone, strategy, kernel) for zone in evidence.start]
        bases = np.array([zone.base for zone in self.zones], np.int64)
        self.steps = make_steps(evidence, self.plan, bases, strict)
        self._old = evidence.version < FALLBACK_RETURNS_PAGE
        self._arrays = self._make_arrays()
        self._record = np.zeros(1, follow.FOLLOW)
        for name, array in {**self._arrays, "steps": self.steps}.items():
            self._record[name] = array.ctypes.data
        self._record["nr_steps"] = len(self.steps)
        self._flight = Flight(self.steps, self._arrays["landed"])
        has_left = self.plan.uses.has_left if self.plan.uses else None
        landed, sees_end = self._arrays["landed"], bool(evidence.end) and not strict
        self._resync = [
            Resync(zone, self._ask, landed, has_left, sees_end) for zone in self.zones
        ]

    def _make_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Arrays that the loop reads and writes, by the field with their address."""
        events = len(self.evidence.events)
        return {
            "tries": np.array([zone.tries for zone in self.zones], np.int64),
            "keeps": np.array([zone.keeps for zone in self.zones], np.int64),
            "modes": np.zeros(len(self.zones), np.int64),
            "fallbacks": np.array([zone.fallback for zone in self.zones], np.int64),
            **{
                name: np.zeros(events, np.uint8)
                for name in ("landed", "kind", "fallback_mt", "fallback_order")
            },
        }

    def run(self, progress: Callable[[int], None] | None = None) -> Score:
        """Follow all events.

        Parameters
        ----------
        progress : callable or None
            Told the number of steps done, now and then.

        Raises
        ------
        StrategyError
            The strategy returned a page that it cannot have taken.
        """
        record = self._record[0]
        while (why := self._follow()) != follow.DONE:
            step = self.steps[record["position"]]
            if why == follow.MISS:
                self._miss(step)
            else:
                self._isolate(step)
            record["position"] += 1
            if progress is not None:
                progress(int(record["position"]))
        for resync in self._resync:
            resync.land_deferred()
        self._count()
        return self.score

    def _follow(self) -> int:
        """Follow until something is not as the model has it."""
        with all_asked(self.zones):
            return int(follow.follow_events(int(self._record.ctypes.data)))

    # After a miss ----------------------------------------------------------------

    def _miss(self, step: np.void) -> None:
        """Bring the model back to the recording."""
        where, event = int(step["zone"]), int(step["event"])
        zone, resync, record = self.zones[where], self._resync[where], self._record[0]
        zone.undo()
        request = self._request(step)
        modes = self._arrays["modes"]
        guess = self._guess(event, zone.base, int(modes[where]))
        score = self.score
        score.first_miss = score.first_miss or int(self.evidence.events["line"][event])
        score.missed_batches.add(int(self.plan.takes.batch[event]))
        score.misses[resync.cause(request, guess)] += 1
        flying = self._flight.in_air(int(record["position"]), where, zone.base)
        how, modes[where] = resync.mend(request, guess, flying)
        score.mended[how] += 1

    def _request(self, step: np.void) -> Request:
        """Make the request of a step."""
        event, base = int(step["event"]), self.zones[step["zone"]].base
        events, takes = self.evidence.events, self.plan.takes
        head, index = None, int(takes.fallback[event])
        if self._old and index >= 0:
            head = (int(events["pfn"][index]), int(events["fallback_order"][index]))
        return Request(
            event,
            int(step["pfn"]) + base,
            int(step["order"]),
            int(step["mt"]),
            KINDS[int(takes.kind[event])],
            head,
        )

    def _guess(self, event: int, base: int, mode: int) -> Guess:
        """Read the last guess for an event."""
        pfn = int(self._record["pfn"][0])
        kind = GUESSED[int(self._arrays["kind"][event])]
        return Guess(pfn + base if pfn >= 0 else -1, kind, mode)

    def _ask(self, mode: int, keep: bool) -> Guess:
        """Ask for the block of the present step again."""
        step = self.steps[self._record["position"][0]]
        where, modes = int(step["zone"]), self._arrays["modes"]
        modes[where] = mode
        zone = self.zones[where]
        with zone.asked():
            follow.ask_again(int(self._record.ctypes.data), int(keep))
        return self._guess(int(step["event"]), zone.base, int(modes[where]))

    # Compaction ------------------------------------------------------------------

    def _isolate(self, step: np.void) -> None:
        """Take what compaction took of a range: the trace has only how much.

        And nothing of what its fast search took out of the lists before.
        """
        zone, event = self.zones[step["zone"]], int(step["event"])
        row = self.evidence.events[event]
        end = min(int(row["end"]), zone.state.start_pfn + zone.state.pages)
        first, taken = int(row["pfn"]), int(row["taken"])
        blocks = isolated(zone.order_at, first, end, taken) if taken else None
        for pfn, _ in blocks or ():
            zone.change(surgery.ISOLATE, pfn, MOVABLE, int(not self._old))
        for pfn, _ in free_blocks(zone.order_at, first, end):
            if self.plan.uses and self.plan.uses.has_left(pfn, event):
                self.score.mended["isolated_unseen"] += 1
                zone.change(surgery.ISOLATE, pfn, MOVABLE, int(not self._old))

    # At the end ------------------------------------------------------------------

    def _count(self) -> None:
        """Fill the score."""
        record, score, takes = self._record[0], self.score, self.plan.takes
        for name in ("pages", "exact", "drains", "drains_elsewhere"):
            setattr(score, name, int(record[name]))
        for name in ("captured", "taken_unseen", "drained_free"):
            if record[name]:
                score.mended[name] += int(record[name])
        taken = (takes.kind != NO_TAKE) & (self.plan.zone >= 0)
        score.batches = len(np.unique(takes.batch[taken]))
        events = self.evidence.events
        fallback = takes.fallback[taken & (takes.fallback >= 0)]
        score.recorded = count_fallbacks(
            *(events[name][fallback] for name in ("mt", "fallback_mt")),
            *(events[name][fallback] for name in ("order", "fallback_order", "claim")),
        )
        guessed = np.flatnonzero(self._arrays["fallback_mt"])
        score.predicted = count_fallbacks(
            events["mt"][guessed],
            self._arrays["fallback_mt"][guessed].astype(np.int64) - 1,
            events["order"][guessed],
            self._arrays["fallback_order"][guessed].astype(np.int64) - 1,
            self._arrays["kind"][guessed] == follow.CLAIM,
        )


class Flight:
    """Blocks that are freed but not yet in the lists, at any step.

    Parameters
    ----------
    steps : ndarray of STEP
        All steps.
    landed : ndarray of uint8
        For each event whether its free has taken effect.
    """

    def __init__(self, steps: npt.NDArray[np.void], landed: npt.NDArray[Any]) -> None:
        self._steps, self._landed = steps, landed
        self._lands = np.flatnonzero(steps["what"] == follow.LAND)
        frees = np.flatnonzero(steps["what"] == follow.FREE)
        free_of = dict(zip(steps["event"][frees].tolist(), frees.tolist(), strict=True))
        self._frees = np.array(
            [free_of[event] for event in steps["event"][self._lands].tolist()], np.int64
        )

    def in_air(self, position: int, zone: int, base: int) -> dict[int, tuple[int, int]]:
        """Blocks of a zone in flight at a step: (pfn, order) by event, oldest first."""
        first = int(np.searchsorted(self._lands, position))
        lands = self._lands[first:][self._frees[first:] < position]
        steps = self._steps[lands]
        steps = steps[(steps["zone"] == zone) & (self._landed[steps["event"]] == 0)]
        steps = steps[np.argsort(steps["event"])]
        return {
            int(step["event"]): (int(step["pfn"]) + base, int(step["order"]))
            for step in steps
        }
