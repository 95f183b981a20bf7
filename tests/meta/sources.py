"""The repository as the meta tests see it: its files, modules and syntax trees."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "core" / "rmqueue"
OURS = ("core/rmqueue", "strategies/rmqueue_strategies", "plugins/rmqueue_plugins")
#: A distribution of its own, as a stranger's would be: in no wheel of ours.
STRANGER = "plugins/rmqueue-bestfit"


def python_files(*folders: str) -> list[Path]:
    """Python files below folders of the repository; a missing folder has none."""
    return [
        path
        for folder in folders
        for path in sorted((ROOT / folder).rglob("*.py"))
        if not set(path.parts) & {".venv", ".asv", "env"}
    ]


@cache
def tree(path: Path) -> ast.Module:
    """Syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def shown(path: Path) -> str:
    """A path as messages say it."""
    return path.relative_to(ROOT).as_posix()


def module_name(path: Path) -> str:
    """Dotted name of a module below one of the source roots."""
    parts = path.relative_to(ROOT).with_suffix("").parts[1:]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def core_modules() -> dict[str, Path]:
    """Modules of core by dotted name."""
    return {module_name(path): path for path in python_files("core/rmqueue")}


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything that a module imports when it runs.

    Imports inside functions count; those for type checkers alone do not.  A name that
    comes out of a package is followed to the module that it is.
    """
    yield from _imports(tree(path).body)


def _imports(nodes: list[ast.stmt]) -> Iterator[tuple[int, str]]:
    for node in nodes:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from _imports(node.orelse)
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from _imports_from(node)
        else:
            for name in ("body", "orelse", "finalbody", "handlers", "cases"):
                for part in getattr(node, name, ()):
                    yield from _imports([part])


def _imports_from(node: ast.ImportFrom) -> Iterator[tuple[int, str]]:
    module = "." * node.level + (node.module or "")
    for alias in node.names:
        dotted = f"{module}.{alias.name}"
        yield node.lineno, dotted if dotted in core_modules() else module


def tracked_files() -> list[Path]:
    """Files under version control; in an unpacked sdist, which has none, all files."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z"],
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode or not (ROOT / ".git").exists():
        hidden = {".venv", ".demo-venv", "__pycache__", ".git", ".mypy_cache"}
        files = (path for path in ROOT.rglob("*") if path.is_file())
        return [path for path in files if not hidden & set(path.parts)]
    names = [name for name in listed.stdout.split("\0") if name]
    return [path for name in names if (path := ROOT / name).is_file()]
