"""Are planted faults caught? `python -m benchmarks.faults [faults=[NAME,...]] [by=[tests,canary]]`.

Each fault, a patch beside this file, is applied to a copy of this tree; then the named tests run, which are the same
for all faults, and the canary where those pass. What catches it first ends it. The tree without a fault, `no_fault`,
has to be caught by nothing. Exit code 1 where a fault is caught by nothing, or `no_fault` by something.
"""

import sys
from collections.abc import Collection
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from benchmarks.arguments import call, read_settings
from benchmarks.faults.catching import CATCHERS, caught_by
from benchmarks.faults.planting import NO_FAULT, fault_names, plant, says
from benchmarks.tables import table
from jepa_mpc.errors import UserError


def main() -> None:
    start = perf_counter()
    settings = read_settings({"faults": [NO_FAULT, *fault_names()], "by": list(CATCHERS)})
    _check(settings.faults, [NO_FAULT, *fault_names()], "faults")
    _check(settings.by, CATCHERS, "by")
    rows, num_wrong = [], 0
    for name in settings.faults:
        began = perf_counter()
        with TemporaryDirectory() as folder:
            tree = plant(name, Path(folder) / "tree")
            catch = caught_by(tree, settings.by)
        is_right = (catch is None) == (name == NO_FAULT)
        num_wrong += not is_right
        rows.append([name, says(name), catch or "nothing", f"{perf_counter() - began:.0f}"])
        print(f"{'ok    ' if is_right else 'WRONG '}  {name}: caught by {rows[-1][2]}", flush=True)
    print(table(["fault", "what it does", "caught by", "seconds"], rows))
    print(f"{len(rows) - num_wrong} of {len(rows)} as it should be, in {perf_counter() - start:.0f} s")
    if num_wrong:
        sys.exit(1)


def _check(names: Collection[str], known: Collection[str], key: str) -> None:
    for name in names:
        if name not in known:
            raise UserError(f"{key} must be among {', '.join(known)}, got '{name}'")


if __name__ == "__main__":
    call(main)
