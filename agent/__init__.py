"""The agent: the only place where world model, cost, planner and environment meet."""

from typing import TYPE_CHECKING, Any

from jepa_mpc.packages import check_packages

if TYPE_CHECKING:
    from agent.run.stages.loading import load_agent

__all__ = ["load_agent"]

check_packages()


def __getattr__(name: str) -> Any:
    """Imports `load_agent` on first use, so that a worker process that needs no torch loads none."""
    if name == "load_agent":
        from agent.run.stages.loading import load_agent

        return load_agent
    raise AttributeError(f"module 'agent' has no attribute '{name}'")
