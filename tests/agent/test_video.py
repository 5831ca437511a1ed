from dataclasses import replace
from functools import partial

import imageio.v3 as iio
import pytest

import envs  # noqa: F401
from agent.evaluation.scenarios.types import StagedTask
from agent.evaluation.scenarios.undisturbed import Undisturbed
from agent.evaluation.video import film_episodes
from agent.run.config.composing import compose_config
from agent.run.stages import evaluate as stage
from envs.arm.task import make_task
from envs.rendering import NothingRenders, available_backends

GOAL = {"position": [0.5, -0.3, 0.2]}


class Brief(Undisturbed):
    """An episode of seven control steps."""

    def __init__(self, spec):
        super().__init__(spec)
        self.num_steps = 7


class OverAsItBegins(StagedTask):
    def reset(self, seed):
        frame = super().reset(seed)
        return replace(frame, verdict=replace(frame.verdict, terminated=True))


class Over(Undisturbed):
    """An episode of no control steps."""

    def stage(self, task, policy, *, seed):
        return OverAsItBegins(task), policy


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

    def write(choices, *_, **named):
        drawn.append((choices, named))

    monkeypatch.setattr("agent.evaluation.timeline.write_timeline", write)
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


@pytest.mark.skipif(not available_backends(), reason="nothing renders on this machine")
def test_a_film_of_an_episode_that_is_over_as_it_begins_shows_how_it_began(abroad, tmp_path):
    (path,) = film_episodes(
        [0],
        agent="actor",
        make_task=partial(make_task, env_id="jepa-mpc/Reach-v0"),
        make_policy=lambda name, env: abroad,
        make_scenario=Over,
        folder=tmp_path,
        video_format="gif",
    )
    assert iio.imread(path).shape == (1, 320, 320, 3)
    assert list(tmp_path.iterdir()) == [path]  # nothing was chosen


@pytest.mark.parametrize("bug", [RuntimeError("out of range"), NothingRenders("no driver")])
def test_what_cannot_be_drawn_is_told_and_a_bug_shows_itself(bug, tmp_path, monkeypatch, capsys):
    def fail(*_, **__):
        raise bug

    monkeypatch.setattr(stage, "film_episodes", fail)
    monkeypatch.setattr(stage, "load_modules", fail if type(bug) is RuntimeError else lambda *_: None)
    monkeypatch.setattr(stage, "checkpoint_path", lambda folder: folder)
    monkeypatch.setattr(stage, "load_interpreter", lambda *_: None)
    arguments = (compose_config([]), [0], tmp_path, None, None, tmp_path)
    if type(bug) is RuntimeError:
        with pytest.raises(RuntimeError, match="out of range"):
            stage._film(*arguments)
    else:
        assert stage._film(*arguments) == []
        assert capsys.readouterr().out == "no films: no driver\n"
