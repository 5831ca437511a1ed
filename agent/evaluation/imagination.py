"""What an agent imagines of its newest plan."""

import torch
from torch import Tensor

from agent.actor import Actor


def planned_future(actor: Actor) -> Tensor | None:
    """Returns where the plan of the newest model step leads, `[1 + horizon, embed_dim]`, where it begins first.

    None where no plan was made, as by an agent that reacts.
    """
    state = actor.state
    if not state.choices or not state.choices[-1].num_evaluations or state.plan is None or state.foreseen is None:
        return None
    action_repeat = state.foreseen.previous_action.shape[1] // state.plan.actions.shape[2]
    actions = state.plan.actions[:, None].repeat(1, 1, 1, action_repeat)
    with torch.no_grad():
        imagined = actor.world_model.rollout(state.foreseen, actions)
    return torch.cat([imagined.start, imagined.embeddings[0, 0]])
