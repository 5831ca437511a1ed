"""Staged episodes of every kind."""

from dataclasses import replace

import numpy as np
import pytest

from agent.evaluation.episodes import EpisodeRecord, EvaluatedEpisode
from agent.evaluation.outcomes import OUTCOMES, outcome, way_left
from agent.run.stages.evaluate import one_of_each


def staged(path, *, once=False, at_end=False, terminated=False, held_back=0, units=None, **further):
    """Returns an episode in which so much was left to the goal, and the guardrails interfered in the last steps."""
    distances = {"block": tuple(path), **further}
    num_steps = len(path) - 1
    return EvaluatedEpisode(
        record=EpisodeRecord(0, once, at_end, None, {"block": path[-1]}, num_steps, terminated, False, {}),
        units=units or {"block": "m"},
        redrawn=0,
        latencies_ms=(1.0,) * num_steps,
        num_evaluations=(0,) * num_steps,
        modes=(None,) * num_steps,
        limits=((),) * (num_steps - held_back) + (("speed",),) * held_back,
        distances=distances,
        convergence=(),
    )


WAY = np.linspace(0.4, 0.0, 31)
REST = np.full(30, 0.2)
STAGED = {
    "success": staged([*WAY, *np.zeros(10)], once=True, at_end=True),
    "drifted_away": staged([*WAY, *np.linspace(0.0, 0.2, 20)], once=True),
    "ended_early": staged(WAY[:20], terminated=True),
    "never_touched": staged(0.4 + 0.0005 * np.sin(np.arange(60))),
    "went_past": staged([*WAY[:25], *np.linspace(0.08, 0.35, 30)]),
    "stuck_at_limit": staged([*WAY[:16], *REST], held_back=25),
    "still_on_its_way": staged(np.linspace(0.4, 0.1, 60)),
    "stopped_short": staged([*WAY[:16], *REST]),
}


@pytest.mark.parametrize("kind", OUTCOMES)
def test_a_staged_episode_is_told_by_its_kind(kind):
    assert outcome(STAGED[kind]) == kind


def test_what_only_goes_away_from_the_goal_did_not_go_past_it():
    assert outcome(staged([*np.linspace(0.2, 0.4, 20), *np.full(40, 0.4)])) == "stopped_short"


def test_guardrails_that_interfere_on_the_way_do_not_make_it_stuck():
    assert outcome(staged(np.linspace(0.4, 0.1, 60), held_back=59)) == "still_on_its_way"


def test_of_a_place_and_an_angle_the_one_that_is_farther_from_done_counts():
    path, angle = [*WAY, *np.zeros(30)], np.full(61, 1.2)
    episode = staged(path, angle=tuple(angle), units={"block": "m", "angle": "rad"})
    assert way_left(episode).tolist() == [1.0] * 61
    nearly_turned = staged(path[:61], angle=(0.01, 0.05) * 30 + (0.02,), units={"block": "m", "angle": "rad"})
    assert way_left(nearly_turned)[-1] == pytest.approx(0.04)


def test_of_each_outcome_the_first_episodes_are_shown():
    kinds = ["went_past", "success", "success", "went_past", "success", "never_touched"]
    episodes = [
        replace(STAGED[kind], record=replace(STAGED[kind].record, seed=seed)) for seed, kind in enumerate(kinds)
    ]
    assert one_of_each(episodes, 2) == [1, 2, 5, 0, 3]
    solved = [replace(it, record=replace(it.record, solved_at_start=True)) for it in episodes]
    assert one_of_each(solved, 2) == one_of_each(episodes, 0) == []


def test_an_episode_that_was_over_as_it_began_has_an_outcome():
    assert outcome(staged([0.4])) == "never_touched"
