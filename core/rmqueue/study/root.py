"""Where a study is kept: a folder, or a URL."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias
from urllib.parse import unquote, urlsplit

#: A folder, or a URL as text.
Root: TypeAlias = Path | str


def root_of(given: Root) -> Root:
    """Tell folders from URLs; ``file://`` is a folder.

    Examples
    --------
    >>> root_of("kept"), root_of("file:///a/kept"), root_of("s3://bucket/kept/")
    (PosixPath('kept'), PosixPath('/a/kept'), 's3://bucket/kept')
    """
    if isinstance(given, Path):
        return given
    if "://" not in given:
        return Path(given)
    url = given.rstrip("/")
    parts = urlsplit(url)
    if parts.scheme in ("file", "local"):
        return Path(unquote(parts.netloc + parts.path) or "/")
    return url
