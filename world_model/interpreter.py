"""What an embedding means, for people: a picture, and where the robot is. Learned from a frozen model, and kept apart.

The interpreter has a file of its own, which the agent never loads, and no gradient of its training reaches the model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from envs.episodes.episode import EpisodeDataset
from jepa_mpc.ranges import check_count
from world_model.decoder import Decoder, as_pictures, check_decoder
from world_model.jepa import JEPA
from world_model.probes import fit_probe
from world_model.training.checkpoint import Checkpoint, Metadata
from world_model.training.fit_settings import FitSettings
from world_model.types import is_image

SECTION = "interpreter"
"""Of a checkpoint."""

_RIDGE = 1e-6
_CHUNK = 256
_HELD_OUT_SHARE = 16
"""Frames that are learned from, to one on which the decoder is validated."""


@dataclass(frozen=True)
class PictureSettings(FitSettings):
    """How pictures are made for people.

    Attributes:
        num_examples: Held-out episodes, and as many goals, that are drawn.
        num_frames: Of learned episodes, that the decoder learns from.
        hidden_dim: Of the decoder.
        channels: Of the decoder.
        batch_size: Frames of one step.
    """

    section: ClassVar[str] = "pictures"

    num_examples: int
    num_frames: int
    hidden_dim: int
    channels: Sequence[int]
    batch_size: int

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("pictures.num_examples", self.num_examples, least=0)
        check_count("pictures.num_frames", self.num_frames, least=_HELD_OUT_SHARE)
        check_count("pictures.batch_size", self.batch_size, least=1)
        check_decoder(hidden_dim=self.hidden_dim, channels=self.channels)


class Interpreter(nn.Module):
    """Says what embeddings mean.

    Args:
        embed_dim: Size of an embedding.
        block: Of the camera whose pictures are drawn.
        num_coordinates: Of where the robot is.
        hidden_dim: Of the decoder.
        channels: Of the decoder.
    """

    place_weight: Tensor
    place_offset: Tensor

    def __init__(
        self, *, embed_dim: int, block: slice, num_coordinates: int, hidden_dim: int, channels: Sequence[int]
    ) -> None:
        super().__init__()
        self._block = block
        self.decoder = Decoder(embed_dim=block.stop - block.start, hidden_dim=hidden_dim, channels=channels)
        self.register_buffer("place_weight", torch.zeros(embed_dim, num_coordinates, dtype=torch.float64))
        self.register_buffer("place_offset", torch.zeros(num_coordinates, dtype=torch.float64))

    @classmethod
    def of(cls, model: JEPA, settings: PictureSettings, *, num_coordinates: int) -> "Interpreter":
        """Returns one that has learned nothing, for the first camera of a model."""
        return cls(
            embed_dim=model.embed_dim,
            block=model.blocks[first_camera(model)],
            num_coordinates=num_coordinates,
            hidden_dim=settings.hidden_dim,
            channels=settings.channels,
        )

    def draw(self, embeddings: Tensor) -> Tensor:
        """Draws embeddings `[rows, embed_dim]`: `[rows, 64, 64, 3]`, colours around 0 to 1."""
        picture: Tensor = self.decoder(embeddings[:, self._block])
        return picture

    @torch.no_grad()
    def pictures(self, embeddings: Tensor) -> NDArray[np.uint8]:
        """Returns what the camera may have seen at embeddings `[rows, embed_dim]`: `[rows, 64, 64, 3]`."""
        drawn: NDArray[np.uint8] = (255 * self.draw(embeddings).clamp(0, 1)).round().byte().numpy()
        return drawn

    @torch.no_grad()
    def places(self, embeddings: Tensor) -> NDArray[np.float64]:
        """Reads where the robot is off embeddings `[rows, embed_dim]`: `[rows, num_coordinates]`."""
        places: NDArray[np.float64] = (embeddings.double() @ self.place_weight + self.place_offset).numpy()
        return places


def first_camera(model: JEPA) -> str:
    """Returns the sensor whose pictures are drawn: the first camera.

    Raises:
        ValueError: The model sees by none.
    """
    cameras = [name for name, shape in model.sensors.items() if is_image(shape)]
    if not cameras:
        raise ValueError(f"pictures need a camera among the sensors, got {sorted(model.sensors)}")
    return cameras[0]


@dataclass(frozen=True)
class _Frames:
    """Frames and how they are embedded.

    Attributes:
        embeddings: `[rows, embed_dim]`.
        pictures: `[rows, 64, 64, 3]`, uint8.
        places: `[rows, num_coordinates]`, of the robot.
    """

    embeddings: Tensor
    pictures: Tensor
    places: Tensor


class InterpreterTask:
    """What an interpreter learns from frames of a frozen model, as `world_model.training.fit` trains it.

    Args:
        interpreter: With its first weights.
        model: Frozen, in evaluation mode.
        dataset: Where the frames come from.
        place_sensor: The recorded sensor that reads where the robot is.
        learned: Episodes that are learned from, `[num_learned]`.
        held_out: Episodes that are validated on, `[num_held_out]`.
        settings: How.
        metadata: Of the checkpoint.
        seed: Of all randomness.
    """

    def __init__(
        self,
        *,
        interpreter: Interpreter,
        model: JEPA,
        dataset: EpisodeDataset,
        place_sensor: str,
        learned: NDArray[np.int64],
        held_out: NDArray[np.int64],
        settings: PictureSettings,
        metadata: Metadata,
        seed: int,
    ) -> None:
        self._interpreter, self._settings, self._metadata, self._seed = interpreter, settings, metadata, seed
        rng = np.random.default_rng((seed, 0))
        self._train = _draw_frames(model, dataset, place_sensor, learned, settings.num_frames, rng)
        self._validation = _draw_frames(
            model, dataset, place_sensor, held_out, settings.num_frames // _HELD_OUT_SHARE, rng
        )
        interpreter.decoder.fit_scale(
            self._train.embeddings[:, model.blocks[first_camera(model)]], self._train.pictures
        )
        probe = fit_probe(self._train.embeddings, self._train.places, ridge=_RIDGE)
        interpreter.place_weight.copy_(probe.weight)
        interpreter.place_offset.copy_(probe.offset)

    @property
    def module(self) -> nn.Module:
        """The interpreter; the model is no part of it."""
        return self._interpreter

    def losses(self, step: int) -> Mapping[str, Tensor]:
        """Returns the mean squared error of pictures of a new batch."""
        rng = np.random.default_rng((self._seed, 1, step))
        return self._losses(
            self._train, torch.from_numpy(rng.integers(len(self._train.places), size=self._settings.batch_size))
        )

    def finish_step(self) -> None:
        """Follows a step of the optimiser: nothing does."""

    @torch.no_grad()
    def validate(self, step: int) -> Mapping[str, float]:  # noqa: ARG002
        """Returns the same on held-out frames."""
        losses = self._losses(self._validation, torch.arange(len(self._validation.places)))
        return {name: float(value) for name, value in losses.items()}

    def judge(self, step: int, monitors: Mapping[str, float]) -> None:
        """Judges nothing: a poor picture harms nobody."""

    def checkpoint(self, step: int) -> Checkpoint:
        """Returns the interpreter."""
        return Checkpoint(
            sections={SECTION: self._interpreter.state_dict()}, metadata=replace(self._metadata, training_step=step)
        )

    def _losses(self, frames: _Frames, rows: Tensor) -> dict[str, Tensor]:
        drawn = self._interpreter.draw(frames.embeddings[rows])
        return {"loss": (drawn - frames.pictures[rows].float() / 255).square().mean()}


@torch.no_grad()
def _draw_frames(
    model: JEPA,
    dataset: EpisodeDataset,
    place_sensor: str,
    episodes: NDArray[np.int64],
    num_frames: int,
    rng: np.random.Generator,
) -> _Frames:
    """Draws frames of some episodes and embeds them, a few at a time: what a camera saw need not fit in memory."""
    chosen = rng.choice(episodes, num_frames)
    rows = np.sort(dataset.first_observation[chosen] + rng.integers(dataset.lengths[chosen] + 1))
    embeddings, pictures = [], []
    for part in np.array_split(rows, max(1, num_frames // _CHUNK)):
        readings: dict[str, Any] = {name: torch.from_numpy(dataset.observations[name][part]) for name in model.sensors}
        embeddings.append(model.encode({name: reading[None] for name, reading in readings.items()})[0])
        pictures.append(as_pictures(readings[first_camera(model)]))
    return _Frames(
        embeddings=torch.cat(embeddings),
        pictures=torch.cat(pictures),
        places=torch.from_numpy(dataset.observations[place_sensor][rows]),
    )
