import json
import shutil
import signal
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest

from envs.arm.task import make_task
from envs.episodes import recording
from envs.episodes.collection import MAX_EPISODES, collect, episode_seed, measures
from envs.episodes.episode import DatasetError, Episode, open_dataset
from envs.episodes.exploration import HeldRandom, UniformRandom
from envs.episodes.rollout import rollout
from envs.types import Verdict

VALUES = {"min_hold": 1, "max_hold": 6}
JOURNAL = "collecting.jsonl"
REACH, PUSH = (partial(make_task, env_id=f"jepa-mpc/{name}-v0") for name in ("Reach", "Push"))


def small(output, **changes):
    request = {
        "make_task": REACH,
        "vision": None,
        "make_policy": partial(HeldRandom, **VALUES),
        "policy_name": "held_random",
        "policy_values": VALUES,
        "seed": 3,
        "num_episodes": 30,
        "num_steps": 12,
        "num_workers": 1,
        "output": output,
    }
    return collect(**{**request, **changes})


def content(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished") / "data"
    small(folder)
    return folder


def test_the_dataset_holds_the_episodes_that_a_rollout_gives(finished):
    dataset = open_dataset(finished)
    assert dataset.manifest.seeds == tuple(range(3_000_000, 3_000_030))
    assert set(dataset.lengths) == {12}
    env = REACH(vision=None, film_size=None)
    for index in (0, 7, 29):
        episode = rollout(env, HeldRandom(env.spec, **VALUES), seed=3_000_000 + index, num_steps=12)
        observations, actions = dataset.episode(index)
        np.testing.assert_array_equal(actions, episode.actions)
        for sensor, readings in episode.observations.items():
            np.testing.assert_array_equal(observations[sensor], readings)


def test_a_finished_folder_holds_the_dataset_and_nothing_else(finished):
    sensors = [f"observations/{sensor}.npy" for sensor in ("tip", "joint_position", "joint_velocity")]
    assert sorted(content(finished)) == sorted(["actions.npy", "manifest.json", *sensors])


def test_the_bytes_do_not_depend_on_the_number_of_workers(tmp_path, finished):
    small(tmp_path / "data", num_workers=3)
    assert content(tmp_path / "data") == content(finished)


def test_a_finished_dataset_is_returned_as_it_is(finished):
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*")}
    assert small(finished) == open_dataset(finished).manifest
    assert {path: path.stat().st_mtime_ns for path in finished.rglob("*")} == before


CHANGES = [
    ({"seed": 4}, "seed=3, this one has seed=4"),
    ({"num_episodes": 31}, "num_episodes=30, this one has num_episodes=31"),
    ({"num_steps": 13}, "num_steps=12, this one has num_steps=13"),
    ({"make_task": PUSH}, "env=jepa-mpc/Reach-v0, this one has env=jepa-mpc/Push-v0"),
    ({"policy_name": "other"}, "exploration=held_random, this one has exploration=other"),
    (
        {"policy_values": {"min_hold": 1, "max_hold": 7}},
        "exploration.max_hold=6, this one has exploration.max_hold=7",
    ),
]


@pytest.mark.parametrize(("changes", "difference"), CHANGES)
def test_another_collection_is_refused_and_the_difference_named(finished, changes, difference):
    before = content(finished)
    with pytest.raises(DatasetError, match=f"holds a collection with {difference}: choose another folder"):
        small(finished, **changes)
    assert content(finished) == before


def start_and_stop(folder, sent):
    """Starts a collection of 250 episodes in a process of its own and stops it when a few are written."""
    script = (
        "from functools import partial; from pathlib import Path; from envs.episodes.collection import collect; "
        "from envs.arm.task import make_task; from envs.episodes.exploration import HeldRandom; "
        "collect(make_task=partial(make_task, env_id='jepa-mpc/Reach-v0'), vision=None, "
        f"make_policy=partial(HeldRandom, **{VALUES}), policy_name='held_random', "
        f"policy_values={VALUES}, seed=3, num_episodes=250, num_steps=30, num_workers=2, output=Path({str(folder)!r}))"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
    while not (folder / JOURNAL).exists() or (folder / JOURNAL).read_bytes().count(b"\n") < 20:
        assert process.poll() is None, "it ended before it could be stopped"
        time.sleep(0.002)
    process.send_signal(sent)
    process.wait()
    assert process.returncode == -sent


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted") / "data"
    small(folder, num_episodes=250, num_steps=30, num_workers=2)
    return content(folder)


@pytest.mark.parametrize("sent", [pytest.param(signal.SIGKILL, marks=pytest.mark.slow), signal.SIGINT])
def test_an_interrupted_collection_ends_with_the_bytes_of_an_uninterrupted_one(tmp_path, uninterrupted, sent):
    folder = tmp_path / "data"
    start_and_stop(folder, sent)
    with pytest.raises(DatasetError, match="is not a dataset"):
        open_dataset(folder)
    with pytest.raises(DatasetError, match="num_steps=30, this one has num_steps=31"):
        small(folder, num_episodes=250, num_steps=31)

    written = (folder / JOURNAL).read_text().splitlines()
    # What the disk lost of an episode is noticed, and so is a line that was not written to its end.
    lost = json.loads(written[5])["index"]
    with (folder / "actions.npy").open("r+b") as file:
        file.seek(128 + lost * 30 * 3 * 4)
        file.write(bytes(30 * 3 * 4))
    with (folder / JOURNAL).open("a") as file:
        file.write('{"index": 249, "sha2')
    small(folder, num_episodes=250, num_steps=30, num_workers=2)
    assert content(folder) == uninterrupted


def test_what_is_written_is_not_recorded_again(tmp_path, monkeypatch):
    """The second call finds all but the manifest: it must not need a worker."""
    folder = tmp_path / "data"
    with monkeypatch.context() as context:
        context.setattr(recording.Recording, "seal", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            small(folder)
    assert not (folder / "manifest.json").exists()
    with monkeypatch.context() as context:
        context.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a worker was started"))
        small(folder)
    assert not (folder / JOURNAL).exists()


def test_a_journal_that_was_left_behind_goes(tmp_path, finished):
    folder = tmp_path / "data"
    shutil.copytree(finished, folder)
    (folder / JOURNAL).write_text("{}\n")
    small(folder)
    assert content(folder) == content(finished)


def test_two_collections_do_not_write_into_one_folder(tmp_path):
    from envs.episodes.journal import Journal

    request = {"seed": 3}
    with Journal(tmp_path, request), pytest.raises(DatasetError, match="another collection is writing into"):
        Journal(tmp_path, request).__enter__()
    with Journal(tmp_path, request) as journal:
        assert journal.records == []


def test_arrays_of_someone_else_are_not_overwritten(tmp_path):
    np.save(tmp_path / "actions.npy", np.arange(3))
    with pytest.raises(DatasetError, match=r"holds actions\.npy but neither a manifest nor a collection under way"):
        small(tmp_path)
    np.testing.assert_array_equal(np.load(tmp_path / "actions.npy"), np.arange(3))


def test_a_disk_without_room_is_noticed_before_anything_is_collected(tmp_path, monkeypatch):
    usage = shutil._ntuple_diskusage(total=10**9, used=10**9 - 20_000, free=20_000)
    monkeypatch.setattr(recording.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DatasetError, match=r"data needs \d\.\d MB, its disk has 0\.0 MB free: choose another disk$"):
        small(tmp_path / "data")
    assert not list((tmp_path / "data").rglob("*.npy"))


def test_the_room_is_taken_at_the_start(tmp_path, finished, monkeypatch):
    monkeypatch.setattr("envs.episodes.collection.parallel_map", lambda *_, **__: iter(()))
    with pytest.raises(KeyError):
        small(tmp_path / "data")
    for path in finished.rglob("*.npy"):
        begun = tmp_path / "data" / path.relative_to(finished)
        assert begun.stat().st_size == path.stat().st_size
        assert begun.stat().st_blocks * 512 >= path.stat().st_size


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"seed": 1000}, r"seed must be in 0\.\.999, got 1000"),
        ({"seed": -1}, r"seed must be in 0\.\.999, got -1"),
        ({"num_episodes": 0}, r"num_episodes must be in 1\.\.1000000, got 0"),
        ({"num_steps": 0}, r"num_steps must be in"),
        ({"make_policy": partial(HeldRandom, min_hold=3, max_hold=2)}, "min_hold must be in"),
    ],
)
def test_numbers_without_meaning_are_refused_before_anything_is_written(tmp_path, changes, complaint):
    with pytest.raises(ValueError, match=complaint):
        small(tmp_path / "data", **changes)
    assert not (tmp_path / "data").exists()


def test_no_two_collections_share_a_seed_with_each_other_or_with_an_evaluation():
    assert episode_seed(0, 0) == 0
    assert episode_seed(0, MAX_EPISODES - 1) + 1 == episode_seed(1, 0)
    assert episode_seed(999, MAX_EPISODES - 1) == 10**9 - 1


def test_the_report_is_the_mean_of_what_was_measured(tmp_path):
    manifest = small(
        tmp_path / "data",
        make_task=PUSH,
        make_policy=UniformRandom,
        policy_name="uniform_random",
        policy_values={},
        num_episodes=5,
    )
    env = PUSH(vision=None, film_size=None)
    policy = UniformRandom(env.spec)
    each = [measures(rollout(env, policy, seed=seed, num_steps=12), env) for seed in manifest.seeds]
    assert set(manifest.report) == {"goal_hit", "block_moving", "block_left"}
    for name, value in manifest.report.items():
        assert value == pytest.approx(np.mean([measured[name] for measured in each]))


def test_what_is_measured_of_a_block():
    task = PUSH(vision=None, film_size=None)
    spec = task.spec
    low, high = np.array(spec.goal["block_position"].low), np.array(spec.goal["block_position"].high)
    position = np.repeat(((low + high) / 2)[None], 6, axis=0)
    position[2:, 0] += 0.0006
    position[3:, 1] += 0.0004
    position[4, 2] += 0.01  # it hops: that is no way along the table

    def measured(position, is_success=False):
        episode = Episode(
            observations={"block_position": position.astype(np.float32)},
            actions=np.zeros((5, 2), np.float32),
            seed=0,
            verdicts=[Verdict(it, {}, False, False) for it in [False] * 3 + [is_success] + [False] * 2],
            num_redrawn=0,
        )
        return measures(episode, task)

    assert measured(position) == {"goal_hit": 0.0, "block_moving": 0.2, "block_left": 0.0}
    position[5, 1] = high[1] + 0.001
    assert measured(position, is_success=True) == {"goal_hit": 1.0, "block_moving": 0.4, "block_left": 1.0}


def test_a_worker_that_fails_leaves_a_collection_that_goes_on(tmp_path, finished):
    folder = tmp_path / "data"
    with pytest.raises(RuntimeError, match="out of order"):
        small(folder, make_policy=Failing)
    small(folder)
    assert content(folder) == content(finished)


class Failing(HeldRandom):
    """Fails in its 20th episode, in a worker."""

    def __init__(self, spec):
        super().__init__(spec, **VALUES)
        self.num_episodes = 0

    def reset(self, goal, *, seed):
        super().reset(goal, seed=seed)
        self.num_episodes += 1
        if self.num_episodes == 20:
            raise RuntimeError("out of order")
