"""What a second process is worth in collection.

`python -m benchmarks.envs.collection` records 3,000 episodes of reach, worker start-up and checksums included, with one
process and with two in turns, and prints the median of episodes/s and of the ratios of neighbouring runs.
"""

import tempfile
import time
from functools import partial
from pathlib import Path
from statistics import median

import yaml

from benchmarks.arguments import call
from envs.arm.exploration import RandomPoints
from envs.arm.task import make_task
from envs.episodes.collection import collect

NUM_REPEATS = 5
NUM_EPISODES = 3_000
NUM_STEPS = 50
EXPLORATION = Path(__file__).parents[2] / "configs" / "exploration" / "random_points.yaml"


def main() -> None:
    values = {key: value for key, value in yaml.safe_load(EXPLORATION.read_text()).items() if not key.startswith("_")}
    seconds: dict[int, list[float]] = {1: [], 2: []}
    for repeat in range(NUM_REPEATS):
        for num_workers, runs in seconds.items():
            with tempfile.TemporaryDirectory() as folder:
                start = time.perf_counter()
                collect(
                    make_task=partial(make_task, env_id="jepa-mpc/Reach-v0"),
                    vision=None,
                    make_policy=partial(RandomPoints, **values),
                    policy_name="random_points",
                    policy_values=values,
                    seed=repeat,
                    num_episodes=NUM_EPISODES,
                    num_steps=NUM_STEPS,
                    num_workers=num_workers,
                    output=Path(folder) / "data",
                )
                runs.append(time.perf_counter() - start)
    for num_workers, runs in seconds.items():
        print(
            f"{num_workers} processes: {median(runs):5.2f} s for {NUM_EPISODES} episodes of {NUM_STEPS} steps, "
            f"{NUM_EPISODES / median(runs):4.0f} episodes/s (median of {NUM_REPEATS})"
        )
    ratios = [one / two for one, two in zip(seconds[1], seconds[2], strict=True)]
    print(f"two against one: {median(ratios):.2f}x, each {', '.join(f'{ratio:.2f}' for ratio in ratios)}")


if __name__ == "__main__":
    call(main)
