from importlib import import_module
from pathlib import Path

import pytest

import benchmarks


@pytest.mark.parametrize("path", sorted(Path(benchmarks.__path__[0]).glob("*.py")), ids=lambda path: path.stem)
def test_every_benchmark_finds_what_it_uses(path):
    import_module(f"benchmarks.{path.stem}")
