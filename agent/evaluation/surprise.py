"""Violation of expectation: is a world model more surprised by what cannot be than by what can?

Episodes go on as they may until something happens in one model step that physics forbids. Surprise is how far what is
seen then is from what was foreseen, in units of how far it usually is where as much change was foreseen: error weighed
by precision (Friston 2005). Each impossible step is paired with a possible one, a push in which as much of what is seen
changes, so that who merely detects change tells nothing apart (IntPhys, Riochet et al. 2018).
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from agent.evaluation.scenarios.shove import displaced_anywhere
from agent.evaluation.scenarios.types import scenario_generator
from agent.evaluation.statistics import Rate, percentiles, roc_area, signed_rank, success_rate
from envs.episodes.rollout import policy_seed
from envs.spec import TaskSpec
from envs.types import BreaksPhysics, HasState, Policy, Readings, Task
from jepa_mpc.errors import UserError
from world_model.types import LatentContext, WorldModel

RESULTS_FILE = "surprise.json"
SCHEMA = 1

POSSIBLE = "possible"
"""What happens where nothing impossible does."""

PUSHED = 0.01
"""In a possible push the thing moves by at least so much in a model step, m."""

RESTED = 5e-4
"""What moves by less in a model step rests, m."""

MOST_MISMATCH = 0.1
"""In a pair, what is seen changes by at most so much more in one step than in the other, as a share."""

LEAST_PAIRS = 20
"""With fewer nothing is said of a trick."""


class SurpriseError(UserError):
    """A run that cannot be surprised; the message is one sentence for whoever asked."""


@runtime_checkable
class Stage(Task, HasState, BreaksPhysics, Protocol):
    """A task on which impossible things can be staged."""


@dataclass(frozen=True)
class Moment:
    """One model step of an episode.

    Attributes:
        what: `POSSIBLE`, or the name of a trick.
        seed: Of the episode.
        step: Control steps of the episode before it.
        context: Sensor name to what it read at the model steps before and at its beginning, `[context, *shape]`.
        actions: `[context, action_repeat * action_dim]`, model actions, the last one executed in it.
        after: Sensor name to what it read at its end.
        states: The simulator's at its beginning and end.
        moved: How far the thing moved, m.
    """

    what: str
    seed: int
    step: int
    context: Readings
    actions: NDArray[np.float32]
    after: Readings
    states: tuple[NDArray[Any], NDArray[Any]]
    moved: float

    def show_end(self, stage: Stage) -> None:
        """Brings a stage on which all is natural to how it looked at the end of the step."""
        stage.restore(self.states[1])
        if self.what in TRICKS and TRICKS[self.what].is_seen_alone:
            TRICKS[self.what].perform(stage, (), np.random.default_rng(0))


Perform = Callable[[Stage, Sequence[NDArray[np.float32]], Generator], bool]
"""Executes control actions while something impossible happens; returns whether it could be made to."""


@dataclass(frozen=True)
class Trick:
    """Something impossible.

    Attributes:
        perform: Makes it happen in one model step.
        of_pushes: It befalls the thing while it is pushed; else while it rests.
        is_seen_alone: Only a camera tells.
    """

    perform: Perform
    of_pushes: bool = False
    is_seen_alone: bool = False


def _advance(stage: Stage, actions: Iterable[NDArray[np.float32]]) -> bool:
    for action in actions:
        stage.advance(action)
    return True


def _teleport(distance: float) -> Perform:
    def perform(stage: Stage, actions: Sequence[NDArray[np.float32]], generator: Generator) -> bool:
        return displaced_anywhere(stage, distance, generator) is not None and _advance(stage, actions)

    return perform


def _slide(distance: float) -> Perform:
    """The thing moves by itself, as far in each control step."""

    def perform(stage: Stage, actions: Sequence[NDArray[np.float32]], generator: Generator) -> bool:
        way = displaced_anywhere(stage, distance / len(actions), generator)
        if way is None:
            return False
        stage.advance(actions[0])
        return all(stage.displace(way) and _advance(stage, [action]) for action in actions[1:])

    return perform


def _at_first(happen: Callable[[Stage], None]) -> Perform:
    def perform(stage: Stage, actions: Sequence[NDArray[np.float32]], generator: Generator) -> bool:  # noqa: ARG001
        happen(stage)
        return _advance(stage, actions)

    return perform


TRICKS: Mapping[str, Trick] = {
    "teleport 3 cm": Trick(_teleport(0.03)),
    "teleport 5 cm": Trick(_teleport(0.05)),
    "teleport 10 cm": Trick(_teleport(0.10)),
    "move by itself": Trick(_slide(0.05)),
    "vanish": Trick(_at_first(lambda stage: stage.vanish())),
    "pass through": Trick(_at_first(lambda stage: stage.let_pass()), of_pushes=True),
    "recolor": Trick(_at_first(lambda stage: stage.recolor()), is_seen_alone=True),
}
"""What is staged: a thing jumps, moves 5 cm without being touched, is gone, lets the robot pass, has other colours."""


def staged_moments(stage: Stage, policy: Policy, *, seed: int, context_length: int, action_repeat: int) -> list[Moment]:
    """Runs an episode as it may go, and stages every trick once in it, each in a model step of its own.

    Args:
        stage: Where.
        policy: Who acts.
        seed: Of the episode; the moments of the tricks are drawn from it.
        context_length: Frames that the world model sees before a step, and at its beginning.
        action_repeat: Control steps of a model step.
    """
    frame, spec, generator = stage.reset(seed), stage.spec, scenario_generator(seed)
    policy.reset(frame.goal, seed=policy_seed(seed))
    num_steps = spec.num_steps // action_repeat
    readings, states, actions = [frame.readings], [stage.save()], []
    for _ in range(num_steps):
        for _ in range(action_repeat):
            actions.append(policy.act(frame.readings))
            frame = stage.step(actions[-1])
        readings.append(frame.readings)
        states.append(stage.save())

    def moment(what: str, index: int, after: Readings, end: NDArray[Any]) -> Moment:
        seen = range(index + 1 - context_length, index + 1)
        return Moment(
            what=what,
            seed=seed,
            step=index * action_repeat,
            context={name: np.stack([readings[it][name] for it in seen]) for name in after},
            actions=np.stack([np.concatenate(actions[it * action_repeat :][:action_repeat]) for it in seen]),
            after=after,
            states=(states[index], end),
            moved=_moved(spec, readings[index], after),
        )

    indices = range(context_length - 1, num_steps)
    possible = [moment(POSSIBLE, it, readings[it + 1], states[it + 1]) for it in indices]
    moments = list(possible)
    for name, trick in TRICKS.items():
        if trick.is_seen_alone and not _cameras(spec):
            continue
        open_to = [
            index
            for index, it in zip(indices, possible, strict=True)
            if (it.moved >= 2 * PUSHED if trick.of_pushes else it.moved <= RESTED)
        ]
        for index in generator.permutation(open_to):
            stage.restore(states[index])
            done = trick.perform(stage, actions[index * action_repeat :][:action_repeat], generator)
            after, end = stage.look(), stage.save()
            stage.obey()
            if done:
                moments.append(moment(name, int(index), after, end))
                break
    return moments


def _moved(spec: TaskSpec, before: Readings, after: Readings) -> float:
    """Returns how far what is to be brought to a goal moved, m."""
    return max(
        float(np.linalg.norm(after[name] - before[name])) for name in spec.goal if spec.sensors[name].unit == "m"
    )


def _cameras(spec: TaskSpec) -> list[str]:
    return [name for name in spec.perceived if spec.sensors[name].is_image]


@dataclass(frozen=True)
class Foresight:
    """What a world model foresaw of steps, and what came.

    Attributes:
        energies: `[num_steps]`; see `WorldModel.explain`.
        errors: `[num_steps, embed_dim]`, squared, of what was foreseen.
        foreseen: `[num_steps, embed_dim]`, squared, the change that was foreseen.
    """

    energies: Tensor
    errors: Tensor
    foreseen: Tensor

    def of(self, chosen: Tensor) -> "Foresight":
        """Returns some of the steps, by number or mask."""
        return Foresight(self.energies[chosen], self.errors[chosen], self.foreseen[chosen])


@torch.no_grad()
def foresee(world_model: WorldModel, moments: Sequence[Moment]) -> Foresight:
    """Lets a world model foresee the step of each moment."""
    steps = []
    for it in moments:
        frames = {
            name: torch.from_numpy(np.concatenate([it.context[name], it.after[name][None]]))[None]
            for name in world_model.blocks
        }
        steps.append(compare(world_model, world_model.encode(frames), torch.from_numpy(it.actions)[None]))
    parts = ((it.energies, it.errors, it.foreseen) for it in steps)
    return Foresight(*(torch.cat(part) for part in zip(*parts, strict=True)))


def compare(world_model: WorldModel, embeddings: Tensor, actions: Tensor) -> Foresight:
    """Compares the last step of what was seen with what was foreseen of it.

    Args:
        world_model: Foresees.
        embeddings: `[batch, context + 1, embed_dim]`.
        actions: `[batch, context, model_action_dim]`.
    """
    past = LatentContext(
        embeddings=embeddings[:, :-1],
        actions=actions[:, :-1],
        previous_action=torch.zeros_like(actions[:, 0]),  # no prediction depends on it
    )
    came = embeddings[:, -1]
    explanation = world_model.explain(past, actions[:, -1], came, torch.ones_like(came, dtype=torch.bool))
    return Foresight(
        energies=explanation.energy.double(),
        errors=(came - explanation.embedding).double().square(),
        foreseen=(explanation.embedding - embeddings[:, -2]).double().square(),
    )


class UsualError:
    """How far off foresight usually is: of each number of an embedding, more where more change was foreseen.

    The variance is a + b times the squared change that was foreseen, with a and b above 0 of each number by maximum
    likelihood. Where a thing is foreseen to rest, a small error is strange; where it is foreseen to be pushed, not.

    Args:
        usual: Steps in which nothing strange happened.
    """

    def __init__(self, usual: Foresight) -> None:
        errors = usual.errors + _ROUNDING
        mean = errors.mean(dim=0)
        logs = torch.stack([mean.log() - math.log(2), torch.full_like(mean, -3.0)]).requires_grad_()
        optimizer = torch.optim.LBFGS([logs], max_iter=100, line_search_fn="strong_wolfe")

        def closure() -> Tensor:
            optimizer.zero_grad()
            variances = self._variances(logs, usual.foreseen)
            loss = (variances.log() + errors / variances).mean()
            loss.backward()  # type: ignore[no-untyped-call]
            return loss

        with torch.enable_grad():
            optimizer.step(closure)  # type: ignore[no-untyped-call]
        self._logs = logs.detach()

    def surprise(self, foresight: Foresight) -> Tensor:
        """Returns the mean squared error in units of the usual one, `[num_steps]`: about 1 where all is as usual."""
        return (foresight.errors / self._variances(self._logs, foresight.foreseen)).mean(dim=1)

    @staticmethod
    def _variances(logs: Tensor, foreseen: Tensor) -> Tensor:
        return logs[0].exp() + logs[1].exp() * foreseen


def surprises_of(moments: Sequence[Moment], foresight: Foresight) -> NDArray[np.float64]:
    """Returns how much each moment surprises, `[num_moments]`: its error beside what is usual in other episodes.

    What is usual is found in the possible moments of every other episode, for those in between.
    """
    possible = torch.tensor([it.what == POSSIBLE for it in moments])
    seeds = sorted({it.seed for it in moments})
    is_even = torch.tensor([seeds.index(it.seed) % 2 == 0 for it in moments])
    surprises = torch.empty(len(moments), dtype=torch.float64)
    for side in (is_even, ~is_even):
        if bool(side.any()):
            others = possible & ~side if bool((possible & ~side).any()) else possible
            surprises[side] = UsualError(foresight.of(others)).surprise(foresight.of(side))
    return surprises.numpy()


def changes(spec: TaskSpec, moments: Sequence[Moment]) -> NDArray[np.float64]:
    """Returns how much of what is seen changes in each moment, `[num_moments]`: the surprise of who foresees nothing.

    The root mean square over all pixels; without a camera, over all numbers, each as a share of how much it varies in
    possible moments.
    """
    names = _cameras(spec) or list(spec.perceived)
    natural = [it for it in moments if it.what == POSSIBLE]
    scales = {
        name: np.float64(255)
        if spec.sensors[name].is_image
        else np.maximum(np.std([it.after[name] for it in natural], axis=0), 1e-9)
        for name in names
    }

    def change(it: Moment) -> float:
        parts = [(it.after[name].astype(np.float64) - it.context[name][-1]) / scales[name] for name in names]
        return float(np.sqrt(np.mean([np.square(part).mean() for part in parts])))

    return np.array([change(it) for it in moments])


def matched(impossible: NDArray[np.float64], possible: NDArray[np.float64]) -> NDArray[np.int64]:
    """Pairs each impossible step with a possible one of its own in which as much changes.

    Of all ways to pair them, one in which the changes differ least in sum (Kuhn 1955), very different ones counting as
    different; pairs that differ by more than `MOST_MISMATCH` are left out.

    Args:
        impossible: `[num_impossible]`, how much changes.
        possible: `[num_possible]`, the same.

    Returns:
        `[num_pairs, 2]`, numbers of an impossible and a possible step.
    """
    from scipy.optimize import linear_sum_assignment

    ours, theirs = (np.log(np.maximum(it, np.finfo(np.float64).tiny)) for it in (impossible, possible))
    mismatch = np.abs(ours[:, None] - theirs)
    pairs = np.stack(linear_sum_assignment(np.minimum(mismatch, 10 * MOST_MISMATCH)), axis=1)
    near: NDArray[np.int64] = pairs[mismatch[tuple(pairs.T)] <= np.log1p(MOST_MISMATCH)]
    return near


@dataclass(frozen=True)
class Verdict:
    """Whether one trick is told from possible pushes.

    Attributes:
        num_staged: How often it was staged.
        pairs: `[num_pairs, 2]`, numbers of an impossible and a possible moment.
        area: Of the receiver operating characteristic of surprise: how often an impossible step surprises more than a
            possible one of any pair.
        energy: The same of the energy alone.
        baseline: The same of how much changes.
        paired: How often an impossible step surprises more than the possible one of its pair.
        p_value: Of Wilcoxon's signed-rank test that neither of a pair surprises more.
        effect: Rank-biserial correlation of that test, in -1..1.
    """

    num_staged: int
    pairs: NDArray[np.int64]
    area: Rate
    energy: Rate
    baseline: Rate
    paired: Rate
    p_value: float
    effect: float


def judge_tricks(
    spec: TaskSpec, moments: Sequence[Moment], surprises: NDArray[np.float64], energies: NDArray[np.float64]
) -> dict[str, Verdict | None]:
    """Returns a verdict on each trick that was staged, or None where too few pairs match.

    Raises:
        SurpriseError: There are too few possible pushes, or a surprise is no number.
    """
    if not np.isfinite(surprises).all():
        raise SurpriseError(
            f"surprise must be a number, and in {int((~np.isfinite(surprises)).sum())} of {len(moments)} steps it is "
            "none: the world model foresees what is no number"
        )
    change = changes(spec, moments)
    pushes = np.array([index for index, it in enumerate(moments) if it.what == POSSIBLE and it.moved >= PUSHED])
    if len(pushes) < LEAST_PAIRS:
        raise SurpriseError(
            f"impossible steps are compared with pushes, and in {sum(it.what == POSSIBLE for it in moments)} possible "
            f"steps of the run's own exploration there were {len(pushes)}, of at least {LEAST_PAIRS}: ask for more "
            "episodes (surprise.num_episodes)"
        )
    verdicts: dict[str, Verdict | None] = {}
    for name in TRICKS:
        staged = np.array([index for index, it in enumerate(moments) if it.what == name], np.int64)
        if not len(staged):
            continue
        chosen = matched(change[staged], change[pushes])
        pairs = np.stack([staged[chosen[:, 0]], pushes[chosen[:, 1]]], axis=1)
        verdicts[name] = None
        if len(pairs) >= LEAST_PAIRS:
            impossible, possible = surprises[pairs].T
            test = signed_rank(impossible, possible)
            verdicts[name] = Verdict(
                num_staged=len(staged),
                pairs=pairs,
                area=roc_area(impossible, possible),
                energy=roc_area(*energies[pairs].T),
                baseline=roc_area(*change[pairs].T),
                paired=success_rate((impossible > possible).tolist()),
                p_value=test.p_value,
                effect=test.effect,
            )
    return verdicts


def strangest(moments: Sequence[Moment], surprises: NDArray[np.float64], *, num_possible: int) -> list[int]:
    """Returns the number of the most surprising moment of each trick, and of the most surprising possible ones."""
    order = (-surprises).argsort().tolist()
    tricks = {moments[index].what: index for index in reversed(order) if moments[index].what != POSSIBLE}
    possible = [index for index in order if moments[index].what == POSSIBLE]
    return [tricks[name] for name in TRICKS if name in tricks] + possible[:num_possible]


def make_surprise_results(
    description: Mapping[str, Any],
    moments: Sequence[Moment],
    surprises: NDArray[np.float64],
    verdicts: Mapping[str, Verdict | None],
) -> dict[str, Any]:
    """Returns what surprise.json holds."""
    possible = surprises[[it.what == POSSIBLE for it in moments]]
    return {
        "schema": SCHEMA,
        **description,
        "num_possible": len(possible),
        "possible_surprise": percentiles(possible.tolist()),
        "tricks": {name: None if it is None else _verdict_json(it, surprises) for name, it in verdicts.items()},
    }


def _verdict_json(verdict: Verdict, surprises: NDArray[np.float64]) -> dict[str, Any]:
    rates = {name: asdict(getattr(verdict, name)) for name in ("area", "energy", "baseline", "paired")}
    impossible, possible = surprises[verdict.pairs].T
    return {
        "num_staged": verdict.num_staged,
        "num_pairs": len(verdict.pairs),
        **rates,
        "p_value": verdict.p_value,
        "effect": verdict.effect,
        "impossible": impossible.tolist(),
        "possible": possible.tolist(),
    }


def format_surprise(results: Mapping[str, Any]) -> str:
    """Returns the table of the tricks."""
    head = ["surprise: AUC", "energy alone: AUC", "mere change: AUC"]
    lines = [
        f"{'impossible':<15s}  pairs/of  {'  '.join(f'{it:<19s}' for it in head)}  "
        "higher of a pair  p (Wilcoxon)  effect"
    ]
    for name, it in results["tricks"].items():
        if it is None:
            lines.append(f"{name:<15s} fewer than {LEAST_PAIRS} have a possible push in which as much changes")
            continue
        areas = (f"{it[key]['rate']:.3f} ({it[key]['low']:.3f}-{it[key]['high']:.3f})" for key in _AREAS)
        lines.append(
            f"{name:<15s}  {it['num_pairs']:>4d}/{it['num_staged']:<3d}  "
            f"{'  '.join(f'{area:<19s}' for area in areas)}  "
            f"{100 * it['paired']['rate']:14.1f} %  {it['p_value']:12.1e}  {it['effect']:6.2f}"
        )
    return "\n".join(lines)


_ROUNDING = 1e-9
"""Squared error of numbers near 1 that is none."""

_AREAS = ("area", "energy", "baseline")
