"""Makes the tasks known to Gymnasium, without importing a simulator.

A task of your own is registered in the same way, from its own file: `gymnasium.make("that.file:its/Id-v0")` imports the
file first.
"""

import gymnasium

TASKS = {
    "jepa-mpc/Reach-v0": ("envs.arm.reach:ReachEnv", 50),
    "jepa-mpc/ReachGate-v0": ("envs.arm.reach_gate:ReachGateEnv", 60),
    "jepa-mpc/Push-v0": ("envs.arm.push:PushEnv", 100),
    "jepa-mpc/PushOriented-v0": ("envs.arm.push_oriented:PushOrientedEnv", 100),
    "jepa-mpc/PushSlippery-v0": ("envs.arm.push_slippery:PushSlipperyEnv", 100),
    "jepa-mpc/PushTwo-v0": ("envs.arm.push_two:PushTwoEnv", 150),
}
"""Id to the class and the control steps of an episode."""


def register_envs() -> None:
    """Registers `TASKS`, once."""
    for env_id, (entry_point, num_steps) in TASKS.items():
        if env_id not in gymnasium.registry:
            gymnasium.register(env_id, entry_point=entry_point, max_episode_steps=num_steps)
