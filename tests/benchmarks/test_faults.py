"""Faults that are planted to see whether anything notices."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import benchmarks
from benchmarks.faults import planting
from benchmarks.faults.catching import TESTS
from benchmarks.faults.planting import NO_FAULT, apply, fault_names, plant, says
from jepa_mpc.errors import UserError

ROOT = Path(benchmarks.__path__[0]).parent
LEAST_FAULTS = 10
PACKAGES = ("agent", "envs", "planners", "world_model")


def test_every_fault_still_applies_and_changes_the_code_that_is_shipped(tmp_path):
    assert len(fault_names()) >= LEAST_FAULTS
    tree = plant(NO_FAULT, tmp_path / "tree")
    shipped = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    for name in fault_names():
        apply(name, tree)
        copies = {path: tree / path.relative_to(ROOT) for path in shipped}
        changed = [path for path, copy in copies.items() if path.read_bytes() != copy.read_bytes()]
        assert len(changed) == 1, (name, changed)
        assert says(name).endswith("."), name
        shutil.copy(changed[0], copies[changed[0]])


def test_a_fault_that_no_longer_applies_is_named(monkeypatch, tmp_path):
    line = "--- a/pyproject.toml\n+++ b/pyproject.toml\n@@ -1,1 +1,1 @@\n-what was never there\n+anything\n"
    (tmp_path / "old.patch").write_text(f"It is old.\n\n{line}")
    monkeypatch.setattr(planting, "_FOLDER", tmp_path)
    with pytest.raises(UserError, match=r"the fault 'old' no longer applies: write .*old\.patch anew"):
        plant("old", tmp_path / "tree")


def test_the_tests_that_may_catch_a_fault_are_there():
    for test in TESTS:
        path, _, function = test.partition("::")
        assert f"def {function}" in (ROOT / path).read_text()


@pytest.mark.slow
def test_every_fault_is_caught_and_the_tree_without_one_by_nothing():
    subprocess.run([sys.executable, "-m", "benchmarks.faults"], cwd=ROOT, check=True)
