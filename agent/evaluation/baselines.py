"""Who the actor is compared with: nobody's plan, no plan, and a scripted expert that may look into the simulator."""

from envs.episodes.exploration import UniformRandom, Zero
from envs.types import HasExpert, Policy, Task

BASELINES = ("random", "zero", "expert")


def baselines_of(task: Task) -> tuple[str, ...]:
    """Returns those of `BASELINES` that a task has: not every task has an expert, or a way to do nothing."""
    missing = {"zero"} if task.spec.actions.idle is None else set()
    if not isinstance(task, HasExpert):
        missing.add("expert")
    return tuple(name for name in BASELINES if name not in missing)


def make_baseline(name: str, task: Task) -> Policy:
    """Returns the baseline of that name, one of `baselines_of(task)`."""
    if name == "random":
        return UniformRandom(task.spec)
    if name == "zero":
        return Zero(task.spec)
    assert isinstance(task, HasExpert) and name == "expert", name
    return task.expert()
