"""The cluster that ``--cluster`` names: one that is there, or one that is started."""

from __future__ import annotations

import logging
import os
import re
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from typing import Any

from rmqueue.errors import UsageError
from rmqueue.study.flight import ClusterError
from rmqueue.study.need import need_distributed
from rmqueue.study.schedule import Limits

#: How long a scheduler may take to answer [s].
ANSWER_SECONDS = 10
LOCAL = re.compile(r"local:([1-9]\d*)")


def check_address(address: str) -> None:
    """Refuse what is no cluster, before anything runs.

    Raises
    ------
    UsageError
        It is no address, or Dask is not installed.
    """
    need_distributed()
    if not LOCAL.fullmatch(address) and not re.fullmatch(r"[a-z]+://.+", address):
        raise UsageError(
            f"--cluster {address}: is no cluster: write tcp://HOST:PORT for one that "
            "is there, or local:N to start N workers here"
        )


@contextmanager
def client_of(address: str, limits: Limits) -> Iterator[Any]:
    """Connect to a cluster; one that is started ends with the context.

    Yields
    ------
    distributed.Client
        The cluster.

    Raises
    ------
    ClusterError
        Nobody answers, or none can be started.
    """
    match = LOCAL.fullmatch(address)
    if match:
        with started(int(match[1]), limits) as cluster, connected(cluster) as client:
            yield client
    else:
        with connected(address) as client:
            yield client


@contextmanager
def connected(cluster: Any) -> Iterator[Any]:
    """Connect to a scheduler."""
    from distributed import Client

    for name in [n for n in logging.root.manager.loggerDict if n[:11] == "distributed"]:
        logging.getLogger(name).setLevel(logging.CRITICAL)  # we say what happens
    try:
        client = Client(cluster, timeout=ANSWER_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:  # TimeoutError is an OSError
        words = str(error) or type(error).__name__
        raise ClusterError(
            f"--cluster {cluster}: no scheduler answers: {words}: start one with "
            "'dask scheduler', and workers with 'dask worker'"
        ) from None
    try:
        yield client
    finally:
        with suppress(Exception):
            client.close(timeout=1)


@contextmanager
def started(workers: int, limits: Limits) -> Iterator[Any]:
    """Start worker processes here, on the loopback; none is left when it ends.

    They have no limit of their own: their runs are counted against that of all.  A
    terminal tells Ctrl-C to all processes, and each would print where it was: what
    begins while we are deaf to it stays so.
    """
    resource_tracker.ensure_running()  # or it unblocks signals when it is started
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with tempfile.TemporaryDirectory(prefix="rmqueue-") as folder:
            cluster = processes(workers, limits, folder)
            try:
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)
                yield cluster
            finally:
                kill(cluster)
                cluster.close(timeout=5)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def processes(workers: int, limits: Limits, folder: str) -> Any:
    """Start a scheduler in this process, and workers in others."""
    from distributed import LocalCluster

    try:
        return LocalCluster(
            n_workers=workers,
            threads_per_worker=max(1, -(-limits.jobs // workers)),
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
            memory_limit=None,
            local_directory=folder,
            silence_logs=logging.CRITICAL,
        )
    except (OSError, RuntimeError) as error:
        raise ClusterError(f"--cluster: cannot be started: {error}") from None


def kill(cluster: Any) -> None:
    """End worker processes now: compiled code hears of nothing."""
    for nanny in cluster.workers.values():
        nanny.auto_restart = False
        if nanny.pid:
            with suppress(ProcessLookupError):
                os.kill(nanny.pid, signal.SIGKILL)
