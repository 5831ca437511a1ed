"""The command line: `jepa-mpc COMMAND [key=value ...]`."""

from agent.run.cli.commands import main

__all__ = ["main"]
