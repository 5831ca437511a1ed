"""Perception with gates: what a sensor does not show, the world model fills in."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from agent.readings import as_numbers, flaw
from envs.spec import TaskSpec
from jepa_mpc.errors import UserError
from jepa_mpc.ranges import check_count, check_number
from world_model.training.tensor_file import one_line
from world_model.types import Explanation, WorldModel

MISSING, SWITCHED_OFF, FROZEN = "missing", "switched off", "frozen"

Readings = Mapping[str, NDArray[np.float32]]
"""Sensor name to its reading, `[*sensor_shape]`, in the sensor's units."""

Explain = Callable[[Tensor, Tensor], Explanation]
"""From what came, `[1, embed_dim]`, and which of its dimensions were seen, to the future that explains it best."""


class ObservationError(UserError):
    """An observation that the agent cannot perceive."""


@dataclass(frozen=True, kw_only=True)
class Attention:
    """What perception is told by the configurator.

    Attributes:
        switched_off: Sensors that are not looked at, but in the first step of an episode.
        driven: Sensors of what commands move themselves, as the robot's own joints: these alone may be found frozen.
            What moves only when it is touched may rest, whatever was foreseen of it. None for the effector's sensor,
            where the task has one.
        frozen_after: Model steps at which the robot was told to move, the world model foresaw that a driven sensor's
            reading moves, and it has stayed the same to the last bit all along, after which the sensor is frozen; None
            for never.
        frozen_motion: Least motion in one model step that counts as foreseen: rms over the sensor's block, in embedding
            space.

    Raises:
        ValueError: A value is out of its range.
    """

    switched_off: Collection[str]
    driven: Collection[str] | None
    frozen_after: int | None
    frozen_motion: float

    def __post_init__(self) -> None:
        _require_names("switched_off", self.switched_off)
        if self.driven is not None:
            _require_names("driven", self.driven)
        check_count("frozen_after", self.frozen_after, least=1, null=True)
        check_number("frozen_motion", self.frozen_motion, above=0)


@dataclass(frozen=True)
class Percept:
    """What was perceived at one model step.

    Attributes:
        embedding: `[embed_dim]`, filled in where a sensor showed nothing.
        block_surprises: Sensor name to the mean squared error of what was foreseen in its block, of the sensors that
            were seen; 0 at the start of an episode. Of several plausible futures that one counts that explains best
            what was seen.
        surprise: The energy: the same over all blocks that were seen, and what that future costs for being less
            plausible than another; see `Explanation`. 0 where nothing was seen.
        filled: Sensor name to why its block was filled in: `MISSING`, `SWITCHED_OFF` or `FROZEN`.
        last_readings: The newest reading of each sensor.
        frozen_steps: Driven sensor's name to the model steps at which it should have moved since it last did.
    """

    embedding: Tensor
    block_surprises: Mapping[str, float]
    surprise: float
    filled: Mapping[str, str]
    last_readings: Readings = field(repr=False)
    frozen_steps: Mapping[str, int]


class Perception:
    """Turns observations into embeddings.

    Args:
        world_model: Embeds what is seen.
        spec: The shapes of the sensors.
        attentions: All that it may be told.
        also: Further sensors whose readings are checked, as those that the guardrails need.

    Raises:
        ValueError: A sensor may be switched off, or is driven, that the world model does not have, or all may be
            switched off at once.
    """

    def __init__(
        self, *, world_model: WorldModel, spec: TaskSpec, attentions: Iterable[Attention], also: Collection[str]
    ) -> None:
        sensors = sorted(world_model.blocks)
        for attention in attentions:
            for key in ("switched_off", "driven"):
                for name in getattr(attention, key) or ():
                    if name not in world_model.blocks:
                        raise ValueError(f"{key} must name sensors among {sensors}, got '{name}'")
            if set(sensors) <= set(attention.switched_off):
                raise ValueError(f"switched_off must leave at least one of the sensors {sensors}, got all of them")
        self._world_model = world_model
        self._sensors = {name: spec.sensors[name] for name in world_model.blocks}
        self._checked = self._sensors | {name: spec.sensors[name] for name in also}
        effector = () if spec.effector is None else (spec.effector.sensor,)
        self._effector = [name for name in effector if name in world_model.blocks]

    def sound_readings(self, observation: Mapping[str, NDArray[np.float32]], *, first: bool) -> Readings:
        """Returns the readings that are there and sound, of the sensors that world model or guardrails use.

        A camera that shows one colour all over, as black, shows nothing.

        Args:
            observation: Sensor name to its reading, or None where there is none; other sensors are ignored.
            first: It is the first step of an episode, at which nothing can be filled in.

        Raises:
            ObservationError: There are no readings, or one is no numbers of its sensor's shape or, at the first step,
                is missing or not sound.
        """
        if not isinstance(observation, Mapping):
            raise ObservationError(f"an observation must map sensors to readings, got {one_line(repr(observation))}")
        present = {name: reading for name, reading in observation.items() if reading is not None}
        readings = {}
        for name, sensor in self._checked.items():
            if name not in present:
                if first:
                    raise ObservationError(f"the observation lacks the sensor '{name}'; it has {sorted(present)}")
                continue
            reading = _numbers(name, present[name], sensor.shape)
            wrong = flaw(reading, sensor)
            if wrong is None:
                readings[name] = reading
            elif first:
                raise ObservationError(f"the sensor '{name}' {wrong}")
        return readings

    def begin(self, readings: Readings) -> Percept:
        """Perceives the first step of an episode; every sensor is looked at.

        Args:
            readings: Of every sensor.
        """
        return Percept(
            embedding=self._embed(readings),
            block_surprises=dict.fromkeys(self._sensors, 0.0),
            surprise=0.0,
            filled={},
            last_readings={name: readings[name].copy() for name in self._sensors},
            frozen_steps={},
        )

    def perceive(
        self,
        readings: Readings,
        *,
        attention: Attention,
        last: Percept,
        foreseen: Tensor,
        explain: Explain | None,
        told: bool,
    ) -> Percept:
        """Perceives a later step.

        Args:
            readings: Those that are sound; see `sound_readings`.
            attention: What to look at.
            last: What was perceived one model step ago.
            foreseen: `[embed_dim]`, what the world model predicted from there for the executed action.
            explain: Says which of several futures explains best what was seen; None where there is one. What was not
                seen is filled in from that future.
            told: Whether the executed action told the robot to move.
        """
        frozen_steps = self._count_frozen_steps(readings, attention, last, foreseen, told=told)
        filled = self._filled(readings, attention, frozen_steps)
        embedding = self._embed({**last.last_readings, **readings})
        seen = torch.ones_like(embedding, dtype=torch.bool)
        for name in filled:
            seen[self._world_model.blocks[name]] = False
        energy = None
        if explain is not None:
            explanation = explain(embedding[None], seen[None])
            foreseen, energy = explanation.embedding[0], float(explanation.energy)
        squares = (embedding - foreseen).square()
        if energy is not None:
            surprise = energy
        elif filled:
            surprise = float(squares[seen].mean()) if bool(seen.any()) else 0.0
        else:
            surprise = float(squares.mean())
        if filled:
            embedding = torch.where(seen, embedding, foreseen)
        return Percept(
            embedding=embedding,
            block_surprises={
                name: float(squares[block].mean())
                for name, block in self._world_model.blocks.items()
                if name not in filled
            },
            surprise=surprise,
            filled=filled,
            last_readings={name: readings.get(name, last.last_readings[name]).copy() for name in self._sensors},
            frozen_steps=frozen_steps,
        )

    def _embed(self, readings: Readings) -> Tensor:
        frames = {name: torch.from_numpy(readings[name])[None, None] for name in self._sensors}
        return self._world_model.encode(frames)[0, 0]

    def _filled(self, readings: Readings, attention: Attention, frozen_steps: Mapping[str, int]) -> dict[str, str]:
        """Returns the sensors that show nothing, each with the reason."""
        frozen_after = attention.frozen_after
        filled = {}
        for name in self._sensors:
            if name in attention.switched_off:
                filled[name] = SWITCHED_OFF
            elif name not in readings:
                filled[name] = MISSING
            elif frozen_after is not None and frozen_steps.get(name, 0) >= frozen_after:
                filled[name] = FROZEN
        return filled

    def _count_frozen_steps(
        self, readings: Readings, attention: Attention, last: Percept, foreseen: Tensor, *, told: bool
    ) -> dict[str, int]:
        """Counts the steps at which a driven sensor should have moved since it last did; one that changes has thawed.

        Commands contradict a driven sensor that stands still, and nothing else does: of what is only touched, a
        forecast of motion may be wrong and a reading that rests right. A robot that holds still, or that is foreseen
        to, is no witness, neither for nor against.
        """
        if attention.frozen_after is None:
            return {}
        counts = {}
        for name in self._effector if attention.driven is None else attention.driven:
            counts[name] = last.frozen_steps.get(name, 0)
            if name not in readings:
                continue
            block = self._world_model.blocks[name]
            if not np.array_equal(readings[name], last.last_readings[name]):
                counts[name] = 0
            elif told and float((foreseen - last.embedding)[block].square().mean().sqrt()) > attention.frozen_motion:
                counts[name] += 1
        return counts


def _require_names(key: str, names: object) -> None:
    if isinstance(names, str) or not isinstance(names, Collection) or not all(isinstance(it, str) for it in names):
        raise ValueError(f"{key} must be a list of sensors, got {names!r}")


def _numbers(name: str, reading: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Returns a sensor's reading as the numbers that it should be."""
    numbers = as_numbers(reading)
    if numbers is None:
        raise ObservationError(f"the sensor '{name}' must read numbers of shape {shape}, got {one_line(repr(reading))}")
    if numbers.shape != shape:
        raise ObservationError(f"the sensor '{name}' must have shape {shape}, got {numbers.shape}")
    return numbers
