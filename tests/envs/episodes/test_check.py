import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from envs.arm.task import make_task
from envs.episodes.check import check_dataset
from envs.episodes.collection import collect
from envs.episodes.episode import DatasetError, Episode, open_dataset
from envs.episodes.exploration import HeldRandom
from envs.episodes.recording import write_dataset

VALUES = {"min_hold": 1, "max_hold": 4}
NUM_EPISODES = 12


@pytest.fixture(scope="module", params=["jepa-mpc/Reach-v0", "jepa-mpc/Push-v0"])
def good(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("good") / "data"
    collect(
        make_task=partial(make_task, env_id=request.param),
        vision=None,
        make_policy=partial(HeldRandom, **VALUES),
        policy_name="held_random",
        policy_values=VALUES,
        seed=1,
        num_episodes=NUM_EPISODES,
        num_steps=20,
        num_workers=1,
        output=folder,
    )
    return folder


def task_of(folder):
    """Makes the task that the episodes say they are of, or else reach."""
    recorded = (
        json.loads((folder / "manifest.json").read_text())["env"]["task_id"]
        if (folder / "manifest.json").exists()
        else ""
    )
    return partial(make_task, env_id=recorded if recorded.startswith("jepa-mpc/") else "jepa-mpc/Reach-v0")


def forge(good, folder, change):
    """Writes the dataset again with its episodes changed: all its checksums are right."""
    dataset = open_dataset(good)
    episodes = []
    for index, seed in enumerate(dataset.manifest.seeds):
        observations, actions = dataset.episode(index)
        episodes.append(
            Episode(
                observations={sensor: np.array(readings) for sensor, readings in observations.items()},
                actions=np.array(actions),
                seed=seed,
                verdicts=(),
                num_redrawn=0,
            )
        )
    write_dataset(
        folder,
        change(episodes),
        env=dataset.manifest.env,
        policy_name="held_random",
        policy_values=VALUES,
        report={},
    )
    return check_dataset(folder, make_task=task_of(folder), num_replays=4)


def shift_actions(episodes):
    return [replace(episode, actions=np.roll(episode.actions, 1, axis=0)) for episode in episodes]


def delay_observations(episodes):
    return [
        replace(
            episode,
            observations={
                sensor: np.concatenate([readings[:1], readings[:-1]])
                for sensor, readings in episode.observations.items()
            },
        )
        for episode in episodes
    ]


def swap_two(episodes):
    swapped = list(episodes)
    swapped[2], swapped[5] = replace(episodes[5], seed=episodes[2].seed), replace(episodes[2], seed=episodes[5].seed)
    return swapped


def swap_actions(episodes):
    return [
        replace(episode, actions=other.actions)
        for episode, other in zip(episodes, episodes[1:] + episodes[:1], strict=True)
    ]


def set_reading(value, episodes):
    episodes[7].observations["joint_velocity"][3, 2] = value
    return episodes


def set_action(value, episodes):
    episodes[7].actions[3, 1] = value
    return episodes


def test_a_good_dataset_repeats_bit_for_bit(good):
    report = check_dataset(good, make_task=task_of(good), num_replays=NUM_EPISODES)
    assert report.problems == ()
    assert (report.num_episodes, report.num_steps) == (NUM_EPISODES, 20 * NUM_EPISODES)
    assert report.num_replayed == report.num_identical == NUM_EPISODES
    assert str(report).endswith(
        f"{NUM_EPISODES} episodes replayed in the simulator, {NUM_EPISODES} of them equal bit for bit"
    )


def test_an_unchanged_copy_is_good_too(good, tmp_path):
    report = forge(good, tmp_path, lambda episodes: episodes)
    assert (report.problems, report.num_replayed, report.num_identical) == ((), 4, 4)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (shift_actions, "4 of 4 replayed episodes do not follow from their actions: in episode 0"),
        (delay_observations, "4 of 4 replayed episodes do not follow from their actions: in episode 0"),
        (swap_actions, "4 of 4 replayed episodes do not follow from their actions: in episode 0"),
        (swap_two, "2 of 12 episodes do not start where their seed starts them: in episode 2 (seed 1000002)"),
        (partial(set_reading, np.nan), "joint_velocity must be finite, in episode 7 (seed 1000007) at step 3 it is"),
        (partial(set_reading, np.inf), "joint_velocity must be finite, in episode 7 (seed 1000007) at step 3 it is"),
        (
            partial(set_action, np.nan),
            "actions must be ACTION_DIM finite numbers in [-1, 1], in episode 7 (seed 1000007) at step 3 one is",
        ),
        (
            partial(set_action, 1.01),
            "actions must be ACTION_DIM finite numbers in [-1, 1], in episode 7 (seed 1000007) at step 3 one is",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(good, tmp_path, change, problem):
    report = forge(good, tmp_path, change)
    assert len(report.problems) == 1
    assert report.problems[0].startswith(problem.replace("ACTION_DIM", str(open_dataset(good).manifest.env.action_dim)))
    assert "\n" not in report.problems[0]
    assert str(report) == report.problems[0]


def test_a_deviation_within_the_tolerance_is_counted_but_no_problem(good, tmp_path):
    def nudge(episodes):
        episodes[0].observations["tip"][5] += 1e-5
        return episodes

    report = forge(good, tmp_path, nudge)
    assert (report.problems, report.num_replayed, report.num_identical) == ((), 4, 3)


@pytest.mark.parametrize("name", ["actions.npy", "observations/tip.npy"])
def test_a_flipped_bit_is_found(good, tmp_path, name):
    forge(good, tmp_path, lambda episodes: episodes)
    content = bytearray((tmp_path / name).read_bytes())
    content[1000] ^= 1
    (tmp_path / name).write_bytes(content)
    report = check_dataset(tmp_path, make_task=task_of(tmp_path), num_replays=2)
    assert len(report.problems) == 1
    assert f"{name} was changed" in report.problems[0]


def test_another_physics_is_named_and_not_replayed(good, tmp_path):
    forge(good, tmp_path, lambda episodes: episodes)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    installed = manifest["env"]["fingerprint"]
    manifest["env"]["fingerprint"] = "0" * 64
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    report = check_dataset(tmp_path, make_task=task_of(tmp_path), num_replays=2)
    assert report.num_replayed == 0
    assert len(report.problems) == 1
    assert f"with fingerprint={'0' * 64}, the one installed here has fingerprint={installed}" in report.problems[0]


def test_an_environment_of_another_name_is_named(good, tmp_path):
    forge(good, tmp_path, lambda episodes: episodes)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    manifest["env"]["task_id"] = "someone/Elses-v3"
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    problems = check_dataset(tmp_path, make_task=task_of(tmp_path), num_replays=2).problems
    assert "with task_id=someone/Elses-v3, the one installed here has task_id=jepa-mpc/Reach-v0" in problems[0]


def test_a_folder_that_cannot_be_opened_is_no_dataset(tmp_path):
    with pytest.raises(DatasetError, match="is not a dataset"):
        check_dataset(tmp_path, make_task=task_of(tmp_path), num_replays=2)
