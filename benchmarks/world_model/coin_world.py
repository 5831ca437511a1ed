"""A world in NumPy with two outcomes of known odds: what a latent variable has to find, and one future cannot tell."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from agent.run.config.building import build
from agent.run.config.composing import compose_config
from agent.run.stages.modules import WORLD_MODEL, build_world_model, model_configs
from envs.episodes.episode import Episode, EpisodeDataset, open_dataset
from envs.episodes.recording import write_dataset
from envs.spec import BoxActions, Sensor, TaskSpec
from world_model.jepa import JEPA
from world_model.latent.futures import draw_latents
from world_model.training.checkpoint import load_checkpoint
from world_model.training.train import train_world_model
from world_model.types import LatentContext

NUM_STEPS = 10
DRIFT = 0.6
NEAR = 0.2
"""Of the gap between the outcomes: what is imagined so near to one of them is that one."""

SPEC = TaskSpec(
    task_id="benchmarks/Coin-v0",
    fingerprint="",
    sensors={"point": Sensor((1,), "numbers", ""), "coin": Sensor((1,), "numbers", "")},
    perceived=("point", "coin"),
    goal={},
    asked=(),
    actions=BoxActions.unit(1),
    control_dt=0.1,
    num_steps=NUM_STEPS,
    effector=None,
)

Numbers = NDArray[np.float64]


def moved(point: Numbers, action: Numbers) -> Numbers:
    """Returns where an action takes the point, which nothing else moves: in -1..1."""
    return np.clip(point + 0.5 * action, -1.0, 1.0)


def odds(point: Numbers, action: Numbers) -> Numbers:
    """Returns how likely the coin falls to the right, in 0.1..0.9."""
    return 0.5 + 0.4 * np.tanh(point + action)


def outcomes(point: Numbers, action: Numbers) -> Numbers:
    """Returns where the coin lies after it has fallen to the left, and to the right: `[2, ...]`."""
    return DRIFT * moved(point, action) + np.array([-1.0, 1.0]).reshape(2, *[1] * point.ndim)


def record(folder: Path, *, num_episodes: int, seed: int) -> EpisodeDataset:
    """Writes episodes of random actions."""
    rng = np.random.default_rng(seed)
    points = [rng.uniform(-1, 1, num_episodes)]
    coins = [rng.uniform(-1, 1, num_episodes)]
    actions = rng.uniform(-1, 1, (NUM_STEPS, num_episodes))
    for action in actions:
        right = rng.uniform(size=num_episodes) < odds(points[-1], action)
        coins.append(np.where(right, *outcomes(points[-1], action)[::-1]))
        points.append(moved(points[-1], action))
    readings = {"point": np.stack(points), "coin": np.stack(coins)}  # [num_steps + 1, num_episodes]
    episodes = [
        Episode(
            observations={name: np.float32(values[:, index, None]) for name, values in readings.items()},
            actions=np.float32(actions[:, index, None]),
            seed=index,
            verdicts=(),
            num_redrawn=0,
        )
        for index in range(num_episodes)
    ]
    write_dataset(folder, episodes, env=SPEC, policy_name="random", policy_values={}, report={})
    return open_dataset(folder)


@dataclass(frozen=True)
class Judgement:
    """What a world model knows of the coin, against what is true.

    Attributes:
        both_found: Share of the throws of which both outcomes are among the imagined futures.
        plausible: Share of the imagined futures that are one of the outcomes.
        odds_error: Mean error of how often the coin is imagined to fall to the right.
        worst_odds_error: The same, its 99 % quantile over the throws.
        below_impossible: Share of the outcomes whose energy is below that of an impossible one.
        below_mean: Share of the outcomes whose energy is below that of their mean.
        mean_error: Distance of the most probable future from the outcomes' mean, as a share of their gap.
        outcome_error: Mean squared error of the future that explains an outcome best.
        impossible_error: The same of what is impossible.
    """

    both_found: float
    plausible: float
    odds_error: float
    worst_odds_error: float
    below_impossible: float
    below_mean: float
    mean_error: float
    outcome_error: float
    impossible_error: float


@torch.no_grad()
def judge(model: JEPA, *, num_throws: int, num_futures: int, seed: int) -> Judgement:
    """Compares what a model imagines, and what surprises it, with what can come.

    Impossible is a place of the coin that lies further than half the gap of the outcomes from both of them, or between
    them further than half of that.

    Args:
        model: Of the sensors of the coin world, with a context of one frame.
        num_throws: Of the coin, from states and with actions of all kinds.
        num_futures: Imagined of each.
        seed: Of all randomness.
    """
    rng = np.random.default_rng(seed)
    point, coin, action = rng.uniform(-1, 1, (3, num_throws))
    after, fallen = moved(point, action), outcomes(point, action)
    away = rng.uniform(0.5, 1.5, num_throws) * rng.choice([-1, 1], num_throws)
    impossible = fallen[rng.integers(2, size=num_throws), np.arange(num_throws)] + away
    between = np.abs(impossible - DRIFT * after) < 1
    impossible = np.where(between, DRIFT * after + rng.uniform(-0.5, 0.5, num_throws), impossible)
    truth = torch.tensor(odds(point, action), dtype=torch.float32)

    context = LatentContext.at_rest(_embed(model, point, coin), context_length=1, still=torch.zeros(1))
    actions = torch.tensor(action, dtype=torch.float32)[:, None]
    left, right = (_embed(model, after, it) for it in fallen)
    mean = torch.lerp(left, right, truth[:, None])
    gap = (right - left).norm(dim=1)
    came = [left, right, _embed(model, after, impossible), mean]
    explained = [model.explain(context, actions, it, torch.ones_like(it, dtype=torch.bool)) for it in came]
    energies = torch.stack([it.energy for it in explained])
    errors = [float((it.embedding - seen).square().mean()) for it, seen in zip(explained, came, strict=True)]

    likely = model.rollout(context, actions[:, None, None]).embeddings[:, 0, 0]
    futures = likely[:, None]
    if model.latent_dim:
        latents = draw_latents(
            [Generator().manual_seed(seed * num_throws + index) for index in range(num_throws)],
            num_futures=num_futures,
            horizon=1,
            latent_dim=model.latent_dim,
        )
        repeated = actions[:, None, None].expand(-1, num_futures, -1, -1)
        futures = model.rollout(context, repeated, latents).embeddings[:, :, 0]  # [num_throws, num_futures, embed_dim]
    distances = torch.stack([(futures - came[:, None]).norm(dim=2) / gap[:, None] for came in (left, right)])
    imagined = (distances[1] < distances[0]).float().mean(dim=1)
    misjudged = (imagined - truth).abs()
    return Judgement(
        both_found=float((distances.amin(dim=2) < NEAR).all(dim=0).float().mean()),
        plausible=float((distances.amin(dim=0) < NEAR).float().mean()),
        odds_error=float(misjudged.mean()),
        worst_odds_error=float(misjudged.quantile(0.99)),
        below_impossible=float((energies[:2] < energies[2]).float().mean()),
        below_mean=float((energies[:2] < energies[3]).float().mean()),
        mean_error=float(((likely - mean).norm(dim=1) / gap).mean()),
        outcome_error=sum(errors[:2]) / 2,
        impossible_error=errors[2],
    )


def train(dataset: EpisodeDataset, output: Path, changes: Sequence[str]) -> tuple[JEPA, float]:
    """Trains a world model of the coin, or loads the one that was trained.

    Args:
        dataset: Of the coin world.
        output: Folder of the training.
        changes: Of the config. Embeddings must tell what was read: a regulariser that asks for a Gaussian folds a
            reading of two values, until both are one.

    Returns:
        The model, and what its latent variable tells of a held-out step, nats.
    """
    config = compose_config(["recipe=none", "regularizer=reconstruction", *changes])
    if config.choices["latent"] != "none":
        config = compose_config(["recipe=none", "regularizer=reconstruction", "latent.sensors=[coin]", *changes])
    models = model_configs(config)
    path = train_world_model(
        build_model=partial(build_world_model, models, SPEC),
        regularizer=build(config.values.regularizer),
        dataset=dataset,
        settings=build(config.values.training),
        dynamics_settings=build(config.values.dynamics_training),
        configs=models,
        seed=config.values.seed,
        output=output,
        cache=None,
    )
    model = build_world_model(models, SPEC)
    load_checkpoint(path).restore(WORLD_MODEL, model)
    log = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
    information = [line["validation/information"] for line in log if "validation/information" in line]
    return model.eval().requires_grad_(False), information[-1] if information else 0.0


def _embed(model: JEPA, point: Numbers, coin: Numbers) -> Tensor:
    """Returns the embeddings of readings, `[rows, embed_dim]`."""
    readings = {
        name: torch.tensor(values, dtype=torch.float32)[:, None, None]
        for name, values in (("point", point), ("coin", coin))
    }
    return model.encode(readings)[:, 0]
