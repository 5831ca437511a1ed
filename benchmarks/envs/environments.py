"""How many control steps a second the environments make on one core, observation included.

`python -m benchmarks.envs.environments`, from the root of the checkout. All environments are run in turns, several
rounds, and what counts is the thread's own time on its core, so that the comparison holds on a busy machine too.
Gymnasium's Pusher-v5 stands beside ours where it can be made.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import gymnasium
import numpy as np
from numpy.typing import NDArray

import envs  # noqa: F401
from benchmarks.arguments import call
from envs.arm.mujoco_env import MujocoEnv

NUM_ROUNDS = 7
NUM_EPISODES = 10

Policy = Callable[[Any], NDArray[np.float32]]
Start = Callable[[Any, int], Policy]
"""Takes an episode's first observation and its seed."""


@dataclass
class Contender:
    """An environment, how it is driven, and its rate in each round, control steps/s."""

    label: str
    env: Any
    num_steps: int
    start: Start
    rates: list[float] = field(default_factory=list)


def random_actions(env: Any) -> Start:
    def start(_: Any, seed: int) -> Policy:
        env.action_space.seed(seed)
        return lambda _: env.action_space.sample()

    return start


def expert_actions(env: MujocoEnv) -> Start:
    expert = env.expert()

    def start(observation: Any, seed: int) -> Policy:
        expert.reset(env.goal_readings(observation["desired_goal"]), seed=seed)
        return lambda observation: expert.act(env.sensor_readings(observation))

    return start


def measure(contender: Contender, round_: int) -> float:
    """Returns steps/s inside `step` alone: neither resets nor the policy are counted."""
    env, spent = contender.env, 0.0
    for episode in range(NUM_EPISODES):
        seed = round_ * NUM_EPISODES + episode
        observation, _ = env.reset(seed=seed)
        policy = contender.start(observation, seed)
        for _ in range(contender.num_steps):
            action = policy(observation)
            began = time.thread_time()
            observation = env.step(action)[0]
            spent += time.thread_time() - began
    return NUM_EPISODES * contender.num_steps / spent


def contenders() -> list[Contender]:
    reach, gate, push, slippery, two = (
        gymnasium.make(f"jepa-mpc/{task}-v0").unwrapped
        for task in ("Reach", "ReachGate", "Push", "PushSlippery", "PushTwo")
    )
    assert isinstance(push, MujocoEnv)
    found = [
        Contender("reach, random actions", reach, 50, random_actions(reach)),
        Contender("reach_gate, random actions", gate, 60, random_actions(gate)),
        Contender("push, random actions", push, 100, random_actions(push)),
        Contender("push_slippery, random actions", slippery, 100, random_actions(slippery)),
        Contender("push_two, random actions", two, 150, random_actions(two)),
        Contender("push, expert in contact", push, 100, expert_actions(push)),
    ]
    try:
        pusher = gymnasium.make("Pusher-v5").unwrapped
        found.append(Contender("Gymnasium Pusher-v5, random", pusher, 100, random_actions(pusher)))
    except Exception as error:
        print(f"Pusher-v5 cannot be made here: {error}")
    return found


def main() -> None:
    found = contenders()
    for round_ in range(NUM_ROUNDS):
        for contender in found:
            contender.rates.append(measure(contender, round_))
    print(f"control steps/s on one core, {NUM_ROUNDS} interleaved rounds of {NUM_EPISODES} episodes")
    print(f"{'environment':<30}{'median':>10}{'best':>10}{'worst':>10}")
    for contender in found:
        rates = contender.rates
        print(f"{contender.label:<30}{np.median(rates):>10,.0f}{max(rates):>10,.0f}{min(rates):>10,.0f}")


if __name__ == "__main__":
    call(main)
