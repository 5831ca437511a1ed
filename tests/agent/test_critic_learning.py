"""Critics on worlds in which it is known how far it is from anywhere to anywhere."""

import copy
import math

import numpy as np
import pytest
import torch

from agent.cost.critic import Quasimetric, ValueEnsemble
from agent.learning.critic import CriticTask, DeltaStep, ExpectileTD, ObservedSteps
from agent.learning.experience import Split
from agent.learning.hindsight import Hindsight, HindsightSampler
from world_model.training.checkpoint import CheckpointError, load_checkpoint
from world_model.training.fit import fit
from world_model.types import LatentGoal

DISCOUNT = 0.9
TD = {"discount": DISCOUNT, "expectile": 0.7, "reached_distance": 0.1, "target_decay": 0.9}
OBSERVED = {"expectile": 0.9, "reached_distance": 0.1}


def discounted(steps):
    """Returns what so many steps cost where later ones count less."""
    return (1.0 - DISCOUNT**steps) / (1.0 - DISCOUNT)


def walk(num_states, *, num_episodes, num_steps, step, seed=0):
    """Returns states `[num_episodes, num_steps + 1]`, each following from the one before by `step(states, rng)`."""
    rng = np.random.default_rng(seed)
    states = [rng.integers(num_states, size=num_episodes)]
    for _ in range(num_steps):
        states.append(step(states[-1], rng))
    return torch.from_numpy(np.stack(states, axis=1))


@pytest.fixture
def ring(remember):
    """Six places in a circle, and a traffic that goes one way; and the steps from each to each, `[goal, state]`."""
    angle = torch.arange(6) * math.tau / 6
    places = torch.stack([angle.cos(), angle.sin()], dim=1)
    visits = walk(6, num_episodes=60, num_steps=15, step=lambda state, rng: (state + 1) % 6)
    return remember(places[visits]), places, (torch.arange(6)[:, None] - torch.arange(6)) % 6


@pytest.fixture
def chain(remember):
    """Six places in a row, on which somebody walks at random, and the steps from each to each, `[goal, state]`."""
    places = torch.linspace(-1.0, 1.0, 6)[:, None]

    def step(state, rng):
        return np.clip(state + rng.choice([-1, 1], size=len(state)), 0, 5)

    visits = walk(6, num_episodes=150, num_steps=15, step=step)
    return remember(places[visits]), places, (torch.arange(6)[:, None] - torch.arange(6)).abs()


@pytest.fixture
def slope(remember):
    """A climb and slides down it, twice as fast, all with rests, and the fewest steps between them, `[goal, state]`.

    A slide goes from an odd place to an odd one, or from an even one to an even one; what is between is nan.
    """
    places = torch.linspace(-1.0, 1.0, 9)[:, None]

    def climb(state, rng):
        return np.minimum(state + (rng.random(len(state)) > 0.3), 8)

    def slide(state, rng):
        return np.where(state > 1, state - 2 * (rng.random(len(state)) > 0.3), state)

    visits = [walk(9, num_episodes=200, num_steps=8, step=step) for step in (climb, slide)]
    rise = torch.arange(9)[:, None] - torch.arange(9)
    fewest = torch.where(rise >= 0, rise, torch.where(rise % 2 == 0, -rise / 2, torch.nan))
    return remember(places[torch.cat(visits)]), places, fewest


def judge(critic, places):
    """Returns what each member says of every place, for every place as the goal: `[member, goal, state]`."""
    goal = LatentGoal(embedding=places, mask=torch.ones_like(places, dtype=torch.bool))
    with torch.no_grad():
        return critic(places.expand(len(places), -1, -1), goal)


@pytest.fixture
def make_task(learning_settings, metadata):
    """Returns a small critic of what is learned from, and its training."""

    def make(experience, learning, *, network=ValueEnsemble, seed=0, weights=0, hidden_dim=32, **changes):
        sizes = {"num_members": 2} if network is ValueEnsemble else {"latent_dim": 8}
        torch.manual_seed(weights)
        critic = network(embed_dim=experience.embeddings.shape[1], hidden_dim=hidden_dim, num_layers=2, **sizes)
        task = CriticTask(
            critic=critic,
            learning=learning,
            experience=experience,
            split=Split.draw(
                len(experience.lengths),
                validation_fraction=learning_settings(**changes).validation_fraction,
                rng=np.random.default_rng(seed),
            ),
            settings=learning_settings(**changes),
            task_sensors=["position"],
            metadata=metadata,
            seed=seed,
        )
        return critic, task

    return make


@pytest.fixture
def train(make_task, learning_settings, tmp_path):
    """Trains a small critic, and returns it."""

    def run(experience, learning, *, output=None, **changes):
        critic, task = make_task(experience, learning, **changes)
        settings = learning_settings(
            **{name: value for name, value in changes.items() if name not in ("network", "seed", "weights")}
        )
        fit(task, settings=settings, identity={}, output=output or tmp_path, description="critic")
        return critic

    return run


LONGER = {"batch_size": 128, "validation_every": 10_000, "checkpoint_every": 10_000, "weight_decay": 0.0}


class Oracle(torch.nn.Module):
    """Knows the answer: a function of states `[batch, num_states, embed_dim]` and goal."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, embeddings, goal):
        return self.answer(embeddings, goal)[None]


def nearest(places, table):
    """Returns an oracle that looks the answer up in a table, `[goal, state]`."""

    def answer(embeddings, goal):
        state = torch.cdist(embeddings, places).argmin(dim=2)
        return table[torch.cdist(goal.embedding, places).argmin(dim=1)[:, None], state]

    return Oracle(answer)


def draw(experience, *, num_ahead=1, future_share=0.5, task_share=1.0, batch_size=500):
    sampler = HindsightSampler(
        experience,
        episodes=torch.arange(len(experience.lengths)),
        hindsight=Hindsight(any_time_share=0.0, future_share=future_share, task_share=task_share, partial_share=0.0),
        task_sensors=["position"],
        num_ahead=num_ahead,
    )
    return sampler.sample(batch_size, torch.Generator().manual_seed(0))


# Steps to the goal by temporal differences


@pytest.mark.parametrize("expectile", [0.6, 0.9])
def test_the_true_steps_are_what_temporal_differences_ask_for(ring, expectile):
    experience, places, steps = ring
    learning, transitions = ExpectileTD(**TD | {"expectile": expectile}), draw(experience)
    oracle = nearest(places, discounted(steps.float()))
    assert learning.loss(oracle, oracle, transitions) < 1e-10
    wrong = nearest(places, discounted(steps.float()) + 0.1)
    assert learning.loss(wrong, oracle, transitions) == pytest.approx(0.01 * expectile, rel=1e-4)
    wrong = nearest(places, discounted(steps.float()) - 0.1)
    assert learning.loss(wrong, oracle, transitions) == pytest.approx(0.01 * (1.0 - expectile), rel=1e-4)


def test_a_target_that_says_less_than_nothing_is_taken_for_nothing(ring):
    experience, places, steps = ring
    learning, transitions = ExpectileTD(**TD), draw(experience)
    oracle = nearest(places, discounted(steps.float()))
    zero, less = nearest(places, 0.0 * steps.float()), nearest(places, -5.0 + 0.0 * steps.float())
    assert learning.loss(oracle, less, transitions) == learning.loss(oracle, zero, transitions)


def test_on_a_one_way_ring_the_critic_comes_to_the_true_steps(ring, train):
    experience, places, steps = ring
    critic = train(experience, ExpectileTD(**TD), num_steps=500, **LONGER)
    assert (judge(critic, places) - discounted(steps)).abs().max() < 0.1  # of up to 4.1


def test_on_a_chain_walked_at_random_the_critic_comes_to_the_fewest_steps(chain, train):
    experience, places, steps = chain
    critic = train(experience, ExpectileTD(**TD | {"expectile": 0.9}), num_steps=500, **LONGER)
    assert (judge(critic, places) - discounted(steps)).abs().max() < 0.6  # of up to 4.1; 0.57 are the expectile's own


# Steps that were observed


def test_the_observed_steps_are_asked_for_where_they_were_observed(ring):
    experience, _, _ = ring
    transitions = draw(experience, future_share=0.5)
    known = torch.isfinite(transitions.steps_to_goal)
    steps = torch.where(known, transitions.steps_to_goal, -100.0)[:, None]
    assert ObservedSteps(**OBSERVED).loss(Oracle(lambda *_: steps), None, transitions) == 0.0
    wrong = ObservedSteps(**OBSERVED).loss(Oracle(lambda *_: steps + 2.0), None, transitions)
    assert wrong == pytest.approx(0.9 * 4.0 * float(known.float().mean()), rel=1e-4)


def test_the_quasimetric_comes_to_the_fewest_steps_observed_there_and_back(slope, train):
    experience, places, fewest = slope
    critic = train(
        experience,
        ObservedSteps(**OBSERVED | {"expectile": 0.99}),
        network=Quasimetric,
        future_share=1.0,
        num_steps=1000,
        **LONGER,
    )
    error = (judge(critic, places)[0] - fewest).abs()
    assert error[fewest.isfinite()].max() < 0.5  # of up to 8 up, and 4 down


# The intrinsic cost δ steps ahead

STEP = torch.tensor([[0.9, 0.2], [-0.2, 0.9]])


@pytest.fixture
def swirl(remember):
    """A linear system, `s' = STEP s`, in two sensors of one number each."""
    generator = torch.Generator().manual_seed(0)
    states = [torch.randn(100, 2, generator=generator)]
    for _ in range(12):
        states.append(states[-1] @ STEP.T)
    return remember(torch.stack(states, dim=1), blocks={"position": slice(0, 1), "velocity": slice(1, 2)})


def ahead(num_ahead):
    """Returns the closed form: the mean square over the asked dimensions of `STEP^δ s - g`."""
    power = torch.linalg.matrix_power(STEP, num_ahead)

    def answer(embeddings, goal):
        squares = (embeddings @ power.T - goal.embedding[:, None]).square() * goal.mask[:, None]
        return squares.sum(dim=2) / goal.mask.sum(dim=1, keepdim=True)

    return answer


@pytest.mark.parametrize("num_ahead", [1, 4])
def test_the_target_of_the_delta_step_critic_is_the_closed_form(swirl, num_ahead):
    transitions = draw(swirl, num_ahead=num_ahead, task_share=0.5)
    learning = DeltaStep(num_ahead=num_ahead)
    assert learning.loss(Oracle(ahead(num_ahead)), None, transitions) < 1e-10
    assert learning.loss(Oracle(ahead(num_ahead + 1)), None, transitions) > 1e-3
    wrong = learning.loss(Oracle(lambda *state: ahead(num_ahead)(*state) + 0.5), None, transitions)
    assert wrong == pytest.approx(0.25, rel=1e-4)


def test_the_delta_step_critic_of_a_linear_system_comes_to_the_closed_form(swirl, train):
    critic = train(swirl, DeltaStep(num_ahead=4), num_steps=600, **LONGER)
    fresh = draw(swirl, num_ahead=4, task_share=0.5, batch_size=2000)
    with torch.no_grad():
        said = critic(fresh.embedding[:, None], fresh.goal)
        true = ahead(4)(fresh.embedding[:, None], fresh.goal)
    assert (said - true).square().mean(dim=(1, 2)).max() < 0.03 * true.var()
    now = ahead(0)(fresh.embedding[:, None], fresh.goal)
    assert (now - true).square().mean() > 0.3 * true.var()  # what knows only the present does far worse


# Gradients, the slow copy, validation


@pytest.mark.parametrize("learning", [ExpectileTD(**TD), ObservedSteps(**OBSERVED), DeltaStep(num_ahead=2)])
def test_gradients_reach_the_critic_and_nothing_else(make_task, ring, learning):
    experience, _, _ = ring
    experience.embeddings.requires_grad_()
    critic, task = make_task(experience, learning)
    task.losses(1)["loss"].backward()
    assert all((weight.grad != 0).any() for weight in critic.parameters())
    assert all(
        weight.grad is None
        for weight in task.module.parameters()
        if all(weight is not own for own in critic.parameters())
    )


@pytest.mark.parametrize("learning", [ObservedSteps(**OBSERVED), DeltaStep(num_ahead=2)])
def test_a_target_that_does_not_depend_on_a_critic_needs_no_copy_of_it(make_task, ring, learning):
    critic, task = make_task(ring[0], learning)
    assert [*map(id, task.module.parameters())] == [*map(id, critic.parameters())]
    target = copy.deepcopy(critic)
    with torch.no_grad():
        for weight in target.parameters():
            weight.add_(1.0)
    transitions = draw(ring[0], num_ahead=learning.num_ahead)
    assert learning.loss(critic, target, transitions) == learning.loss(critic, critic, transitions)


def test_the_slow_copy_starts_with_the_critic_and_follows_it(make_task, ring):
    critic, task = make_task(ring[0], ExpectileTD(**TD))
    slow = task.module["target"]
    before = [weight.clone() for weight in critic.parameters()]
    assert all(torch.equal(copied, weight) for copied, weight in zip(slow.parameters(), before, strict=True))
    with torch.no_grad():
        for weight in critic.parameters():
            weight.add_(1.0)
    for step in (1, 2):
        task.finish_step()
        for copied, weight in zip(slow.parameters(), before, strict=True):
            torch.testing.assert_close(copied, weight + 1.0 - 0.9**step)
    assert not any(weight.requires_grad for weight in slow.parameters())


def test_the_loss_is_against_the_slow_copy(make_task, ring):
    _, task = make_task(ring[0], ExpectileTD(**TD))
    loss = task.losses(1)["loss"].item()
    with torch.no_grad():
        for weight in task.module["target"].parameters():
            weight.add_(1.0)
    assert task.losses(1)["loss"].item() != pytest.approx(loss, rel=1e-3)


def test_a_validation_is_the_same_at_every_call_and_on_episodes_that_are_not_learned_from(make_task, remember):
    """The held-out episode is the one whose embeddings are not finite."""
    held_out, found = [], set()
    for bad in range(4):
        episodes = torch.zeros(4, 6, 1)
        episodes[bad] = torch.nan
        _, task = make_task(remember(episodes), DeltaStep(num_ahead=1), future_share=1.0)
        validations = [task.validate(step)["loss"] for step in (10, 10, 20)]
        assert validations[0] == validations[1] == validations[2] or all(map(math.isnan, validations))
        held_out.append(math.isnan(validations[0]))
        found.add(math.isnan(task.losses(1)["loss"].item()) != held_out[-1])
    assert sum(held_out) == 1 and found == {True}


def test_steps_draw_differently_and_each_always_the_same(make_task, chain):
    _, task = make_task(chain[0], ExpectileTD(**TD))
    losses = [task.losses(step)["loss"].item() for step in (1, 2, 1)]
    assert losses[0] == losses[2] != losses[1]


# Interrupted, and continued


def content(folder):
    """Returns the bytes of all files of a training but TensorBoard's, which hold the time of day."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("step", [1, 10, 17, 29])
@pytest.mark.parametrize(
    ("learning", "network"),
    [
        (ExpectileTD(**TD), ValueEnsemble),
        (ObservedSteps(**OBSERVED), Quasimetric),
        (DeltaStep(num_ahead=2), ValueEnsemble),
    ],
    ids=["expectile td", "observed steps", "delta step"],
)
def test_a_training_interrupted_at_any_step_ends_with_the_same_bytes(
    chain, train, tmp_path, monkeypatch, learning, network, step
):
    train(chain[0], learning, network=network, output=tmp_path / "whole")
    finish, count = CriticTask.finish_step, iter(range(1, 100))

    def stop(task):
        finish(task)
        if next(count) == step:
            raise KeyboardInterrupt

    monkeypatch.setattr(CriticTask, "finish_step", stop)
    with pytest.raises(KeyboardInterrupt):
        train(chain[0], learning, network=network, output=tmp_path / "parts")
    monkeypatch.undo()
    assert (tmp_path / "parts" / "training_state.safetensors").exists() == (step > 10)
    train(chain[0], learning, network=network, output=tmp_path / "parts", weights=7 if step > 10 else 0)
    assert content(tmp_path / "parts") == content(tmp_path / "whole")


def test_what_is_kept_is_the_critic_and_not_its_slow_copy(chain, train, tmp_path):
    critic = train(chain[0], ExpectileTD(**TD))
    checkpoint = load_checkpoint(tmp_path / "last.safetensors")
    assert checkpoint.sections.keys() == {"critic"} and checkpoint.metadata.training_step == 30
    restored = ValueEnsemble(embed_dim=1, num_members=2, hidden_dim=32, num_layers=2)
    checkpoint.restore("critic", restored)
    assert torch.equal(judge(restored, chain[1]), judge(critic, chain[1]))
    with pytest.raises(CheckpointError, match=r"'critic\.members\.0\.0\.bias' has shape"):
        checkpoint.restore("critic", ValueEnsemble(embed_dim=1, num_members=2, hidden_dim=16, num_layers=2))


# Every value matters


@pytest.mark.parametrize(
    ("learning", "changes"),
    [
        (ExpectileTD, {"discount": 0.8}),
        (ExpectileTD, {"expectile": 0.6}),
        (ExpectileTD, {"reached_distance": 1.5}),
        (ExpectileTD, {"target_decay": 0.5}),
        (ObservedSteps, {"expectile": 0.6}),
        (ObservedSteps, {"reached_distance": 1.5}),
        (DeltaStep, {"num_ahead": 3}),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else next(iter(value)),
)
def test_every_value_of_a_loss_changes_what_is_learned(chain, train, tmp_path, learning, changes):
    ordinary = {ExpectileTD: TD, ObservedSteps: OBSERVED, DeltaStep: {"num_ahead": 2}}[learning]
    first = judge(train(chain[0], learning(**ordinary), output=tmp_path / "a"), chain[1])
    other = judge(train(chain[0], learning(**ordinary | changes), output=tmp_path / "b"), chain[1])
    assert not torch.allclose(first, other, atol=1e-4)


@pytest.mark.parametrize(
    "changes",
    [
        {"num_steps": 31},
        {"batch_size": 32},
        {"learning_rate": 5e-3},
        {"final_learning_rate": 5e-3},
        {"warmup_steps": 10},
        {"weight_decay": 0.5},
        {"clip_norm": 0.01},
        {"validation_fraction": 0.5},
        {"future_share": 0.9},
        {"task_share": 0.9},
        {"seed": 1},
        {"weights": 1},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_every_setting_changes_what_is_learned(swirl, train, tmp_path, changes):
    places = torch.eye(2)
    first = judge(train(swirl, ExpectileTD(**TD), output=tmp_path / "a"), places)
    other = judge(train(swirl, ExpectileTD(**TD), output=tmp_path / "b", **changes), places)
    assert not torch.equal(first, other)


def test_how_often_is_validated_and_saved_does_not_change_what_is_learned(swirl, train, tmp_path):
    places = torch.eye(2)
    first = judge(train(swirl, ExpectileTD(**TD), output=tmp_path / "a"), places)
    changes = {"validation_every": 7, "checkpoint_every": 8, "log_every": 3, "num_validation_samples": 10}
    assert torch.equal(judge(train(swirl, ExpectileTD(**TD), output=tmp_path / "b", **changes), places), first)


@pytest.mark.parametrize(
    ("learning", "changes", "message"),
    [
        (ExpectileTD, {"discount": 0.0}, "learning.discount must be above 0 and below 1 and finite, got 0.0"),
        (ExpectileTD, {"discount": 1.0}, "learning.discount must be above 0 and below 1 and finite, got 1.0"),
        (ExpectileTD, {"expectile": 1.0}, "learning.expectile must be above 0.5 and below 1 and finite, got 1.0"),
        (
            ExpectileTD,
            {"expectile": float("nan")},
            "learning.expectile must be above 0.5 and below 1 and finite, got nan",
        ),
        (ExpectileTD, {"expectile": 0.5}, "learning.expectile must be above 0.5 and below 1 and finite, got 0.5"),
        (ExpectileTD, {"target_decay": 1}, "learning.target_decay must be above 0 and below 1 and finite, got 1"),
        (ExpectileTD, {"reached_distance": 0.0}, "learning.reached_distance must be above 0 and finite, got 0.0"),
        (ObservedSteps, {"expectile": -0.5}, "learning.expectile must be above 0 and below 1 and finite, got -0.5"),
        (ObservedSteps, {"expectile": 1.5}, "learning.expectile must be above 0 and below 1 and finite, got 1.5"),
        (ObservedSteps, {"reached_distance": -1.0}, "learning.reached_distance must be above 0 and finite, got -1.0"),
        (DeltaStep, {"num_ahead": 0}, "learning.num_ahead must be at least 1, got 0"),
        (DeltaStep, {"num_ahead": 1.5}, "learning.num_ahead must be a whole number, at least 1, got 1.5"),
    ],
)
def test_a_loss_without_meaning_is_refused(learning, changes, message):
    with pytest.raises(ValueError, match=message):
        learning(**{ExpectileTD: TD, ObservedSteps: OBSERVED, DeltaStep: {}}[learning] | changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_steps": 0}, "learning.num_steps must be at least 1, got 0"),
        ({"batch_size": 0}, "learning.batch_size must be at least 1, got 0"),
        ({"num_plans": 1}, "learning.num_plans must be at least 2, got 1"),
        ({"num_validation_samples": 2.5}, "learning.num_validation_samples must be a whole number, .* got 2.5"),
        ({"validation_fraction": 0}, "learning.validation_fraction must be above 0 and below 1 and finite, got 0"),
        ({"validation_fraction": 1.0}, "learning.validation_fraction must be above 0 and below 1 and finite, got 1.0"),
        ({"learning_rate": float("nan")}, "learning.learning_rate must be above 0 and finite, got nan"),
        ({"keep_every": 15}, "learning.keep_every must be a multiple of checkpoint_every=10, got 15"),
    ],
)
def test_settings_without_meaning_are_refused(learning_settings, changes, message):
    with pytest.raises(ValueError, match=message):
        learning_settings(**changes)
