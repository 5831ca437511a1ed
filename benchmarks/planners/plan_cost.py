"""How many evaluations a planner needs to plan as well as a peer, on a trained world model.

`python -m benchmarks.planners.plan_cost run=runs/demo` plans in moments of fresh episodes of the run's task. The bar of
each moment is the cost that stable-worldmodel's CEM reaches with its defaults, 300 samples x 30 iterations = 9,000
evaluations (its plan clipped to our bounds and priced again); reached is within 1 % of its gain over the plan 0. The
figure is the evaluations after which a planner has first priced a candidate as good as that, over 9,000. Of a gradient,
three evaluations. A planner that does not get there with its yaml tries again with more iterations, up to 9,000
evaluations, and the figure is that of the second try.

Cold: the first call of an episode. Warm: a planner plans with its yaml's own evaluations, the first step of its plan is
executed in the simulator, and the call that counts is the next one, at what is observed then, against a bar of its own.
The bounds are the box alone, without a limit on changes. All else is the agent's: what its world model knows of the
episode so far, and under how many futures, drawn anew for each moment, a plan is priced.

`split=validation num_problems=50` are the problems to tune on; `planners=[cem,mppi]` takes some of the planners, and
`change.cem.num_samples=64` tries another value.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf
from torch import Tensor
from tqdm import tqdm

from agent import load_agent
from agent.evaluation.seeds import episode_seeds
from agent.objective import ImaginedCost
from agent.run.config.composing import compose_config
from agent.run.config.saved import read_config
from agent.run.stages.vision import configured_task
from benchmarks.arguments import call, read_settings
from benchmarks.planners.peers import SWM_ITERATIONS, SWM_SAMPLES, reference_cem, swm_cem
from benchmarks.planners.shipped import build, build_to_spend, evaluations, generator, planner_configs, unit_box
from benchmarks.tables import table
from planners.types import ActionBounds, Budget, Planner, Score, TrajectoryObjective
from world_model.jepa import JEPA
from world_model.types import LatentContext, LatentGoal

SETTINGS = {"run": "???", "split": "evaluation", "num_problems": 100, "planners": None, "change": {}}
_FUTURES = 1  # keeps their luck apart from the planner's noise
PEER_EVALUATIONS = SWM_SAMPLES * SWM_ITERATIONS
TOLERANCE = 0.01
"""Share of the peer's gain over the plan 0 by which its cost may be missed."""
START_STEPS = (0, 2, 4, 6)
"""Model steps that the agent has acted before the moment; problems take them in turns."""
NUM_CHECKED = 5
"""Problems on which the peer itself is run."""
QUANTILES = (0.25, 0.5, 0.75, 0.9)


@dataclass(frozen=True)
class Situation:
    """A moment of an episode: all that one needs to plan in it, and to act on.

    Attributes:
        seed: Of the episode.
        physics: The simulator's state.
        step: Model steps that the agent has acted in it.
        context: What the agent's world model knows of the episode so far.
        goal: What it pursues.
    """

    seed: int
    physics: NDArray[np.float64]
    step: int
    context: LatentContext
    goal: LatentGoal


@dataclass(frozen=True)
class Bar:
    """What is to be reached in a situation.

    Attributes:
        objective: To be minimised.
        target: The cost that counts as reached.
        trivial: The plan 0 reaches it: the peer, clipped to the bounds, gains nothing.
    """

    objective: TrajectoryObjective
    target: float
    trivial: bool


class Lab:
    """The task of a run, its agent and its simulator."""

    def __init__(self, run: Path) -> None:
        self._agent = load_agent(run)
        self._configuration = self._agent.configurator.configurations[-1]
        config = compose_config([], base=read_config(run))
        self.name = config.values.env.env_id
        self._task: Any = configured_task(config)
        assert isinstance(self._agent.world_model, JEPA)
        self._model = self._agent.world_model
        self.horizon = self._configuration.horizon
        self.bounds: ActionBounds = unit_box(self._agent.spec.action_dim)

    def situation(self, seed: int, num_steps: int) -> Situation:
        """Returns where the agent stands after so many model steps of an episode."""
        agent, task = self._agent, self._task
        frame = task.reset(seed)
        agent.reset(frame.goal, seed=seed)
        action = agent.act(frame.readings)
        for _ in range(num_steps * self._model.action_repeat):
            frame = task.step(action)
            action = agent.act(frame.readings)
        assert agent.state.context is not None
        return Situation(
            seed=seed, physics=task.save(), step=num_steps, context=agent.state.context, goal=agent.state.goal
        )

    @torch.no_grad()
    def after(self, situation: Situation, action: Tensor) -> Situation:
        """Returns where one model step leads whose planned action, `[action_dim]`, is executed."""
        self._task.restore(situation.physics)
        for _ in range(self._model.action_repeat):
            observed = self._task.step(action.numpy()).readings
        sensors = {name: torch.from_numpy(observed[name])[None, None] for name in self._model.blocks}
        done = action.repeat(self._model.action_repeat)
        context = self._model.follow(situation.context, done[None], self._model.encode(sensors)[:, 0])
        return replace(situation, physics=self._task.save(), step=situation.step + 1, context=context)

    def objective(self, situation: Situation) -> ImaginedCost:
        """Returns what the agent would minimise there."""
        return ImaginedCost(
            world_model=self._model,
            cost=self._configuration.cost,
            context=situation.context,
            goal=situation.goal,
            action_repeat=self._model.action_repeat,
            futures=self._configuration.futures.draw(
                [generator(situation.seed, situation.step, _FUTURES)],
                horizon=self.horizon,
                latent_dim=self._model.latent_dim,
            ),
        )

    @torch.no_grad()
    def bar(self, situation: Situation) -> Bar:
        """Returns what is to be reached there."""
        objective = self.objective(situation)
        plan = reference_cem(objective, horizon=self.horizon, action_dim=len(self.bounds.low), seed=situation.seed)
        plans = torch.stack([self.bounds.clip(plan), torch.zeros_like(plan)], dim=1)
        peer, nothing = objective(plans).cost[0].tolist()
        return Bar(objective=objective, target=peer + TOLERANCE * (nothing - peer), trivial=nothing <= peer)

    @torch.no_grad()
    def deviation_from_peer(self, situation: Situation) -> float:
        """Returns the largest difference between the reference's plan and the peer's own."""
        problem = {"horizon": self.horizon, "action_dim": len(self.bounds.low), "seed": situation.seed}
        objective = self.objective(situation)
        difference = swm_cem(objective, **problem)() - reference_cem(objective, **problem)
        return float(difference.abs().max())


class TargetReachedError(Exception):
    """A candidate is good enough: the search can end."""


class StopAtTarget:
    """A `TrajectoryObjective` that counts evaluations, and raises when a candidate costs no more than a target.

    Only whole candidates can reach it, priced by their actions alone; states that no action leads to cannot.
    """

    def __init__(self, bar: Bar) -> None:
        self.num_evaluations = 0
        self._bar = bar

    def __call__(self, actions: Tensor) -> Score:
        score = self._bar.objective(actions)
        weight = _weight(actions)
        reached = score.cost[0].detach() <= self._bar.target
        if bool(reached.any()):
            self.num_evaluations += weight * (int(reached.int().argmax()) + 1)
            raise TargetReachedError
        self.num_evaluations += weight * actions.shape[1]
        return score

    def rollout(self, actions: Tensor) -> Tensor:
        self.num_evaluations += _weight(actions) * actions.shape[1]
        return self._bar.objective.rollout(actions)

    def predict(self, states: Tensor, actions: Tensor) -> Tensor:
        self.num_evaluations += _weight(actions) * actions.shape[1]
        return self._bar.objective.predict(states, actions)

    def price(self, states: Tensor, actions: Tensor) -> Score:
        return self._bar.objective.price(states, actions)


def _weight(actions: Tensor) -> int:
    return 3 if actions.requires_grad else 1


@dataclass(frozen=True)
class Contender:
    """A planner as its yaml says, and one that may search for as long as the peer."""

    name: str
    own: Planner[Any]
    patient: Planner[Any]


def main() -> None:
    torch.set_num_threads(1)
    settings = read_settings(SETTINGS)
    lab = Lab(Path(settings.run))
    contenders = list(make_contenders(settings, lab))
    seeds = episode_seeds(settings.split, settings.num_problems)
    situations = [
        lab.situation(seed, START_STEPS[index % len(START_STEPS)])
        for index, seed in enumerate(tqdm(seeds, desc="situations"))
    ]
    print(
        f"{lab.name}, {settings.run}: {len(seeds)} problems of split {settings.split}, horizon {lab.horizon}, after "
        f"{', '.join(map(str, START_STEPS))} model steps in turns.\n{agreement(lab, situations[:NUM_CHECKED])}"
    )
    bars = [lab.bar(situation) for situation in tqdm(situations, desc="the peer, cold")]
    print(
        f"In {sum(bar.trivial for bar in bars)} problems the peer's plan is no better than the plan 0 (cold): they "
        "count, and the plan 0 solves them.\n"
    )
    rows = []
    for contender in contenders:
        problems = zip(tqdm(situations, desc=contender.name), bars, strict=True)
        cold, warm = zip(*(cold_and_warm(contender, lab, *problem) for problem in problems), strict=True)
        asked = evaluations(contender.own, bounds=lab.bounds, horizon=lab.horizon)
        at_once = sum(share <= 2 / PEER_EVALUATIONS for share in warm)
        rows.append([contender.name, f"{asked:,}", *summary(cold), *summary(warm), str(at_once)])
    print(
        f"Evaluations until as good as the peer over its {PEER_EVALUATIONS:,}: quantiles over problems, and how many "
        f"problems needed more than {PEER_EVALUATIONS:,} (missed; they count as > 1). "
        "At once: the last plan, shifted, is good enough.\n"
    )
    measured = [*(f"{quantile:.0%}" for quantile in QUANTILES), "missed"]
    header = [
        "planner",
        "evaluations of its yaml",
        *(f"{start} {name}" for start in ("cold", "warm") for name in measured),
        "warm at once",
    ]
    print(table(header, rows))


def make_contenders(settings: Any, lab: Lab) -> Iterator[Contender]:
    configs = planner_configs()
    for name in settings.planners or configs:
        changed = OmegaConf.merge(configs[name], settings.change.get(name, {}))
        assert isinstance(changed, DictConfig)
        patient = build_to_spend(changed, PEER_EVALUATIONS, bounds=lab.bounds, horizon=lab.horizon)
        yield Contender(name=name, own=build(changed), patient=patient)


def cold_and_warm(contender: Contender, lab: Lab, situation: Situation, bar: Bar) -> tuple[float, float]:
    """Returns the share of the peer's evaluations that a planner needs in a situation, and in the one after."""
    state = contender.own.init(lab.bounds, batch_size=1, horizon=lab.horizon)
    cold = share_of_peer(contender, lab, bar, state, seed=situation.seed)
    noise = contender.own.sample_noise([generator(situation.seed)], bounds=lab.bounds, horizon=lab.horizon)
    plan, state = contender.own.plan(bar.objective, state, noise=noise, bounds=lab.bounds, budget=Budget())
    next_bar = lab.bar(lab.after(situation, plan.actions[0, 0]))
    state = contender.own.shift(state, 1)
    return cold, share_of_peer(contender, lab, next_bar, state, seed=situation.seed + 1)


def share_of_peer(contender: Contender, lab: Lab, bar: Bar, state: Any, *, seed: int) -> float:
    """Returns the share of the peer's evaluations after which a planner reaches the bar; inf: not within them."""
    for planner in (contender.own, contender.patient):
        objective = StopAtTarget(bar)
        noise = planner.sample_noise([generator(seed)], bounds=lab.bounds, horizon=lab.horizon)
        try:
            planner.plan(objective, state, noise=noise, bounds=lab.bounds, budget=Budget(PEER_EVALUATIONS))
        except TargetReachedError:
            return objective.num_evaluations / PEER_EVALUATIONS
    return math.inf


def agreement(lab: Lab, situations: list[Situation]) -> str:
    """Returns a sentence on whether the reference loop is the peer's."""
    try:
        deviation = max(lab.deviation_from_peer(situation) for situation in situations)
    except ImportError as error:
        return f"stable-worldmodel cannot be imported ({error}): a loop of ours with its defaults stands in for it."
    return (
        f"The bar is set by a loop of ours; on {len(situations)} problems its plans differ from those of "
        f"stable-worldmodel's own solver by at most {deviation:.1e}."
    )


def summary(ratios: Sequence[float]) -> list[str]:
    """Returns the quantiles of ratios to the peer's evaluations, and how many did not reach the bar."""
    quantiles = np.quantile(ratios, QUANTILES, method="higher")
    shown = [f"{ratio:.3f}" if math.isfinite(ratio) else "> 1" for ratio in quantiles]
    return [*shown, str(sum(math.isinf(ratio) for ratio in ratios))]


if __name__ == "__main__":
    call(main)
