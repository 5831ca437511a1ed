"""Critics that learn between episodes, in a world where what they should say is known."""

import copy
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from agent.actions import free_bounds
from agent.cost.critic import Quasimetric, ValueEnsemble
from agent.goal import GoalError
from agent.learning.critic import DeltaStep, ExpectileTD, ObservedSteps
from agent.learning.experience import Experience
from agent.learning.hindsight import Hindsight, HindsightSampler
from agent.learning.online import OnlineActor, OnlineLearner, OnlineSettings
from agent.learning.own_episodes import OwnEpisodes, seen_parts
from agent.memory import ShortTermMemory
from agent.policy import MLPPolicy
from envs.spec import BoxActions
from world_model.training.fit import TrainingStopped
from world_model.types import LatentGoal

STEP = 0.1  # that the point moves at most, in each direction
GOAL = {"position": [0.5, -0.3, 0.2]}
BLOCKS = {"position": slice(0, 3), "clock": slice(3, 5)}
SETTINGS = {
    "num_steps": 20,
    "batch_size": 64,
    "learning_rate": 1e-3,
    "clip_norm": 10.0,
    "own_share": 0.25,
    "pursued_share": 0.5,
    "num_episodes": 100,
}
HINDSIGHT = Hindsight(any_time_share=0.0, future_share=1.0, task_share=1.0, partial_share=0.0)
TEMPORAL_DIFFERENCES = ExpectileTD(discount=0.97, expectile=0.9, reached_distance=0.05, target_decay=0.9)


class Watching(DeltaStep):
    """A loss that keeps what it is computed from."""

    def __init__(self, num_ahead=1):
        super().__init__(num_ahead=num_ahead)
        object.__setattr__(self, "batches", [])

    def loss(self, critic, target, transitions):
        self.batches.append(transitions)
        return super().loss(critic, target, transitions)


def make_critic(seed=0):
    torch.manual_seed(seed)
    critic = ValueEnsemble(embed_dim=5, num_members=2, hidden_dim=32, num_layers=2)
    return critic.eval().requires_grad_(False)


def make_learner(critics, learning, *, recorded=None, seed=0, **changes):
    return OnlineLearner(
        critics=critics,
        learning=learning,
        recorded=recorded,
        goal_parts=BLOCKS,
        action_dim=3,
        task_sensors=["position"],
        hindsight=HINDSIGHT,
        settings=OnlineSettings(**SETTINGS | changes),
        seed=seed,
    )


def weights(module):
    return [parameter.clone() for parameter in module.parameters()]


def same(module, others):
    return all(torch.equal(*pair) for pair in zip(module.parameters(), others, strict=True))


def act(actor, *, num_steps, start=(0.0, 0.0, 0.0)):
    """Lets an actor move the point, and returns its memory."""
    position = np.array(start, np.float32)
    for _ in range(num_steps):
        action = actor.act({"position": position, "clock": np.zeros(2, np.float32)})
        position = (position + STEP * action).astype(np.float32)
    return actor.state.memory


@pytest.fixture
def make_online(make_actor, policy):
    """Returns an actor that goes straight to its goals, and learns."""

    def make(learner, **parts):
        return make_actor(actor=partial(OnlineActor, learner=learner), **{"policy": policy, "mode": "reactive"} | parts)

    return make


@pytest.fixture
def make_memory(make_actor, policy):
    """Returns what an actor remembers that goes straight to a goal."""

    def make(num_steps, *, start=(0.0, 0.0, 0.0), action_repeat=1):
        actor = make_actor(policy=policy, mode="reactive", action_repeat=action_repeat)
        actor.reset(GOAL, seed=0)
        return act(actor, num_steps=num_steps, start=start)

    return make


def test_critics_change_after_an_episode_and_only_then(make_online):
    critics = {"steps": make_critic(0), "delta": make_critic(1)}
    actor = make_online(make_learner(critics, {"steps": TEMPORAL_DIFFERENCES, "delta": DeltaStep(num_ahead=3)}))
    for episode in range(3):
        before = {name: weights(critic) for name, critic in critics.items()}
        actor.reset(GOAL, seed=episode)
        assert [same(critics[name], before[name]) for name in critics] == [episode == 0] * 2
        before = {name: weights(critic) for name, critic in critics.items()}
        act(actor, num_steps=6)
        assert all(same(critics[name], before[name]) for name in critics)


def test_critics_are_frozen_while_the_agent_acts(make_online):
    critic = make_critic()
    actor = make_online(make_learner({"steps": critic}, {"steps": TEMPORAL_DIFFERENCES}))
    actor.reset(GOAL, seed=0)
    act(actor, num_steps=6)
    with torch.no_grad():
        actor.reset(GOAL, seed=1)
    assert not critic.training
    assert not any(parameter.requires_grad for parameter in critic.parameters())


def test_nothing_else_changes(make_online):
    torch.manual_seed(0)
    policy = MLPPolicy(embed_dim=5, bounds=free_bounds(BoxActions.unit(3)), hidden_dim=8, num_layers=1).requires_grad_(
        False
    )
    before = weights(policy)
    learner = make_learner({"steps": make_critic()}, {"steps": TEMPORAL_DIFFERENCES})
    actor = make_online(learner, policy=policy)
    generator = torch.random.get_rng_state()
    for episode in range(3):
        actor.reset(GOAL, seed=episode)
        act(actor, num_steps=6)
    assert same(policy, before)
    assert torch.equal(torch.random.get_rng_state(), generator)


def test_an_episode_teaches_once_even_if_the_next_goal_is_refused(make_online, make_memory):
    critics = [make_critic(), make_critic()]
    learners = [make_learner({"steps": critic}, {"steps": TEMPORAL_DIFFERENCES}) for critic in critics]
    actor = make_online(learners[0])
    actor.reset(GOAL, seed=0)
    memory = act(actor, num_steps=6)
    with pytest.raises(GoalError):
        actor.reset({"position": [9.0, 0.0, 0.0]}, seed=1)
    assert same(critics[0], weights(critics[1]))
    actor.reset(GOAL, seed=1)
    learners[1].learn(memory)
    assert same(critics[0], weights(critics[1]))


@pytest.mark.parametrize(
    "learning", [TEMPORAL_DIFFERENCES, ObservedSteps(expectile=0.9, reached_distance=0.05), DeltaStep(num_ahead=2)]
)
def test_the_same_episodes_in_the_same_order_give_the_same_weights(make_memory, learning):
    memories = [make_memory(num_steps) for num_steps in (5, 8)]
    learned = []
    for order, seed in ((memories, 0), (memories, 0), (memories[::-1], 0), (memories, 1)):
        critic = make_critic()
        learner = make_learner({"it": critic}, {"it": learning}, seed=seed)
        for memory in order:
            learner.learn(memory)
        learned.append(critic)
    assert same(learned[1], weights(learned[0]))
    assert not same(learned[2], weights(learned[0]))
    assert not same(learned[3], weights(learned[0]))


@pytest.mark.parametrize("num_ahead", [1, 3])
def test_what_is_learned_of_pursued_goals_is_the_triples_of_memory(make_memory, num_ahead):
    memories = (make_memory(6), make_memory(2), make_memory(9, start=(0.5, 0.5, 0.5)))
    pursued = OwnEpisodes(memories=memories, goal_parts=BLOCKS, action_dim=3).pursued(num_ahead)
    expected = []
    for memory in memories:
        times, states, costs = memory.triples()
        expected += [
            (states[row].tolist(), pytest.approx(float(costs[row + num_ahead]), rel=1e-5))
            for row in range(len(times) - num_ahead)
        ]
    asked = pursued.goal.mask
    squares = torch.where(asked, pursued.later - pursued.goal.embedding, 0.0).square()
    found = zip(pursued.embedding.tolist(), (squares.sum(dim=1) / asked.sum(dim=1)).tolist(), strict=True)
    assert list(found) == expected
    assert torch.isinf(pursued.steps_to_goal).all()


def hide(memory, sensor, times):
    """Returns a memory in which a sensor was not seen at some times."""
    moments = [
        replace(moment, block_surprises={name: 0.0 for name in BLOCKS if name != sensor})
        if moment.time in times
        else moment
        for moment in memory.moments
    ]
    return replace(memory, moments=tuple(moments))


@pytest.mark.parametrize("sensor", sorted(BLOCKS))
def test_nothing_is_learned_from_what_was_not_seen_or_leads_there_or_from_there(make_memory, sensor):
    memory, watching = hide(make_memory(10, start=(-0.9, 0.9, 0.9)), sensor, {3, 5, 9}), Watching()
    assert [[moment.time for moment in part.moments] for part in seen_parts(memory, BLOCKS)] == [[0, 1, 2], [6, 7, 8]]
    make_learner({"it": make_critic()}, {"it": watching}).learn(memory)
    states = memory.triples()[1]
    pairs = set()
    for batch in watching.batches:
        for state, later in zip(batch.embedding, batch.later, strict=True):
            pairs.add(tuple(int((states == it).all(dim=1).nonzero()[0]) for it in (state, later)))
    assert pairs == {(0, 1), (1, 2), (6, 7), (7, 8)}


def test_an_episode_of_which_no_two_moments_in_a_row_were_seen_teaches_nothing(make_memory):
    critic = make_critic()
    before = weights(critic)
    make_learner({"it": critic}, {"it": DeltaStep(num_ahead=1)}).learn(hide(make_memory(6), "clock", {1, 3, 4}))
    assert same(critic, before)


def test_own_episodes_are_experience_at_the_pace_of_model_steps(make_memory):
    memories = (make_memory(7, action_repeat=2), make_memory(4, action_repeat=2))
    own = OwnEpisodes(memories=memories, goal_parts=BLOCKS, action_dim=3)
    experience = own.experience()
    assert experience.lengths.tolist() == [3, 1] and own.longest == 3 and experience.action_repeat == 1
    assert torch.equal(experience.embeddings, torch.cat([memory.triples()[1] for memory in memories]))
    moves = experience.embeddings[1:4] - experience.embeddings[:3]
    assert torch.allclose(2 * STEP * experience.actions[:3], moves[:, :3], atol=1e-6)
    assert torch.equal(own.pursued(1).action, experience.actions)


def test_batches_hold_own_moments_and_recorded_ones_as_the_shares_say(make_memory):
    memory, watching = make_memory(6), Watching()
    recorded = straight_trips(num_trips=5, seed=0)
    learner = make_learner(
        {"it": make_critic()}, {"it": watching}, recorded=recorded, own_share=0.3, pursued_share=0.4, batch_size=100
    )
    learner.learn(memory)
    own, elsewhere = memory.triples()[1], recorded.embeddings
    assert len(watching.batches) == SETTINGS["num_steps"]
    for batch in watching.batches:
        hindsight, pursued, known = batch.embedding.split([18, 12, 70])
        assert found_in(own, hindsight) and found_in(own, pursued) and found_in(elsewhere, known)
        wished = memory.moments[0].goal.embedding
        assert (batch.goal.embedding[18:30] == wished).all() and not (batch.goal.embedding[:18] == wished).all()
    assert found_in(torch.cat([batch.embedding[:30] for batch in watching.batches]), own[:-1])


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ({"own_share": 1.0, "pursued_share": 0.5}, (32, 32, 0)),
        ({"own_share": 1.0, "pursued_share": 0.0}, (64, 0, 0)),
        ({"own_share": 0.25, "pursued_share": 1.0}, (0, 16, 48)),
        ({"own_share": 0.01, "pursued_share": 0.0}, (1, 0, 63)),
    ],
)
def test_shares_of_all_or_nothing_teach_a_critic_that_counts_steps(make_memory, shares, expected):
    class Counting(ObservedSteps):
        def loss(self, critic, target, transitions):
            counts = torch.isfinite(transitions.steps_to_goal)
            known = [bool(part.all()) for part in counts.split(expected)]
            assert known == [True, expected[1] == 0, True]
            return super().loss(critic, target, transitions)

    critic = Quasimetric(embed_dim=5, hidden_dim=8, num_layers=1, latent_dim=4).eval().requires_grad_(False)
    before = weights(critic)
    learning = Counting(expectile=0.9, reached_distance=0.05)
    make_learner({"it": critic}, {"it": learning}, recorded=straight_trips(num_trips=5, seed=0), **shares).learn(
        make_memory(6)
    )
    assert not same(critic, before)


@pytest.mark.parametrize("recorded", [None, 1.0])
def test_shares_that_say_nothing_to_a_critic_that_counts_steps_are_refused_by_name(recorded):
    learning = {"it": ObservedSteps(expectile=0.9, reached_distance=0.05)}
    trips = None if recorded is None else straight_trips(num_trips=5, seed=0)
    shares = {"own_share": recorded or 0.25, "pursued_share": 1.0}
    with pytest.raises(ValueError, match=r"the critic 'it' learns from counted steps.*smaller online.pursued_share"):
        make_learner({"it": make_critic()}, learning, recorded=trips, **shares)
    make_learner({"it": make_critic()}, {"it": DeltaStep(num_ahead=1)}, recorded=trips, **shares)


def found_in(rows, wanted):
    """Returns whether each wanted row is one of the rows."""
    return bool((wanted[:, None] == rows).all(dim=2).any(dim=1).all())


def test_without_recorded_episodes_all_is_own(make_memory):
    memory, watching = make_memory(6), Watching()
    make_learner({"it": make_critic()}, {"it": watching}).learn(memory)
    assert all(found_in(memory.triples()[1], batch.embedding) for batch in watching.batches)
    assert {len(batch.embedding) for batch in watching.batches} == {SETTINGS["batch_size"]}


def test_only_the_newest_episodes_are_learned_from(make_memory):
    starts, watching = [(0.1 * index, 0.9, 0.9) for index in range(4)], Watching()
    memories = [make_memory(4, start=start) for start in starts]
    learner = make_learner({"it": make_critic()}, {"it": watching}, num_episodes=2)
    for memory in memories:
        watching.batches.clear()
        learner.learn(memory)
    seen = torch.cat([batch.embedding for batch in watching.batches])
    assert [bool((seen[:, None] == memory.triples()[1]).all(dim=2).any()) for memory in memories] == [
        False,
        False,
        True,
        True,
    ]


def test_an_episode_too_short_for_a_critic_teaches_it_nothing(make_memory):
    critics = {"near": make_critic(0), "far": make_critic(1)}
    before = {name: weights(critic) for name, critic in critics.items()}
    learner = make_learner(critics, {"near": DeltaStep(num_ahead=1), "far": DeltaStep(num_ahead=5)})
    for memory in (ShortTermMemory(capacity=9), make_memory(1)):
        learner.learn(memory)
        assert same(critics["near"], before["near"])
    learner.learn(make_memory(3))
    assert not same(critics["near"], before["near"]) and same(critics["far"], before["far"])
    learner.learn(make_memory(6))
    assert not same(critics["far"], before["far"])


def test_the_delta_step_critic_comes_to_know_the_intrinsic_costs_in_memory(make_memory):
    memory, critic, num_ahead = make_memory(12, start=(-0.9, -0.9, -0.9)), make_critic(), 2
    learner = make_learner(
        {"it": critic},
        {"it": DeltaStep(num_ahead=num_ahead)},
        pursued_share=1.0,
        num_steps=1000,
        batch_size=32,
        learning_rate=3e-3,
    )
    learner.learn(memory)
    _, states, costs = memory.triples()
    goals = memory.goals()
    expected = costs[num_ahead:].float()
    kept = slice(len(expected))
    found = critic(states[kept, None], LatentGoal(embedding=goals.embedding[kept], mask=goals.mask[kept]))[:, :, 0]
    assert (found - expected).abs().max() < 0.05 * expected.max()


def straight_trips(*, num_trips, seed):
    """Returns episodes that go straight from somewhere to somewhere else, as fast as it can be done."""
    rng = np.random.default_rng(seed)
    frames, actions, lengths = [], [], []
    for start, end in rng.uniform(-1.0, 1.0, (num_trips, 2, 3)):
        moves = []
        while np.abs(end - start - sum(moves, np.zeros(3))).max() > 1e-9:
            moves.append((end - start - sum(moves, np.zeros(3))).clip(-STEP, STEP))
        positions = start + np.vstack([np.zeros(3), np.cumsum(moves, axis=0)])
        frames.append(np.hstack([positions, np.zeros((len(positions), 2))]))
        actions.append(np.array(moves) / STEP)
        lengths.append(len(moves))
    return Experience(
        embeddings=torch.tensor(np.vstack(frames), dtype=torch.float32),
        actions=torch.tensor(np.vstack(actions), dtype=torch.float32),
        lengths=torch.tensor(lengths),
        goal_parts=BLOCKS,
        action_repeat=1,
    )


def error(critic):
    """Returns the mean error in the steps that the straight way takes, over places and goals all over the world."""
    generator = torch.Generator().manual_seed(9)
    places = torch.zeros(2, 2000, 5)
    places[:, :, :3] = 2.0 * torch.rand(2, 2000, 3, generator=generator) - 1.0
    start, end = places
    mask = (torch.arange(5) < 3).expand(2000, 5)
    steps = (end - start).abs().amax(dim=1) / STEP
    return float((critic(start[:, None], LatentGoal(embedding=end, mask=mask)).mean(dim=0)[:, 0] - steps).abs().mean())


@pytest.fixture(scope="module")
def trained():
    """Returns a critic of the steps that are left, and the episodes that it has learned from."""
    critic, recorded = make_critic(), straight_trips(num_trips=400, seed=0)
    sampler = HindsightSampler(
        recorded, episodes=torch.arange(400), hindsight=HINDSIGHT, task_sensors=["position"], num_ahead=1
    )
    critic.requires_grad_(True)
    optimizer, generator = torch.optim.Adam(critic.parameters(), lr=3e-3), torch.Generator().manual_seed(0)
    for _ in range(600):
        loss = ObservedSteps(expectile=0.5, reached_distance=0.01).loss(critic, critic, sampler.sample(256, generator))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return critic.requires_grad_(False), recorded


@pytest.mark.slow
@pytest.mark.parametrize("remembers", [True, False])
def test_after_fifty_episodes_in_one_corner_a_critic_is_no_worse_if_recorded_ones_are_at_hand(
    trained, make_online, remembers
):
    critic, recorded = copy.deepcopy(trained[0]), trained[1]
    before = error(critic)
    learner = make_learner(
        {"it": critic},
        {"it": ObservedSteps(expectile=0.5, reached_distance=0.01)},
        recorded=recorded if remembers else None,
    )
    actor, rng = make_online(learner), np.random.default_rng(0)
    for episode in range(51):
        start, goal = rng.uniform(0.6, 1.0, (2, 3))
        actor.reset({"position": goal}, seed=episode)
        act(actor, num_steps=8, start=start)
    after = error(critic)
    assert before < 1.5  # of 10 steps or so
    assert after <= before if remembers else after > 2 * before


def test_a_loss_that_is_not_finite_stops_the_learning(make_memory):
    learner = make_learner({"it": make_critic()}, {"it": DeltaStep(num_ahead=1)}, learning_rate=1e30)
    with pytest.raises(TrainingStopped, match="choose a smaller online"):
        learner.learn(make_memory(5))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("num_steps", 0, "online.num_steps must be at least 1, got 0"),
        ("batch_size", 2.5, "online.batch_size must be a whole number, at least 1, got 2.5"),
        ("num_episodes", -1, "online.num_episodes must be at least 1, got -1"),
        ("learning_rate", 0.0, "online.learning_rate must be above 0 and finite, got 0.0"),
        ("clip_norm", float("nan"), "online.clip_norm must be above 0 and finite, got nan"),
        ("own_share", 0.0, "online.own_share must be above 0 and at most 1 and finite, got 0.0"),
        ("pursued_share", 1.5, "online.pursued_share must be at least 0 and at most 1 and finite, got 1.5"),
    ],
)
def test_bad_values_get_one_sentence(name, value, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        OnlineSettings(**SETTINGS | {name: value})


def test_there_must_be_a_critic_to_learn():
    with pytest.raises(ValueError, match="needs a critic that learns: add one, as critic="):
        make_learner({}, {})
