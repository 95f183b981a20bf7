"""Make the report of a study: what ``rmqueue report`` does."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from rmqueue.errors import UsageError
from rmqueue.experiment_source import experiment_path
from rmqueue.output import check_writable, write_whole
from rmqueue.registry import default_registry
from rmqueue.study.dataset import Place
from rmqueue.study.kept import KeptStudy
from rmqueue.study.page.need import need_playwright
from rmqueue.study.page.page import page_of
from rmqueue.study.root import root_of
from rmqueue.study.run import FailedRunsError, run
from rmqueue.study.run import Wanted as WantedRun
from rmqueue.study.study import read_study


@dataclass(frozen=True)
class Wanted:
    """What the command line asks for.

    Attributes
    ----------
    study : str
        Folder or URL of a study, a built-in experiment, or a TOML file.
    output : Path
        The page.
    png : Path or None
        Folder for the figures; None: no pictures.
    quick, quiet : bool
        As of `rmqueue.study.run.Wanted`, if the study has to be run.
    jobs : int or None
        As there.
    plugins : tuple of Path
        Plugin files.
    """

    study: str
    output: Path
    png: Path | None = None
    quick: bool = False
    quiet: bool = False
    jobs: int | None = None
    plugins: tuple[Path, ...] = ()


def report(wanted: Wanted) -> None:
    """Run a study if it is not one that is kept, and write its page.

    Raises
    ------
    RmqueueError
        There is no such study, some of its runs failed (those that did not are
        reported), or something cannot be written.
    """
    if str(wanted.output) == "-":
        raise UsageError("--output: a page is a file, not stdout: name it")
    check_writable(wanted.output)
    if wanted.png is not None:
        from rmqueue.study.page.browser import find_chromium

        need_playwright()
        find_chromium()
    root, failure = root_of(wanted.study), None
    if isinstance(root, Path) and not Place(root).has_manifest():
        root, failure = run_it(wanted)
    elif wanted.quick:
        raise UsageError(
            f"--quick: {wanted.study} is a kept study, which is reported as it is: "
            "leave it out, or name what rmqueue run takes"
        )
    study = read_study(root)
    if study.runs or failure is None:
        page = page_of(study, command_of(study, wanted))
        write_whole(wanted.output, page)
        print(f"{wanted.output}: {len(study.runs):,} runs, {len(page) / 1e6:.1f} MB")
        if wanted.png is not None:
            from rmqueue.study.page.browser import write_pictures

            count = write_pictures(wanted.output, wanted.png)
            print(f"{wanted.png}: {count} figures")
    if failure is not None:
        raise failure


def run_it(wanted: Wanted) -> tuple[Path, FailedRunsError | None]:
    """Run what is missing of a study; say where it is kept, and which runs failed.

    Raises
    ------
    UsageError
        It is a folder without a study.
    """
    if Path(wanted.study).is_dir():
        raise UsageError(
            f"{wanted.study}: no study is kept there: name a folder that rmqueue run "
            "has made, a built-in experiment or a TOML file"
        )
    folder = Path(f"{experiment_path(wanted.study, default_registry()).stem}.study")
    try:
        run(
            WantedRun(
                study=wanted.study,
                folder=folder,
                resume=True,
                quick=wanted.quick,
                quiet=wanted.quiet,
                jobs=wanted.jobs,
                plugins=wanted.plugins,
            )
        )
    except FailedRunsError as failure:
        return folder, failure
    return folder, None


def command_of(study: KeptStudy, wanted: Wanted) -> str:
    """Return the command that makes this page from nothing."""
    built_in = study.name in default_registry().names("experiment")
    words = ["rmqueue", "report", study.name if built_in else f"{study.name}.toml"]
    if any(run.provenance.get("quick") for run in study.runs):
        words.append("--quick")
    words += [f"--plugin={path.name}" for path in wanted.plugins]
    return shlex.join([*words, "-o", wanted.output.name])
