from functools import partial

import pytest
import torch

from world_model.dynamics.gru import GRUDynamics
from world_model.dynamics.memory import LARGEST_MEMORY, MemoryDynamics, read, update
from world_model.layout import Layout
from world_model.objectives.prediction import predictions

EMBED_DIM, ACTION_DIM, SLOTS, VALUE_DIM, ROWS = 3, 2, 4, 5, 6
SIZES = {"num_slots": SLOTS, "key_dim": 3, "value_dim": VALUE_DIM, "hidden_dim": 8, "num_layers": 2}


def build(**changes):
    return MemoryDynamics(
        layout=Layout({"place": slice(0, EMBED_DIM)}), action_dim=ACTION_DIM, **{"context_length": 2} | SIZES | changes
    )


@pytest.fixture
def dynamics():
    """A memory in double precision, all of whose weights count."""
    made, generator = build().double(), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return made.requires_grad_(False)


def draw(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def past(time=4):
    return draw(ROWS, time, EMBED_DIM), draw(ROWS, time - 1, ACTION_DIM, seed=2)


def foresee(dynamics, frames, actions):
    return dynamics.foresee(dynamics.begin(frames[:, :1], actions[:, :0]), actions, frames[:, 1:])[1]


def test_attention_is_a_share_of_each_slot_and_sums_to_1(dynamics):
    contents = dynamics.contents(dynamics.begin(*past()), draw(ROWS, ACTION_DIM))
    assert contents.attention.shape == (ROWS, SLOTS) and bool((contents.attention > 0).all())
    torch.testing.assert_close(contents.attention.sum(dim=1), torch.ones(ROWS).double())
    assert bool((contents.attention.amax(dim=1) > 1.2 / SLOTS).any())


def test_a_memory_begins_at_what_was_learned_and_shows_its_keys(dynamics):
    contents = dynamics.contents(dynamics.begin(*past(time=1)), draw(ROWS, ACTION_DIM))
    assert torch.equal(contents.values, dynamics.first_values.expand(ROWS, -1, -1))
    assert torch.equal(contents.keys, dynamics.keys)


def test_what_is_read_is_the_mean_of_the_values_by_attention():
    values, attention = draw(2, 3, VALUE_DIM), torch.tensor([[0.0, 1.0, 0.0], [0.5, 0.0, 0.5]]).double()
    torch.testing.assert_close(read(values, attention)[0], values[0, 1])
    torch.testing.assert_close(read(values, attention)[1], (values[1, 0] + values[1, 2]) / 2)


def test_an_update_leaves_what_is_not_attended_to_and_replaces_what_is():
    values, written = draw(1, 3, VALUE_DIM), draw(1, VALUE_DIM, seed=3)
    updated = update(values, torch.tensor([[0.0, 1.0, 0.25]]).double(), written)
    assert torch.equal(updated[0, 0], values[0, 0])
    assert torch.equal(updated[0, 1], written[0])
    torch.testing.assert_close(updated[0, 2], 0.25 * written[0] + 0.75 * values[0, 2])


def test_in_every_step_memory_is_updated_where_it_was_read(dynamics):
    (embeddings, actions), action = past(), draw(ROWS, ACTION_DIM)
    state = dynamics.begin(embeddings, actions)
    before, after = (dynamics.contents(it, action) for it in (state, dynamics.follow(state, action, draw(ROWS, 3))))
    moved = (after.values - before.values)[..., 0] / before.attention  # [rows, num_slots], r - v
    written = moved + before.values[..., 0]
    torch.testing.assert_close(written, written[:, :1].expand(-1, SLOTS))


def test_permuting_slots_changes_no_prediction(dynamics):
    frames, actions = past(time=6)
    before = foresee(dynamics, frames, actions)
    for slots in (dynamics.keys, dynamics.first_values):
        slots.copy_(slots.roll(1, dims=0))
    after = foresee(dynamics, frames, actions)
    torch.testing.assert_close(after, before)
    dynamics.keys.copy_(dynamics.keys.roll(1, dims=0))  # without their values
    other = foresee(dynamics, frames, actions)
    assert bool(((other - before).abs() > 1e-6).any())


def test_a_memory_stays_bounded_however_long_it_is_carried(dynamics):
    state = dynamics.begin(*past(time=1))
    for time in range(200):
        state = dynamics.follow(state, draw(ROWS, ACTION_DIM, seed=time), 1e6 * draw(ROWS, EMBED_DIM, seed=time))
    most = max(1.0, float(dynamics.first_values.abs().max()))
    assert float(dynamics.contents(state, draw(ROWS, ACTION_DIM)).values.abs().max()) <= most


@pytest.mark.parametrize("name", SIZES)
def test_sizes_below_1_are_refused(name):
    with pytest.raises(ValueError, match=f"^{name} must be at least 1, got 0$"):
        build(**{name: 0})


def test_a_context_in_which_nothing_is_written_is_refused():
    message = "^world_model.context_length must be at least 2 with predictor=memory, .* a context .*, got 1$"
    with pytest.raises(ValueError, match=message):
        build(context_length=1)


@pytest.mark.parametrize("context_length", [2, 5])
def test_what_to_write_of_what_came_is_learned_from_a_context(build_model, context_length):
    model = build_model(context_length=context_length, dynamics=partial(MemoryDynamics, **SIZES))
    torch.nn.init.normal_(model.dynamics.change.weight)
    embeddings, actions = (draw(ROWS, time, size).float() for time, size in ((7, model.embed_dim), (6, ACTION_DIM)))
    predicted, _ = predictions(model, embeddings, actions, came=embeddings, generator=torch.Generator())
    predicted.square().mean().backward()
    of_what_came = model.dynamics.written[0].weight.grad[:, SIZES["hidden_dim"] :]
    assert float(of_what_came.abs().amax(dim=0).min()) > 0


def test_more_slots_than_a_planner_can_carry_are_refused():
    message = (
        f"num_slots . value_dim must be at most {LARGEST_MEMORY}, as each candidate of a planner .* got 65537 . 1$"
    )
    with pytest.raises(ValueError, match=message):
        build(num_slots=LARGEST_MEMORY + 1, value_dim=1)
    build(num_slots=LARGEST_MEMORY, value_dim=1)


def blocks(rows, time, seed):
    """Returns places and pushes of blocks on a leash: they slide half as far as pushed, or half as far again."""
    generator = torch.Generator().manual_seed(seed)
    gain = 0.5 + torch.randint(2, (rows, 1, 1), generator=generator)
    pushes, places = torch.randn(rows, time, 1, generator=generator), [torch.randn(rows, 1, 1, generator=generator)]
    for push in pushes.split(1, dim=1):
        places.append(0.8 * places[-1] + gain * push)
    return torch.cat(places, dim=1), pushes


@pytest.mark.parametrize(
    ("kind", "num_steps"),
    [
        (partial(MemoryDynamics, num_slots=4, key_dim=8, value_dim=8, hidden_dim=32, num_layers=2), 200),
        (partial(GRUDynamics, hidden_dim=32, num_layers=1), 300),
    ],
)
def test_what_was_felt_in_an_episode_is_known_after_it_was_carried(kind, num_steps):
    """How far a block slides cannot be seen: without the past, its variance of 1/4 is what a prediction is off by."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        dynamics = kind(layout=Layout({"place": slice(0, 1)}), action_dim=1, context_length=8)
    optimizer = torch.optim.Adam(dynamics.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, num_steps)
    for step in range(num_steps):
        places, pushes = blocks(64, 8, seed=100 + step)
        state = dynamics.begin(places[:, :1], pushes[:, :0])
        optimizer.zero_grad()
        (dynamics.foresee(state, pushes, places[:, 1:])[1] - places[:, 1:]).square().mean().backward()
        optimizer.step()
        schedule.step()
    places, pushes = blocks(500, 24, seed=0)
    carried, anew, state = [], [], dynamics.begin(places[:, :1], pushes[:, :0])
    with torch.no_grad():
        for time in range(24):
            for errors, before in ((carried, state), (anew, dynamics.begin(places[:, time, None], pushes[:, :0]))):
                errors.append((dynamics.step(before, pushes[:, time])[1] - places[:, time + 1]).square().mean())
            state = dynamics.follow(state, pushes[:, time], places[:, time + 1])
    assert float(torch.stack(anew).mean()) > 0.9 / 4
    assert float(torch.stack(carried[8:]).mean()) < 0.25 / 4
