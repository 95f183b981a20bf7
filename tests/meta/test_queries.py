"""The queries that README.md shows, on the study that it shows."""

from __future__ import annotations

import doctest
import re
from pathlib import Path
from typing import Any

import pytest

from rmqueue.study.run import Wanted, run
from tests.meta.documents import blocks
from tests.meta.sources import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
STUDY = next(b for b in blocks("README.md") if b.file == "batches.toml")
QUERIES = [
    block
    for block in re.findall(r"```text\n(>>> .*?)```", README, re.DOTALL)
    if "batches.study" in block
]


def test_queries_of_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both give a row for each strategy and size of the zone."""
    monkeypatch.chdir(tmp_path)
    Path("batches.toml").write_text(STUDY.body)
    run(Wanted("batches.toml", folder=Path("batches.study"), quick=True, quiet=True))
    (text,) = QUERIES
    answers = list(answers_of(text))
    assert len(answers) == 2
    polars, duckdb = answers
    rows = sorted(polars.rows())
    assert [row[:2] for row in rows] == sorted(
        (strategy, pages)
        for strategy in ("capped-claim", "remembered-fallback")
        for pages in (16384.0, 65536.0)
    )
    assert [row[2] for row in rows] == [1e6 * row[2] for row in duckdb.fetchall()]


def answers_of(text: str) -> Any:
    """Run the lines of a session; yield what would be printed."""
    names: dict[str, Any] = {}
    for example in doctest.DocTestParser().get_examples(text):
        try:
            code = compile(example.source, "README.md", "eval")
        except SyntaxError:
            exec(example.source, names)
        else:
            yield eval(code, names)
