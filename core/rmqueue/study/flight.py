"""Workers of a cluster as whoever hands out work sees them, and what is under way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rmqueue.errors import RmqueueError
from rmqueue.study.task import Task
from rmqueue.study.work import Done


class ClusterError(RmqueueError):
    """The cluster cannot do the study."""

    exit_status = 8


@dataclass(eq=False)
class Member:
    """A worker.

    Attributes
    ----------
    address : str
        Where it listens; a worker that is started again has another one.
    threads : int
        Runs that it does at once [runs].
    limit : int
        Memory that Dask grants it; 0: no limit [bytes].
    room : int or None
        Memory for runs; None: it has not been admitted [bytes].
    quick : bool
        Whether its runs are so short that it should not wait for the next one.
    """

    address: str
    threads: int
    limit: int
    room: int | None = None
    quick: bool = False

    @property
    def host(self) -> str:
        """Machine that it is on, as addresses name it."""
        return self.address.rpartition(":")[0]


@dataclass(eq=False)
class Flight:
    """A call that is under way.

    Attributes
    ----------
    member : Member
        Who does it.
    future : distributed.Future
        What Dask says of it.
    task : Task or None
        The run; None: the worker introduces itself.
    begun : float
        When the worker has said that it has begun; 0: not yet [s].
    done : Done or None
        What came of it, as the worker has said.
    """

    member: Member
    future: Any
    task: Task | None
    begun: float = 0.0
    done: Done | None = None

    @property
    def need_bytes(self) -> int:
        """Memory that it takes [bytes]."""
        return self.task.need_bytes if self.task else 0


def where_and_why(member: Member, error: Exception) -> str:
    """Say what a worker could not do."""
    if isinstance(error, RmqueueError):
        return f"worker {member.address}: {error}"
    words = f"{type(error).__name__}: {error}"
    return f"worker {member.address}: {words}: does it have the same rmqueue?"
