"""What each image encoder learns from the same data in the same time.

    python -m benchmarks.world_model.encoders data=runs/push_pixels/data observation=pixels seconds=240

Every encoder of configs/image_encoder, or those of `encoders=[NAME,...]`, is trained as `jepa-mpc train` does, for as
many steps as fit into the time on this machine. Prints R² of linear probes on held-out episodes, frames/s in training,
and ms to encode one frame with one torch thread. What was trained is kept in `output`, and is not trained again.
"""

import json
from pathlib import Path

import numpy as np
import torch

from agent.run.config.building import build
from agent.run.config.composing import Config, compose_config, group_names
from agent.run.config.tasks import env_name
from agent.run.stages.modules import build_world_model, model_configs
from benchmarks.arguments import call, split_settings
from benchmarks.tables import table
from benchmarks.world_model.training import seconds
from envs.episodes.episode import EpisodeDataset, open_dataset
from world_model.training.fit import TrainingStopped, threads, train_step
from world_model.training.task import WorldModelTask
from world_model.training.train import train_world_model

NUM_TRIAL_STEPS = 15
NUM_WARM_UP = 5
NUM_ENCODINGS = 300
TOO_LARGE = ("vit_base",)
"""The published size, which no laptop trains in minutes."""


def main() -> None:
    encoders = [name for name in group_names()["image_encoder"] if name not in TOO_LARGE]
    settings, changes = split_settings({"encoders": encoders, "seconds": 240, "output": "runs/encoders"})
    rows, probed = [], []
    for name in settings.encoders:
        config = composed([*changes, f"image_encoder={name}"])
        dataset = open_dataset(Path(config.values.train.data))
        frames_per_second, milliseconds = speed(config, dataset)
        window = config.values.world_model.context_length + config.values.training.rollout_length
        num_steps = round(settings.seconds * frames_per_second / (config.values.training.batch_size * window))
        output = Path(settings.output) / f"{name}_{settings.seconds:g}s"
        probes = trained_probes(config, dataset, output, num_steps=num_steps)
        probed = sorted(probes)
        shown = [f"{probes[sensor]:.4f}" for sensor in probed]
        rows.append([name, *shown, f"{frames_per_second:,.0f}", f"{milliseconds:.2f}"])
        print(table(["encoder", *probed, "frames/s", "ms a frame"], rows), flush=True)


def composed(overrides: list[str]) -> Config:
    """Returns the config of a training on the env that the dataset comes from."""
    config = compose_config(overrides, section="train")
    env = env_name(open_dataset(Path(config.values.train.data)))
    return compose_config([*overrides, f"env={env}"], section="train")


def make_task(config: Config, dataset: EpisodeDataset) -> WorldModelTask:
    return WorldModelTask(
        model=build_world_model(model_configs(config), dataset.manifest.env),
        regularizer=build(config.values.regularizer),
        dataset=dataset,
        settings=build(config.values.training).on_this_machine(),
        configs={},
        is_last_stage=True,
        seed=0,
    )


def speed(config: Config, dataset: EpisodeDataset) -> tuple[float, float]:
    """Returns frames/s in training, and ms to encode one frame with one thread."""
    task, settings = make_task(config, dataset), build(config.values.training)
    parameters = list(task.module.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=settings.learning_rate, fused=True)
    times = []
    with threads(settings.num_threads):
        for step in range(1, NUM_TRIAL_STEPS + 1):
            times.append(seconds(lambda step=step: train_step(task, optimizer, parameters, settings, step)))
    model = task.model.cpu().eval()
    frame = {name: torch.from_numpy(np.array(dataset.observations[name][:1]))[None] for name in model.sensors}
    encodings = []
    with threads(1), torch.no_grad():
        for _ in range(NUM_ENCODINGS):
            encodings.append(seconds(lambda: model.encode(frame)))
    frames = settings.batch_size * (model.context_length + settings.rollout_length)
    return frames / float(np.median(times[NUM_WARM_UP:])), 1e3 * float(np.median(encodings))


def trained_probes(config: Config, dataset: EpisodeDataset, output: Path, *, num_steps: int) -> dict[str, float]:
    """Returns R² on held-out episodes after so many steps, or as many as an earlier call chose, by sensor."""
    plan = output / "steps.json"
    if plan.is_file():
        num_steps = json.loads(plan.read_text())
    else:
        output.mkdir(parents=True, exist_ok=True)
        plan.write_text(json.dumps(num_steps))
    config.values.training.num_steps, config.values.dynamics_training.num_steps = num_steps, 0
    configs = model_configs(config)
    try:
        train_world_model(
            build_model=lambda: build_world_model(configs, dataset.manifest.env),
            regularizer=build(config.values.regularizer),
            dataset=dataset,
            settings=build(config.values.training),
            dynamics_settings=build(config.values.dynamics_training),
            configs=configs,
            seed=config.values.seed,
            output=output,
            cache=None,
        )
    except TrainingStopped as stopped:
        print(f"{output.name}: {stopped}", flush=True)
    lines = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
    validated = [line for line in lines if any("probe" in key for key in line)]
    return (
        {key.rpartition("/")[2]: value for key, value in validated[-1].items() if "/probe/" in key} if validated else {}
    )


if __name__ == "__main__":
    call(main)
