"""Is the model alive? Measured at every validation; a model that has collapsed, or hears no action, is stopped."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from jepa_mpc.ranges import check_count, check_number
from world_model.embedding import embed
from world_model.jepa import JEPA
from world_model.objectives.prediction import imagine, prediction_loss
from world_model.probes import effective_rank
from world_model.training.fit import TrainingStopped
from world_model.types import Windows, is_image


@torch.no_grad()
def measure_dynamics(model: JEPA, embeddings: Tensor, actions: Tensor) -> dict[str, float]:
    """Measures what a model imagines of held-out windows.

    Args:
        model: In evaluation mode.
        embeddings: `[num_windows, context + horizon, embed_dim]`, on the model's device.
        actions: `[num_windows, context + horizon - 1, action_dim]`.

    Returns:
        - `error_first`, `error_last`: squared error of the first and the last predicted frame;
        - `copy_error`: of the last frame, if the newest known embedding is the prediction;
        - `action_sensitivity`: by which share the last error rises when each window gets another window's actions.
    """
    future = embeddings[:, model.context_length :]
    predicted = imagine(model, embeddings, actions)
    shuffled = imagine(model, embeddings, actions.roll(1, dims=0))[:, -1:]
    newest = embeddings[:, model.context_length - 1, None]
    error_last = prediction_loss(predicted[:, -1:], future[:, -1:], model.blocks)
    return {
        "error_first": float(prediction_loss(predicted[:, :1], future[:, :1], model.blocks)),
        "error_last": float(error_last),
        "copy_error": float(prediction_loss(newest, future[:, -1:], model.blocks)),
        "action_sensitivity": float(prediction_loss(shuffled, future[:, -1:], model.blocks) / error_last - 1),
    }


@torch.no_grad()
def measure(model: JEPA, windows: Windows) -> dict[str, float]:
    """Measures a model on held-out windows.

    Args:
        model: In evaluation mode.
        windows: Of `context_length + horizon` frames.

    Returns:
        What `measure_dynamics` does, and

        - `std/<sensor>`: standard deviation of a block, the mean over its dimensions;
        - `rank/<sensor>`: effective rank of a block;
        - `rank_possible/<sensor>`: what it could be, given what the sensor varies and the block's size.
    """
    actions = windows.actions
    frames = {name: readings.flatten(0, 1) for name, readings in windows.observation.items()}
    embeddings = embed(model, frames).view(len(actions), -1, model.embed_dim)
    metrics = measure_dynamics(model, embeddings, actions)
    for name, block in model.blocks.items():
        first = embeddings[:, 0, block]
        metrics[f"std/{name}"] = float(first.std(dim=0).mean())
        metrics[f"rank/{name}"] = effective_rank(first)
        metrics[f"rank_possible/{name}"] = float(first.shape[1])
        if not is_image(model.sensors[name]):  # of what varies in a picture, pixels say nothing
            readings = model.normalizer(name)(windows.observation[name][:, 0]).flatten(1)
            metrics[f"rank_possible/{name}"] = min(float(first.shape[1]), effective_rank(readings))
    return metrics


_LOG = logging.getLogger(__name__)

LONGEST_UNJUDGED = 500
"""Steps. So short a training shows that everything runs, and has no time to learn; a longer one is always judged."""


@dataclass(frozen=True)
class Alarm:
    """When a training is stopped.

    A model is judged at every validation after the grace, and at the end of every training of more than
    `LONGEST_UNJUDGED` steps, so that none ends unjudged because its grace is longer.

    Attributes:
        grace_steps: Steps in which a model may still find its feet.
        min_std: Least standard deviation of a block; a healthy one is near 1.
        min_rank_share: Least effective rank of a block, as a share of what it could be.
        min_action_sensitivity: Least rise of the prediction error when actions are shuffled.
        max_unexplained_error: Largest error where more than the robot moves, as a share of that motion; it is told, and
            stops nothing.
        max_unexplained_drift: The same where nothing but the robot moves.
    """

    grace_steps: int
    min_std: float
    min_rank_share: float
    min_action_sensitivity: float
    max_unexplained_error: float
    max_unexplained_drift: float

    def __post_init__(self) -> None:
        check_count("training.alarm.grace_steps", self.grace_steps, least=0)
        check_number("training.alarm.min_std", self.min_std, least=0)
        check_number("training.alarm.min_rank_share", self.min_rank_share, least=0, most=1)
        check_number("training.alarm.min_action_sensitivity", self.min_action_sensitivity)
        check_number("training.alarm.max_unexplained_error", self.max_unexplained_error, above=0)
        check_number("training.alarm.max_unexplained_drift", self.max_unexplained_drift, above=0)

    @classmethod
    def from_config(cls, values: Mapping[str, Any]) -> "Alarm":
        """Returns the alarm of a config.

        Raises:
            ValueError: It has other keys, or a value without meaning.
        """
        keys = [field.name for field in fields(cls)]
        if not isinstance(values, Mapping) or values.keys() != set(keys):
            raise ValueError(f"training.alarm must have the keys {keys}, got {values}")
        return cls(**values)

    def is_due(self, step: int, num_steps: int) -> bool:
        """Returns whether the model is judged at a validation.

        Args:
            step: Of the validation.
            num_steps: Of the whole training.
        """
        return step > self.grace_steps or LONGEST_UNJUDGED < num_steps == step

    def check(self, step: int, metrics: Mapping[str, float]) -> None:
        """Raises `TrainingStopped` if what `measure` found at a step is beyond hope."""
        for name in (key.removeprefix("std/") for key in metrics if key.startswith("std/")):
            std, rank, possible = (metrics[f"{kind}/{name}"] for kind in ("std", "rank", "rank_possible"))
            if not std >= self.min_std:
                raise TrainingStopped(
                    f"the embedding of '{name}' has collapsed at step {step}: its standard deviation is {std:.2g}, "
                    f"a healthy one is near 1 and at least {self.min_std}; use a regularizer, or give it more weight"
                )
            if not rank >= self.min_rank_share * possible:
                raise TrainingStopped(
                    f"the embedding of '{name}' has collapsed at step {step}: its effective rank is {rank:.2g} of "
                    f"{possible:.2g}; use a regularizer, or give it more weight"
                )
        self.check_hearing(step, metrics, advice="are the actions of the dataset what moves the sensors?")

    def check_hearing(self, step: int, metrics: Mapping[str, float], *, advice: str) -> None:
        """Raises `TrainingStopped` if what is imagined at a step hardly depends on actions; it says what may help."""
        sensitivity = metrics["action_sensitivity"]
        if not sensitivity >= self.min_action_sensitivity:
            raise TrainingStopped(
                f"the model is deaf to actions at step {step}: with shuffled actions its prediction error rises by "
                f"{sensitivity:.1%}, at least {self.min_action_sensitivity:.0%} is expected; {advice}"
            )

    def tell_of_contact(self, metrics: Mapping[str, float], *, advice: str) -> None:
        """Warns of dynamics by which a plan could move things from afar, as `ContactWindows` found at the end.

        Args:
            metrics: What was found.
            advice: What has not been done yet, and may help.
        """
        for kind, limit, where in (
            ("error", self.max_unexplained_error, "where things are moved"),
            ("drift", self.max_unexplained_drift, "where nothing is touched"),
        ):
            share = metrics.get(f"contact/unexplained_{kind}", 0.0)
            if share > limit:
                _LOG.warning(
                    "plans may move things from afar: %s, the squared error of what is imagined is %.2g of what "
                    "contact changes, at most %.2g is expected: %s",
                    where,
                    share,
                    limit,
                    advice,
                )
