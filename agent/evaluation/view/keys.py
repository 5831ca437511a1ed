"""What people have set, and what each key changes of it: nothing here knows a window.

MuJoCo's viewer has uses of its own for letters, the digits up to 5 and the keys up to F7; these it leaves alone.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from agent.configurator.types import HYBRID, PLANNING, REACTIVE
from agent.evaluation.seeds import SPLIT_SIZE


@dataclass(frozen=True)
class Switches:
    """What people have set.

    Attributes:
        planners: Those that there are to choose from.
        modes: The same of modes.
        planner: Who plans.
        mode: How the agent acts.
        episode: Entry of the validation split.
        paused: Nothing moves but what is dragged.
        shows_keys: The keys are told.
        notice: What the last key could not do, or "".
    """

    planners: tuple[str, ...]
    modes: tuple[str, ...]
    planner: str
    mode: str
    episode: int
    paused: bool = False
    shows_keys: bool = False
    notice: str = ""


@dataclass(frozen=True)
class Key:
    """One key of the window.

    Attributes:
        name: As people call it.
        meaning: What it does.
        change: The switches before it was pressed to those after.
    """

    name: str
    meaning: str
    change: Callable[[Switches], Switches]


def press(switches: Switches, code: int) -> Switches:
    """Returns the switches after a key was pressed; any that is not in `KEYS` changes nothing.

    Args:
        switches: Before.
        code: Of the key, as GLFW has it.
    """
    return KEYS[code].change(replace(switches, notice="")) if code in KEYS else switches


def _planner(by: int) -> Callable[[Switches], Switches]:
    def change(switches: Switches) -> Switches:
        index = switches.planners.index(switches.planner) + by
        return replace(switches, planner=switches.planners[index % len(switches.planners)])

    return change


def _mode(mode: str) -> Callable[[Switches], Switches]:
    def change(switches: Switches) -> Switches:
        if mode not in switches.modes:
            return replace(switches, notice=f"no {mode} here: the run has no policy")
        return replace(switches, mode=mode)

    return change


def _next_episode(switches: Switches) -> Switches:
    return replace(switches, episode=(switches.episode + 1) % SPLIT_SIZE)


def _pause(switches: Switches) -> Switches:
    return replace(switches, paused=not switches.paused)


def _tell_keys(switches: Switches) -> Switches:
    return replace(switches, shows_keys=not switches.shows_keys)


KEYS = {
    32: Key("Space", "pause, and go on", _pause),
    257: Key("Enter", "next episode", _next_episode),
    262: Key("Right", "next planner", _planner(1)),
    263: Key("Left", "planner before", _planner(-1)),
    55: Key("7", "mode: planning", _mode(PLANNING)),
    56: Key("8", "mode: hybrid", _mode(HYBRID)),
    57: Key("9", "mode: reactive", _mode(REACTIVE)),
    297: Key("F8", "tell the keys", _tell_keys),
}
"""GLFW's code of a key to what it does."""
