"""How fast random training windows come from a dataset of 1 GB.

`python -m benchmarks.world_model.windows` writes the dataset into a temporary folder, draws batches of windows of all
sensors and actions through `world_model.training.data` on one thread, prints windows/s, and removes the folder.
"""

import tempfile
import time
from pathlib import Path
from statistics import median

import gymnasium
import numpy as np
import torch

import envs  # noqa: F401 - registers the tasks
from benchmarks.arguments import call
from envs.episodes.episode import Episode, open_dataset
from envs.episodes.recording import Recording, draft_manifest
from envs.spec import TaskSpec
from world_model.training.data import WindowSampler

NUM_EPISODES = 250_000
NUM_STEPS = 50
NUM_FRAMES = 6
BATCH_SIZE = 256
NUM_BATCHES = 400
NUM_REPEATS = 7


def main() -> None:
    torch.set_num_threads(1)
    spec: TaskSpec = gymnasium.make("jepa-mpc/Reach-v0").unwrapped.description  # type: ignore[attr-defined]
    with tempfile.TemporaryDirectory() as folder:
        num_bytes = write_noise(Path(folder), spec)
        dataset = open_dataset(Path(folder))
        sampler = WindowSampler(
            dataset,
            sensors=spec.shapes,
            episodes=np.arange(dataset.num_episodes),
            num_frames=NUM_FRAMES,
            action_repeat=1,
        )
        rng = np.random.default_rng(0)
        rates = [measure(sampler, rng) for _ in range(NUM_REPEATS)]
    print(
        f"{num_bytes / 1e9:.2f} GB, windows of {NUM_FRAMES} frames of {len(spec.sensors)} sensors, "
        f"batches of {BATCH_SIZE}: "
        f"{median(rates):,.0f} windows/s (median of {NUM_REPEATS}, {min(rates):,.0f} to {max(rates):,.0f})"
    )


def write_noise(folder: Path, spec: TaskSpec) -> int:
    """Writes a dataset of noise, and returns how many bytes it has."""
    rng = np.random.default_rng(0)
    episodes = [
        Episode(
            observations={
                sensor: rng.normal(size=(NUM_STEPS + 1, *shape)).astype(np.float32)
                for sensor, shape in spec.shapes.items()
            },
            actions=rng.uniform(-1, 1, (NUM_STEPS, spec.action_dim)).astype(np.float32),
            seed=0,
            verdicts=(),
            num_redrawn=0,
        )
        for _ in range(100)
    ]
    recording = Recording(
        folder,
        draft_manifest(
            spec,
            dtypes=dict.fromkeys(spec.sensors, "float32"),
            policy_name="noise",
            policy_values={},
            seeds=range(NUM_EPISODES),
            lengths=[NUM_STEPS] * NUM_EPISODES,
        ),
    )
    recording.allocate()
    for index in range(NUM_EPISODES):
        recording.write(index, episodes[index % len(episodes)])
    recording.seal({})
    return sum(path.stat().st_size for path in folder.rglob("*.npy"))


def measure(sampler: WindowSampler, rng: np.random.Generator) -> float:
    """Returns windows/s."""
    start = time.perf_counter()
    for _ in range(NUM_BATCHES):
        sampler.sample(BATCH_SIZE, rng)
    return NUM_BATCHES * BATCH_SIZE / (time.perf_counter() - start)


if __name__ == "__main__":
    call(main)
