"""Mode 2 makes plans for mode 1 to imitate: learning a skill (LeCun 2022, section 3.1)."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor
from tqdm import tqdm

from agent.cost.types import CostModule
from agent.learning.hindsight import HindsightSampler
from agent.learning.rows import choose, join
from agent.objective import ImaginedCost
from planners.types import ActionBounds, Budget, Planner
from world_model.jepa import JEPA
from world_model.training.fit import threads
from world_model.training.tensor_file import CheckpointError, read_tensors, write_tensors
from world_model.types import LatentContext, LatentGoal

_BATCH = 16


@dataclass(frozen=True)
class Demonstrations:
    """What mode 2 would do.

    Attributes:
        embedding: `[num_demonstrations, embed_dim]`.
        goal: Of each.
        action: `[num_demonstrations, action_dim]`, the control action that is held there for a model step.
    """

    embedding: Tensor
    goal: LatentGoal
    action: Tensor

    def split(self, validation_fraction: float) -> "tuple[Demonstrations, Demonstrations]":
        """Returns those to learn from and the last ones, to validate on; each has at least one, of two or more.

        What is shown of one plan lies together, so that no more than one plan is on both sides.
        """
        num_demonstrations = len(self.action)
        num_held_out = min(max(round(validation_fraction * num_demonstrations), 1), num_demonstrations - 1)
        rows = torch.arange(num_demonstrations)
        return choose(self, rows[:-num_held_out]), choose(self, rows[-num_held_out:])

    def sample(self, batch_size: int, generator: Generator) -> "Demonstrations":
        """Draws demonstrations, with replacement."""
        return choose(self, torch.randint(len(self.action), (batch_size,), generator=generator))

    def save(self, path: Path, *, identity: str) -> None:
        """Writes them: they are there as a whole, or not at all."""
        tensors = {
            "embedding": self.embedding,
            "goal": self.goal.embedding,
            "mask": self.goal.mask,
            "action": self.action,
        }
        write_tensors(path, tensors, {"identity": identity})

    @classmethod
    def load(cls, path: Path, *, identity: str) -> "Demonstrations | None":
        """Reads what `save` wrote under the same identity, or returns None."""
        try:
            tensors, header = read_tensors(path)
        except CheckpointError:
            return None
        if header.get("identity") != identity:
            return None
        goal = LatentGoal(embedding=tensors["goal"], mask=tensors["mask"])
        return cls(embedding=tensors["embedding"], goal=goal, action=tensors["action"])


def practise(
    sampler: HindsightSampler,
    *,
    world_model: JEPA,
    cost: CostModule,
    planner: Planner[Any],
    bounds: ActionBounds,
    still: Tensor,
    horizon: int,
    num_plans: int,
    num_imitated: int,
    generator: Generator,
    num_threads: int,
) -> Demonstrations:
    """Plans from recorded moments to goals in hindsight, each as if an episode began there.

    Args:
        sampler: Draws moments and goals.
        world_model: Imagines.
        cost: Prices.
        planner: Minimises, with as many evaluations as it asks for.
        bounds: What will be let through at the beginning of an episode, of one problem.
        still: `[action_dim]`, the control action before an episode; see `still_action`.
        horizon: Imagined model steps.
        num_plans: How many plans are made.
        num_imitated: First steps of a plan that are kept, in 1..horizon, with the imagined embeddings at which they are
            taken.
        generator: Of all randomness.
        num_threads: Of torch; another number may change the last bits.
    """
    made = []
    progress = tqdm(total=num_plans, desc="practising", unit="plan", disable=None)
    with threads(num_threads), torch.no_grad(), progress:
        for first in range(0, num_plans, _BATCH):
            size = min(_BATCH, num_plans - first)
            moments = sampler.sample(size, generator)
            context = LatentContext.at_rest(
                moments.embedding,
                context_length=world_model.least_context,
                still=still.repeat(world_model.action_repeat),
            )
            objective = ImaginedCost(
                world_model=world_model,
                cost=cost,
                context=context,
                goal=moments.goal,
                action_repeat=world_model.action_repeat,
            )
            previous = bounds.previous_action
            within = replace(bounds, previous_action=None if previous is None else previous.expand(size, -1))
            seeds = torch.randint(2**62, (size,), generator=generator).tolist()
            noise = planner.sample_noise(
                [Generator().manual_seed(seed) for seed in seeds], bounds=within, horizon=horizon
            )
            state = planner.init(within, batch_size=size, horizon=horizon)
            plan, _ = planner.plan(objective, state, noise=noise, bounds=within, budget=Budget())
            imagined = objective.rollout(plan.actions[:, None])[:, 0]  # [size, horizon, embed_dim]
            visited = torch.cat([moments.embedding[:, None], imagined], dim=1)[:, :num_imitated]
            goal = choose(moments.goal, torch.arange(size).repeat_interleave(num_imitated))
            made.append(Demonstrations(visited.flatten(0, 1), goal, plan.actions[:, :num_imitated].flatten(0, 1)))
            progress.update(size)
    return join(made)
