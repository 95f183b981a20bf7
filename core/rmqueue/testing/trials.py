"""Zones and streams that a strategy is tried on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from pydantic import create_model

from rmqueue.config import ZoneConfig
from rmqueue.errors import RmqueueError
from rmqueue.mm.jit import ENABLED
from rmqueue.mm.mmzone import MIGRATETYPES
from rmqueue.mm.profile import PROFILES
from rmqueue.ops import OPERATIONS, Ops
from rmqueue.testing.checklist import CheckError, NotCheckedError, Subject, require
from rmqueue.testing.streams import random_ops, random_zone
from rmqueue.types import Strategy
from rmqueue.zone import Zone

#: Zones that every strategy is tried on; the first also without the JIT.
GEOMETRIES: dict[str, dict[str, Any]] = {
    "small pageblocks, 1 CPU": {"pages": 900, "pageblock_order": 5},
    "pageblocks of order 9, 1 CPU": {"pages": 6144},
    "pageblocks of order 5, 3 CPUs": {"pages": 4096, "pageblock_order": 5, "cpus": 3},
    "ends that cut pageblocks, 2 CPUs": {
        "start_pfn": 12_345,
        "pages": 3001,
        "pageblock_order": 6,
        "cpus": 2,
    },
    "a CMA area": {
        "pages": 2048,
        "pageblock_order": 5,
        "cma": True,
        "cma_pageblocks": 16,
    },
    "holes": {
        "pages": 5000,
        "pageblock_order": 7,
        "reserved": ((100, 101), (700, 1300)),
    },
}
#: Zones of odd shape beside them.
RANDOM_ZONES = 3
STEPS = 250
PARTS = 8


@dataclass(frozen=True, eq=False)
class Trial:
    """A zone, and a stream for it."""

    words: str
    config: ZoneConfig
    ops: Ops

    def zone(self, subject: Subject, **params: Any) -> Zone:
        """Make the zone with a strategy."""
        return zone_with(subject, self.config, **params)


def zone_with(subject: Subject, config: ZoneConfig, **params: Any) -> Zone:
    """Make a zone with the strategy that is checked, perhaps with other parameters."""
    record: Strategy = subject.record
    if params:
        model = record.parameters
        fields: Any = {k: (model.model_fields[k].annotation, params[k]) for k in params}
        changed = create_model(model.__name__, __base__=model, **fields)
        record = replace(record, parameters=changed)
    return Zone(config, record)


def refuse_kernel(subject: Subject, kernel: str) -> None:
    """Skip a kernel profile that the strategy cannot run on.

    Raises
    ------
    NotCheckedError
        Its lists are not allowed to be as the strategy leaves them.
    """
    if subject.record.mixed_lists and not PROFILES[kernel].mixed_lists:
        raise NotCheckedError(
            "it leaves blocks on lists of another type, which this kernel forbids"
        )


def trials(kernel: str) -> Iterator[Trial]:
    """Yield the zones and streams of a kernel profile, few of them without the JIT."""
    for seed, (words, shape) in enumerate(GEOMETRIES.items()):
        config = ZoneConfig(kernel=kernel, **shape)
        yield Trial(words, config, stream_for(config, seed))
        if not ENABLED:
            return
    for seed in range(RANDOM_ZONES):
        config = random_zone(seed, kernel)
        words = f"a zone of odd shape, {config!r}"
        yield Trial(words, config, stream_for(config, seed))


def stream_for(config: ZoneConfig, seed: int) -> Ops:
    """Make a stream for a zone; it is the same for all kernels."""
    return _stream(config.model_copy(update={"kernel": ""}).model_dump_json(), seed)


@cache
def _stream(shape: str, seed: int) -> Ops:
    """Make a stream once: that takes longer than its replay."""
    values = {**json.loads(shape), "kernel": next(iter(PROFILES))}
    return random_ops(seed, STEPS, ZoneConfig(**values))[0]


def try_out(subject: Subject, trial: Trial, **params: Any) -> None:
    """Replay a stream, and check every invariant of the zone now and then.

    Raises
    ------
    CheckError
        One is broken, or the strategy returned what it cannot; the message names the
        operation.
    """
    zone, done = trial.zone(subject, **params), 0
    for part in np.array_split(trial.ops, PARTS):
        try:
            replay_checked(zone, part)
        except RmqueueError as error:
            at, words = first_breach(subject, trial, done, len(part), params)
            values = f", parameters {params}" if params else ""
            raise CheckError(
                f"kernel {trial.config.kernel}, {trial.words}{values}: after operation "
                f"{at}, {words}: {error}"
            ) from error
        done += len(part)


def replay_checked(zone: Zone, ops: Ops) -> None:
    """Replay a part of a stream; afterwards everything must be in order."""
    result = zone.replay(ops)
    require(not result.misuse, f"operations became impossible: {result.misuse}")
    zone.check()


def first_breach(
    subject: Subject, trial: Trial, start: int, length: int, params: dict[str, Any]
) -> tuple[int, str]:
    """Find the operation of a part after which something is wrong, one by one."""
    zone = trial.zone(subject, **params)
    zone.replay(trial.ops[:start])
    for at in range(start, start + length):
        try:
            replay_checked(zone, trial.ops[at : at + 1])
        except RmqueueError:
            return at, in_words(trial.ops[at])
    return start + length - 1, "of a part that was replayed in one piece"


def in_words(op: np.void) -> str:
    """Say what an operation asks for.

    Examples
    --------
    >>> from rmqueue.ops import as_ops
    >>> in_words(as_ops([(1, 259, 7, 0)])[0])
    'ALLOC of order 3, movable'
    """
    name = OPERATIONS[int(op["code"])]
    if name not in ("ALLOC", "BULK", "PCP_ALLOC"):
        return f"{name} a={op['a']} b={op['b']} c={op['c']}"
    order, mt, flags = int(op["a"]) & 255, int(op["a"]) >> 8 & 255, int(op["a"]) >> 16
    count = f" of {op['c']} blocks" if name == "BULK" else ""
    words = f"{name}{count} of order {order}, {MIGRATETYPES[mt]}"
    return f"{words}, flags {flags}" if flags else words
