"""Contact, judged: does what is touched move as it does, and does what is not touched stay?

Both are read off imagined embeddings by linear probes, in the units of a sensor, on held-out episodes. They are for
people: a robot need not know where the thing is that it moves, and nothing that is found here reaches the model.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from envs.episodes.episode import EpisodeDataset
from envs.spec import TaskSpec
from world_model.embedding import embed
from world_model.jepa import JEPA
from world_model.objectives.prediction import imagine
from world_model.training.data import WindowSampler
from world_model.training.probed_frames import FittedProbe
from world_model.types import Windows

LEAST_MOTION = 0.01
"""Of a sensor's spread: what moves by less in a model step rests."""

MOST_MOVING = 0.5
"""Of the model steps: what moves in more of them does not rest most of the time, as a part of the robot itself."""

LEAST_MOVING = 0.001
"""Of the model steps: what moves in fewer is not moved."""

_LEAST_WINDOWS = 8
_MOST_WINDOWS = 50_000  # that are looked through for those that are judged
_CHUNK = 4096


@dataclass(frozen=True)
class Movable:
    """A thing that a sensor reads, that can be moved, and that rests most of the time.

    Attributes:
        sensor: What reads it.
        threshold: What moves by no more rests, in the sensor's unit.
        moving_share: Of the model steps in which it moves.
    """

    sensor: str
    threshold: float
    moving_share: float


def find_movables(dataset: EpisodeDataset, *, episodes: NDArray[np.int64], action_repeat: int) -> list[Movable]:
    """Returns the things that are moved in some episodes, all in one unit.

    That is the unit of the first of them that the task's goals ask for, or else of the first.

    Args:
        dataset: What was recorded, which may be more than the agent sees.
        episodes: Where it is looked, `[num_chosen]`.
        action_repeat: Control steps of a model step.
    """
    spec: TaskSpec = dataset.manifest.env
    chosen = [index for index in episodes if dataset.lengths[index] >= action_repeat]
    things = []
    for name in [*spec.asked, *(it for it in dataset.observations if it not in spec.asked)]:
        if name not in dataset.observations or (name in spec.sensors and spec.sensors[name].is_image):
            continue
        paths = [_path(dataset, name, index) for index in chosen]
        threshold = LEAST_MOTION * float(np.linalg.norm(np.concatenate(paths).std(axis=0)))
        ways = [np.linalg.norm(path[action_repeat:] - path[:-action_repeat], axis=1) for path in paths]
        moving_share = float((np.concatenate(ways) > threshold).mean()) if ways else 0.0
        if LEAST_MOVING <= moving_share <= MOST_MOVING:
            things.append(Movable(name, threshold, moving_share))
    return [it for it in things if _unit(spec, it.sensor) == _unit(spec, things[0].sensor)]


class ContactWindows:
    """Held-out windows in which things are moved, and others in which they rest.

    Args:
        dataset: Where they come from.
        sensors: What the model sees.
        episodes: Held-out episodes, `[num_held_out]`.
        context_length: Frames that the model begins with.
        horizon: Imagined model steps; fewer where no episode is so long.
        action_repeat: Control steps of a model step.
        num_windows: Of each kind and thing, at most.
        rng: Draws the windows.
    """

    def __init__(
        self,
        dataset: EpisodeDataset,
        *,
        sensors: Iterable[str],
        episodes: NDArray[np.int64],
        context_length: int,
        horizon: int,
        action_repeat: int,
        num_windows: int,
        rng: np.random.Generator,
    ) -> None:
        longest = int(dataset.lengths[episodes].max(initial=0)) // action_repeat + 1 - context_length
        num_frames = context_length + min(horizon, max(longest, 1))
        self.things: list[Movable] = []
        self._now = context_length - 1
        self._judged: list[_Judged] = []
        for thing in find_movables(dataset, episodes=episodes, action_repeat=action_repeat):
            windows, seen = (
                WindowSampler(
                    dataset, sensors=names, episodes=episodes, num_frames=num_frames, action_repeat=action_repeat
                )
                for names in ([thing.sensor], sensors)
            )
            numbers = rng.permutation(len(windows))[:_MOST_WINDOWS]
            truth = windows[numbers].observation[thing.sensor].flatten(2).double()
            ways = (truth - truth[:, self._now, None]).norm(dim=2)[:, self._now :]
            moves, rests = ways[:, -1] > thing.threshold, ways.amax(dim=1) <= thing.threshold
            if min(int(moves.sum()), int(rests.sum())) < _LEAST_WINDOWS:
                continue
            self.things.append(thing)
            chosen = [kind.nonzero()[:num_windows, 0] for kind in (moves, rests)]
            self._judged.append(
                _Judged(
                    sensor=thing.sensor,
                    truth=truth[torch.cat(chosen)],
                    num_moving=len(chosen[0]),
                    windows=seen[numbers[torch.cat(chosen).numpy()]],
                )
            )

    @torch.no_grad()
    def measure(self, model: JEPA, probes: Mapping[str, FittedProbe]) -> dict[str, float]:
        """Measures a model; of things that no probe reads, and where nothing is moved, there is nothing to say.

        Args:
            model: In evaluation mode.
            probes: Sensor name to what reads it off an embedding.

        Returns:
            In the sensors' unit, each a mean over windows and things:

            - `contact/moving_error`: how far the imagined thing is from where it went, after the last step, in windows
              in which it was moved;
            - `contact/moving_copy`: how far it went, which is the error of imagining that it stays;
            - `contact/resting_drift`: how far the imagined thing went, in windows in which it rested;
            - `contact/after_<k>/<the same>`: after the model steps 1, 3, 5 …;
            - `contact/probe_error`: how far the probe is off in the last frames of the former windows, which no
              imagination can undercut;
            - `contact/moving_share`: of the model steps in which a thing moves.
        """
        judged = [it for it in self._judged if it.sensor in probes]
        if not judged:
            return {}
        parts = [self._measure(model, it, probes[it.sensor]) for it in judged]
        moving, copying, drift, probing = (torch.cat(kind).mean(dim=0).tolist() for kind in zip(*parts, strict=True))
        by_step = {
            after: {
                "moving_error": moving[after - 1],
                "moving_copy": copying[after - 1],
                "resting_drift": drift[after - 1],
            }
            for after in range(1, len(moving) + 1)
        }
        return {
            **{f"contact/{name}": value for name, value in by_step[len(moving)].items()},
            **{
                f"contact/after_{after}/{name}": value
                for after, values in by_step.items()
                if after % 2
                for name, value in values.items()
            },
            "contact/probe_error": probing[-1],
            "contact/moving_share": float(np.mean([it.moving_share for it in self.things])),
        }

    def _measure(self, model: JEPA, judged: "_Judged", fitted: FittedProbe) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Returns moving error, copying error, resting drift and the probe's error, each `[windows, horizon]`."""
        count, now, varying = judged.num_moving, self._now, fitted.varying
        frames = {name: readings.flatten(0, 1) for name, readings in judged.windows.observation.items()}
        actions = judged.windows.actions.to(model.device)
        embeddings = embed(model, frames).view(len(actions), -1, model.embed_dim)
        read = fitted.probe(embeddings.cpu())
        imagined = fitted.probe(imagine(model, embeddings.to(model.device), actions).cpu())
        truth = judged.truth[..., varying]
        went = truth[:count, now + 1 :]
        return (
            (imagined[:count] - went).norm(dim=2),
            (truth[:count, now, None] - went).norm(dim=2),
            (imagined[count:] - read[count:, now, None]).norm(dim=2),
            (read[:count, now + 1 :] - went).norm(dim=2),
        )


@dataclass(frozen=True)
class _Judged:
    """Windows by which one thing is judged.

    Attributes:
        sensor: What reads it.
        truth: `[num_windows, time, num_numbers]`, first of windows in which it moves, then of those in which it rests.
        num_moving: Of the former.
        windows: What the model sees.
    """

    sensor: str
    truth: Tensor
    num_moving: int
    windows: Windows


def _path(dataset: EpisodeDataset, sensor: str, episode: int) -> NDArray[np.float64]:
    """Returns what a sensor reads in an episode, `[num_steps + 1, target_dim]`."""
    readings, _ = dataset.episode(episode)
    return readings[sensor].reshape(len(readings[sensor]), -1).astype(np.float64)


def _unit(spec: TaskSpec, sensor: str) -> str:
    return spec.sensors[sensor].unit if sensor in spec.sensors else ""
