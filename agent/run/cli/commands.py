"""The command line: `jepa-mpc COMMAND [key=value ...]`."""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from types import ModuleType

from agent.run.cli.streams import prepare_streams
from jepa_mpc.errors import UserError
from jepa_mpc.files import check_working_folder

COMMANDS = {
    "run": "collect, train and evaluate: the whole, from nothing to a success rate",
    "collect": "record episodes of a simulated robot that explores",
    "train": "train a world model on recorded episodes: data=DIR",
    "evaluate": "measure the success of a finished run: run=DIR",
    "compare-planners": "run every planner on the same episodes, and draw success against evaluations: run=DIR",
    "benchmark": "train tasks with several seeds, let several agents act, and put all in one table: output=DIR",
    "compare": "two evaluations of the same episodes, episode by episode: compare DIR DIR output=DIR",
    "view": "watch the agent of a finished run and reach into its task, or write a film: run=DIR [record=FILE]",
    "surprise": "stage what cannot be, and tell whether the world model is surprised by it: run=DIR",
    "latency": "tell by recordings how late a robot's actions take effect: run=DIR data=DIR",
    "check-data": "verify a folder of recorded episodes: check-data DIR",
    "doctor": "report versions, cores, GPU and what can render, and how to mend it",
}

_OF_THE_SHELL = ("check-data", "compare", "doctor")  # commands without a config

_EXAMPLES = """\
examples:
  jepa-mpc run env=reach output=runs/reach
  jepa-mpc run env=push planner.num_samples=512
  jepa-mpc run -m seed=0,1,2
  jepa-mpc collect env=push num_episodes=1000 output=runs/push_data
  jepa-mpc train data=runs/push_data output=runs/push_model
  jepa-mpc evaluate run=runs/push_model num_episodes=300 fail_under=0.95
  jepa-mpc compare-planners run=runs/push_model planners=[cem,mppi] budgets=[64,256,1024]
  jepa-mpc benchmark output=runs/benchmark
  jepa-mpc compare runs/push_model/evaluate_icem runs/push_model/evaluate_cem output=runs/compared
  jepa-mpc view run=runs/push_model
  jepa-mpc view run=runs/push_model record=push.webp
  jepa-mpc surprise run=runs/push_model
  jepa-mpc latency run=runs/push_model data=runs/late_robot
  jepa-mpc check-data runs/push_data"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        arguments: As on the command line, or None for those of this process.

    Returns:
        The exit code: 0, 1 for a result that falls short, 2 for a user's mistake, 3 for a fault of ours, 130 when
        interrupted; of a sweep, the highest.
    """
    if arguments is None:
        prepare_streams()
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    command = arguments[0] if arguments else "--help"
    if command in ("-h", "--help"):
        print(_usage())
        return 0 if arguments else 2
    if command == "--version":
        print(f"jepa-mpc {version('jepa-mpc')}")
        return 0
    if command not in COMMANDS:
        print(f"jepa-mpc: there is no command '{command}'; there are: {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    try:
        check_working_folder()
        return _run_command(command, arguments[1:])
    except UserError as error:
        print(f"jepa-mpc: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            "\njepa-mpc: interrupted; what was finished is kept, and the same command goes on from there",
            file=sys.stderr,
        )
        return 130


def _run_command(command: str, arguments: list[str]) -> int:
    from agent.run.cli.errors import attempt
    from agent.run.cli.sweep import run_all, split_sweep

    def work() -> int:
        package = "cli" if command in _OF_THE_SHELL else "stages"
        module = import_module(f"agent.run.{package}.{command.replace('-', '_')}")
        if "-h" in arguments or "--help" in arguments:
            _print_help(module, arguments)
            return 0
        if not hasattr(module, "SECTION"):
            return int(module.main(arguments))
        return run_all(split_sweep(arguments), module.main)

    outcome = attempt(work)
    if outcome.said:
        print(f"jepa-mpc {command}: {outcome.said}", file=sys.stderr)
    return outcome.code


def _print_help(module: ModuleType, arguments: list[str]) -> None:
    from agent.run.cli.help import config_help

    print((module.__doc__ or "").strip())
    if hasattr(module, "SECTION"):
        print("\n" + config_help(module.SECTION, [text for text in arguments if not text.startswith("-")]))


def _usage() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name.ljust(width)}  {meaning}" for name, meaning in COMMANDS.items()]
    return "\n".join(
        [
            "jepa-mpc: robots that plan in imagination",
            "",
            "usage: jepa-mpc COMMAND [key=value ...] [-m]",
            "",
            *lines,
            "",
            _EXAMPLES,
            "",
            "jepa-mpc COMMAND [key=value ...] --help lists the keys of a command.",
        ]
    )
