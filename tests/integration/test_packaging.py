import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("package", ["agent", "configs", "envs", "planners", "world_model"])
def test_our_packages_are_those_of_this_checkout(package):
    origin = importlib.import_module(package).__file__
    assert origin is not None
    assert Path(origin).parent == ROOT / package


def test_what_draws_is_loaded_only_to_draw():
    code = "import sys, agent.api; print({'matplotlib', 'scipy.stats', 'tensorboard'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"


def test_a_worker_that_collects_loads_no_torch():
    code = "import sys; import agent.run.cli, envs.episodes.collection; print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"
