"""The script of README.md that takes a study to SLURM."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"
LINES = 10


def script() -> str:
    text = README.read_text(encoding="utf-8")
    found = re.search(
        r"^```text\n(# slurm\.py.*?)^```$", text, re.MULTILINE | re.DOTALL
    )
    assert found, "README.md has no block that begins with '# slurm.py'"
    return found[1]


def cluster_call() -> ast.Call:
    """The call that makes the cluster."""
    for node in ast.walk(ast.parse(script())):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "SLURMCluster":
            return node
    raise AssertionError("the script makes no SLURMCluster")


def test_it_is_python_in_ten_lines() -> None:
    compile(script(), "slurm.py", "exec")
    code = [line for line in script().splitlines() if line.strip(" ")]
    assert len([line for line in code if not line.startswith("#")]) <= LINES


@pytest.mark.skipif(
    importlib.util.find_spec("dask_jobqueue") is None,
    reason="dask-jobqueue is not installed",
)
def test_slurm_is_asked_for_what_it_says(tmp_path: Path) -> None:
    path = tmp_path / "job.py"
    path.write_text(
        "from dask_jobqueue import SLURMCluster\n"
        "if __name__ == '__main__':\n"
        f"    with {ast.unparse(cluster_call())} as cluster:\n"
        "        print(cluster.job_script())\n"
    )
    done = subprocess.run(
        [sys.executable, path], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    given = {k.arg: ast.literal_eval(k.value) for k in cluster_call().keywords}
    assert f"#SBATCH --cpus-per-task={given['cores']}\n" in done.stdout
    assert f"#SBATCH -t {given['walltime']}\n" in done.stdout
    assert f"--nthreads {given['cores']} " in done.stdout
    gib = int(given["memory"].removesuffix("GB")) * 10**9 / 2**30
    assert f"--memory-limit {gib:.2f}GiB" in done.stdout
