"""What is kept: lists, choices, tables and exports (``rmqueue results``)."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from rmqueue.compare import check_place, render, write_report
from rmqueue.errors import RmqueueError, UnknownNameError, UsageError
from rmqueue.output import check_writable, replaced
from rmqueue.registry import default_registry
from rmqueue.study.columns import WHOLE, table_of
from rmqueue.study.dataset import MANIFEST
from rmqueue.study.design import concerns
from rmqueue.study.kept import KeptRun, KeptStudy
from rmqueue.study.root import Root
from rmqueue.study.study import read_study, tables

#: What is no figure: left out of exports for spreadsheets.
NOT_EXPORTED = list(WHOLE)


@dataclass(frozen=True)
class Wanted:
    """What the command line asks for.

    Attributes
    ----------
    folder : Path or str or None
        The study; None: list those that are here.
    where : tuple of (str, str)
        Fields, and the values that runs must have in them.
    reports : tuple of (str, str)
        Reporters, and the files that they write.
    export : Path or None
        File for the figures of all runs.
    """

    folder: Root | None
    where: tuple[tuple[str, str], ...] = ()
    reports: tuple[tuple[str, str], ...] = ()
    export: Path | None = None


def show(wanted: Wanted) -> None:
    """Print or write what is asked for.

    Raises
    ------
    RmqueueError
        There is no such study, field or reporter, or a file cannot be written.
    """
    if wanted.folder is None and (wanted.where or wanted.reports or wanted.export):
        raise UsageError(
            "--where, --report and --export are of one study: name its folder, as in "
            "rmqueue results NAME.study"
        )
    if wanted.folder is None:
        sys.stdout.write(studies_text(Path()))
        return
    study = read_study(wanted.folder, with_samples=bool(wanted.reports))
    if not study.runs and (wanted.export is not None or wanted.reports):
        raise UsageError(
            f"{wanted.folder}: no run is there yet: rmqueue run {study.name} --resume"
        )
    runs = chosen(study.runs, wanted.where)
    if wanted.export is not None:
        export(runs, wanted.export)
    for name, file in wanted.reports:
        report(runs, name, file)
    if wanted.export is None and not wanted.reports:
        sys.stdout.write(runs_text(study, runs))


def studies_text(folder: Path) -> str:
    """List the studies in folders of a folder; below, those that cannot be read."""
    found = sorted(path.parent for path in folder.glob(f"*/{MANIFEST}"))
    if not found:
        return (
            "no study is kept in a folder just below this one: rmqueue run FILE makes "
            "one; studies elsewhere, or behind a URL, are shown if they are named\n"
        )
    rows, unreadable = [], []
    for path in found:
        try:
            study = read_study(path, with_samples=False)
        except RmqueueError as error:
            unreadable.append(f"{error}\n")
            continue
        labels = dict.fromkeys(run.row.label for run in study.runs)
        last = max((run.started for run in study.runs), default="")
        rows.append(
            (
                str(path),
                f"{len(study.runs):,} of {len(study.runs) + study.missing:,}",
                str(len(study.failed)),
                last,
                ", ".join(labels),
            )
        )
    heads = ("study", "runs", "failed", "last run [UTC]", "strategies")
    return "".join([aligned([heads, *rows]) if rows else "", *unreadable])


def field_of(run: KeptRun, name: str) -> Any:
    """Value of a field of a run: what it is, or what the study varies.

    Raises
    ------
    UnknownNameError
        There is no such field.
    """
    own = {
        "experiment": run.experiment,
        "strategy": run.row.label,
        "kernel": run.row.kernel,
        "machine": run.row.machine,
        "seed": run.row.seed,
        "run": run.key,
    }
    return {**run.point, **own}.get(name)


def chosen(
    runs: Iterable[KeptRun], where: Sequence[tuple[str, str]]
) -> tuple[KeptRun, ...]:
    """Choose the runs that have these values; of a key, its beginning is enough.

    A run that a field does not concern stays: it is in all tables of that field.

    Raises
    ------
    UsageError
        A field does not exist, or no run is left.
    """
    found = tuple(runs)
    for name, value in where:
        if all(field_of(run, name) is None for run in found):
            known = {"experiment", "strategy", "kernel", "machine", "seed", "run"}
            known |= {path for run in found for path in run.point}
            raise UnknownNameError("field", name, known, where="--where")
        left = tuple(
            run
            for run in found
            if not concerns(name, run.row.label)
            or alike(field_of(run, name), value, name)
        )
        if not any(concerns(name, run.row.label) for run in left):
            values = {field_of(run, name) for run in found} - {None}
            there = sorted(map(str, values))
            raise UsageError(
                f"--where {name}={value}: no run has it: there are {', '.join(there)}"
            )
        found = left
    return found


def alike(value: Any, wanted: str, name: str) -> bool:
    """Whether a value is meant by a word."""
    if name == "run":
        return str(value).startswith(wanted)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return float(wanted.replace("_", "")) == float(value)
        except ValueError:
            return False
    return str(value).lower() == wanted.lower()


def runs_text(study: KeptStudy, runs: Sequence[KeptRun]) -> str:
    """List runs: what they are, and the figures that are looked at first."""
    paths = list(dict.fromkeys(path for run in runs for path in run.point))
    heads = ("run", "experiment", "strategy", "kernel", *paths, "seed")
    figures = ("served", "claim attempts", "steals", "worst hold [us]")
    rows = [(*heads, *figures), *(line_of(run, paths) for run in runs)]
    lines = [aligned(rows)]
    lines += [f"failed: {words}: {why}\n" for words, why in study.failed.items()]
    if study.missing:
        lines.append(f"{study.missing:,} runs are missing: rmqueue run --resume\n")
    return "".join(lines)


def line_of(run: KeptRun, paths: list[str]) -> tuple[str, ...]:
    """Words of one run."""
    total = run.row.total
    return (
        run.key[:8],
        run.experiment,
        run.row.label,
        run.row.kernel,
        *(str(run.point.get(path, "")) for path in paths),
        "" if run.row.seed is None else str(run.row.seed),
        f"{total.served:,}",
        f"{total.counters['claim_try']:,}",
        f"{total.counters['steal']:,}",
        f"{total.holds.worst_ps / 1e6:.2f}",
    )


def aligned(rows: Sequence[tuple[str, ...]]) -> str:
    """Lay rows of words out in columns; numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    right = [
        all(is_number(row[i]) for row in rows[1:] if row[i]) for i in range(len(widths))
    ]
    lines = (
        "  ".join(
            f"{word:>{width}}" if is_right else f"{word:<{width}}"
            for word, width, is_right in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in rows
    )
    return "".join(f"{line}\n" for line in lines)


def is_number(word: str) -> bool:
    """Whether a word is a number, perhaps with commas."""
    try:
        float(word.replace(",", ""))
    except ValueError:
        return False
    return True


def export(runs: Sequence[KeptRun], path: Path) -> None:
    """Write the figures of all runs to one file: CSV or Parquet, by its suffix.

    Raises
    ------
    UsageError
        The suffix is another one.
    """
    if path.suffix not in (".csv", ".parquet"):
        raise UsageError(f"--export {path}: end the name in .csv or .parquet")
    check_writable(path)
    table = pa.concat_tables(exported(runs), promote_options="default")
    with replaced(path) as temporary:
        if path.suffix == ".csv":
            pyarrow.csv.write_csv(table, temporary)
        else:
            pyarrow.parquet.write_table(table, temporary)


def exported(runs: Iterable[KeptRun]) -> Iterator[pa.Table]:
    """Figures of runs, with the columns that are folders in the dataset."""
    for run in runs:
        table = table_of(run).drop_columns(NOT_EXPORTED)
        table = table.add_column(1, "strategy", [[run.row.label]])
        yield table.add_column(1, "experiment", [[run.experiment]])


def report(runs: Sequence[KeptRun], name: str, file: str) -> None:
    """Have a reporter write the table of the runs.

    Raises
    ------
    UsageError
        The runs make several tables.
    """
    reporter = default_registry().reporter(name)
    found = dict(tables(list(runs)))
    if len(found) > 1:
        points = "; ".join(point or name for name, point in found)
        raise UsageError(
            f"--report: {len(found)} tables remain ({points}): choose one with --where"
        )
    table = next(iter(found.values()))
    if reporter.check is not None:
        reporter.check(len({row.seed for row in table.rows}))
    check_place(reporter, file)
    write_report(file, render(reporter, table))
