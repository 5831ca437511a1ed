"""Contact, judged: does what is touched move as it does, and does what is not touched stay?

Planning lives on these two, and no other monitor sees them. Both are measured twice, on held-out episodes:

- for people, in the units of a sensor, read off imagined embeddings by linear probes. A robot need not know where the
  thing is that it moves: nothing that is found so reaches the model or what chooses among models;
- without any truth, in embedding space: on windows in which the embedding changes beyond what the robot's own motion
  explains, and on windows in which it does not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from envs.episodes.episode import EpisodeDataset
from world_model.jepa import JEPA
from world_model.objectives.prediction import imagine
from world_model.training.data import WindowSampler
from world_model.training.embedded import EmbedRows
from world_model.training.own_motion import OwnMotion
from world_model.training.probed_frames import FittedProbe

LEAST_MOTION = 0.01
"""Of a sensor's spread: what moves by less in a model step rests."""

MOST_MOVING = 0.5
"""Of the model steps: what moves in more of them does not rest most of the time, as a part of the robot itself."""

LEAST_MOVING = 0.001
"""Of the model steps: what moves in fewer is not moved."""

CHANGING_SHARE = 0.1
"""Of windows, those that change most beyond the robot's own motion: in them things are taken to be moved."""

UNCHANGING_SHARE = 0.5
"""Of windows, those that change least beyond it."""

LEAST_UNEXPLAINED = 0.01
"""Of the squared change of the embedding: with less, the robot's own motion explains all, and nothing is moved."""

_LEAST_WINDOWS = 8
_MOST_WINDOWS = 50_000  # that are looked through for those that are judged


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
    spec = dataset.manifest.env
    chosen = [index for index in episodes if dataset.lengths[index] >= action_repeat]
    things = []
    for name in sorted(dataset.observations, key=lambda it: it not in spec.asked):
        if spec.sensors[name].is_image or not chosen:
            continue
        paths = [_path(dataset, name, index) for index in chosen]
        threshold = LEAST_MOTION * float(np.linalg.norm(np.concatenate(paths).std(axis=0)))
        ways = [np.linalg.norm(path[action_repeat:] - path[:-action_repeat], axis=1) for path in paths]
        moving_share = float((np.concatenate(ways) > threshold).mean())
        if LEAST_MOVING <= moving_share <= MOST_MOVING:
            things.append(Movable(name, threshold, moving_share))
    return [it for it in things if spec.sensors[it.sensor].unit == spec.sensors[things[0].sensor].unit]


class ContactWindows:
    """Held-out windows in which things are moved, and others in which they rest.

    Args:
        dataset: Where they come from.
        episodes: Held-out episodes, `[num_held_out]`.
        model: Whose steps are judged.
        horizon: Imagined model steps; fewer where no episode is so long.
        num_windows: Of each kind, and of each thing, at most.
        rng: Draws the windows.
    """

    def __init__(
        self,
        dataset: EpisodeDataset,
        *,
        episodes: NDArray[np.int64],
        model: JEPA,
        horizon: int,
        num_windows: int,
        rng: np.random.Generator,
    ) -> None:
        repeat, self._now = model.action_repeat, model.context_length - 1
        longest = int(dataset.lengths[episodes].max()) // repeat - self._now
        windows = WindowSampler(
            dataset,
            sensors=[],
            episodes=episodes,
            num_frames=model.context_length + min(horizon, longest),
            action_repeat=repeat,
        )
        order = rng.permutation(len(windows))[:_MOST_WINDOWS]
        self._any = _Windows(windows.rows(order[: 4 * num_windows]), windows.actions(order[: 4 * num_windows]))
        self._judged: list[_Judged] = []
        for thing in find_movables(dataset, episodes=episodes, action_repeat=repeat):
            rows = windows.rows(order)
            truth = torch.from_numpy(np.asarray(dataset.observations[thing.sensor])[rows]).flatten(2).double()
            ways = (truth - truth[:, self._now, None]).norm(dim=2)[:, self._now :]
            kinds = [ways[:, -1] > thing.threshold, ways.amax(dim=1) <= thing.threshold]
            moving, resting = (kind.nonzero()[:num_windows, 0].numpy() for kind in kinds)
            if min(len(moving), len(resting)) >= _LEAST_WINDOWS:
                self._judged.append(
                    _Judged(
                        thing=thing,
                        moving=_Windows(rows[moving], windows.actions(order[moving])),
                        resting=_Windows(rows[resting], windows.actions(order[resting])),
                        truth=truth[moving],
                    )
                )

    @torch.no_grad()
    def measure(self, model: JEPA, embed: EmbedRows, probes: Mapping[str, FittedProbe]) -> dict[str, float]:
        """Measures a model.

        Args:
            model: In evaluation mode.
            embed: Embeds recorded frames by it.
            probes: Sensor name to what reads it off an embedding.

        Returns:
            Without any truth, as shares of what changes beyond the robot's own motion where much does, if anything:

            - `contact/unexplained_error`: squared error of the last imagined embedding, where much does;
            - `contact/unexplained_drift`: the same where little does.

            And where things are moved, and told by an embedding, in the sensor's unit, means over windows and things:

            - `contact/moving_error`: how far the imagined thing is from where it went, after the last step, in windows
              in which it was moved;
            - `contact/moving_copy`: how far it went, which is the error of imagining that it stays;
            - `contact/resting_drift`: how far the imagined thing went, in windows in which it rested;
            - `contact/after_<k>/<each of these three>`: after the model steps 1, 3, 5 …;
            - `contact/probe_error`: how far the probe is off in the last frames of the former windows, which no
              imagination can undercut;
            - `contact/moving_share`: of the model steps in which a thing moves.
        """
        metrics = self._without_truth(model, embed)
        judged = [it for it in self._judged if it.thing.sensor in probes]
        if judged:
            parts = [self._by_probe(model, embed, it, probes[it.thing.sensor]) for it in judged]
            names = ("moving_error", "moving_copy", "resting_drift", "probe_error")
            kinds = [torch.cat(kind).mean(dim=0).tolist() for kind in zip(*parts, strict=True)]
            metrics |= {f"contact/{name}": by_step[-1] for name, by_step in zip(names, kinds, strict=True)}
            for name, by_step in islice(zip(names, kinds, strict=True), 3):
                metrics |= {f"contact/after_{1 + index}/{name}": by_step[index] for index in range(0, len(by_step), 2)}
            metrics["contact/moving_share"] = float(np.mean([it.thing.moving_share for it in judged]))
        return metrics

    def _by_probe(
        self, model: JEPA, embed: EmbedRows, judged: "_Judged", fitted: FittedProbe
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Returns moving error, copying error, resting drift and the probe's error, each `[windows, horizon]`."""
        now = self._now
        moving, resting = embed(judged.moving.rows), embed(judged.resting.rows)
        truth = judged.truth[..., fitted.varying]
        went, rested = truth[:, now + 1 :], fitted.probe(resting[:, now, None])
        return (
            (fitted.probe(judged.moving.imagine(model, moving)) - went).norm(dim=2),
            (truth[:, now, None] - went).norm(dim=2),
            (fitted.probe(judged.resting.imagine(model, resting)) - rested).norm(dim=2),
            (fitted.probe(moving[:, now + 1 :]) - went).norm(dim=2),
        )

    def _without_truth(self, model: JEPA, embed: EmbedRows) -> dict[str, float]:
        embeddings, now = embed(self._any.rows), self._now
        steps = _steps(embeddings[:, now:], self._any.encoded(model)[:, now:])
        changes = OwnMotion.fit(*steps).unexplained(*steps).view(len(embeddings), -1, embeddings.shape[2])
        errors = (self._any.imagine(model, embeddings)[:, -1] - embeddings[:, -1]).double().square().sum(dim=1)
        order = changes.norm(dim=2).amax(dim=1).argsort()
        num_least, num_most = (max(round(share * len(order)), 1) for share in (UNCHANGING_SHARE, CHANGING_SHARE))
        least, most = order[:num_least], order[-num_most:]
        size = changes[most].sum(dim=1).square().sum(dim=1).mean()
        way = (embeddings[:, -1] - embeddings[:, now])[most].double().square().sum(dim=1).mean()
        if size <= LEAST_UNEXPLAINED * way:
            return {}
        return {
            "contact/unexplained_error": float(errors[most].mean() / size),
            "contact/unexplained_drift": float(errors[least].mean() / size),
        }


@dataclass(frozen=True)
class _Windows:
    """Windows of recorded episodes.

    Attributes:
        rows: `[num_windows, time]`, where their frames lie in the dataset.
        actions: `[num_windows, time - 1, action_dim]`.
    """

    rows: NDArray[np.int64]
    actions: Tensor

    def encoded(self, model: JEPA) -> Tensor:
        """Returns the actions as the dynamics take them, on the CPU."""
        encoded: Tensor = model.action_encoder(self.actions.to(model.device))
        return encoded.cpu()

    def imagine(self, model: JEPA, embeddings: Tensor) -> Tensor:
        """Returns what is imagined behind the context of embeddings `[num_windows, time, embed_dim]`, on the CPU."""
        return imagine(model, embeddings.to(model.device), self.actions.to(model.device)).cpu()


@dataclass(frozen=True)
class _Judged:
    """Windows by which one thing is judged.

    Attributes:
        thing: Which.
        moving: In which it moves.
        resting: In which it rests.
        truth: `[num_moving, time, num_numbers]`, where it is in the former.
    """

    thing: Movable
    moving: _Windows
    resting: _Windows
    truth: Tensor


def _steps(embeddings: Tensor, actions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the model steps of windows: embeddings before, actions, embeddings after, each `[steps, size]`."""
    return embeddings[:, :-1].flatten(0, 1), actions.flatten(0, 1), embeddings[:, 1:].flatten(0, 1)


def _path(dataset: EpisodeDataset, sensor: str, episode: int) -> NDArray[np.float64]:
    """Returns what a sensor reads in an episode, `[num_steps + 1, num_numbers]`."""
    readings, _ = dataset.episode(episode)
    return readings[sensor].reshape(len(readings[sensor]), -1).astype(np.float64)
