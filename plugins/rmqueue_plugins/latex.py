r"""Reporter ``latex``: a booktabs table that compiles as it is.

The file is a document of its own, and a table where another document has ``\input`` it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from rmqueue.bootstrap import need_scipy
from rmqueue.grid import Grid, grid_of
from rmqueue.hookspecs import hookimpl
from rmqueue.results import Comparison
from rmqueue.types import Reporter

#: What LaTeX would take for something else.
SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "±": r"$\pm$",
    "→": r"$\rightarrow$",
    "µ": r"\textmu{}",
    "≥": r"$\ge$",
    "≤": r"$\le$",
}
ARROW = re.compile(r"\s+<-\s+")
NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?")
#: A number, two of them that belong together, a percentage.
CELL = re.compile(rf"{NUMBER.pattern}(?:(?: ± |\.\.){NUMBER.pattern})?(?: %)?")
#: Before the table: nothing where a document has begun already.
BEGIN = r"""% pdflatex compiles this file; another document takes it by \input, with
% \usepackage[T1]{fontenc}, \usepackage{textcomp} and \usepackage{booktabs,graphicx}.
\makeatletter
\ifx\@nodocument\relax
  \let\rmqueueend\relax
\else
  \documentclass{article}
  \usepackage[T1]{fontenc}
  \usepackage[utf8]{inputenc}
  \usepackage{textcomp}
  \usepackage{booktabs,graphicx}
  \begin{document}
  \def\rmqueueend{\end{document}}
\fi
\makeatother"""
END = r"\rmqueueend"
#: The table shrinks to the width of the text if it is wider.
FIT = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"


def latex(comparison: Comparison) -> str:
    """Lay a comparison out as a table with a caption."""
    grid = grid_of(comparison)
    columns = "l" + "r" * len(grid.headings)
    lines = [
        BEGIN,
        r"\begin{table}[htbp]",
        r"\centering",
        rf"\caption{{{'. '.join(escaped(line).rstrip('.') for line in grid.title)}.}}",
        rf"\label{{tab:{re.sub(r'[^A-Za-z0-9-]+', '-', comparison.experiment)}}}",
        FIT,
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        row_of("", grid.headings, escaped),
        r"\midrule",
        *body(grid),
        r"\bottomrule",
        r"\end{tabular}}",
        *notes(grid),
        r"\end{table}",
        END,
    ]
    return "\n".join(lines) + "\n"


def body(grid: Grid) -> Iterator[str]:
    """Yield the rows, and those of the changes."""
    for label, cells in grid.rows:
        yield row_of(label, cells, number)
    if grid.changes:
        yield r"\midrule"
        columns = 1 + len(grid.headings)
        title = rf"\emph{{{escaped(grid.changes_title)}}}"
        yield rf"\multicolumn{{{columns}}}{{l}}{{{title}}} \\"
    for label, cells in grid.changes:
        yield row_of(label, cells, number)


def notes(grid: Grid) -> Iterator[str]:
    """Yield the lines below the table."""
    if grid.notes:
        lines = r" \\ ".join(map(escaped, grid.notes))
        yield r"\par\smallskip"
        yield rf"\parbox{{\linewidth}}{{\footnotesize\raggedright {lines}}}"


def row_of(label: str, cells: tuple[str, ...], write: Callable[[str], str]) -> str:
    """One line of the table."""
    indent = r"\quad " if label.startswith(" ") else ""
    return " & ".join([indent + escaped(label.strip()), *map(write, cells)]) + r" \\"


def number(cell: str) -> str:
    r"""Write a cell, its numbers with true minus signs.

    Examples
    --------
    >>> print(number("-1.5..+2.0"), number("12 ± 3"), number("-56.4 %"))
    $-1.5$ to $+2.0$ $12$ $\pm$ $3$ $-56.4$\,\%
    """
    if (
        not re.fullmatch(r"[-+\d. ±%]*", cell)
        or cell.count(".") > cell.count("..") * 2 + 2
    ):
        return escaped(cell)
    words = NUMBER.sub(lambda match: f"${match[0]}$", cell)
    return words.replace("..", " to ").replace(" %", r"\,\%").replace("±", r"$\pm$")


def escaped(words: str) -> str:
    r"""Words that LaTeX takes literally; spaces of columns become single.

    Examples
    --------
    >>> print(escaped("50 % of a_b & claim   movable <- unmovable"))
    50 \% of a\_b \& claim movable $\leftarrow$ unmovable
    """
    parts = ARROW.split(words)
    plain = (
        "".join(SPECIAL.get(one, one) for one in " ".join(p.split())) for p in parts
    )
    return r" $\leftarrow$ ".join(plain)


@hookimpl
def rmqueue_reporters() -> list[Reporter]:
    """Register the reporter of this module."""
    return [
        Reporter(
            "latex",
            "A LaTeX table (booktabs) that compiles as it is.",
            ".tex",
            latex,
            check=lambda seeds: need_scipy(seeds, "the report latex"),
        )
    ]
