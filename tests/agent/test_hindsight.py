import pytest
import torch

from agent.learning.hindsight import Hindsight, HindsightSampler
from envs.episodes.episode import DatasetError

LENGTHS = (7, 3, 12, 5)
BLOCKS = {"episode": slice(0, 1), "time": slice(1, 2), "thing": slice(2, 4)}


@pytest.fixture
def make_sampler(remember):
    """Returns a sampler of episodes in which each embedding says where it was taken from, and each action when."""

    def make(
        *,
        lengths=LENGTHS,
        action_repeat=1,
        num_ahead=1,
        episodes=None,
        task_sensors=("episode", "time"),
        future_share=1.0,
        any_time_share=0.0,
        task_share=1.0,
        partial_share=0.0,
    ):
        frames = [
            torch.tensor([[episode + 1.0, time + 1.0, 1.0, 1.0] for time in range(length + 1)])
            for episode, length in enumerate(lengths)
        ]
        actions = [
            torch.tensor([[100.0 * episode + time] for time in range(length)]) for episode, length in enumerate(lengths)
        ]
        return HindsightSampler(
            remember(frames, actions=actions, blocks=BLOCKS, action_repeat=action_repeat),
            episodes=torch.arange(len(lengths)) if episodes is None else torch.tensor(episodes),
            hindsight=Hindsight(
                future_share=future_share,
                any_time_share=any_time_share,
                task_share=task_share,
                partial_share=partial_share,
            ),
            task_sensors=list(task_sensors),
            num_ahead=num_ahead,
        )

    return make


def draw(sampler, batch_size=4000, seed=0):
    return sampler.sample(batch_size, torch.Generator().manual_seed(seed))


def where(embeddings):
    """Returns episode and time of embeddings, `[batch]` each."""
    return embeddings[:, 0].long() - 1, embeddings[:, 1].long() - 1


@pytest.mark.parametrize(("action_repeat", "num_ahead"), [(1, 1), (1, 3), (3, 1), (2, 2)])
def test_what_follows_and_every_goal_lie_in_the_future_of_the_same_episode(make_sampler, action_repeat, num_ahead):
    drawn = draw(make_sampler(action_repeat=action_repeat, num_ahead=num_ahead))
    episode, time = where(drawn.embedding)
    for follower, steps in ((drawn.later, num_ahead), (drawn.goal.embedding, drawn.steps_to_goal.long())):
        follower_episode, follower_time = where(follower)
        assert torch.equal(follower_episode, episode)
        assert torch.equal(follower_time - time, torch.as_tensor(steps * action_repeat).expand_as(time))
    assert (drawn.steps_to_goal >= 1).all()


@pytest.mark.parametrize("action_repeat", [1, 3])
def test_an_action_is_the_mean_of_the_control_actions_that_lead_on_from_there(make_sampler, action_repeat):
    drawn = draw(make_sampler(action_repeat=action_repeat))
    episode, time = where(drawn.embedding)
    assert torch.equal(drawn.action[:, 0], 100.0 * episode + time + (action_repeat - 1) / 2)


@pytest.mark.parametrize(("action_repeat", "num_ahead"), [(1, 1), (2, 1), (1, 3)])
def test_every_moment_that_something_follows_is_as_likely_as_any_other(make_sampler, action_repeat, num_ahead):
    num_drawn = 40_000
    episode, time = where(draw(make_sampler(action_repeat=action_repeat, num_ahead=num_ahead), num_drawn).embedding)
    moments, counts = torch.stack([episode, time]).unique(dim=1, return_counts=True)
    expected = [(i, t) for i, length in enumerate(LENGTHS) for t in range(length - num_ahead * action_repeat + 1)]
    assert list(map(tuple, moments.T.tolist())) == expected
    mean = num_drawn / len(expected)
    assert (counts - mean).abs().max() < 5 * mean**0.5


def test_steps_are_counted_to_the_first_state_that_is_at_the_goal(remember):
    """A block rests, is pushed for two steps, and rests again; the tip goes on and on."""
    block = torch.tensor([0.0, 0.0, 0.0, 1.0, 2.0, 2.0, 2.0])
    tip = torch.arange(7.0)
    experience = remember([torch.stack([tip, block], dim=1)], blocks={"tip": slice(0, 1), "block": slice(1, 2)})
    for sensors, values in ((["block"], block), (["tip"], tip)):
        sampler = HindsightSampler(
            experience,
            episodes=torch.arange(1),
            hindsight=Hindsight(any_time_share=0.0, future_share=1.0, task_share=1.0, partial_share=0.0),
            task_sensors=sensors,
            num_ahead=1,
            reached_distance=0.1,
        )
        drawn, seen = draw(sampler), set()
        for start, goal, steps in zip(drawn.embedding, drawn.goal.embedding, drawn.steps_to_goal, strict=True):
            time, wished = int(start[0]), float(goal.sum())
            assert values[time:].tolist().index(wished) == steps
            seen.add((time, float(steps)))
        assert {steps for time, steps in seen if time == 0} == ({0, 3, 4} if sensors == ["block"] else set(range(1, 7)))


def test_the_steps_to_a_goal_from_elsewhere_stay_unknown_if_they_are_counted(remember):
    sampler = HindsightSampler(
        remember([torch.arange(5.0)[:, None], torch.arange(5.0)[:, None]]),
        episodes=torch.arange(2),
        hindsight=Hindsight(any_time_share=0.0, future_share=0.5, task_share=1.0, partial_share=0.0),
        task_sensors=["position"],
        num_ahead=1,
        reached_distance=0.1,
    )
    steps = draw(sampler).steps_to_goal
    assert float(torch.isinf(steps).float().mean()) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("reached_distance", [None, 0.1])
def test_a_batch_of_none_is_empty(remember, reached_distance):
    sampler = HindsightSampler(
        remember([torch.rand(5, 2)]),
        episodes=torch.arange(1),
        hindsight=Hindsight(future_share=1.0, any_time_share=0.0, task_share=1.0, partial_share=0.0),
        task_sensors=["position"],
        num_ahead=1,
        reached_distance=reached_distance,
    )
    drawn = draw(sampler, batch_size=0)
    assert drawn.embedding.shape == drawn.later.shape == drawn.goal.mask.shape == (0, 2)
    assert drawn.steps_to_goal.shape == (0,)


def test_a_goal_is_any_of_the_moments_that_are_left_each_as_likely(make_sampler):
    drawn = draw(make_sampler(lengths=(6,), action_repeat=2), 30_000)
    _, time = where(drawn.embedding)
    for start in range(5):
        steps = drawn.steps_to_goal[time == start]
        counts = torch.bincount(steps.long())[1:]
        assert len(counts) == (6 - start) // 2
        assert (counts / len(steps) - 1 / len(counts)).abs().max() < 0.03


def test_the_share_of_goals_from_the_same_episode_is_as_asked_and_the_others_are_unknown_steps_away(make_sampler):
    for share in (0.0, 0.3, 1.0):
        drawn = draw(make_sampler(future_share=share), 20_000)
        is_own = torch.isfinite(drawn.steps_to_goal)
        assert float(is_own.float().mean()) == pytest.approx(share, abs=0.015)
    assert torch.isinf(draw(make_sampler(future_share=0.0)).steps_to_goal).all()


def test_a_goal_from_elsewhere_is_any_frame_of_any_episode(make_sampler):
    episode, time = where(draw(make_sampler(future_share=0.0), 20_000).goal.embedding)
    frames = set(zip(episode.tolist(), time.tolist(), strict=True))
    assert frames == {(i, t) for i, length in enumerate(LENGTHS) for t in range(length + 1)}


def test_goals_from_any_time_are_of_the_same_episode_the_past_too_and_unknown_steps_away(make_sampler):
    drawn = draw(make_sampler(future_share=0.0, any_time_share=1.0), 20_000)
    episode, time = where(drawn.embedding)
    goal_episode, goal_time = where(drawn.goal.embedding)
    assert torch.equal(goal_episode, episode) and torch.isinf(drawn.steps_to_goal).all()
    for length in set(LENGTHS):
        times = goal_time[torch.tensor(LENGTHS)[episode] == length]
        assert set(times.tolist()) == set(range(length + 1))
    assert (goal_time < time).any() and (goal_time > time).any()


@pytest.mark.parametrize("chosen", [[1], [0, 3], [2, 1]])
def test_nothing_is_taken_from_an_episode_that_was_not_chosen(make_sampler, chosen):
    drawn = draw(make_sampler(episodes=chosen, future_share=0.5))
    for embeddings in (drawn.embedding, drawn.later, drawn.goal.embedding):
        assert set(where(embeddings)[0].tolist()) == set(chosen)


def test_an_episode_that_is_too_short_is_left_out(make_sampler):
    drawn = draw(make_sampler(num_ahead=3, action_repeat=2, future_share=0.5))  # which takes 6 control steps
    for embeddings in (drawn.embedding, drawn.later, drawn.goal.embedding):
        assert set(where(embeddings)[0].tolist()) == {0, 2}


def test_where_all_episodes_are_too_short_one_sentence_says_by_how_much(make_sampler):
    with pytest.raises(
        DatasetError,
        match="looking 5 model steps ahead takes 15 control steps, of the 4 episodes at hand here the longest has 12: "
        "record longer episodes",
    ):
        make_sampler(num_ahead=5, action_repeat=3)
    make_sampler(num_ahead=4, action_repeat=3)


def test_a_goal_always_asks_for_something_and_says_nothing_of_the_rest(make_sampler):
    goal = draw(make_sampler(task_share=0.5)).goal
    assert goal.mask.any(dim=1).all()
    assert (goal.embedding[~goal.mask] == 0).all() and (goal.embedding[goal.mask] != 0).all()


def test_the_share_of_the_tasks_own_goals_is_as_asked_and_the_others_ask_for_every_choice_of_sensors(make_sampler):
    drawn = draw(make_sampler(task_share=0.0, partial_share=0.0), 21_000)
    choices, counts = drawn.goal.mask.unique(dim=0, return_counts=True)
    thing = choices[:, 2]
    assert torch.equal(choices[:, 3], thing)  # a sensor is asked for as a whole
    is_single = torch.stack([choices[:, 0], choices[:, 1], thing], dim=1).sum(dim=1) == 1
    expected = torch.where(is_single, 1 / 8 + 1 / 24, 1 / 8)  # a sensor at a time where none was drawn
    assert len(choices) == 7 and (counts / 21_000 / expected - 1).abs().max() < 0.1
    for share in (0.25, 1.0):
        mask = draw(make_sampler(task_share=share, task_sensors=["thing"]), 21_000).goal.mask
        is_task = (mask == torch.tensor([False, False, True, True])).all(dim=1).float().mean()
        assert float(is_task) == pytest.approx(share + (1 - share) / 6, abs=0.02)


def test_partial_goals_ask_for_every_choice_of_the_tasks_own_sensors_and_for_no_other(make_sampler):
    whole = torch.tensor([True, True, False, False])
    mask = draw(make_sampler(partial_share=0.6), 20_000).goal.mask
    choices, counts = mask.unique(dim=0, return_counts=True)
    shares = {tuple(choice.tolist()): int(count) / 20_000 for choice, count in zip(choices, counts, strict=True)}
    expected = {(True, True): 0.4 + 0.6 / 4, (True, False): 0.6 * 3 / 8, (False, True): 0.6 * 3 / 8}
    assert shares.keys() == {(*asked, False, False) for asked in expected}
    for asked, share in expected.items():
        assert shares[(*asked, False, False)] == pytest.approx(share, abs=0.02)
    assert (draw(make_sampler(partial_share=0.0), 500).goal.mask == whole).all()


def test_forty_sensors_are_as_good_as_three(remember):
    experience = remember(
        [torch.ones(4, 40)], blocks={f"sensor{index}": slice(index, index + 1) for index in range(40)}
    )
    sampler = HindsightSampler(
        experience,
        episodes=torch.arange(1),
        hindsight=Hindsight(any_time_share=0.0, future_share=1.0, task_share=0.0, partial_share=0.0),
        task_sensors=["sensor0"],
        num_ahead=1,
    )
    assert (draw(sampler).goal.mask.float().mean(dim=0) - 0.5).abs().max() < 0.05


def test_a_task_whose_goals_ask_for_nothing_that_is_perceived_is_refused(make_sampler):
    with pytest.raises(
        DatasetError,
        match=r"goals must ask for at least one of the sensors that the world model perceives, "
        r"\['episode', 'thing', 'time'\], got none",
    ):
        make_sampler(task_sensors=[])


def test_the_same_generator_draws_the_same_and_another_one_others(make_sampler):
    sampler = make_sampler(future_share=0.5, task_share=0.5, partial_share=0.0)
    first, again, other = draw(sampler), draw(sampler), draw(sampler, seed=1)
    for name in ("embedding", "action", "later", "steps_to_goal"):
        assert torch.equal(getattr(first, name), getattr(again, name))
        assert not torch.equal(getattr(first, name), getattr(other, name))
    assert torch.equal(first.goal.embedding, again.goal.embedding) and torch.equal(first.goal.mask, again.goal.mask)


@pytest.mark.parametrize("name", ["future_share", "any_time_share", "task_share", "partial_share"])
@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan"), True, "half"])
def test_a_share_is_refused_outside_of_0_to_1(name, share):
    with pytest.raises(
        ValueError, match=rf"learning.hindsight.{name} must be at least 0 and at most 1 .* got {share!r}"
    ):
        Hindsight(**{"future_share": 0.5, "any_time_share": 0.0, "task_share": 0.5, "partial_share": 0.0, name: share})


def test_shares_of_the_same_episode_must_not_exceed_1():
    with pytest.raises(ValueError, match=r"must sum to at most 1, got 0.7 and 0.4"):
        Hindsight(future_share=0.7, any_time_share=0.4, task_share=0.5, partial_share=0.0)
