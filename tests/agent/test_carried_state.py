"""What the dynamics know is carried through an episode: the actor follows what it perceives from beginning to end."""

from functools import partial

import numpy as np
import pytest
import torch

from world_model.action_encoders import BoxActionEncoder
from world_model.dynamics.gru import GRUDynamics
from world_model.dynamics.memory import MemoryDynamics
from world_model.dynamics.residual_mlp import ResidualMLPDynamics
from world_model.encoders.mlp import MLPEncoder
from world_model.jepa import JEPA
from world_model.latent.none import no_latent
from world_model.types import LatentContext

DYNAMICS = {
    "residual_mlp": partial(ResidualMLPDynamics, hidden_dim=8, num_layers=1),
    "gru": partial(GRUDynamics, hidden_dim=8, num_layers=1),
    "memory": partial(MemoryDynamics, num_slots=3, key_dim=4, value_dim=4, hidden_dim=8, num_layers=1),
}
CONTEXT, REPEAT, NUM_STEPS = 2, 2, 14


@pytest.fixture(params=DYNAMICS)
def world_model(request):
    """An untrained model whose weights all count."""
    model = JEPA(
        sensors={"position": (3,), "clock": (2,)},
        embed_dims={"position": 3, "clock": 2},
        encoder=partial(MLPEncoder, hidden_dim=8, num_layers=1),
        action_encoder=BoxActionEncoder,
        dynamics=DYNAMICS[request.param],
        goal_dim=None,
        kinds=[],
        latent=no_latent,
        context_length=CONTEXT,
        action_dim=3,
        action_repeat=REPEAT,
    )
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def observe(step, **changes):
    rng = np.random.default_rng(step)
    seen = {"position": rng.uniform(-0.1, 0.1, 3), "clock": rng.normal(size=2)} | changes
    return {name: values if values is None else values.astype(np.float32) for name, values in seen.items()}


def hide_the_clock(step):
    return observe(step, clock=None) if 4 <= step < 10 else observe(step)


def act(actor, show, *, num_steps=NUM_STEPS):
    """Returns the actions for what is shown, whatever they would lead to."""
    actor.reset({"position": [0.5, -0.3, 0.2]}, seed=0)
    return np.array([actor.act(show(step)) for step in range(num_steps)])


@pytest.mark.parametrize("show", [observe, hide_the_clock])
def test_imagination_starts_from_all_that_was_perceived_and_done(world_model, make_actor, show):
    actor = make_actor(world_model=world_model, action_repeat=REPEAT)
    act(actor, show)
    moments = actor.state.memory.moments
    assert len(moments) == NUM_STEPS // REPEAT
    at_rest = [moments[0]] * (world_model.least_context - 1)
    past = LatentContext(
        embeddings=torch.stack([it.embedding for it in (*at_rest, *moments)])[None],
        actions=torch.stack([it.previous_action for it in (*at_rest, *moments)])[None, 1:],
        previous_action=moments[-1].previous_action[None],
    )
    futures = torch.randn(1, 4, 3, 3 * REPEAT, generator=torch.Generator().manual_seed(1))
    carried, begun = (world_model.rollout(context, futures) for context in (actor.state.context, past))
    torch.testing.assert_close(carried.embeddings, begun.embeddings)
    assert torch.equal(carried.start, begun.start)
    assert torch.equal(carried.previous_action, begun.previous_action)


def test_a_hidden_sensor_is_followed_by_what_was_foreseen_of_it(world_model, make_actor):
    actor, clock = make_actor(world_model=world_model, action_repeat=REPEAT), world_model.blocks["clock"]
    actor.reset({"position": [0.5, -0.3, 0.2]}, seed=0)
    for step in range(10):
        before = actor.state.context
        actor.act(hide_the_clock(step))
        if step >= 4 and step % REPEAT == 0:
            done = actor.state.memory.moments[-1].previous_action[None, None, None]
            foreseen = world_model.rollout(before, done).embeddings[0, 0, 0]
            assert torch.equal(actor.state.context.embeddings[0, -1, clock], foreseen[clock])


def test_recorded_observations_give_a_fresh_actor_the_same_actions(world_model, make_actor):
    actor, fresh = (make_actor(world_model=world_model, action_repeat=REPEAT) for _ in range(2))
    actions = act(actor, observe)
    assert np.array_equal(act(actor, observe), actions)
    assert np.array_equal(act(fresh, observe), actions)
    for ours, theirs in zip(actor.state.context.state, fresh.state.context.state, strict=True):
        assert torch.equal(ours, theirs)


def test_what_was_perceived_once_is_known_long_after_where_there_is_a_state_for_it(world_model, make_actor, policy):
    reactive = {"policy": policy, "mode": "reactive"}  # which looks at the position alone
    actors = [make_actor(world_model=world_model, action_repeat=REPEAT, **reactive) for _ in range(2)]
    for shift, actor in enumerate(actors):
        act(actor, lambda step, shift=shift: observe(step, clock=np.full(2, 0.5 + shift if step == 0 else 0.5)))
    futures = torch.zeros(1, 1, 1, 3 * REPEAT)
    first, second = (world_model.rollout(actor.state.context, futures).embeddings for actor in actors)
    newest = [actor.state.context.embeddings for actor in actors]
    assert torch.equal(*newest)
    remembers = not isinstance(world_model.dynamics, ResidualMLPDynamics)
    assert torch.equal(first, second) != remembers


def test_a_reset_forgets_the_last_episode(world_model, make_actor):
    actor = make_actor(world_model=world_model, action_repeat=REPEAT)
    act(actor, observe)
    actor.reset({"position": [0.5, -0.3, 0.2]}, seed=0)
    assert actor.state.context is None
    actor.act(observe(0))
    assert actor.state.context.embeddings.shape == (1, world_model.least_context, world_model.embed_dim)
    assert actor.state.context.state is None


@pytest.mark.parametrize("memory_capacity", [0, 1.5])
def test_a_memory_of_nothing_is_refused(make_actor, memory_capacity):
    with pytest.raises(ValueError, match=f"memory_capacity must be .*at least 1, got {memory_capacity}"):
        make_actor(memory_capacity=memory_capacity)
