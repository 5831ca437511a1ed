"""How much of a training step is bare learning.

    python -m benchmarks.world_model.training data=runs/reach_pixels/data observation=pixels

A whole step (fetch, augment, encode, predict, regularise, optimise) beside the bare forward and backward pass of
encoders and predictor on a batch in memory, alternately in one run. The arguments are those of `jepa-mpc train`.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import numpy as np
import torch

from agent.run.config.building import build
from agent.run.config.composing import compose_config
from agent.run.stages.modules import build_world_model, model_configs
from benchmarks.arguments import call
from benchmarks.tables import table
from envs.episodes.episode import open_dataset
from world_model.objectives.prediction import imagine, prediction_loss
from world_model.training.data import WindowSampler
from world_model.training.fit import threads, train_step
from world_model.training.settings import TrainingSettings
from world_model.training.task import WorldModelTask
from world_model.types import Windows

NUM_STEPS = 60
NUM_WARM_UP = 10


def main() -> None:
    config = compose_config(sys.argv[1:], section="train")
    dataset = open_dataset(Path(config.values.train.data))
    settings: TrainingSettings = build(config.values.training).on_this_machine()
    model = build_world_model(model_configs(config), dataset.manifest.env)
    task = WorldModelTask(
        model=model,
        regularizer=build(config.values.regularizer),
        dataset=dataset,
        settings=settings,
        configs={},
        is_last_stage=True,
        seed=0,
    )
    parameters = list(task.module.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=settings.learning_rate, fused=True)
    num_frames = model.context_length + settings.rollout_length
    sampler = WindowSampler(
        dataset,
        sensors=model.sensors,
        episodes=np.arange(dataset.num_episodes),
        num_frames=num_frames,
        action_repeat=model.action_repeat,
    )
    batch = sampler.sample(settings.batch_size, np.random.default_rng(0)).to(model.device)
    whole, bare = [], []
    with threads(settings.num_threads):
        for step in range(1, NUM_WARM_UP + NUM_STEPS + 1):
            whole.append(seconds(lambda step=step: train_step(task, optimizer, parameters, settings, step)))
            bare.append(seconds(lambda: bare_passes(task, batch)))
    rows = [
        [name, f"{1e3 * typical:.1f}", f"{settings.batch_size * num_frames / typical:,.0f}"]
        for name, typical in (("whole step", median(whole)), ("bare forward and backward", median(bare)))
    ]
    print(table(["", "ms", "frames/s"], rows))
    ratios = np.divide(bare, whole)[NUM_WARM_UP:]
    low, share, high = np.quantile(ratios, [0.25, 0.5, 0.75])
    print(f"of a whole step, the bare passes take {share:.1%} (quartiles {low:.1%} to {high:.1%}, n = {NUM_STEPS})")


def bare_passes(task: WorldModelTask, batch: Windows) -> None:
    """Encodes and predicts, and passes gradients back; nothing else."""
    model = task.model.train()
    model.zero_grad()
    embeddings = task.module.encode(batch)
    predictions = imagine(model, embeddings, batch.actions)
    loss = prediction_loss(predictions, embeddings[:, model.context_length :], model.blocks)
    loss.backward()  # type: ignore[no-untyped-call]


def seconds(work: Callable[[], object]) -> float:
    """Returns how long something takes; a GPU is given the time to finish it."""
    start = perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return perf_counter() - start


def median(times: list[float]) -> float:
    return float(np.median(times[NUM_WARM_UP:]))


if __name__ == "__main__":
    call(main)
