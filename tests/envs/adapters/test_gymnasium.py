"""Other people's environments, by a yaml alone."""

import copy
import importlib
import json
import pickle
import sys
from functools import partial
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import yaml
from farama_notifications import notifications
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec

from agent.run.cli.errors import attempt
from envs.adapters.gymnasium import AdapterError, make_task
from envs.episodes import recording
from envs.episodes.check import check_dataset
from envs.episodes.collection import collect
from envs.episodes.episode import open_dataset
from envs.episodes.exploration import HeldRandom
from envs.episodes.rollout import rollout
from envs.rendering import NothingRenders
from envs.spec import BoxActions, DiscreteActions, TaskSpec
from envs.types import HasCameras, HasExpert, HasState
from envs.vision import Vision
from jepa_mpc.errors import ForeignFault, UserError

FOLDER = Path(__file__).parent
NULLS = {
    "extra": None,
    "options": {},
    "sensors": None,
    "goal": None,
    "success": None,
    "idle": None,
    "control_dt": None,
    "num_steps": None,
    "effector": None,
    "vision": None,
    "film_size": None,
}


def read_yamls():
    """Returns what the toys' yamls say; the toys are a file of the user's own, that no package of ours imports."""
    folder = str(Path(__file__).parent)
    sys.path.insert(0, folder)
    try:
        return importlib.import_module("toys").YAMLS
    finally:
        sys.path.remove(folder)


YAMLS = read_yamls()


@pytest.fixture(autouse=True, scope="module")
def on_the_path():
    """The toys are a file of the user's own, where Python finds it."""
    sys.path.insert(0, str(FOLDER))
    yield
    sys.path.remove(str(FOLDER))


def values(name, **changes):
    return {**NULLS, **yaml.safe_load(YAMLS[name]), **changes}


def make(name, **changes):
    return make_task(**values(name, **changes))


class Always:
    def __init__(self, action):
        self.action = np.asarray(action, np.float32)

    def reset(self, goal, *, seed):
        self.goal = goal

    def act(self, observation):
        return self.action


def test_what_the_yaml_says_is_what_the_spec_says():
    forces = make("forces").spec
    assert (forces.task_id, forces.num_steps, forces.control_dt) == ("toys/Forces-v0", 25, 0.05)
    assert forces.actions == BoxActions(low=(0.0,), high=(300.0,), idle=None)
    assert (forces.perceived, forces.asked) == (("height", "speed"), ("height",))
    assert (forces.sensors["height"].unit, forces.sensors["speed"].unit) == ("m", "m/s")
    buttons = make("buttons").spec
    assert buttons.actions == DiscreteActions(num_actions=3, idle=1)
    assert list(buttons.sensors) == ["place"]  # the goal's own entry is not observed
    sees = make("sees").spec
    assert sees.sensors["eye_frame"].is_image and sees.shapes["eye_frame"] == (32, 32, 3)
    for spec in (forces, buttons, sees):
        assert TaskSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


def test_a_discrete_action_is_one_hot_here_and_an_index_there():
    task = make("buttons")
    places = [task.reset(0).readings["place"].item()]
    for index in (0, 0, 1, 2):
        places.append(task.step(task.spec.actions.one_hot(index)).readings["place"].item())
    np.testing.assert_allclose(np.diff(places), [-0.2, -0.2, 0.0, 0.2], atol=1e-6)
    for action in ([1.0, 1.0, 0.0], [0.0, 0.0, 0.0], [1.0, 0.0], [np.nan, 1.0, 0.0]):
        with pytest.raises(ValueError, match="3 numbers of which one is 1"):
            task.step(np.array(action))


def test_actions_are_in_the_robots_own_units_and_an_episode_ends_where_the_task_ends_it():
    task = make("forces")
    episode = rollout(task, Always([300.0]), seed=1, num_steps=25)
    assert (episode.ending, episode.verdicts[-1].terminated) == ("terminated", True)
    assert 5 < len(episode.actions) < 20
    assert episode.observations["height"][-1] >= 2 > episode.observations["height"][-2]
    held = rollout(task, Always([98.1]), seed=1, num_steps=25)
    assert (len(held.actions), held.ending) == (25, "truncated")
    assert np.ptp(held.observations["height"]) < 1e-6
    with pytest.raises(ValueError, match=r"an action of toys/Forces-v0 is 1 finite numbers in \[0, 300\]"):
        task.step(np.array([-1.0]))


def test_a_clock_of_its_own_cuts_no_episode():
    assert len(rollout(make("sees"), Always([0.1, 0.0]), seed=0, num_steps=60).actions) == 60


def test_success_is_what_the_yaml_says():
    task = make("buttons")
    frame = task.reset(3)
    way = frame.goal["place"].item() - frame.readings["place"].item()
    for _ in range(round(abs(way) / 0.2)):
        assert not frame.verdict.success
        frame = task.step(task.spec.actions.one_hot(2 if way > 0 else 0))
    assert frame.verdict.success
    assert frame.verdict.distances["place"][0] == pytest.approx(0, abs=1e-6)
    assert task.criterion == "place within 0.01 of its goal"
    forces = make("forces")
    episode = rollout(forces, Always([98.1]), seed=0, num_steps=3)
    near = [verdict.distances["height"][0] < 0.1 for verdict in episode.verdicts]
    assert episode.is_success.tolist() == [False, *near[1:]]  # the environment says nothing true at its reset
    assert forces.criterion == "as toys/Forces-v0 says itself, by 'is_success'"
    assert make("sees").criterion == "place within 0.05 m of its goal"


def test_a_goal_may_be_numbers():
    task = make("sees", goal={"place": [0.5, 0.5]})
    frame = task.reset(0)
    assert frame.goal["place"].tolist() == [0.5, 0.5]
    assert frame.verdict.distances["place"][0] == pytest.approx(np.linalg.norm(frame.readings["place"] - 0.5))


def test_it_says_what_it_can_do_and_what_it_cannot(tmp_path):
    task = make("sees", film_size=48)
    assert isinstance(task, HasCameras) and not isinstance(task, HasExpert) and not isinstance(task, HasState)
    task.reset(0)
    picture = task.picture()
    assert picture.shape == (48, 48, 3) and picture.max() == 255
    blind = make("forces", film_size=48)
    blind.reset(0)
    with pytest.raises(NothingRenders, match="toys/Forces-v0 cannot be drawn"):
        blind.picture()


def test_a_goal_environment_needs_nothing_but_its_name():
    task = make_task(**NULLS, env_id="jepa-mpc/Reach-v0")
    assert (task.spec.perceived, task.spec.asked) == (("achieved_goal", "observation"), ("achieved_goal",))
    frame = task.reset(0)
    raw, _ = gymnasium.make("jepa-mpc/Reach-v0").reset(seed=0)
    np.testing.assert_array_equal(frame.goal["achieved_goal"], raw["desired_goal"])
    np.testing.assert_array_equal(frame.readings["observation"], raw["observation"])


def test_another_physics_has_another_fingerprint():
    names = ("Reacher-v5", "Pusher-v5")
    given = {
        "sensors": {"all": {"reads": "observation", "unit": ""}},
        "goal": {"all": "observation"},
        "success": {"within": {"all": 1.0}},
    }
    reacher, pusher = (make_task(**{**NULLS, **given, "env_id": name}).spec.fingerprint for name in names)
    again = make_task(**{**NULLS, **given, "env_id": "Reacher-v5"}).spec.fingerprint
    other = make_task(**{**NULLS, **given, "env_id": "Reacher-v5", "options": {"frame_skip": 4}}).spec.fingerprint
    assert reacher == again and len({reacher, pusher, other}) == 3


@pytest.mark.parametrize("name", YAMLS)
def test_a_toy_is_collected_and_checked(tmp_path, name):
    factory = partial(make_task, **{key: it for key, it in values(name).items() if key not in ("vision", "film_size")})
    recording = {
        "make_task": factory,
        "vision": None,
        "make_policy": partial(HeldRandom, min_hold=1, max_hold=6),
        "policy_name": "held_random",
        "policy_values": {},
        "seed": 1,
        "num_episodes": 20,
        "num_steps": 25,
    }
    manifest = collect(**recording, num_workers=2, output=tmp_path / "two")
    assert collect(**recording, num_workers=1, output=tmp_path / "one") == manifest
    for path in (tmp_path / "two").rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (tmp_path / "one" / path.relative_to(tmp_path / "two")).read_bytes()
    dataset = open_dataset(tmp_path / "two")
    assert manifest.env.actions.contains(np.array(dataset.actions)).all()
    assert (set(dataset.lengths) == {25}) == (name != "forces")
    ended = [length < 25 for length in dataset.lengths]
    assert [ending == "terminated" for ending in manifest.endings] == ended
    assert str(check_dataset(tmp_path / "two", make_task=factory, num_replays=5)).startswith("20 episodes")


def test_a_maker_travels_to_another_process():
    factory = pickle.loads(pickle.dumps(partial(make_task, **values("buttons"))))  # noqa: S301 - our own bytes
    assert factory().spec == make("buttons").spec


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"env_id": "no_such_package:No-v0", "extra": "benchmarks"}, r"pip install 'jepa-mpc\[benchmarks\]'"),
        ({"env_id": "NoSuch-v0"}, "NoSuch-v0 cannot be had here"),
        ({"goal": None}, "goal must say which sensor of toys/Sees-v0 should read what"),
        ({"goal": {}}, "goal must name at least one sensor"),
        ({"goal": {"hand": "target"}}, r"goal must name sensors of toys/Sees-v0 among \['eye_frame', 'place'\]"),
        ({"goal": {"place": "aim"}}, r"goal.place must read entries of toys/Sees-v0's observation"),
        ({"goal": {"place": "target["}}, "goal.place: it must name entries of the observation"),
        ({"goal": {"place": [1.0]}}, r"goal.place must have the shape of the sensor, \(2,\), got \(1,\)"),
        ({"goal": {"place": ["x"]}}, "goal.place must be entries of the observation or numbers"),
        ({"sensors": {}}, "sensors must name at least one"),
        ({"sensors": {"place": "place"}}, "sensors.place must be like"),
        ({"sensors": {"place": {"reads": "plaec", "unit": "m"}}}, "place must read entries of toys/Sees-v0's"),
        ({"success": None}, "success must say when a goal of toys/Sees-v0 is reached"),
        ({"success": {"within": {"eye": 1.0}}}, "success.within must give sensors of the goal"),
        ({"success": {"within": {"place": -1.0}}}, "success.within must give sensors of the goal"),
        ({"success": {"nearer": 1.0}}, "success must be like"),
        ({"success": 0.1}, "success must be a mapping, as in configs/env/reacher.yaml, or null, got 0.1"),
        ({"sensors": ["place"]}, "sensors must be a mapping"),
        ({"goal": 3}, "goal must be a mapping"),
        ({"effector": ["place"]}, "effector must be a mapping"),
        ({"options": None}, "options must be a mapping, as in configs/env/reacher.yaml, got None"),
        ({"options": {"bogus": 1}}, "options must be arguments of toys:toys/Sees-v0, got {'bogus': 1}"),
        ({"env_id": None}, "env_id must be as in gymnasium.make"),
        ({"sensors": {"place": {"reads": "place", "unit": None}}}, "sensors.place must be like"),
        ({"sensors": {"place": {"reads": "place + place[0:1]", "unit": "m"}}}, "its parts must have one shape"),
        (
            {"sensors": None},
            r"by lower-case letters, digits and _, got 'eye.frame': say under sensors what it is called",
        ),
        (
            {
                "sensors": {
                    "place": {"reads": "place", "unit": "m"},
                    "eye": {"reads": "eye.frame[0:8] + eye.frame[0:8]", "unit": ""},
                }
            },
            "the sensor 'eye' must show pictures as whole numbers of 8 bits",
        ),
        (
            {"effector": {"sensor": "place", "workspace": {"low": [0, 1], "high": [1, 0]}, "max_displacement": 1.0}},
            "effector.workspace must have low nowhere above high",
        ),
        ({"idle": [0.0]}, "the actions of toys/Sees-v0 cannot be taken"),
        ({"idle": [0.0, 2.0]}, "the idle action must lie between"),
        ({"effector": {"sensor": "place"}}, "effector must be null or like"),
        (
            {"effector": {"sensor": "hand", "workspace": {"low": [0], "high": [1]}, "max_displacement": 1.0}},
            "effector.sensor must be one of",
        ),
        (
            {"effector": {"sensor": "place", "workspace": {"low": [0], "high": [1]}, "max_displacement": 1.0}},
            "effector.workspace must have as many numbers as 'place' reads, 2, got",
        ),
        (
            {"vision": Vision(cameras=("fixed",), image_size=64, proprioception=True, backends=("raycast",))},
            "cameras must be none, .* choose observation=state",
        ),
    ],
)
def test_a_yaml_that_does_not_fit_gets_one_sentence(changes, complaint):
    with pytest.raises(AdapterError, match=complaint) as error:
        make("sees", **changes)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"control_dt": 0}, "control_dt must be above 0 and finite, or null, got 0"),
        ({"control_dt": "fast"}, "control_dt must be above 0"),
        ({"num_steps": 0}, "num_steps must be at least 1, or null, got 0"),
        ({"num_steps": 2.5}, "num_steps must be a whole number"),
        (
            {"effector": {"sensor": "place", "workspace": {"low": [0, 0], "high": [1, 1]}, "max_displacement": 0}},
            "effector.max_displacement must be above 0",
        ),
    ],
)
def test_a_number_of_a_yaml_that_makes_no_sense_is_refused(changes, complaint):
    with pytest.raises(UserError, match=complaint):
        make("sees", **changes)


def test_a_picture_that_is_not_in_colours_is_named(monkeypatch):
    grey = spaces.Dict({"eye": spaces.Box(0, 255, (8, 8, 1), np.uint8), "place": spaces.Box(0, 1, (2,), np.float32)})

    class Grey(gymnasium.Env):
        action_space, observation_space = spaces.Discrete(2), grey

        def reset(self, *, seed=None, options=None):
            return grey.sample(), {}

    monkeypatch.setitem(gymnasium.registry, "toys/Grey-v0", EnvSpec("toys/Grey-v0", Grey, max_episode_steps=5))
    given = {"goal": {"place": [0.0, 0.0]}, "success": {"within": {"place": 0.1}}, "control_dt": 0.1}
    with pytest.raises(AdapterError, match=r"the sensor 'eye' cannot be read: the shape of an image must be"):
        make_task(**{**NULLS, **given, "env_id": "toys/Grey-v0"})


@pytest.mark.parametrize("broken", ["__init__", "reset", "step"])
def test_an_environment_that_fails_is_named_and_no_fault_of_ours(monkeypatch, capsys, broken):
    def fail(self, *arguments, **named):
        raise ValueError("the motor is off")

    if broken == "step":
        task = make("forces")
    monkeypatch.setattr(sys.modules["toys"].Forces, broken, fail)

    def work():
        if broken == "step":
            task.reset(0)
            task.step(np.zeros(1))
        make("forces")
        return 0

    with pytest.raises(ForeignFault, match=r"toys/Forces-v0 failed, and not jepa-mpc: ValueError: the motor is off"):
        work()
    outcome = attempt(work)
    assert outcome.code == 2 and "is to be mended there" in outcome.said and "report" not in outcome.said
    assert "in fail" in capsys.readouterr().err


def test_what_cannot_be_an_action_is_said():
    class Free(gymnasium.Env):
        action_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,))
        observation_space = gymnasium.spaces.Box(-1, 1, (1,))

        def reset(self, *, seed=None, options=None):
            return np.zeros(1, np.float32), {}

    gymnasium.register("toys/Free-v0", entry_point=Free, max_episode_steps=5)
    given = {"goal": {"observation": [0.0]}, "success": {"within": {"observation": 0.1}}, "control_dt": 0.1}
    with pytest.raises(AdapterError, match="bounds of actions must be finite"):
        make_task(**{**NULLS, **given, "env_id": "toys/Free-v0"})
    gymnasium.registry.pop("toys/Free-v0")


@pytest.mark.parametrize("key", ["control_dt", "num_steps"])
def test_what_an_environment_does_not_say_the_yaml_must(key):
    class Mute(gymnasium.Env):
        metadata = {"render_modes": []}
        action_space = gymnasium.spaces.Discrete(2)
        observation_space = gymnasium.spaces.Box(-1, 1, (1,))

        def reset(self, *, seed=None, options=None):
            return np.zeros(1, np.float32), {}

    gymnasium.register("toys/Mute-v0", entry_point=Mute)
    given = {"goal": {"observation": [0.0]}, "success": {"within": {"observation": 0.1}}}
    given |= {"control_dt": 0.1, "num_steps": 5, key: None}
    with pytest.raises(AdapterError, match=f"{key} must be given"):
        make_task(**{**NULLS, **given, "env_id": "toys/Mute-v0"})
    gymnasium.registry.pop("toys/Mute-v0")


def test_a_foreign_world_is_not_copied_by_halves():
    task = make("forces")
    for copied in (copy.deepcopy, copy.copy, pickle.dumps):
        with pytest.raises(TypeError, match="a task of toys/Forces-v0 cannot be copied: make another one"):
            copied(task)


@pytest.mark.parametrize("moment", ["moved", "half moved"])
def test_a_collection_that_is_killed_while_episodes_move_together_ends_with_the_same_bytes(
    tmp_path, monkeypatch, moment
):
    def run(folder):
        given = {key: it for key, it in values("forces").items() if key not in ("vision", "film_size")}
        return collect(
            make_task=partial(make_task, **given),
            vision=None,
            make_policy=partial(HeldRandom, min_hold=1, max_hold=6),
            policy_name="held_random",
            policy_values={},
            seed=1,
            num_episodes=12,
            num_steps=25,
            num_workers=1,
            output=folder,
        )

    def content(folder):
        return {str(it.relative_to(folder)): it.read_bytes() for it in folder.rglob("*") if it.is_file()}

    run(tmp_path / "whole")
    with monkeypatch.context() as patch:
        if moment == "moved":
            patch.setattr(recording, "write_manifest", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        else:
            places, place = iter(range(40)), recording.Recording._place

            def killed(*arguments, **named):
                if named["length"] < 25 and next(places) == 5:
                    raise KeyboardInterrupt
                return place(*arguments, **named)

            close = recording.Recording._close_ranks
            patch.setattr(
                recording.Recording,
                "_close_ranks",
                lambda self, lengths: (patch.setattr(recording.Recording, "_place", killed), close(self, lengths)),
            )
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "killed")
    assert not (tmp_path / "killed" / "manifest.json").exists()
    run(tmp_path / "killed")
    assert content(tmp_path / "killed") == content(tmp_path / "whole")


def test_a_package_that_prints_notices_of_others_environments_is_imported_without_them(tmp_path, monkeypatch, capfd):
    (tmp_path / "noisy.py").write_text(
        "import sys, toys\nfrom farama_notifications import notifications\n"
        "print(notifications.get('gymnasium_robotics', ''), file=sys.stderr, end='')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    kept = dict(notifications)
    make("forces", env_id="noisy:toys/Forces-v0")
    assert capfd.readouterr().err == ""
    assert notifications == kept and "gymnasium_robotics" in kept
