"""What may catch a fault: named tests, the same for all faults, and the canary."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.canary.check import FINDINGS

TESTS = (
    "tests/planners/test_types.py",
    "tests/planners/test_cem.py",
    "tests/planners/test_warm_start.py",
    "tests/agent/test_actor.py",
    "tests/agent/test_objective.py",
    "tests/agent/test_critic.py",
    "tests/agent/test_carried_state.py",
    "tests/world_model/training/test_data.py",
    "tests/world_model/test_jepa.py",
    "tests/world_model/training/test_train.py::test_what_is_learned_validated_and_normalised_by_comes_from_the_right_side",
)
"""Quick tests of what plans, acts, prices and learns, the quickest first."""


def run_tests(tree: Path) -> str | None:
    """Returns the first of the named tests that fails in a tree, or None."""
    done = _run(tree, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *TESTS)
    if done.returncode == 0:
        return None
    failed = re.search(r"^(?:FAILED|ERROR) (?:tests/)?(\S+)", done.stdout, flags=re.MULTILINE)
    return f"test {failed[1]}" if failed else f"tests: {_last_line(done)}"


def run_canary(tree: Path) -> str | None:
    """Returns the checks of the canary that fail in a tree, or None."""
    done = _run(tree, "-m", "benchmarks.canary", f"output={tree / 'canary'}")
    if done.returncode == 0:
        return None
    findings = tree / "canary" / FINDINGS
    if not findings.is_file():
        return f"canary: {_last_line(done)}"
    failed = [it["claim"] for it in json.loads(findings.read_text(encoding="utf-8")) if not it["passed"]]
    return f"canary: {'; '.join(failed)}"


CATCHERS: dict[str, Callable[[Path], str | None]] = {"tests": run_tests, "canary": run_canary}


def caught_by(tree: Path, catchers: Sequence[str]) -> str | None:
    """Returns what catches first that something is wrong in a tree, or None."""
    for name in catchers:
        if catch := CATCHERS[name](tree):
            return catch
    return None


def _run(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs this Python in a tree, whose packages are found before those that are installed."""
    own = {"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run([sys.executable, *arguments], cwd=tree, env=os.environ | own, capture_output=True, text=True)


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    lines = (done.stderr.strip() or done.stdout.strip() or "no word").splitlines()
    return lines[-1]
