from functools import partial

import pytest

import envs  # noqa: F401
from agent.evaluation import video
from agent.evaluation.scenarios.undisturbed import Undisturbed
from agent.evaluation.video import film_episodes
from envs.arm.task import make_task
from envs.rendering import available_backends

GOAL = {"position": [0.5, -0.3, 0.2]}


class Brief(Undisturbed):
    """An episode of seven control steps."""

    def __init__(self, spec):
        super().__init__(spec)
        self.num_steps = 7


@pytest.fixture
def abroad(make_actor, monkeypatch):
    """An actor that sees a point at rest, whatever the environment shows; its memory holds two moments."""
    actor = make_actor(memory_capacity=2)
    reset, act = actor.reset, actor.act
    reading = {"position": [0.0, 0.0, 0.0], "clock": [0.0, 0.0]}
    monkeypatch.setattr(actor, "reset", lambda goal, *, seed: reset(GOAL, seed=seed))
    monkeypatch.setattr(actor, "act", lambda observation: act(reading))
    return actor


@pytest.mark.skipif(not available_backends(), reason="nothing renders on this machine")
def test_a_film_and_its_timeline_show_the_whole_episode(abroad, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(video, "write_timeline", lambda choices, *_, **named: drawn.append((choices, named)))
    paths = film_episodes(
        [0, 1],
        agent="actor",
        make_task=partial(make_task, env_id="jepa-mpc/Reach-v0"),
        make_policy=lambda name, env: abroad,
        make_scenario=Brief,
        folder=tmp_path,
        video_format="gif",
    )
    assert [path.name for path in paths] == ["actor_0.gif", "actor_1.gif"]
    assert len(drawn) == 2
    for choices, named in drawn:
        assert [choice.step for choice in choices] == list(range(7))
        assert named["num_steps"] == len(named["interventions"]) == 7
    assert len(abroad.state.choices) == 2
