"""What keeps an embedding from collapsing, and what that is worth: same data and steps, one regulariser after another.

`python -m benchmarks.world_model.regularizers output=DIR env=reach` trains with each yaml of configs/regularizer
and prints effective rank, probe R² on episodes that were not trained on, and success. Where the alarm stops a training,
it is trained once more with the alarm off, for the other columns.
"""

import contextlib
import io
import json
from pathlib import Path
from time import perf_counter

import numpy as np
import torch

from agent.run.cli import main as jepa_mpc
from agent.run.config.composing import compose_config, group_names
from agent.run.config.saved import read_config
from agent.run.stages.loading import checkpoint_path, load_modules
from benchmarks.arguments import call, split_settings
from envs.episodes.episode import open_dataset
from world_model.jepa import JEPA
from world_model.probes import effective_rank, fit_probe, r_squared

RIDGE = 1e-6
HELD_OUT_SEED = 999
NUM_HELD_OUT = 200
SILENCED = [
    "training.alarm.min_std=0.0",
    "training.alarm.min_rank_share=0.0",
    "training.alarm.min_action_sensitivity=-1e9",
]


def main() -> None:
    settings, changes = split_settings({"output": "???", "num_episodes": 100})
    folder = Path(settings.output)
    env = compose_config(changes).choices["env"]

    data, held_out = folder / "data", folder / "held_out"
    quiet("collect", *changes, f"output={data}")
    quiet("collect", *changes, f"seed={HELD_OUT_SEED}", f"num_episodes={NUM_HELD_OUT}", f"output={held_out}")
    for name in group_names()["regularizer"]:
        output = folder / name
        train = ("train", *changes, f"data={data}", f"regularizer={name}")
        start = perf_counter()
        code = quiet(*train, f"output={output}")
        if code != 0:
            output = folder / f"{name}_without_alarm"
            start = perf_counter()
            quiet(*train, *SILENCED, f"output={output}")
        seconds = perf_counter() - start
        quiet(
            "evaluate",
            "split=evaluation",
            f"run={output}",
            f"num_episodes={settings.num_episodes}",
            "videos=0",
            f"output={output}/evaluate",
        )
        success = json.loads((output / "evaluate" / "results.json").read_text())["agents"]["actor"]["success_at_end"]
        rate = f"{100 * success['rate']:.1f} % ({100 * success['low']:.1f} to {100 * success['high']:.1f})"
        alarm = "stopped by the alarm" if code == 1 else "passed the alarm"
        print(f"{env} {name:<12} {describe(output, held_out)}, at the end {rate}, {seconds:.0f} s, {alarm}", flush=True)


def quiet(*command: str) -> int:
    with contextlib.redirect_stdout(io.StringIO()):
        return jepa_mpc(command)


def describe(run: Path, held_out: Path) -> str:
    """Returns effective rank and probe R² of tip and block, from embeddings of episodes that were not trained on."""
    modules = load_modules(compose_config([], base=read_config(run)), checkpoint_path(run))
    model = modules.world_model
    dataset = open_dataset(held_out)
    readings = {name: torch.from_numpy(np.array(rows)) for name, rows in dataset.observations.items()}
    with torch.no_grad():
        embeddings = model.encode({name: readings[name][None] for name in model.sensors})[0]
    half = int(dataset.first_observation[dataset.num_episodes // 2])
    targets = [name for name in ("tip", "block_position") if name in modules.spec.sensors]
    return ", ".join([ranks(model, embeddings), *(probe(name, embeddings, readings[name], half) for name in targets)])


def ranks(model: JEPA, embeddings: torch.Tensor) -> str:
    blocks = (
        f"{effective_rank(embeddings[:, block]):.1f} of {block.stop - block.start}" for block in model.blocks.values()
    )
    return f"rank {effective_rank(embeddings):.1f} of {model.embed_dim} (" + ", ".join(blocks) + ")"


def probe(name: str, embeddings: torch.Tensor, readings: torch.Tensor, half: int) -> str:
    moving = readings.std(dim=0) > 1e-3  # a block does not leave the table
    fitted = fit_probe(embeddings[:half], readings[:half][:, moving], ridge=RIDGE)
    guesses, truth = fitted(embeddings[half:]), readings[half:][:, moving]
    explained = min(r_squared(guess, number) for guess, number in zip(guesses.T, truth.T, strict=True))
    return f"R² of {name} {explained:.4f}"


if __name__ == "__main__":
    call(main)
