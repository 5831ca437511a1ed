"""Nothing happens but what the agent does."""

from envs.arm.mujoco_env import MujocoEnv
from envs.episodes.rollout import GoalConditionedEnv, Policy
from envs.spec import TaskSpec


class Undisturbed:
    """The task as it is.

    Args:
        spec: Of the task.
    """

    note: str | None = None

    def __init__(self, spec: TaskSpec) -> None:
        self.num_steps = spec.num_steps

    def stage(self, env: MujocoEnv, policy: Policy, *, seed: int) -> tuple[GoalConditionedEnv, Policy]:  # noqa: ARG002
        """Returns both as they are."""
        return env, policy
