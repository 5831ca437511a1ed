"""Whether a lower cost means fewer steps to go, with critic and without: Spearman's rank correlation.

`python -m benchmarks.agent.rank_correlation run=runs/demo` lets the scripted expert act in episodes of the validation
split. At each model step until it first reaches the goal, the control steps that are left are known. They are compared
with what costs say: the goal distance, each critic, and the agent's whole cost without its critics and with them.

Seen: the cost of the embedding of what is observed. Imagined: the cost of the trajectory that the world model imagines
under the expert's own next actions, against the steps that are left after it. It is imagined as the agent would: from
all that came until then, and under as many futures as its last rule says, which count as they do there.

Pooled: over all moments of all episodes. Within: in each episode, then the mean over episodes. The 95 % intervals are
of a bootstrap over episodes, and the differences to the goal distance are paired.

All settings: run=DIR, output=DIR (RUN/benchmarks), num_episodes=300, horizon=N imagined model steps (the run's own, or
3 where that is more: an expert soon arrives).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import Tensor
from tqdm import tqdm

from agent.actions import still_action
from agent.cost.types import Cost, CostModule
from agent.evaluation.baselines import make_baseline
from agent.evaluation.results import write_results
from agent.evaluation.seeds import episode_seeds
from agent.futures import Futures
from agent.goal import make_goals
from agent.run.config.building import build
from agent.run.config.composing import Config
from agent.run.stages.finished_run import load_modules_for
from agent.run.stages.loading import build_terms
from agent.run.stages.lock import locked
from agent.run.stages.modules import Modules
from agent.run.stages.vision import configured_task, task_factory
from benchmarks.agent.finished_runs import SETTINGS, FinishedRun, bootstrap_interval
from benchmarks.arguments import call, read_settings
from benchmarks.planners.shipped import generator
from benchmarks.tables import table
from envs.episodes.rollout import rollout
from envs.types import Readings, Task
from world_model.jepa import JEPA
from world_model.types import LatentContext, LatentGoal, LatentTrajectory

FILE = "rank_correlation.json"
SCHEMA = 1
LONGEST_HORIZON = 3
FEWEST_MOMENTS = 3
"""An episode with fewer has no rank correlation to speak of."""
NUM_RESAMPLES = 1_000
REFERENCE = "goal distance"

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Way:
    """An expert's episode until it first reaches the goal.

    Attributes:
        seed: Of the episode.
        embeddings: `[num_steps + 1, embed_dim]`, at each control step.
        actions: `[num_steps, action_dim]`.
        goal: Of one problem.
        contexts: What the world model knows of the episode at each model step, of one problem.
    """

    seed: int
    embeddings: Tensor
    actions: Tensor
    goal: LatentGoal
    contexts: tuple[LatentContext, ...]

    @property
    def num_steps(self) -> int:
        """Control steps to the goal."""
        return len(self.actions)


Pricing = Callable[[Way, Cost], tuple[Array, Array]]
"""Returns the cost at each moment of a way, and the control steps that are left, both `[num_moments]`."""


class _Replayed:
    """A policy that does once more what was done, and keeps the goal that it is told."""

    def __init__(self, actions: NDArray[np.float32]) -> None:
        self._actions = iter(actions)
        self.goal: Readings = {}

    def reset(self, goal: Readings, *, seed: int) -> None:  # noqa: ARG002 - it draws nothing
        self.goal = goal

    def act(self, observation: Readings) -> NDArray[np.float32]:  # noqa: ARG002 - it is blind
        return next(self._actions)


def main() -> None:
    settings = read_settings({key: SETTINGS[key] for key in ("run", "output", "num_episodes")} | {"horizon": None})
    torch.set_num_threads(1)
    output = None if settings.output is None else Path(settings.output)
    run = FinishedRun(Path(settings.run), output=output, num_workers=1)
    values = run.config.values
    task = configured_task(run.config)
    modules = load_modules_for(task, run.config, run.folder)
    horizon = min(values.configurator.horizon, LONGEST_HORIZON) if settings.horizon is None else settings.horizon

    ways = expert_ways(run.config, task, modules, episode_seeds("validation", settings.num_episodes))
    model = modules.world_model
    futures = build(values.configurator, **build_terms(run.config, modules)).configurations[-1].futures
    pricings: dict[str, Pricing] = {
        "seen": lambda way, cost: price_seen(way, cost, action_repeat=model.action_repeat),
        "imagined": lambda way, cost: price_imagined(way, cost, model, futures=futures, horizon=horizon),
    }
    findings = {"schema": SCHEMA, **run.describe(horizon=horizon, num_asked=settings.num_episodes)}
    for name, pricing in pricings.items():
        rows, num_episodes, num_moments = correlate(ways, costs(run.config, modules), pricing)
        findings[name] = {"num_episodes": num_episodes, "num_moments": num_moments, "costs": rows}
        what = "seen" if name == "seen" else f"imagined, {horizon} model steps"
        print(
            f"\n{what}: {num_moments} moments of {num_episodes} episodes ({len(ways)} of {settings.num_episodes} "
            "experts reached the goal)"
        )
        columns = [f"{place}{against}" for against in ("", f" against {REFERENCE}") for place in ("pooled", "within")]
        print(table(["cost", *columns], [[cost, *(shown(row[key]) for key in columns)] for cost, row in rows.items()]))
    with locked(run.output):
        print(f"\nrank correlation: {write_results(findings, run.output, file=FILE)}")


def shown(interval: Mapping[str, float]) -> str:
    return f"{interval['value']:+.3f} ({interval['low']:+.3f} to {interval['high']:+.3f})"


@torch.no_grad()
def expert_ways(config: Config, task: Task, modules: Modules, seeds: Sequence[int]) -> list[Way]:
    """Returns the episodes in which the expert reaches the goal, as the world model sees them.

    The expert acts where goals are places; what it did is done once more where the agent's cameras look.
    """
    model, num_steps = modules.world_model, modules.spec.num_steps
    still = torch.from_numpy(still_action(modules.spec.actions, None)).float()
    plain = task_factory(config)(vision=None, film_size=None)
    expert = make_baseline("expert", plain)
    ways = []
    for seed in tqdm(seeds, desc="expert", disable=None):
        shown = _Replayed(rollout(plain, expert, seed=seed, num_steps=num_steps).actions)
        episode = rollout(task, shown, seed=seed, num_steps=num_steps)
        if not episode.is_success.any():
            continue
        arrived = int(episode.is_success.argmax())
        readings = {name: torch.from_numpy(episode.observations[name][: arrived + 1])[None] for name in model.blocks}
        embeddings, actions = model.encode(readings)[0], torch.from_numpy(episode.actions[:arrived])
        ways.append(
            Way(
                seed=seed,
                embeddings=embeddings,
                actions=actions,
                goal=model.encode_goal(make_goals(shown.goal, modules.spec, sensors=model.blocks)[0]),
                contexts=follow(model, embeddings, actions, still=still),
            )
        )
    return ways


def follow(model: JEPA, embeddings: Tensor, actions: Tensor, *, still: Tensor) -> tuple[LatentContext, ...]:
    """Returns what a world model knows of an episode at each model step, as an actor carries it; see `Way`.

    Args:
        model: Whose steps they are.
        embeddings: `[num_steps + 1, embed_dim]`, at each control step.
        actions: `[num_steps, action_dim]`.
        still: `[action_dim]`, the action before the episode.
    """
    repeat = model.action_repeat
    contexts = [LatentContext.at_rest(embeddings[:1], context_length=model.least_context, still=still.repeat(repeat))]
    for now in range(repeat, len(embeddings), repeat):
        done = actions[now - repeat : now].reshape(1, -1)
        contexts.append(model.follow(contexts[-1], done, embeddings[now, None]))
    return tuple(contexts)


def costs(config: Config, modules: Modules) -> dict[str, Cost]:
    """Returns what may say how far the goal is, by name; the reference first."""
    parts = build_terms(config, modules)
    critics = list(config.values.critic)
    without = {name: weight for name, weight in parts["weights"].items() if name not in critics}
    return {
        REFERENCE: parts["terms"]["goal_distance"],
        **{f"critic {name}": parts["terms"][name] for name in critics},
        "whole cost, no critic": CostModule(**{**parts, "weights": without}),
        "whole cost": CostModule(**parts),
    }


@torch.no_grad()
def price_seen(way: Way, cost: Cost, *, action_repeat: int) -> tuple[Array, Array]:
    """Prices each moment by the embedding of what is observed, as the end of a step without an action."""
    times = torch.arange(0, way.num_steps + 1, action_repeat)
    states = way.embeddings[times]
    still = torch.zeros(len(times), action_repeat * way.actions.shape[1])
    trajectory = LatentTrajectory(
        embeddings=states[:, None, None], actions=still[:, None, None], previous_action=still, start=states
    )
    goal = LatentGoal(embedding=way.goal.embedding.expand(len(times), -1), mask=way.goal.mask.expand(len(times), -1))
    prices = cost(trajectory, goal)[:, 0]
    return prices.numpy().astype(np.float64), (way.num_steps - times).numpy().astype(np.float64)


@torch.no_grad()
def price_imagined(way: Way, cost: Cost, model: JEPA, *, futures: Futures, horizon: int) -> tuple[Array, Array]:
    """Prices, at each moment, what the model imagines under the next actions, as far as they lie before the goal.

    Every cost is told of the same futures.
    """
    repeat = model.action_repeat
    times = range(0, way.num_steps - horizon * repeat + 1, repeat)
    prices = np.empty(len(times))
    for moment, time in enumerate(times):
        drawn = futures.draw([generator(way.seed, moment)], horizon=horizon, latent_dim=model.latent_dim)
        latents = None if drawn is None else drawn.latents
        ahead = way.actions[time : time + horizon * repeat].view(1, 1, horizon, -1)
        actions = ahead.expand(-1, 1 if latents is None else latents.shape[1], -1, -1)
        trajectory = model.rollout(way.contexts[moment], actions, latents)
        prices[moment] = futures.reduce(cost(trajectory, way.goal)[:, None])
    return prices, np.array([way.num_steps - time - horizon * repeat for time in times], dtype=np.float64)


def correlate(
    ways: Sequence[Way], costs: Mapping[str, Cost], pricing: Pricing
) -> tuple[dict[str, dict[str, dict[str, float]]], int, int]:
    """Returns, for each cost, its correlations with their intervals, and how many episodes and moments there were."""
    rng = np.random.default_rng(0)
    resamples: dict[str, dict[str, Array]] = {}
    picks: Array | None = None
    num_moments = 0
    for name, cost in costs.items():
        priced = [pair for pair in (pricing(way, cost) for way in ways) if len(pair[0]) >= FEWEST_MOMENTS]
        if len(priced) < 2:
            raise SystemExit(
                f"of {len(ways)} ways {len(priced)} are long enough: ask for more episodes or less horizon"
            )
        within = np.array([spearman(*pair) for pair in priced])
        if picks is None:
            num_moments = sum(len(said) for said, _ in priced)
            everything = np.arange(len(priced))
            picks = np.vstack([everything, rng.integers(len(priced), size=(NUM_RESAMPLES, len(priced)))])
        resamples[name] = {
            "pooled": np.array([spearman(*_pool(priced, pick)) for pick in picks]),
            "within": within[picks].mean(axis=1),
        }
    assert picks is not None
    rows: dict[str, dict[str, dict[str, float]]] = {}
    for name, row in resamples.items():
        against = {f"{key} against {REFERENCE}": row[key] - resamples[REFERENCE][key] for key in row}
        rows[name] = {key: _interval(values) for key, values in (row | against).items()}
    return rows, picks.shape[1], num_moments


def spearman(costs: Array, steps_left: Array) -> float:
    """Returns the rank correlation; a cost that is the same everywhere has none: 0."""
    if np.ptp(costs) == 0 or np.ptp(steps_left) == 0:
        return 0.0
    return float(spearmanr(costs, steps_left).statistic)


def _pool(priced: Sequence[tuple[Array, Array]], pick: Array) -> tuple[Array, Array]:
    said, left = zip(*(priced[index] for index in pick), strict=True)
    return np.concatenate(said), np.concatenate(left)


def _interval(values: Array) -> dict[str, float]:
    """Returns a statistic, which comes first, with the interval of its resamples."""
    low, high = bootstrap_interval(values[1:])
    return {"value": float(values[0]), "low": low, "high": high}


if __name__ == "__main__":
    call(main)
