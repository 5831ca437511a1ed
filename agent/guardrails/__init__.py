"""Hard limits: the last word before the motors, whatever the planner says. One limit a file, composed."""

from agent.guardrails.compose import Guardrails
from agent.guardrails.types import Circumstances, GuardedAction, Limit

__all__ = ["Circumstances", "GuardedAction", "Guardrails", "Limit"]
