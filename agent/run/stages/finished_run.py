"""What commands on a finished run share: its config as the base, its world model, and a folder for what they find."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent.run.config.composing import Changes, Config, ConfigError, compose_config, folder, read_changes
from agent.run.config.saved import continues, read_config
from agent.run.stages.collect import output_folder
from agent.run.stages.loading import checkpoint_path, load_modules
from agent.run.stages.lock import is_taken
from agent.run.stages.modules import Modules
from envs.types import Task


def compose_on_run(changes: Changes, *, command: str, section: str) -> tuple[Config, Path]:
    """Returns the run's own config with what is asked for on top, and the folder of the run.

    Raises:
        ConfigError: What is asked for names no finished run.
    """
    asked = read_changes(changes)
    below = asked.get(section)  # from Python, keys of the section may come as a mapping
    spelled = [asked.get("run"), asked.get(f"{section}.run"), below.get("run") if isinstance(below, dict) else None]
    named = next((it for it in spelled if it is not None), None)
    if named is None:
        raise ConfigError(f"{command} needs the folder of a finished run, as in `jepa-mpc {command} run=runs/demo`")
    run_folder = folder(str(named), f"run={named}")
    return compose_config(asked, section=section, base=saved_base(run_folder)), run_folder


def saved_base(run_folder: Path) -> dict[str, Any]:
    """Returns the config of a run as commands on it start from.

    What is found does not lie among the run's own, and which episodes a run was judged by is no choice for what comes
    after it: nobody looks at the evaluation split by asking for nothing.
    """
    saved = read_config(run_folder)
    judged_by = {key: it for key, it in saved["values"]["evaluate"].items() if key not in ("split", "first_entry")}
    return {**saved, "values": {**saved["values"], "output": None, "evaluate": judged_by}}


def findings_folder(config: Config, run_folder: Path, *, default: str) -> Path:
    """Returns where a command writes what it finds: a new folder, or that of the same command before.

    Args:
        config: Of the command.
        run_folder: Of the run.
        default: Its name inside the run's folder, unless the config names an output.

    Raises:
        ConfigError: The folder is the run's own, or holds something else.
    """
    output = run_folder / default if config.values.output is None else output_folder(config, "")
    if output.resolve() == run_folder.resolve():
        raise ConfigError(f"output must be another folder than the run's own, '{run_folder}'")
    if not continues(config, output) and is_taken(output):
        raise ConfigError(f"output must be a new folder or that of the same command before, '{output}' is neither")
    return output


def with_planner(config: Config, name: str, changes: Mapping[str, Any]) -> Config:
    """Returns the config with a planner: the run's own with the run's values, another one with its recipe's.

    Args:
        config: Of a command on a finished run.
        name: Of the planner.
        changes: What else is changed.
    """
    base: dict[str, Any] = config.plain()
    chosen = {}
    if name != config.choices["planner"]:
        base["choices"]["experiment"] = None  # what it changed is in the values, and might fit its own planner alone
        chosen["planner"] = name
    return compose_config({**changes, **chosen}, base=base)


def load_modules_for(task: Task, config: Config, run_folder: Path) -> Modules:
    """Returns what the run learned, on this very task.

    Raises:
        ConfigError: It was another one.
    """
    modules = load_modules(config, checkpoint_path(run_folder))
    for key, (there, here) in modules.spec.differences(task.spec).items():
        raise ConfigError(
            f"the checkpoint was trained on {modules.spec.task_id} with {key}={there}, here it has {key}={here}: train "
            "again, on episodes that are recorded anew"
        )
    return modules
