"""jepa-mpc run: collect, train and evaluate, from nothing to a success rate, all under one folder.

The same command goes on where it was interrupted; a finished stage is not done again.

usage: jepa-mpc run [env=reach|push] [observation=state|pixels|pixels+proprio] [seed=N]
                    [output=DIR] [key=value ...] [-m]
"""

from collections.abc import Sequence
from time import perf_counter

from agent.run.config.composing import compose_config
from agent.run.config.saved import CONFIG_FILE, check_same_run, save_config
from agent.run.stages.collect import collect_data, output_folder
from agent.run.stages.evaluate import evaluate_run
from agent.run.stages.learn import learn
from agent.run.stages.loading import DATA_FOLDER
from agent.run.stages.lock import locked
from agent.run.stages.pictures import draw_pictures
from agent.run.stages.validation import validate, validate_learning
from agent.run.stages.vision import configured_env
from envs.episodes.episode import open_dataset

SECTION = None


def main(overrides: Sequence[str]) -> int:
    """Runs the command."""
    start = perf_counter()
    config = compose_config(overrides, section=SECTION)
    output = output_folder(config, "run")
    if (output / CONFIG_FILE).exists():
        check_same_run(config, output)
    validate(config, configured_env(config).description)
    validate_learning(config, config.values.collect.num_episodes, config.values.collect.num_steps)
    print(config.recipe)
    print(f"everything of this run lies in {output}")
    with locked(output):
        save_config(config, output)
        print("1/3 collect")
        collect_data(config, output / DATA_FOLDER)
        print(f"2/3 train ({perf_counter() - start:.0f} s so far)")
        dataset = open_dataset(output / DATA_FOLDER)
        learn(config, dataset, output)
        draw_pictures(config, dataset, output)
        print(f"3/3 evaluate ({perf_counter() - start:.0f} s so far)")
        code = evaluate_run(config, output, output)
    print(f"done in {perf_counter() - start:.0f} s")
    return code
