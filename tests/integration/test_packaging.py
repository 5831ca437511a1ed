import importlib
import subprocess
import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("package", ["agent", "configs", "envs", "planners", "world_model"])
def test_our_packages_are_those_of_this_checkout(package):
    origin = importlib.import_module(package).__file__
    assert origin is not None
    assert Path(origin).parent == ROOT / package


def test_every_pin_installs_on_the_oldest_python_that_is_promised():
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines())
    pinned = {canonicalize_name(name): version for name, version in pins.items()}
    installed = [it for it in distributions() if pinned.get(canonicalize_name(it.name)) == it.version]
    oldest = {it.name: _admits(it, "3.11.0") for it in installed}
    assert len(oldest) > 50 and [name for name, admitted in oldest.items() if not admitted] == []


def _admits(distribution: Distribution, python: str) -> bool:
    return SpecifierSet(distribution.metadata.get("Requires-Python") or "").contains(python)


def test_what_draws_is_loaded_only_to_draw():
    code = "import sys, agent.api; print({'matplotlib', 'scipy.stats', 'tensorboard'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"


def test_a_worker_that_collects_loads_no_torch():
    code = "import sys; import agent.run.cli, envs.episodes.collection; print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"
