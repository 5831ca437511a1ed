"""What an agent sees, wants and imagines, beside what people see: one frame of a film."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agent.actor import Actor
from agent.evaluation.imagination import planned_future
from agent.evaluation.pictures.drawing import (
    GAP,
    Picture,
    below,
    beside,
    blank,
    captioned,
    enlarged,
    with_attention,
    with_inset,
    with_keypoints,
    with_path,
)
from envs.types import HasLenses
from world_model.encoders.keypoints import KeypointEncoder
from world_model.encoders.vit import ViTEncoder
from world_model.interpreter import Interpreter
from world_model.jepa import JEPA

_SIZE = 320
_INSET_SIZE = 96
_NUM_IMAGINED = 3
"""Imagined frames that are shown, of however many: the first, the last, and between them."""


class AgentView:
    """Composes film frames with what goes on in an agent that sees by a camera.

    On the left is the film, in which people see the goal; on the right what the agent sees, with the goal's picture in
    a corner, the places that its encoder looks at, and the path of the effector that it plans. Below, with an
    interpreter, are the present and the imagined frames of the plan. The path and the imagined frames are read off
    embeddings, for people alone: the agent knows neither.

    Args:
        actor: The agent.
        task: Where it acts; where that knows its lenses, and the effector is in space, the plan's path is drawn.
        interpreter: Reads embeddings, or None for no path and no imagined frames.
    """

    def __init__(self, actor: Actor, task: object, *, interpreter: Interpreter | None) -> None:
        self._actor, self._interpreter = actor, interpreter
        effector = actor.spec.effector
        in_space = effector is not None and actor.spec.sensors[effector.sensor].shape == (3,)
        self._lenses = task if in_space and isinstance(task, HasLenses) else None
        self._camera = next(name for name in actor.world_model.blocks if actor.spec.sensors[name].is_image)
        self._goal: Mapping[str, NDArray[Any]] = {}
        self._future: Tensor | None = None

    def begin(self, goal: Mapping[str, NDArray[Any]]) -> None:
        """Starts an episode."""
        self._goal, self._future = goal, None

    def compose(self, film: Picture, observation: Mapping[str, NDArray[Any]]) -> Picture:
        """Returns the frame of a control step, once the actor has acted.

        Args:
            film: What people see, `[320, 320, 3]`.
            observation: What the sensors read.
        """
        self._imagine()
        frame = observation[self._camera]
        caption = "what the agent sees" + ", and where it means to go" * self._shows_path
        rows = [
            beside(
                [
                    captioned(film, "for people: the goal is marked"),
                    captioned(self._agents_frame(frame), caption),
                ]
            )
        ]
        if self._interpreter is not None:
            rows.append(self._imagined(frame, self._interpreter))
        return below(rows)

    def _imagine(self) -> None:
        """Notes where the plan leads that was just made, if one was; until the next decision it stands."""
        state = self._actor.state
        choice = state.choices[-1]
        if choice.step != state.step - 1:
            return
        self._future = planned_future(self._actor)

    def _agents_frame(self, frame: Picture) -> Picture:
        percept = self._actor.state.percept
        if percept is None or self._camera in percept.filled:
            picture = blank(_SIZE, text="nothing:\nthe agent goes on\nin imagination")
        else:
            picture = self._looked_at(frame)
        if self._shows_path:
            assert self._interpreter is not None and self._lenses is not None and self._future is not None
            lens = self._lenses.lens(self._camera)
            picture = with_path(picture, lens.project(self._interpreter.places(self._future)))
        if self._camera in self._goal:
            picture = with_inset(picture, enlarged(self._goal[self._camera], _INSET_SIZE), caption="goal")
        return picture

    def _looked_at(self, frame: Picture) -> Picture:
        """Returns the agent's frame and where its encoder looks, if that can be said."""
        picture, model = enlarged(frame, _SIZE), self._actor.world_model
        if not isinstance(model, JEPA):
            return picture
        encoder = model.encoder(self._camera)
        images = model.normalizer(self._camera)(torch.from_numpy(frame)[None])
        with torch.no_grad():
            if isinstance(encoder, KeypointEncoder):
                return with_keypoints(picture, encoder.tokens(images)[0].double().numpy())
            if isinstance(encoder, ViTEncoder):
                return with_attention(picture, encoder.attention(images)[0].double().numpy())
        return picture

    def _imagined(self, frame: Picture, interpreter: Interpreter) -> Picture:
        """Returns the present frame beside imagined ones."""
        size = (2 * _SIZE + GAP - _NUM_IMAGINED * GAP) // (1 + _NUM_IMAGINED)
        tiles = [captioned(enlarged(frame, size), "now")]
        if self._future is not None:
            steps = np.unique(np.linspace(1, len(self._future) - 1, _NUM_IMAGINED).round().astype(int))
            for step, picture in zip(steps, interpreter.pictures(self._future[steps]), strict=True):
                tiles.append(captioned(enlarged(picture, size), f"imagined, +{self._seconds(step):.2f} s"))
        missing = 1 + _NUM_IMAGINED - len(tiles)
        return beside([*tiles, *[captioned(blank(size, text="no plan"), "imagined")] * missing])

    @property
    def _shows_path(self) -> bool:
        return self._interpreter is not None and self._future is not None and self._lenses is not None

    def _seconds(self, step: int) -> float:
        """Returns when so many steps of a plan will have been done, s after it was made."""
        timing = self._actor.timing
        return self._actor.spec.control_dt * (timing.latency + int(step) * timing.action_repeat)
