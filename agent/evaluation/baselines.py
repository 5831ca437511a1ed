"""Who the actor is compared with: nobody's plan, no plan, and a scripted expert that may look into the simulator."""

from envs.arm.mujoco_env import MujocoEnv
from envs.episodes.exploration import UniformRandom, Zero
from envs.episodes.rollout import Policy

BASELINES = ("random", "zero", "expert")


def make_baseline(name: str, env: MujocoEnv) -> Policy:
    """Returns the baseline of that name, one of `BASELINES`."""
    if name == "random":
        return UniformRandom(env.description)
    if name == "zero":
        return Zero(env.description)
    assert name == "expert", name
    return env.expert()
