"""`python -m benchmarks.planners` is `python -m benchmarks.planners.loops`."""

from benchmarks.arguments import call
from benchmarks.planners.loops import main

call(main)
