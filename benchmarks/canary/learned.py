"""What is known of recorded data, of a world model, of a critic, and of trainings."""

from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agent import api
from agent.run.config.building import build
from agent.run.stages.loading import build_terms
from benchmarks.canary.check import Check
from benchmarks.canary.environment import make_task
from benchmarks.canary.small_run import SmallRun
from envs.episodes.episode import Episode
from world_model.training.checkpoint import file_sha256
from world_model.training.task import split_of_training
from world_model.types import Goal, LatentContext, LatentGoal, LatentTrajectory

BRIEF: dict[str, Any] = {
    "training.num_steps": 5,
    "training.num_validation_windows": 256,
    "training.num_probe_frames": 64,
}
"""A training that learns nothing, and shows what it depends on."""


def checks(run: SmallRun) -> list[Check]:
    """Returns what is known of what a run recorded and learned."""
    # Measured under seeds 0 to 2: 0; 0.019 to 0.032; 0.00002; 0; 0.926 to 0.938; 1; 0; 1.
    return [
        Check("recorded actions lead to what was recorded, to the last bit", partial(replay_error, run), most=0),
        Check("held-out error of a step over that of copying", partial(prediction_error, run), most=0.1),
        Check("held-out share of what is normalised by", partial(held_out_share, run), most=0.01),
        Check("a context that is carried differs from one that is built", partial(context_error, run), most=1e-4),
        Check("the critic's steps follow those that the expert takes", partial(critic_correlation, run), least=0.8),
        Check("ways to the goal that cost the critic less than staying", partial(ways_preferred, run), least=1, most=1),
        Check("trainings of one seed that end with other bytes", partial(num_different, run, 0), most=0),
        Check("trainings of two seeds that end with other bytes", partial(num_different, run, 1), least=1),
    ]


def replay_error(run: SmallRun) -> float:
    """Returns by how much readings differ at most, where recorded actions are done again from the recorded seed."""
    task, dataset, error = make_task("reach"), run.dataset, 0.0
    for index in range(3):
        readings, actions = dataset.episode(index)
        frame = task.reset(dataset.manifest.seeds[index])
        for step in range(len(actions) + 1):
            error = max(error, *(float(np.abs(readings[it][step] - frame.readings[it]).max()) for it in readings))
            if step < len(actions):
                frame = task.step(np.array(actions[step]))
    return error


def prediction_error(run: SmallRun) -> float:
    """Returns the squared error of single steps in held-out episodes, as a share of that of copying the last frame."""
    model, error, copied = run.modules.world_model, 0.0, 0.0
    for embeddings, actions in _held_out(run):
        for step in range(1, len(actions)):
            context = LatentContext(
                embeddings=embeddings[None, step - 1 : step + 1],
                actions=actions[None, step - 1 : step],
                previous_action=actions[None, step - 1],
            )
            predicted = model.rollout(context, actions[None, None, step : step + 1]).embeddings[0, 0, 0]
            error += float((predicted - embeddings[step + 1]).square().mean())
            copied += float((embeddings[step] - embeddings[step + 1]).square().mean())
    return error / copied


def held_out_share(run: SmallRun) -> float:
    """Returns how far what a sensor is normalised by lies from the learned episodes, on the way to all of them."""
    learned, _ = _sides(run)
    own, everything = (_mean_tip(run, it) for it in (learned, np.arange(run.dataset.num_episodes)))
    normalizer = run.modules.world_model.normalizer("tip")
    assert isinstance(normalizer.mean, Tensor)
    return float(np.abs(normalizer.mean.numpy() - own).max() / np.abs(everything - own).max())


def context_error(run: SmallRun) -> float:
    """Returns by how much an imagined embedding changes at most, where its context was carried frame by frame."""
    model, (embeddings, actions) = run.modules.world_model, _held_out(run)[0]
    carried = _context(embeddings[:2], actions[:1])
    for step in range(1, 6):
        carried = model.follow(carried, actions[None, step], embeddings[None, step + 1])
    built = _context(embeddings[5:7], actions[5:6])
    imagined = [model.rollout(it, actions[None, None, 6:9]).embeddings for it in (carried, built)]
    return float((imagined[0] - imagined[1]).abs().max())


def critic_correlation(run: SmallRun) -> float:
    """Returns the correlation of the critic's answers with the steps that an expert still takes."""
    steps, answers = [], []
    for way in run.ways:
        arrival = int(way.is_success.argmax())
        embeddings, goal = _embed_way(run, way)
        answer = run.modules.critics["cost_to_go"](embeddings[None, : arrival + 1], goal).mean(dim=0)[0]
        answers += answer.tolist()
        steps += list(range(arrival, -1, -1))
    return float(np.corrcoef(steps, answers)[0, 1])


def ways_preferred(run: SmallRun) -> float:
    """Returns the share of an expert's ways that cost less, by the critic, than to stay where they begin."""
    term = build_terms(run.run.evaluation.config, run.modules)["terms"]["cost_to_go"]
    preferred = []
    for way in run.ways:
        embeddings, goal = _embed_way(run, way)
        futures = torch.stack([embeddings[1:], embeddings[:1].expand_as(embeddings[1:])])[None]
        actions = futures.new_zeros(*futures.shape[:3], 3)
        trajectory = LatentTrajectory(futures, actions, previous_action=actions[:, 0, 0], start=embeddings[:1])
        along, staying = term(trajectory, goal)[0].tolist()
        preferred.append(along < staying)
    return float(np.mean(preferred))


def num_different(run: SmallRun, apart: int) -> int:
    """Returns whether two short trainings on the same data, of seeds that lie so far apart, end with other bytes."""
    digests = set()
    for number, seed in enumerate((run.seed, run.seed + apart)):
        output = run.run.folder.parent / f"trained_{apart}_{number}"
        training = api.train(data=run.dataset.folder, output=output, seed=seed, **BRIEF)
        digests.add(file_sha256(training.checkpoint))
    return len(digests) - 1


def _sides(run: SmallRun) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns the episodes that the world model has learned from, and those that it was validated on."""
    settings, model = build(run.run.evaluation.config.values.training), run.modules.world_model
    return split_of_training(
        run.dataset,
        num_steps=settings.window_steps(context_length=model.context_length, action_repeat=model.action_repeat),
        validation_fraction=settings.validation_fraction,
        seed=run.seed,
    )


def _held_out(run: SmallRun) -> list[tuple[Tensor, Tensor]]:
    """Returns embeddings `[num_steps + 1, embed_dim]` and actions `[num_steps, action_dim]` of held-out episodes."""
    model, episodes = run.modules.world_model, []
    for index in _sides(run)[1][:5]:
        readings, actions = run.dataset.episode(int(index))
        frames = {name: torch.from_numpy(np.array(readings[name]))[None] for name in model.sensors}
        episodes.append((model.encode(frames)[0], torch.from_numpy(np.array(actions))))
    return episodes


def _mean_tip(run: SmallRun, episodes: NDArray[np.int64]) -> NDArray[np.float64]:
    readings = [run.dataset.episode(int(index))[0]["tip"].astype(np.float64) for index in episodes]
    mean: NDArray[np.float64] = np.concatenate(readings).mean(axis=0)
    return mean


def _context(embeddings: Tensor, actions: Tensor) -> LatentContext:
    return LatentContext(embeddings=embeddings[None], actions=actions[None], previous_action=actions[None, -1])


def _embed_way(run: SmallRun, way: Episode) -> tuple[Tensor, LatentGoal]:
    """Returns the embeddings of an episode, and its last place as a goal."""
    model = run.modules.world_model
    frames = {name: torch.from_numpy(way.observations[name])[None] for name in model.sensors}
    last = {"tip": torch.from_numpy(way.observations["tip"][-1:])}
    goal = model.encode_goal(Goal(observation=last, asked={"tip": torch.ones(1, dtype=torch.bool)}))
    return model.encode(frames)[0], goal
