"""The checkout that benchmarks are of: where it is, and its commits."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from rmqueue.errors import UsageError

#: What makes a folder the root of a checkout with benchmarks.
CONFIG = "asv.conf.json"
#: How the files as they are now are called, where a commit is expected.
WORKING_TREE = "working tree"


def find_checkout(start: Path | None = None) -> Path | None:
    """Return the nearest folder with benchmarks, upwards; None: there is none."""
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / CONFIG).is_file():
            return folder
    return None


def checkout(purpose: str, start: Path | None = None) -> Path:
    """Return the nearest folder with benchmarks, upwards.

    Parameters
    ----------
    purpose : str
        What needs it, for the message.
    start : Path or None
        Where to begin; None: the current folder.

    Raises
    ------
    UsageError
        There is none.
    """
    found = find_checkout(start)
    if found is None:
        raise UsageError(
            f"{purpose} needs a checkout of rmqueue: neither {start or Path.cwd()} nor "
            f"a folder above it has {CONFIG}: run it in a clone of the repository"
        )
    return found


def git(root: Path, *words: str, env: Mapping[str, str] | None = None) -> str:
    """Ask git, and return what it prints.

    Raises
    ------
    UsageError
        git is not installed, or refuses.
    """
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *words],
            capture_output=True,
            text=True,
            env={**os.environ, **(env or {})},
        )
    except FileNotFoundError:
        raise UsageError("git is not installed: commits cannot be looked up") from None
    if done.returncode:
        why = done.stderr.strip() or f"status {done.returncode}"
        raise UsageError(f"{root}: git {words[0]}: {why}")
    return done.stdout.strip()


def commit_of(root: Path, name: str) -> str:
    """Return the full id of a commit.

    Raises
    ------
    UsageError
        There is no such commit.
    """
    try:
        return git(root, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    except UsageError:
        raise UsageError(
            f"{root}: no commit is called {name!r}: give a branch, a tag or an id"
        ) from None


def snapshot(root: Path) -> str:
    """Return a commit of the files as they are now; HEAD if nothing has changed.

    It lies on no branch, and neither the index nor a file is touched.  New files are
    in it, ignored ones are not.
    """
    head = commit_of(root, "HEAD")
    with tempfile.TemporaryDirectory() as folder:
        env = {"GIT_INDEX_FILE": str(Path(folder, "index"))}
        git(root, "read-tree", "HEAD", env=env)
        git(root, "add", "--all", env=env)
        tree = git(root, "write-tree", env=env)
    if tree == git(root, "rev-parse", "HEAD^{tree}"):
        return head
    who = ("-c", "user.name=rmqueue bench", "-c", "user.email=nobody@localhost")
    made = ("commit-tree", tree, "-p", head, "-m", WORKING_TREE)
    return git(root, *who, *made)


def subjects(root: Path, commits: list[str]) -> dict[str, str]:
    """First line of the message of each commit that the checkout has."""
    found = {}
    for commit in commits:
        try:
            found[commit] = git(root, "log", "-1", "--format=%s", commit)
        except UsageError:  # measured in another clone, and never pushed
            found[commit] = ""
    return found
