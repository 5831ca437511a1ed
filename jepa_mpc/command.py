"""The door of the command line, which opens whatever lies beside a script or on `PYTHONPATH`."""

import sys

from jepa_mpc.packages import prefer_packages


def main() -> int:
    """Runs one command of this process; see `agent.run.cli`."""
    prefer_packages()
    from agent.run.cli import main

    return main()


if __name__ == "__main__":
    sys.exit(main())
