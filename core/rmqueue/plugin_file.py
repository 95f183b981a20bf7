"""A single file as a plugin: ``--plugin ./my_idea.py``.

The name of its module is made of its path, so that it is the same in every run: numba
imports the module of each function whose compiled code it takes from its cache.
"""

from __future__ import annotations

import difflib
import hashlib
import linecache
import re
import sys
import traceback
from pathlib import Path
from types import FunctionType, ModuleType

from rmqueue import hookspecs
from rmqueue.errors import PluginError, UnknownNameError

#: What pluggy leaves on a function that is marked with `hookspecs.hookimpl`.
MARK = f"{hookspecs.GROUP}_impl"
OURS = Path(__file__).parent
#: Where a name is looked for first: others import most of these names from there.
FIRST = ("rmqueue.mm.mmzone", "rmqueue.mm.vmstat", "rmqueue.mm.fallback")
HOOKS = tuple(name for name in vars(hookspecs) if name.startswith("rmqueue_"))


def module_name(path: Path) -> str:
    """Name of the module that a file becomes: the same for the same path.

    Examples
    --------
    >>> module_name(Path("/a/my-idea.py"))
    'rmqueue_file_my_idea_0c70ba4d'
    """
    absolute = str(path.resolve())
    digest = hashlib.sha256(absolute.encode("utf-8", "surrogateescape")).hexdigest()
    return f"rmqueue_file_{re.sub('[^0-9A-Za-z]', '_', path.stem)}_{digest[:8]}"


def load_file(path: Path) -> ModuleType:
    """Run a file as a module.

    Nothing is written beside it, and what was compiled of an earlier version of the
    file is not looked at.

    Parameters
    ----------
    path : Path
        A Python file.

    Raises
    ------
    PluginError
        It cannot be read or run, or has no hook; the message names file and line.
    """
    try:
        source = path.read_bytes()
    except OSError as error:
        raise PluginError(f"{path}: cannot be read: {error.strerror}") from None
    name = module_name(path)
    module = ModuleType(name)
    module.__file__ = str(path.absolute())
    linecache.checkcache(str(path))
    sys.modules[name] = module
    try:
        exec(compile(source, str(path), "exec", dont_inherit=True), vars(module))
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise PluginError(f"{place(error, path)}: {words(error, path)}") from error
    wrong = wrong_hooks(module, path)
    if wrong:
        del sys.modules[name]
        raise PluginError("\n".join(wrong))
    return module


def place(error: BaseException, path: Path) -> str:
    """File, and the line of it that an error comes from."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return f"{path}, line {error.lineno}" if error.lineno else str(path)
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(path)]
    return f"{path}, line {lines[-1]}" if lines else str(path)


def words(error: BaseException, path: Path) -> str:
    """Say what an error is, without the place if that is in the file."""
    if isinstance(error, ImportError):
        return import_words(error)
    here = isinstance(error, SyntaxError) and error.filename == str(path)
    text = str(error.args[0]) if here else str(error)
    return f"{type(error).__name__}: {text}".removesuffix(": ")


def import_words(error: ImportError) -> str:
    """Say what cannot be imported, and the nearest name that can.

    Examples
    --------
    >>> import_words(ImportError("cannot import name 'jitt' from 'rmqueue.mm.jit' (x)"))
    "ImportError: cannot import name 'jitt' from 'rmqueue.mm.jit': did you mean 'jit'?"
    """
    text, advice = f"{type(error).__name__}: {error}", ""
    name = re.match(r"cannot import name '(\w+)' from '(rmqueue[\w.]*)'", str(error))
    module = re.match(r"No module named '(rmqueue[\w.]*)'", str(error))
    if name:
        text = f"{type(error).__name__}: {name[0]}"
        advice = nearest_name(name[1], name[2])
    elif module:
        paths = (file.relative_to(OURS.parent) for file in OURS.rglob("*.py"))
        known = [".".join(path.with_suffix("").parts) for path in paths]
        near = difflib.get_close_matches(module[1], known, n=1)
        advice = f": did you mean {near[0]!r}?" if near else ""
    return text + advice


def nearest_name(name: str, module: str) -> str:
    """Advice where a name of rmqueue is, or which is near; nothing if none is."""
    loaded = [m for m in sorted(sys.modules) if m.startswith("rmqueue.")]
    for other in (*FIRST, *loaded):
        found = getattr(sys.modules.get(other), name, None)
        if found is not None:
            home = str(getattr(found, "__module__", other))
            return f": it is in {home if home in loaded else other}"
    for other in (module, *FIRST, *loaded):
        known = [n for n in dir(sys.modules.get(other)) if n[0] != "_"]
        near = difflib.get_close_matches(name, known, n=1)
        if near:
            where = "" if other == module else f" of {other}"
            return f": did you mean {near[0]!r}{where}?"
    return ""


def wrong_hooks(module: ModuleType, path: Path) -> list[str]:
    """Say what keeps the hooks of a file from being found; nothing if all is well."""
    functions = {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, FunctionType)
    }
    marked = {name for name, value in functions.items() if hasattr(value, MARK)}
    wrong = []
    for name, function in functions.items():
        line = f"{path}, line {function.__code__.co_firstlineno}"
        own = function.__module__ == module.__name__
        if name in marked and name not in HOOKS:
            wrong.append(f"{line}: {UnknownNameError('hook', name, HOOKS)}")
        elif name in HOOKS and name not in marked and own:
            wrong.append(
                f"{line}: {name}() is not marked: put @hookimpl of rmqueue.hookspecs "
                "above it"
            )
    if not marked and not wrong:
        wrong.append(
            f"{path}: there is no hook in it: add a function like rmqueue_strategies() "
            "that returns a list of rmqueue.types.Strategy, and put @hookimpl of "
            "rmqueue.hookspecs above it"
        )
    return wrong
