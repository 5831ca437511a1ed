from importlib import import_module
from pathlib import Path

import pytest

import benchmarks

ROOT = Path(benchmarks.__path__[0])
MODULES = sorted(".".join(path.relative_to(ROOT).with_suffix("").parts) for path in ROOT.rglob("[!_]*.py"))


@pytest.mark.parametrize("module", MODULES)
def test_every_benchmark_finds_what_it_uses(module):
    import_module(f"benchmarks.{module}")
