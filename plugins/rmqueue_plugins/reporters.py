"""Reporters: text for mails and terminals, markdown, JSON, CSV, statistics as CSV."""

from __future__ import annotations

from rmqueue.bootstrap import need_scipy
from rmqueue.export import as_csv, as_json, as_statistics_csv
from rmqueue.hookspecs import hookimpl
from rmqueue.report import markdown, text
from rmqueue.types import Reporter


@hookimpl
def rmqueue_reporters() -> list[Reporter]:
    """Register the reporters of this module."""
    return [
        Reporter("terminal", "Plain text in columns, for mails.", ".txt", text),
        Reporter("markdown", "A markdown table.", ".md", markdown),
        Reporter("json", "Everything, for programs.", ".json", as_json),
        Reporter("csv", "A line per strategy and seed.", ".csv", as_csv),
        Reporter(
            "statistics",
            "CSV of means, deviations, intervals and differences over the seeds.",
            ".csv",
            as_statistics_csv,
            check=lambda seeds: need_scipy(seeds, "the report of statistics"),
        ),
    ]
