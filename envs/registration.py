"""Makes the tasks known to Gymnasium, without importing a simulator.

A task of your own is registered in the same way, from its own file: `gymnasium.make("that.file:its/Id-v0")` imports the
file first.
"""

import gymnasium


def register_envs() -> None:
    """Registers `jepa-mpc/Reach-v0`, `jepa-mpc/Push-v0` and `jepa-mpc/PushOriented-v0`, once."""
    if "jepa-mpc/Reach-v0" in gymnasium.registry:
        return
    gymnasium.register("jepa-mpc/Reach-v0", entry_point="envs.arm.reach:ReachEnv", max_episode_steps=50)
    gymnasium.register("jepa-mpc/Push-v0", entry_point="envs.arm.push:PushEnv", max_episode_steps=100)
    gymnasium.register(
        "jepa-mpc/PushOriented-v0", entry_point="envs.arm.push_oriented:PushOrientedEnv", max_episode_steps=100
    )
