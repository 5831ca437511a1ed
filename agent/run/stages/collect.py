"""jepa-mpc collect: record episodes of a simulated robot that explores, in parallel processes.

An interrupted collection goes on where it was, and ends with the same bytes.

usage: jepa-mpc collect [env=reach|push] [observation=state|pixels|pixels+proprio] [num_episodes=N] [seed=N]
                        [output=DIR] [key=value ...]
"""

from collections.abc import Sequence
from pathlib import Path

from agent.run.config.building import build
from agent.run.config.composing import Config, ConfigError, compose_config
from agent.run.stages.lock import locked
from agent.run.stages.validation import validate_collection
from agent.run.stages.vision import configured_env, make_vision
from envs.episodes.collection import collect
from envs.episodes.manifest import Manifest

SECTION = "collect"


def main(overrides: Sequence[str]) -> int:
    """Runs the command."""
    config = compose_config(overrides, section=SECTION)
    output = output_folder(config, "data")
    validate_collection(config, configured_env(config).description)  # before anything is written
    print(config.recipe)
    with locked(output):
        collect_data(config, output)
    print(f"the episodes lie in {output}; next: jepa-mpc train data={output}")
    return 0


def collect_data(config: Config, output: Path) -> Manifest:
    """Collects what the config asks for, and prints what it came to."""
    values = config.values
    manifest = collect(
        env_id=values.env.env_id,
        vision=make_vision(config),
        make_policy=build(values.exploration),
        policy_name=str(config.choices["exploration"]),
        policy_values=config.named("exploration")["values"],
        seed=values.seed,
        num_episodes=values.collect.num_episodes,
        num_steps=values.collect.num_steps,
        num_workers=values.collect.num_workers,
        output=output,
    )
    for measure, value in manifest.report.items():
        if value is not None:
            print(f"  {measure.replace('_', ' ')}: {value:.3f}")
    return manifest


def output_folder(config: Config, what: str) -> Path:
    """Returns the folder that the config names, or one under runs/ named after the task and the seed.

    Raises:
        ConfigError: It names a file.
    """
    values = config.values
    default = f"runs/{config.choices['env']}_{config.choices['observation']}_{what}_seed{values.seed}"
    if not isinstance(values.output, str | None):
        raise ConfigError(f"output must be a folder, got {values.output!r}")
    folder = Path(default if values.output is None else values.output)
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"output must be a folder, '{folder}' is a file")
    return folder
