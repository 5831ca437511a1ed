"""How long a control step takes: `python -m benchmarks.control_step runs/demo` (own process, one torch thread)."""

import argparse
from pathlib import Path
from time import perf_counter

import gymnasium
import torch

from agent import load_agent
from agent.evaluation.seeds import episode_seeds
from agent.evaluation.statistics import percentiles
from agent.run.config import compose_config
from agent.run.saved_config import read_config

WARM_UP_EPISODES = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="folder of a finished run")
    parser.add_argument("--num-steps", type=int, default=2_000)
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    agent = load_agent(arguments.run)
    env_id = compose_config([], base=read_config(arguments.run)).values.env.env_id
    env = gymnasium.make(env_id).unwrapped
    num_steps = env.description.num_steps
    num_episodes = -(-arguments.num_steps // num_steps)
    latencies = []
    for index, seed in enumerate(episode_seeds("validation", WARM_UP_EPISODES + num_episodes)):
        state, _ = env.reset(seed=seed)
        agent.reset(env.goal_observation(state["desired_goal"]), seed=seed)
        for _ in range(num_steps):
            observation = env.split_observation(state["observation"])
            start = perf_counter()
            action = agent.act(observation)
            if index >= WARM_UP_EPISODES:
                latencies.append(1e3 * (perf_counter() - start))
            state = env.step(action)[0]
    shown = ", ".join(f"{name} {value:.2f}" for name, value in percentiles(latencies).items())
    print(f"{env_id}: {len(latencies)} control steps, ms: {shown}")


if __name__ == "__main__":
    main()
