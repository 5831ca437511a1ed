"""A coin whose odds are known: does a latent variable find both its sides, and what do they cost?

    python -m benchmarks.world_model.coin output=runs/coin

Trains a world model without latent variable, with a discrete and with a Gaussian one, each with `num_seeds` seeds on
episodes of its own, and compares what they imagine with what can come. Then the weight of R(z) is swept: how much z
tells, and what is left for y. Other arguments change the config. What was trained is kept, and not trained again.
"""

from pathlib import Path

import numpy as np

from benchmarks.arguments import call, split_settings
from benchmarks.tables import table
from benchmarks.world_model.coin_world import Judgement, judge, record, train
from envs.episodes.episode import EpisodeDataset, open_dataset

TRAINING = [
    "training.num_steps=2000",
    "training.rollout_length=2",
    "training.checkpoint_every=1000",
]
LATENTS = {
    "none": ["latent=none"],
    "discrete, 2 values": ["latent=discrete", "latent.num_values=2"],
    "discrete, 4 values": ["latent=discrete", "latent.num_values=4"],
    "gaussian, 1 dimension": ["latent=gaussian", "latent.num_dims=1", "latent.num_inference_steps=50"],
}
SWEPT = {"discrete": LATENTS["discrete, 2 values"], "gaussian": LATENTS["gaussian, 1 dimension"]}


def main() -> None:
    settings, changes = split_settings(
        {
            "output": "runs/coin",
            "num_seeds": 3,
            "num_episodes": 3000,
            "num_throws": 2000,
            "num_futures": 200,
            "weights": [1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0],
        }
    )
    folder = Path(settings.output)
    datasets = [_data(folder / f"data_{seed}", settings.num_episodes, seed) for seed in range(settings.num_seeds)]

    def judged(name: str, seed: int, *latent: str) -> tuple[Judgement, float]:
        model, information = train(
            datasets[seed], folder / f"{name}_{seed}", [*TRAINING, f"seed={seed}", *latent, *changes]
        )
        return judge(model, num_throws=settings.num_throws, num_futures=settings.num_futures, seed=seed), information

    rows = []
    for name, latent in LATENTS.items():
        each = [judged(name.replace(", ", "_").replace(" ", "_"), seed, *latent) for seed in range(settings.num_seeds)]
        rows.append([name, *_told([judgement for judgement, _ in each]), _mean([nats for _, nats in each], "{:.2f}")])
        print(table(HEADER, rows), flush=True)

    for name, latent in SWEPT.items():
        rows = []
        for weight in settings.weights:
            judgement, nats = judged(f"{name}_weight_{weight:g}", 0, *latent, f"latent.weight={weight}")
            rows.append(
                [
                    f"{name}, {weight:g}",
                    f"{nats:.2f}",
                    f"{judgement.outcome_error:.4f}",
                    f"{judgement.impossible_error:.4f}",
                    f"{judgement.below_impossible:.1%}",
                ]
            )
            print(table(SWEPT_HEADER, rows), flush=True)


HEADER = [
    "latent variable",
    "both outcomes found",
    "futures that are one",
    "odds off by",
    "99 % within",
    "energy below an impossible one",
    "below their mean",
    "likeliest future off their mean, of the gap",
    "tells, nats",
]
SWEPT_HEADER = [
    "weight of R(z)",
    "tells, nats",
    "error of what can come",
    "error of what cannot",
    "energy below an impossible one",
]


def _told(each: list[Judgement]) -> list[str]:
    formats = {
        "both_found": "{:.1%}",
        "plausible": "{:.1%}",
        "odds_error": "{:.3f}",
        "worst_odds_error": "{:.3f}",
        "below_impossible": "{:.2%}",
        "below_mean": "{:.2%}",
        "mean_error": "{:.3f}",
    }
    return [_mean([getattr(it, name) for it in each], form) for name, form in formats.items()]


def _mean(values: list[float], form: str) -> str:
    """Returns the mean, and the least and the largest where they differ."""
    mean, least, largest = (form.format(it) for it in (np.mean(values), min(values), max(values)))
    return mean if least == largest else f"{mean} ({least} to {largest})"


def _data(folder: Path, num_episodes: int, seed: int) -> EpisodeDataset:
    return open_dataset(folder) if folder.is_dir() else record(folder, num_episodes=num_episodes, seed=seed)


if __name__ == "__main__":
    call(main)
