"""How late a robot is, told by recordings of it: the shift at which its actions explain best what was seen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from agent.latency import control_steps
from agent.learning.experience import Experience
from jepa_mpc.errors import UserError
from world_model.types import LatentContext, WorldModel

RESULTS_FILE = "latency.json"
SCHEMA = 1


class LatencyError(UserError):
    """Recordings that do not tell how late a robot is; the message is one sentence for whoever recorded them."""


@dataclass(frozen=True)
class LatencyEstimate:
    """How well the actions explain what was seen, for each latency that was tried.

    Attributes:
        errors: `[num_episodes, max_latency + 1]`, mean squared error of what a world model foresees one model step
            ahead, as a share of the error of foreseeing that nothing changes.
    """

    errors: Tensor

    @property
    def shares(self) -> list[float]:
        """The mean over the episodes, of each latency."""
        shares: list[float] = self.errors.mean(dim=0).tolist()
        return shares

    @property
    def latency(self) -> int:
        """The one that explains best, control steps."""
        return int(self.errors.mean(dim=0).argmin())

    @property
    def num_agreeing(self) -> int:
        """Episodes that would say the same by themselves."""
        return int((self.errors.argmin(dim=1) == self.latency).sum())


def estimate_latency(world_model: WorldModel, experience: Experience, *, max_latency: int) -> LatencyEstimate:
    """Tries every latency on recorded episodes, on the same moments of each.

    Args:
        world_model: Of a robot that is not late, in evaluation mode.
        experience: Embedded episodes; the actions are those that were sent.
        max_latency: Most control steps that are tried, at least 1.

    Raises:
        LatencyError: No episode is long enough, or nothing that was seen ever changes, or every shift of the actions
            explains it as well.
    """
    least = max_latency + world_model.least_context * experience.action_repeat
    errors = [
        _episode_errors(world_model, experience, int(episode), max_latency=max_latency)
        for episode in range(len(experience.lengths))
        if experience.lengths[episode] >= least
    ]
    errors = [it for it in errors if bool(it.isfinite().all())]
    if not errors:
        raise LatencyError(
            f"max_latency={max_latency} takes episodes of at least {least} control steps in which something moves, "
            f"got {len(experience.lengths)} of at most {int(experience.lengths.max())}: record others, or try fewer"
        )
    estimate = LatencyEstimate(torch.stack(errors))
    if (least_share := min(estimate.shares)) >= 1:
        raise LatencyError(
            f"no latency of at most max_latency={max_latency} control steps explains what was seen: the world model's "
            f"error is at best {least_share:.2f} of that of foreseeing that nothing changes; try more, or a run that "
            "was trained on this very robot"
        )
    if max(estimate.shares) - min(estimate.shares) < _SAME:
        raise LatencyError(
            "the recordings do not tell the latency: whenever the actions take effect, they explain what was seen as "
            "well; record a robot that moves now this way, now that"
        )
    return estimate


_SAME = 1e-3
"""Share of the error that is no difference."""


def _episode_errors(world_model: WorldModel, experience: Experience, episode: int, *, max_latency: int) -> Tensor:
    """Returns the error of each latency in one episode, `[max_latency + 1]`; not finite where nothing moves."""
    length, repeat = int(experience.lengths[episode]), experience.action_repeat
    frames = experience.embeddings[int(experience.first_frame[episode]) :][: length + 1]
    sent = experience.actions[int(experience.first_action[episode]) :][:length]
    context = world_model.least_context
    starts = torch.arange(max_latency, length - context * repeat + 1)
    seen = frames[starts[:, None] + repeat * torch.arange(context + 1)]  # [moments, context + 1, embed_dim]
    unchanged = (seen[:, -1] - seen[:, -2]).square().mean()
    errors = []
    for latency in range(max_latency + 1):
        rows = starts[:, None] - latency + torch.arange(context * repeat)
        actions = sent[rows].reshape(len(starts), context, -1)  # [moments, context, model_action_dim]
        past = LatentContext(
            embeddings=seen[:, :-1],
            actions=actions[:, :-1],
            previous_action=torch.zeros_like(actions[:, 0]),  # no prediction depends on it
        )
        foreseen = world_model.rollout(past, actions[:, None, -1:]).embeddings[:, 0, 0]
        errors.append((foreseen - seen[:, -1]).square().mean() / unchanged)
    return torch.stack(errors)


def make_latency_results(description: Mapping[str, Any], estimate: LatencyEstimate) -> dict[str, Any]:
    """Returns what latency.json holds."""
    return {
        "schema": SCHEMA,
        **description,
        "latency": estimate.latency,
        "num_episodes": len(estimate.errors),
        "num_agreeing": estimate.num_agreeing,
        "error_shares": estimate.shares,
    }


def format_latency(results: Mapping[str, Any]) -> str:
    """Returns the table: what is left of the error at each latency, and which one explains best."""
    shares: Sequence[float] = results["error_shares"]
    lines = ["control steps late  error, as a share of foreseeing that nothing changes"]
    lines += [
        f"{steps:18d}  {share:.3f}{'  <- explains best' * (steps == results['latency'])}"
        for steps, share in enumerate(shares)
    ]
    lines.append(
        f"actions take effect {control_steps(results['latency'])} late; {results['num_agreeing']} of "
        f"{results['num_episodes']} episodes say so by themselves: actor.latency={results['latency']}"
    )
    if results["latency"] == len(shares) - 1:
        lines.append("that is the most that was tried: try more, by max_latency")
    return "\n".join(lines)
