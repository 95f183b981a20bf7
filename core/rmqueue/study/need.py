"""What studies need beside rmqueue itself."""

from __future__ import annotations

from importlib.util import find_spec

from rmqueue.errors import UsageError


def need_parquet() -> None:
    """Refuse to go on without pyarrow.

    Raises
    ------
    UsageError
        It is not installed.
    """
    if find_spec("pyarrow") is None:
        raise UsageError(
            "studies are kept as Parquet, which needs pyarrow: "
            'pip install "rmqueue[study]"'
        )


def need_distributed() -> None:
    """Refuse to go on without Dask's scheduler and workers.

    Raises
    ------
    UsageError
        It is not installed.
    """
    if find_spec("distributed") is None:
        raise UsageError(
            "--cluster runs on a Dask cluster, which needs distributed: "
            "pip install 'rmqueue[cluster]'"
        )
