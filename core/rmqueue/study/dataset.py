"""Kept runs: a folder of Parquet files, one a run, partitioned as Hive does it.

``STUDY/experiment=NAME/strategy=LABEL/KEY.parquet``: DuckDB, polars and pyarrow read it
as it lies.  A file is written under another name first, so that what is there is whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pyarrow as pa
import pyarrow.parquet as pq

from rmqueue.errors import OutputError, UsageError
from rmqueue.study.columns import WHOLE, run_from, table_of
from rmqueue.study.files import Files, files_at
from rmqueue.study.kept import KeptRun
from rmqueue.study.root import Root, root_of

#: What a study wants, beside its runs.
MANIFEST = "study.json"
#: Columns that a run cannot be made without.
REQUIRED = ("run", "started", "wall_seconds", *(n for n in WHOLE if n != "varied"))


@dataclass(frozen=True)
class Place:
    """Where a study is kept.

    Attributes
    ----------
    root : Path or str
        A folder, or a URL that fsspec knows.
    """

    root: Root

    @cached_property
    def _files(self) -> Files:
        return files_at(root_of(self.root))

    def write(self, run: KeptRun) -> None:
        """Keep a run; what is there of it already is replaced.

        Raises
        ------
        OutputError
            It cannot be written; nothing is left behind.
        """
        experiment, label = (
            quote(name, safe="") for name in (run.experiment, run.row.label)
        )
        name = f"experiment={experiment}/strategy={label}/{run.key}.parquet"
        self._files.write_table(name, table_of(run))

    def keys(self) -> set[str]:
        """Keys of the runs that are there."""
        return set(map(key_of, self._files.names()))

    def whole_keys(self) -> set[str]:
        """Keys of the runs that can be read: a damaged file is as good as none."""
        found = set()
        for name in self._files.names():
            try:
                pq.read_metadata(self._files.open_table(name))
            except (OSError, pa.ArrowException):
                continue
            found.add(key_of(name))
        return found

    def files(self) -> list[Path]:
        """Files of the runs that are there, in order of their paths; of a folder."""
        return [Path(root_of(self.root), name) for name in self._files.names()]

    def runs(self, with_samples: bool = True) -> Iterator[KeptRun]:
        """Read the runs that are there.

        Parameters
        ----------
        with_samples : bool
            Read also how each went; that is most of a file.

        Raises
        ------
        OutputError
            A file is damaged, or of another rmqueue; the message names it.
        """
        for name in self._files.names():
            values = self._row(name, with_samples)
            experiment = unquote(name.split("/")[0].partition("=")[2])
            try:
                found = run_from(values, experiment)
            except (KeyError, TypeError, ValueError) as error:
                raise self._unreadable(name, values, error) from None
            yield found

    def _row(self, name: str, with_samples: bool) -> dict[str, Any]:
        """Read the columns of a run that it is made of."""
        wanted = ["run", "started", "wall_seconds", *WHOLE]
        if not with_samples:
            wanted.remove("samples")
        try:
            # ParquetFile: the folders' names are no columns here
            file = pq.ParquetFile(self._files.open_table(name))
            table = file.read(columns=wanted)
        except (OSError, pa.ArrowException) as error:
            words = str(error).splitlines()[0]
            raise OutputError(
                f"{self.root}/{name}: cannot be read: {words}: remove it, and run the "
                "study again with --resume"
            ) from None
        row: dict[str, Any] = table.to_pylist()[0]
        return {"samples": [], **row}

    def _unreadable(
        self, name: str, values: dict[str, Any], error: Exception
    ) -> OutputError:
        """Say what is not as this rmqueue writes it, and what to do."""
        missing = [column for column in REQUIRED if column not in values]
        if missing:
            what = f"it has no column {missing[0]!r}"
        elif isinstance(error, KeyError):
            what = f"a column lacks {error.args[0]!r}"
        else:
            what = str(error).splitlines()[0]
        return OutputError(
            f"{self.root}/{name}: {what}: another version of rmqueue wrote it: remove "
            "the file, and run the study again with --resume"
        )

    def write_manifest(self, values: dict[str, Any]) -> None:
        """Keep what the study is and wants."""
        self._files.write_text(MANIFEST, json.dumps(values, indent=1) + "\n")

    def has_manifest(self) -> bool:
        """Whether a study is kept there."""
        try:
            self._files.read_text(MANIFEST)
        except OSError:
            return False
        return True

    def manifest(self) -> dict[str, Any]:
        """Read what the study is and wants.

        Raises
        ------
        UsageError
            There is no study, or its manifest is damaged.
        """
        try:
            values: dict[str, Any] = json.loads(self._files.read_text(MANIFEST))
        except (FileNotFoundError, NotADirectoryError):
            raise UsageError(
                f"{self.root}: no study is kept there: name the folder that "
                "'rmqueue run' has written"
            ) from None
        except (OSError, ValueError) as error:
            path = f"{self.root}/{MANIFEST}"
            raise UsageError(f"{path}: cannot be read: {error}") from None
        return values


def key_of(name: str) -> str:
    """Key of the run that a file is called after.

    Examples
    --------
    >>> key_of("experiment=a/strategy=b/1f.parquet")
    '1f'
    """
    return name.rpartition("/")[2].removesuffix(".parquet")


def without_samples(run: KeptRun) -> KeptRun:
    """Return a run without how it went."""
    return replace(run, samples=())
