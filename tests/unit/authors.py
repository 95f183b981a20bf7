"""Strategies as their authors write them: a module in a file, imported from there."""

from __future__ import annotations

import importlib.util
import itertools
import sys
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any

from rmqueue.types import Strategy

HEAD = """\
from rmqueue.mm.fallback import rmqueue_claim, rmqueue_steal
from rmqueue.mm.jit import jit

"""
_numbers = itertools.count()


def module_of(folder: Path, text: str) -> ModuleType:
    """Write a module and import it, under a name that nobody else has."""
    name = f"author_{next(_numbers)}"
    path = folder / f"{name}.py"
    path.write_text(HEAD + dedent(text))
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def strategy_of(folder: Path, body: str, **fields: Any) -> Strategy:
    """Make a strategy of the body of its function."""
    lines = "\n".join("    " + line for line in dedent(body).strip().splitlines())
    text = f"@jit\ndef fallback(zone, order, start_mt, flags, batch, st):\n{lines}\n"
    return Strategy("mine", "Mine.", module_of(folder, text).fallback, **fields)
