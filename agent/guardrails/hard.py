"""The limits that a yaml names, made for a task: those that its robot can have."""

from collections.abc import Mapping, Sequence

from agent.guardrails.acceleration import Acceleration
from agent.guardrails.blindness import Blindness
from agent.guardrails.box import Box
from agent.guardrails.compose import Guardrails
from agent.guardrails.finite import Finite
from agent.guardrails.rate import Rate
from agent.guardrails.speed import Speed
from agent.guardrails.surprise import Surprise
from agent.guardrails.types import Limit
from agent.guardrails.ways import ANY_CHANGE, Ways, lacks, told
from agent.guardrails.workspace import Workspace
from envs.spec import TaskSpec
from jepa_mpc.ranges import check_number

ANY_ROBOT = ("finite", "box", "rate", "surprise")
OF_AN_EFFECTOR = ("blindness", "speed", "acceleration", "workspace")


def hard(
    *,
    spec: TaskSpec,
    latency: int,
    limits: Sequence[str] | None,
    max_rate: float | None,
    max_surprise: float | None,
    max_speed: float,
    speed_error: float,
    max_acceleration: float,
    acceleration_error: float,
    workspace: Mapping[str, Sequence[float]] | None,
    margin: float,
    position_error: float,
    late_error: float,
    frozen_after: int | None,
    probe: float,
) -> Guardrails:
    """Returns guardrails of the limits that are asked for, always the same one after the other.

    `limits` are some of `ANY_ROBOT` and `OF_AN_EFFECTOR`, or None for all that the task's robot can have. Of the other
    values each belongs to a limit: `max_rate` and `max_surprise` are None for any. The robot may be faster than it is
    told by `speed_error`, m/s, and accelerate more by `acceleration_error`, m/s^2; either limit may be infinite. What
    it is told takes effect `latency` control steps later, for each of which `late_error`, m, adds to `position_error`.

    Raises:
        ValueError: A limit that makes no sense, or that the task's robot cannot have.
    """
    check_number("position_error", position_error, least=0)
    check_number("late_error", late_error, least=0)
    known = ANY_ROBOT + OF_AN_EFFECTOR
    chosen = known if limits is None else tuple(limits)
    for name in chosen:
        if name not in known:
            raise ValueError(f"limits must be some of {', '.join(known)}, got {name!r}")
    for name, key, most in (("rate", "max_rate", max_rate), ("surprise", "max_surprise", max_surprise)):
        if limits is not None and name in limits and most is None:
            raise ValueError(f"{key} must be a number where limits name '{name}', got null")
    missing = lacks(spec)
    if missing is not None:
        if refused := [name for name in chosen if name in OF_AN_EFFECTOR and limits is not None]:
            without = [name for name in chosen if name not in OF_AN_EFFECTOR]
            raise ValueError(
                f"the limit '{refused[0]}' needs {missing}, and {spec.task_id} has none such: do without it by "
                f"limits=[{','.join(without)}], or leave limits at null"
            )
        if workspace is not None:
            raise ValueError(
                f"workspace must be null here, got {dict(workspace)}: the limit 'workspace' needs {missing}, and "
                f"{spec.task_id} has none such"
            )
        chosen = tuple(name for name in chosen if name not in OF_AN_EFFECTOR)
    made: dict[str, Limit] = {"finite": Finite(), "box": Box(actions=spec.actions)}
    if max_rate is not None:
        made["rate"] = Rate.of(spec, max_rate=max_rate)
    if max_surprise is not None:
        made["surprise"] = Surprise(max_surprise=max_surprise)
    ways = None
    if missing is None and spec.effector is not None:
        ways = Ways.of(spec, spec.effector)
        fastest = told("max_speed", max_speed, "speed_error", speed_error)
        speed = Speed(ways=ways, max_way=min(1.0, fastest / ways.speed))
        strongest = told("max_acceleration", max_acceleration, "acceleration_error", acceleration_error)
        acceleration = Acceleration(ways=ways, max_change=min(ANY_CHANGE, strongest / ways.acceleration))
        made["blindness"] = Blindness(ways=ways, frozen_after=frozen_after, probe=probe)
        made["speed"], made["acceleration"] = speed, acceleration
        made["workspace"] = Workspace.of(
            ways,
            spec.effector.workspace,
            workspace=workspace,
            margin=margin,
            position_error=position_error + late_error * latency,
            max_way=speed.max_way,
            max_change=acceleration.max_change,
        )
    order = ("finite", "box", "surprise", "blindness", "rate", "speed", "acceleration", "workspace")
    return Guardrails(
        spec=spec,
        limits=[made[name] for name in order if name in chosen and name in made],
        ways=ways if any(name in OF_AN_EFFECTOR for name in chosen) else None,
        reckons="blindness" in chosen and frozen_after is not None,
        latency=latency,
    )
