"""Kept runs: a folder of Parquet files, one a run, partitioned as Hive does it.

``STUDY/experiment=NAME/strategy=LABEL/KEY.parquet``: DuckDB, polars and pyarrow read it
as it lies.  A file is written under another name first, so that what is there is whole.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pyarrow as pa
import pyarrow.parquet as pq

from rmqueue.errors import OutputError, UsageError
from rmqueue.output import write_whole
from rmqueue.study.columns import WHOLE, run_from, table_of
from rmqueue.study.kept import KeptRun

#: What a study wants, beside its runs.
MANIFEST = "study.json"


@dataclass(frozen=True)
class Place:
    """Where a study is kept: a folder.

    Attributes
    ----------
    root : Path
        The folder.
    """

    root: Path

    def file_of(self, experiment: str, label: str, key: str) -> Path:
        """Path of the file of a run."""
        folder = self.root / f"experiment={quote(experiment, safe='')}"
        return folder / f"strategy={quote(label, safe='')}" / f"{key}.parquet"

    def write(self, run: KeptRun) -> None:
        """Keep a run; what is there of it already is replaced.

        Raises
        ------
        OutputError
            It cannot be written; nothing is left behind.
        """
        path = self.file_of(run.experiment, run.row.label, run.key)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(
                table_of(run),
                temporary,
                # zstd makes files no smaller, and takes three times as long
                compression="snappy",
                use_dictionary=False,
                # of one row these are as large as the row
                write_statistics=False,
                store_schema=False,
            )
            os.replace(temporary, path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            why = error.strerror or error
            raise OutputError(f"{path}: cannot be written: {why}") from None

    def keys(self) -> set[str]:
        """Keys of the runs that are there."""
        return {path.stem for path in self.files()}

    def files(self) -> list[Path]:
        """Files of the runs that are there, in order of their paths."""
        found = self.root.glob("experiment=*/strategy=*/*.parquet")
        return sorted(path for path in found if not path.name.startswith("."))

    def runs(self, with_samples: bool = True) -> Iterator[KeptRun]:
        """Read the runs that are there.

        Parameters
        ----------
        with_samples : bool
            Read also how each went; that is most of a file.

        Raises
        ------
        OutputError
            A file is damaged; the message names it.
        """
        for path in self.files():
            values = read_row(path, with_samples)
            yield run_from(values, unquote(path.parts[-3].partition("=")[2]))

    def write_manifest(self, values: dict[str, Any]) -> None:
        """Keep what the study is and wants."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"{self.root}: cannot be made: {error.strerror}"
            ) from None
        write_whole(self.root / MANIFEST, json.dumps(values, indent=1) + "\n")

    def manifest(self) -> dict[str, Any]:
        """Read what the study is and wants.

        Raises
        ------
        UsageError
            There is no study, or its manifest is damaged.
        """
        path = self.root / MANIFEST
        try:
            values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UsageError(
                f"{self.root}: no study is kept there: name the folder that "
                "'rmqueue run' has written"
            ) from None
        except (OSError, ValueError) as error:
            raise UsageError(f"{path}: cannot be read: {error}") from None
        return values


def read_row(path: Path, with_samples: bool = True) -> dict[str, Any]:
    """Read the columns of a run that it is made of."""
    wanted = ["run", "started", "wall_seconds", *WHOLE]
    if not with_samples:
        wanted.remove("samples")
    try:
        # ParquetFile: the folders' names are no columns here
        table = pq.ParquetFile(path).read(columns=wanted)
    except (OSError, pa.ArrowException) as error:
        words = str(error).splitlines()[0]
        raise OutputError(
            f"{path}: cannot be read: {words}: remove it, and run the study again "
            "with --resume"
        ) from None
    row: dict[str, Any] = table.to_pylist()[0]
    return {"samples": [], **row}


def without_samples(run: KeptRun) -> KeptRun:
    """Return a run without how it went."""
    return replace(run, samples=())
