"""Run tasks on a Dask cluster: hand them out, survive workers that die.

Dask carries calls and tells which workers there are; which run goes where is decided
here.  Dask would queue many runs on a worker, blame all of them when it dies, and knows
nothing of the memory that they need.
"""

from __future__ import annotations

import time
import uuid
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any

from rmqueue.study.flight import ClusterError, Flight, Member, where_and_why
from rmqueue.study.identity import differences, identity, used_by
from rmqueue.study.member import (
    Answer,
    Terms,
    do,
    introduce,
    manifest_digest,
    packed,
    sent,
)
from rmqueue.study.root import Root
from rmqueue.study.schedule import SHARE_OF_MEMORY, Limits, Tell
from rmqueue.study.task import Task
from rmqueue.study.work import Done

#: How often a run may see its worker die, and how many workers of a machine one after
#: the other before they were ready: one that just died may still be on the list.
MOST_DEATHS, MOST_STARTS = 3, 5
#: Share of a worker's memory that its process may take: Dask stops to hand out work at
#: 0.8, and kills the worker at 0.95.
SHARE_OF_WORKER = 0.7
#: How long nothing happens before it is looked which workers there are [s].
PATIENCE = 1.0
#: Shorter runs are sent ahead: to ask for the next one takes some milliseconds [s].
QUICK = 0.5
#: How long a worker of enough memory may be away [s].
GRACE = 30.0


def run_tasks(
    client: Any, tasks: list[Task], root: Root, limits: Limits, tell: Tell
) -> None:
    """Run everything; each run is kept as soon as it is done.

    Parameters
    ----------
    client : distributed.Client
        The cluster.
    tasks : list of Task
        The runs.
    root : Path or str
        Place of the study, which every worker must see; its manifest is there.
    limits : Limits
        What all runs together may take; each worker's own limits count too.
    tell : callable
        Told what happens, in the caller's thread; also ``("note", words)``.

    Raises
    ------
    ClusterError
        A worker runs something else, or does not see the place.
    """
    files = tuple((str(p.absolute()), p.read_bytes()) for p in limits.plugins)
    used = used_by(tasks)
    terms = Terms(used, files, root, manifest_digest(root))
    Crew(client, terms, limits, tell).run(deque(tasks))


@dataclass
class Crew:
    """Workers, and what they are doing.

    Attributes
    ----------
    client : distributed.Client
        The cluster.
    terms : Terms
        What workers must know and show.
    limits : Limits
        What all runs together may take.
    tell : callable
        Told what happens.
    """

    client: Any
    terms: Terms
    limits: Limits
    tell: Tell
    members: dict[str, Member] = field(default_factory=dict)
    flights: dict[str, Flight] = field(default_factory=dict)
    deaths: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._events: SimpleQueue[tuple[str, Any]] = SimpleQueue()
        self._topic = f"rmqueue-{uuid.uuid4().hex}"
        self._identity = identity(self.terms.used)
        self._call = sent()
        self._waiting: deque[Task] = deque()
        self._lost_at = -GRACE
        self._said_alone = False

    def run(self, waiting: deque[Task]) -> None:
        """Run everything."""
        self._waiting = waiting
        events = self._events
        self.client.subscribe_topic(self._topic, lambda e: events.put(("told", e[1])))
        self.client.subscribe_topic("all", lambda e: events.put(("worker", e[1])))
        try:
            self._meet()
            while self._waiting or any(f.task for f in self.flights.values()):
                self._hand_out()
                self._listen()
        finally:
            for topic in (self._topic, "all"):
                with suppress(Exception):  # the scheduler may be gone
                    self.client.unsubscribe_topic(topic)

    # Who is there --------------------------------------------------------------------

    def _meet(self) -> None:
        """Look which workers there are; new ones introduce themselves."""
        self._ask_for_scheduler()
        there = self.client.scheduler_info(n_workers=-1)["workers"]
        for address in self.members.keys() - there.keys():
            self._lose(address)
        for address in sorted(there.keys() - self.members.keys()):
            about = there[address]
            limit = int(about["memory_limit"] or 0)
            member = Member(address, int(about["nthreads"]), limit)
            self.members[address] = member
            self._send(member, None)
        if not self.members and not self._said_alone:
            self.tell("note", "there is no worker: waiting for one")
        self._said_alone = not self.members

    def _ask_for_scheduler(self) -> None:
        """Stop when there is no scheduler any more: it takes all workers with it."""
        if self.client.status != "running":
            raise ClusterError(
                "the scheduler is gone: start it again, and go on with --resume"
            )

    def _admit(self, member: Member, answer: Answer) -> None:
        """Take a worker in that runs the same.

        Raises
        ------
        ClusterError
            It does not.
        """
        wrong = differences(self._identity, answer.identity)
        if not answer.sees_place:
            wrong.append(
                f"it does not see the study at {self.terms.root}: give a folder or URL "
                "that all workers share (-o)"
            )
        self.deaths.pop(member.host, None)
        if wrong:
            raise ClusterError(
                f"worker {member.address} would give other results: {'; '.join(wrong)}"
                ": install the same there, and start the worker again"
            )
        if member.limit:
            member.room = max(
                0, int(member.limit * SHARE_OF_WORKER) - answer.used_bytes
            )
            return
        alike = [m for m in self.members.values() if m.host == member.host]
        member.room = int(answer.free_bytes * SHARE_OF_MEMORY) // len(alike)

    def _lose(self, address: str, expected: bool = False) -> None:
        """Take leave of a worker; what it was doing is done again by another.

        Runs that had not begun are not to blame; if none is known to have, all are.
        """
        self._ask_for_scheduler()
        member = self.members.pop(address, None)
        if member is None:
            return
        self._lost_at = time.monotonic()
        lost = {
            attempt: flight
            for attempt, flight in self.flights.items()
            if flight.member is member
        }
        begun = [flight for flight in lost.values() if flight.begun]
        again = 0
        for attempt, flight in reversed(lost.items()):
            del self.flights[attempt]
            flight.future.release()
            to_blame = not expected and (flight.begun > 0 or not begun)
            again += self._again(flight, to_blame)
        if again:
            words = "has left" if expected else "has died"
            runs = "its run is" if again == 1 else f"its {again} runs are"
            self.tell("note", f"worker {address} {words}: {runs} done again")

    def _again(self, flight: Flight, to_blame: bool) -> bool:
        """Put a run that was lost back; one that has seen too many die is given up."""
        key = flight.task.key if flight.task else flight.member.host
        self.deaths[key] = self.deaths.get(key, 0) + to_blame
        if self.deaths[key] < (MOST_DEATHS if flight.task else MOST_STARTS):
            if flight.task:
                self._waiting.appendleft(flight.task)
            return flight.task is not None
        where = flight.member.address
        if flight.task is None:
            raise ClusterError(
                f"worker {where}: died while loading rmqueue and the plugins, as "
                f"{MOST_STARTS - 1} before it"
            )
        words = (
            f"its worker died, {MOST_DEATHS} times, the last one at {where}: perhaps "
            f"for want of memory (it needs about {flight.need_bytes >> 20:,} MiB)"
        )
        self.tell("done", Done(key, words, failed=True))
        return False

    # What they do --------------------------------------------------------------------

    def _hand_out(self) -> None:
        """Give work to whoever has time and room for it."""
        found = True
        while found:
            found = False
            for member in self.members.values():
                task = self._next_for(member)
                if task is not None:
                    self._send(member, task)
                    found = True
        if self._waiting and not self.flights and self.members:
            self._give_up()

    def _next_for(self, member: Member) -> Task | None:
        """Take the first run that a worker could ever do, if it can do it now.

        Smaller ones do not overtake it, or it would never have its turn.
        """
        own = [f for f in self.flights.values() if f.member is member and f.task]
        if member.room is None or len(own) >= member.threads + self._ahead(member):
            return None
        busy = sum(f.task is not None for f in self.flights.values())
        if busy >= self.limits.jobs + sum(map(self._ahead, self.members.values())):
            return None
        for number, task in enumerate(self._waiting):
            if task.need_bytes > member.room:
                continue
            taken = sum(flight.need_bytes for flight in own)
            everywhere = sum(f.need_bytes for f in self.flights.values())
            within = everywhere + task.need_bytes <= self.limits.memory
            if taken + task.need_bytes > member.room or (everywhere and not within):
                return None
            del self._waiting[number]
            return task
        return None

    def _ahead(self, member: Member) -> int:
        """Count the short runs that a worker is sent before it asks: one, or none."""
        most = sum(one.threads for one in self.members.values())
        return member.quick and most <= self.limits.jobs

    def _give_up(self) -> None:
        """Give up runs for which no worker has enough memory, unless one was lost."""
        if time.monotonic() - self._lost_at < GRACE:
            return
        most = max(member.room or 0 for member in self.members.values())
        for task in [t for t in self._waiting if t.need_bytes > most]:
            self._waiting.remove(task)
            words = (
                f"it needs about {task.need_bytes >> 20:,} MiB, and no worker has more "
                f"than {most >> 20:,} MiB for runs"
            )
            self.tell("done", Done(task.key, words, failed=True))

    def _send(self, member: Member, task: Task | None) -> None:
        """Have a worker do a run, or introduce itself."""
        attempt = f"rmqueue-{uuid.uuid4().hex}"
        if task is None:
            call = packed(introduce, self.terms)
        else:
            call = packed(do, task, self.terms.root, self._topic, attempt)
        future = self.client.submit(
            self._call,
            call,
            key=attempt,
            workers=[member.address],
            allow_other_workers=False,
            pure=False,
        )
        self.flights[attempt] = Flight(member, future, task)
        future.add_done_callback(lambda _: self._events.put(("over", attempt)))

    def _listen(self) -> None:
        """Wait for something to happen, and take all that has."""
        try:
            events = [self._events.get(timeout=PATIENCE)]
        except Empty:
            self._meet()
            return
        with suppress(Empty):
            while True:
                events.append(self._events.get_nowait())
        for what, about in events:
            if what == "over":
                self._over(about)
            elif what == "told":
                self._told(*about)
            else:
                self._worker(about)

    def _told(self, attempt: str, what: str, about: Any) -> None:
        """Pass on how far a run is, and what came of it."""
        flight = self.flights.get(attempt)
        if flight is None or flight.task is None:
            return
        key = flight.task.key
        if what == "done":
            flight.done = Done(key, *about)
            flight.member.quick = time.monotonic() - flight.begun < QUICK
            return
        if not flight.begun:
            flight.begun = time.monotonic()
            self.tell("begin", key)
        self.tell("share", (key, about))

    def _worker(self, about: Any) -> None:
        """Hear of workers that come and go."""
        action = about.get("action") if isinstance(about, dict) else None
        if action == "remove-worker":
            self._lose(about["worker"], bool(about.get("expected")))
        elif action == "add-worker":
            self._meet()

    def _over(self, attempt: str) -> None:
        """Take what came of a call; of a worker that died nothing has."""
        flight = self.flights.get(attempt)
        if flight is None:
            return
        try:
            result: Any = flight.done or flight.future.result(timeout=PATIENCE)
        except Exception as error:
            name = type(error).__name__
            if flight.future.status != "error" or name == "KilledWorker":
                self._lose(flight.member.address)
                return
            result = error
        del self.flights[attempt]
        flight.future.release()
        if flight.task is not None:
            if isinstance(result, Exception):
                words = where_and_why(flight.member, result)
                result = Done(flight.task.key, words, failed=True)
            self.tell("done", result)
        elif isinstance(result, Exception):
            raise ClusterError(where_and_why(flight.member, result))
        else:
            self._admit(flight.member, result)
