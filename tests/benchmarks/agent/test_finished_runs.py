import pytest

from agent.run.config.composing import compose_config
from benchmarks.agent.adaptive_budget import modes, share_saved
from benchmarks.agent.finished_runs import difference_at_end, measures, spelled


def test_evaluations_are_counted_a_model_step_and_a_reaction_is_one(make_episode):
    episodes = [make_episode(0, spent=(30, 0), modes=["planning", "reactive"]), make_episode(1, spent=(30, 60))]
    found = measures(episodes)
    assert found["evaluations_per_step"] == 30
    assert found["decision_ms"]["p50"] == 40.0  # of 40, 10, 40 and 70: where nothing is decided, no time counts
    assert modes(episodes) == "planning 75 %, reactive 25 %"


def test_a_share_is_saved_with_an_interval_that_has_no_width_where_all_episodes_agree(make_episode):
    fixed = [make_episode(seed, spent=(100, 100)) for seed in range(5)]
    half = [make_episode(seed, spent=(100, 0)) for seed in range(5)]
    assert share_saved(half, fixed) == (0.5, 0.5, 0.5)
    uneven = [make_episode(seed, spent=(100, 100 * (seed % 2))) for seed in range(40)]
    saved, low, high = share_saved(uneven, [make_episode(seed, spent=(100, 100)) for seed in range(40)])
    assert saved == 0.25 and 0.15 < low < 0.25 < high < 0.35


def test_a_difference_needs_the_same_episodes(make_episode):
    assert (
        difference_at_end(
            [make_episode(0), make_episode(1)], [make_episode(0, at_end=False), make_episode(1)]
        ).difference
        == 0.5
    )
    with pytest.raises(AssertionError):
        difference_at_end([make_episode(0)], [make_episode(1)])


def test_a_spelled_value_is_read_back_as_it_was():
    rules = [
        {"name": "near and sure", "when": {"doubt_below": 0.3}, "then": {"mode": "reactive"}},
        {"name": "else", "when": {}, "then": {}},
    ]
    config = compose_config(
        [
            "env=push",
            "configurator=rules",
            f"configurator.rules={spelled(rules)}",
            f"configurator.num_evaluations={spelled(None)}",
        ]
    )
    assert config.plain()["values"]["configurator"]["rules"] == rules
    assert config.values.configurator.num_evaluations is None
