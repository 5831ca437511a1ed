import pytest
import torch

from agent.cost.critic import CriticCost, Quasimetric, ValueEnsemble
from world_model.types import LatentContext, LatentGoal

BATCH, NUM_STATES, EMBED_DIM = 6, 7, 5
NETWORKS = {
    "ensemble": lambda: ValueEnsemble(embed_dim=EMBED_DIM, num_members=3, hidden_dim=16, num_layers=2),
    "quasimetric": lambda: Quasimetric(embed_dim=EMBED_DIM, hidden_dim=16, num_layers=2, latent_dim=4),
}


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def make(name, seed=0):
    torch.manual_seed(seed)
    return NETWORKS[name]()


@pytest.fixture(params=sorted(NETWORKS))
def network(request):
    return make(request.param)


@pytest.fixture
def goal():
    """Goals that ask for more and more of an embedding."""
    mask = torch.arange(EMBED_DIM) < torch.arange(BATCH)[:, None].clamp(min=1)
    return LatentGoal(embedding=torch.where(mask, draw(BATCH, EMBED_DIM, seed=1), 0.0), mask=mask)


def whole(states):
    """Returns the goals to read exactly as in these states, `[batch, embed_dim]`."""
    return LatentGoal(embedding=states, mask=torch.ones_like(states, dtype=torch.bool))


def test_each_member_says_one_number_a_state_and_a_distance_is_never_negative(network, goal):
    opinions = network(10.0 * draw(BATCH, NUM_STATES, EMBED_DIM), goal)
    assert opinions.shape == (3 if isinstance(network, ValueEnsemble) else 1, BATCH, NUM_STATES)
    assert torch.isfinite(opinions).all()
    assert isinstance(network, ValueEnsemble) or (opinions >= 0).all()


def test_a_member_that_says_far_too_little_still_learns_as_fast_as_ever(goal):
    critic = make("ensemble")
    with torch.no_grad():
        for member in critic.members:
            member[-1].bias.sub_(100.0)
    critic(draw(BATCH, NUM_STATES, EMBED_DIM), goal).sum().backward()
    assert all(member[-1].bias.grad.item() == BATCH * NUM_STATES for member in critic.members)


def test_each_state_is_judged_on_its_own(network, goal):
    states = draw(BATCH, NUM_STATES, EMBED_DIM)
    together = network(states, goal)
    for problem in range(BATCH):
        alone = LatentGoal(embedding=goal.embedding[problem, None], mask=goal.mask[problem, None])
        for state in range(NUM_STATES):
            opinion = network(states[problem, state][None, None], alone)[:, 0, 0]
            torch.testing.assert_close(opinion, together[:, problem, state])


def test_what_a_goal_does_not_ask_for_is_not_seen_but_that_it_does_not_is(network, goal):
    states = draw(BATCH, NUM_STATES, EMBED_DIM)
    opinions = network(states, goal)
    elsewhere = torch.where(goal.mask, goal.embedding, 100.0)
    assert torch.equal(network(states, LatentGoal(embedding=elsewhere, mask=goal.mask)), opinions)
    other = network(states, whole(goal.embedding))
    asks_for_less = ~goal.mask.all(dim=1)
    assert (other[:, asks_for_less] != opinions[:, asks_for_less]).any(dim=2).all()


def test_all_of_a_state_is_seen_whatever_the_goal_asks_for(network, goal):
    states = draw(BATCH, NUM_STATES, EMBED_DIM).requires_grad_()
    network(states, goal).sum().backward()
    assert (states.grad != 0).flatten(0, 1).any(dim=0).all()


def test_members_of_an_ensemble_differ_from_the_start(goal):
    opinions = make("ensemble")(draw(BATCH, NUM_STATES, EMBED_DIM), goal)
    assert (opinions.std(dim=0) > 1e-3).all()


def trained_to_be_lopsided():
    """Returns a quasimetric after some steps to an aim that is no distance at all."""
    critic = make("quasimetric")
    optimizer = torch.optim.Adam(critic.parameters(), lr=1e-2)
    for step in range(100):
        starts, ends = draw(32, EMBED_DIM, seed=2 * step), draw(32, EMBED_DIM, seed=2 * step + 1)
        wished = 3.0 + 3.0 * torch.tanh(ends[:, 0] - 2.0 * starts[:, 0])
        error = critic(starts[:, None], whole(ends))[0, :, 0] - wished
        optimizer.zero_grad()
        error.square().mean().backward()
        optimizer.step()
    return critic.requires_grad_(False)


@pytest.fixture(params=["untrained", "trained", "wild"])
def quasimetric(request):
    if request.param == "trained":
        return trained_to_be_lopsided()
    critic = make("quasimetric", seed=1).requires_grad_(False)
    if request.param == "wild":
        for index, weights in enumerate(critic.parameters()):
            weights.copy_(3.0 * draw(*weights.shape, seed=index))
    return critic


def test_a_quasimetric_keeps_the_triangle_inequality_for_partial_goals_too(quasimetric):
    num_triples = 2000
    start, between, end = (draw(num_triples, EMBED_DIM, seed=seed) for seed in range(3))
    mask = draw(num_triples, EMBED_DIM, seed=3) > 0
    mask[:500] = True
    goal = LatentGoal(embedding=torch.where(mask, end, 0.0), mask=mask)
    direct = quasimetric(start[:, None], goal)
    round_about = quasimetric(start[:, None], whole(between)) + quasimetric(between[:, None], goal)
    assert (direct <= round_about * (1.0 + 1e-5) + 1e-5).all()
    assert (direct < 0.5 * round_about).any()


def test_a_quasimetric_is_0_from_a_state_to_itself_and_only_there(quasimetric):
    states = draw(500, EMBED_DIM)
    assert quasimetric(states[:, None], whole(states)).abs().max() < 1e-5
    assert (quasimetric(states[:, None], whole(draw(500, EMBED_DIM, seed=1))) > 1e-3).all()


def test_a_quasimetric_may_be_longer_there_than_back(quasimetric):
    start, end = draw(500, EMBED_DIM), draw(500, EMBED_DIM, seed=1)
    there, back = quasimetric(start[:, None], whole(end)), quasimetric(end[:, None], whole(start))
    assert ((there / back).log().abs() > 0.05).float().mean() > 0.25


def test_a_quasimetric_has_a_gradient_at_the_goal_that_is_a_number():
    critic, states = make("quasimetric"), draw(BATCH, EMBED_DIM).requires_grad_()
    critic(states[:, None], whole(states.detach())).sum().backward()
    assert torch.isfinite(states.grad).all()


@pytest.mark.parametrize(
    ("build", "sizes"),
    [
        (ValueEnsemble, {"num_members": 2, "hidden_dim": 4, "num_layers": 1}),
        (Quasimetric, {"hidden_dim": 4, "num_layers": 1, "latent_dim": 3}),
    ],
)
def test_sizes_below_1_are_refused(build, sizes):
    build(embed_dim=2, **sizes)
    for name in sizes:
        for size in (0, -1):
            with pytest.raises(ValueError, match=f"{name} of a critic must be at least 1, got {size}"):
                build(embed_dim=2, **(sizes | {name: size}))


@pytest.fixture
def future(integrator):
    """Two candidates in each of two problems: 3 steps of 0.1 along an axis, there and back."""
    actions = torch.zeros(2, 2, 3, 3)
    actions[:, 0, :, 0], actions[:, 1, :, 0] = 1.0, -1.0
    context = LatentContext(
        embeddings=torch.zeros(2, 1, 5), actions=torch.zeros(2, 0, 3), previous_action=torch.zeros(2, 3)
    )
    return integrator.rollout(context, actions.requires_grad_())


@pytest.fixture
def ahead():
    """The place that is 3, and 5, such steps ahead."""
    embedding = torch.zeros(2, 5)
    embedding[:, 0] = torch.tensor([0.3, 0.5])
    return LatentGoal(embedding=embedding, mask=torch.arange(5).expand(2, 5) < 3)


@pytest.mark.parametrize("last_step_weight", [0.5, 1.0, 3.0])
def test_the_steps_to_go_are_summed_over_the_horizon_and_the_last_weighs_more(critic, future, ahead, last_step_weight):
    cost = CriticCost(critic=critic, last_step_weight=last_step_weight, doubt_weight=0.0)
    left = torch.tensor([[[2.0, 1.0, 0.0], [4.0, 5.0, 6.0]], [[4.0, 3.0, 2.0], [6.0, 7.0, 8.0]]])
    expected = (left * torch.tensor([1.0, 1.0, last_step_weight])).sum(dim=2)
    torch.testing.assert_close(cost(future, ahead), expected, atol=1e-4, rtol=0.0)


@pytest.mark.parametrize("doubt_weight", [0.0, 0.5, 2.0])
def test_doubt_costs_so_many_standard_deviations_of_the_ensemble(critic, future, ahead, doubt_weight):
    critic.doubt = 0.7
    sure = CriticCost(critic=critic, last_step_weight=2.0, doubt_weight=0.0)(future, ahead)
    doubtful = CriticCost(critic=critic, last_step_weight=2.0, doubt_weight=doubt_weight)(future, ahead)
    torch.testing.assert_close(doubtful, sure + 4.0 * 0.7 * doubt_weight, atol=1e-4, rtol=0.0)


def test_no_state_is_better_than_being_there(future, ahead):
    def too_little(embeddings, goal):
        return torch.full((2, *embeddings.shape[:2]), -3.0)

    cost = CriticCost(critic=too_little, last_step_weight=2.0, doubt_weight=0.0)
    assert (cost(future, ahead) == 0.0).all()


def test_a_critics_cost_tells_the_actions_which_way_is_nearer(critic, future, ahead):
    cost = CriticCost(critic=critic, last_step_weight=1.0, doubt_weight=0.0)(future, ahead)
    (gradient,) = torch.autograd.grad(cost.sum(), future.actions)
    assert (gradient[:, 1, :, 0] < 0).all()


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_a_last_step_without_weight_is_refused(critic, value):
    with pytest.raises(ValueError, match=f"last_step_weight must be above 0 and finite, got {value}"):
        CriticCost(critic=critic, last_step_weight=value, doubt_weight=0.0)


@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
def test_a_doubt_that_is_worth_less_than_nothing_is_refused(critic, value):
    with pytest.raises(ValueError, match=f"doubt_weight must be at least 0 and finite, got {value}"):
        CriticCost(critic=critic, last_step_weight=1.0, doubt_weight=value)
