"""`python -m benchmarks.planners` is `python -m benchmarks.planners.loops`."""

from benchmarks.planners.loops import main

main()
