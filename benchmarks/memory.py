"""Peak memory of a command and all its children, as proportional set size (Linux).

`python -m benchmarks.memory jepa-mpc run env=reach output=runs/memory`
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.arguments import call
from jepa_mpc.errors import UserError

INTERVAL = 0.1
"""Between two looks, s."""


def main() -> None:
    process = subprocess.Popen([program(sys.argv[1:]), *sys.argv[2:]])
    peak, at_peak = 0, {}
    while process.poll() is None:
        sizes = {pid: pss(pid) for pid in [process.pid, *descendants(process.pid)]}
        if sum(sizes.values()) > peak:
            peak, at_peak = sum(sizes.values()), sizes
        time.sleep(INTERVAL)
    parts = " + ".join(f"{size / 2**20:.0f}" for size in at_peak.values())
    print(f"peak memory {peak / 2**20:.0f} MiB in {len(at_peak)} processes ({parts})")


def program(command: list[str]) -> str:
    """Returns where the program of a command lies: beside this Python, as what is installed with it, or on the path.

    Raises:
        UserError: There is none.
    """
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    found = shutil.which(command[0], path=places) if command else None
    if found is None:
        asked = f"there is no program '{command[0]}'" if command else "there is no command to measure"
        raise UserError(
            f"{asked}: name one as in python -m benchmarks.memory jepa-mpc run env=reach output=runs/memory"
        )
    return found


def descendants(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = [int(child) for child in task.read_text().split()]
        except OSError:
            continue
        for child in children:
            found += [child, *descendants(child)]
    return found


def pss(pid: int) -> int:
    """Returns the proportional set size of a process in bytes, 0 where it is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


if __name__ == "__main__":
    call(main)
