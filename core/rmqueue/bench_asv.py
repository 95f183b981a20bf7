"""Run asv: of a checkout, with results of its own that nobody stores."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from rmqueue.bench_checkout import CONFIG
from rmqueue.bench_tracks import Measured, need_asv, read_results
from rmqueue.errors import BenchError
from rmqueue.output import write_whole

#: Name of this machine in results that nobody stores.
MACHINE = "here"
#: Benchmarks that failed, in the language of asv.
FAILED = 2


class Asv:
    """asv on a checkout, with a folder for results that is empty at the start.

    Parameters
    ----------
    root : Path
        The checkout.
    env : mapping of str to str
        Added to the environment of the benchmarks.

    Attributes
    ----------
    results : Path
        Where results go.
    """

    def __init__(self, root: Path, env: Mapping[str, str] | None = None) -> None:
        need_asv()
        self.root, self.env = root, dict(env or {})
        self.folder = root / ".asv" / "bench"
        self.results = self.folder / "results"
        self.config = self.folder / CONFIG
        self._prepare()

    def _prepare(self) -> None:
        """Write a configuration like that of the checkout, and register the machine."""
        from asv.config import Config
        from asv.util import UserError

        shutil.rmtree(self.results, ignore_errors=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.root / CONFIG
        try:
            values = dict(vars(Config.load(str(path))))
        except (UserError, ValueError) as error:
            raise BenchError(f"{path}: cannot be read by asv: {error}") from None
        values = {name: value for name, value in values.items() if value is not None}
        for name in ("repo", "benchmark_dir", "env_dir"):
            values[name] = str(self.root / values[name])
        values["results_dir"] = str(self.results)
        text = json.dumps({"version": 1, **values}, indent=1) + "\n"
        write_whole(self.config, text.replace("{conf_dir}", str(self.root)))
        if self._run("machine", "--yes", "--machine", MACHINE, quiet=True):
            raise BenchError("asv could not register this machine: `asv machine --yes`")

    def run(self, *words: str) -> int:
        """Run a command of asv that measures; what it says goes to stderr.

        Returns
        -------
        int
            Its exit status.
        """
        sys.stderr.flush()
        return self._run(*words, "--machine", MACHINE)

    def _run(self, *words: str, quiet: bool = False) -> int:
        command = [sys.executable, "-m", "asv", *words, "--config", str(self.config)]
        done = subprocess.run(
            command,
            cwd=self.root,
            env={**os.environ, **self.env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if quiet else sys.stderr,
        )
        return done.returncode

    def measured(self, commits: Sequence[str]) -> list[Measured]:
        """Return what was measured of these commits, in their order.

        Raises
        ------
        BenchError
            Nothing is known of one of them.
        """
        found = {one.commit: one for one in read_results(self.results)}
        for commit in commits:
            if commit not in found:
                raise BenchError(
                    f"nothing was measured of {commit[:12]}: asv says above why"
                )
        return [found[commit] for commit in commits]


def run_once(root: Path, strategies: tuple[str, ...] = ()) -> None:
    """Run every benchmark once in the current environment, and keep nothing.

    Raises
    ------
    BenchError
        One failed.
    """
    env = {"RMQUEUE_BENCH_QUICK": "1", **chosen(strategies)}
    words = ("--quick", "--dry-run", "--show-stderr")
    status = Asv(root, env).run("run", "-E", f"existing:{sys.executable}", *words)
    if status:
        raise BenchError(f"benchmarks failed (status {status} of asv): it says which")


def chosen(strategies: tuple[str, ...]) -> dict[str, str]:
    """Environment that takes these strategies only."""
    return {"RMQUEUE_BENCH_STRATEGIES": ",".join(strategies)} if strategies else {}
