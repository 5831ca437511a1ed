"""Our arm is a guest like any other robot: the house stands without it."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

SCRIPT = """
import importlib, pkgutil, sys
sys.path.insert(0, ".")
for package in ("world_model", "envs", "planners", "agent"):
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
assert "envs.arm" not in sys.modules
from agent.run.config.composing import compose_config
from agent.run.stages.vision import configured_task
print(configured_task(compose_config(["env=reacher"])).reset(0).goal)
"""


def test_all_that_is_not_the_arms_can_be_imported_and_used_without_it(tmp_path):
    for name in ("agent", "configs", "envs", "jepa_mpc", "planners", "world_model"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "arm"))
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "fingertip" in done.stdout
