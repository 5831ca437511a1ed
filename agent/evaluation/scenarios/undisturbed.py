"""Nothing happens but what the agent does."""

from envs.spec import TaskSpec
from envs.types import Policy, Task


class Undisturbed:
    """The task as it is.

    Args:
        spec: Of the task.
    """

    note: str | None = None
    latency = 0

    def __init__(self, spec: TaskSpec) -> None:
        self.num_steps = spec.num_steps

    def stage(self, task: Task, policy: Policy, *, seed: int) -> tuple[Task, Policy]:  # noqa: ARG002
        """Returns both as they are."""
        return task, policy
