"""Recorded episodes with camera frames: the same bytes however they are collected, and checked against the renderer."""

import hashlib
import json
import shutil
from contextlib import closing
from functools import partial

import numpy as np
import pytest

from envs.arm.task import make_task
from envs.episodes import check
from envs.episodes.check import FRAME_TOLERANCE, check_dataset
from envs.episodes.collection import collect
from envs.episodes.episode import DatasetError, open_dataset
from envs.episodes.exploration import HeldRandom
from envs.episodes.parallel import parallel_map
from envs.episodes.rollout import rollout
from envs.rendering import available_backends
from envs.rendering.probe import Probe
from envs.vision import Vision

VALUES = {"min_hold": 1, "max_hold": 4}
NUM_EPISODES, NUM_STEPS = 18, 6
REACH = partial(make_task, env_id="jepa-mpc/Reach-v0")
FRAMES = "observations/fixed_camera.npy"


def vision(**changes):
    values = {"cameras": ("fixed",), "image_size": 24, "proprioception": False, "backends": ("raycast",)}
    return Vision(**{**values, **changes})


def record(output, **changes):
    request = {
        "make_task": REACH,
        "vision": vision(),
        "make_policy": partial(HeldRandom, **VALUES),
        "policy_name": "held_random",
        "policy_values": VALUES,
        "seed": 1,
        "num_episodes": NUM_EPISODES,
        "num_steps": NUM_STEPS,
        "num_workers": 1,
        "output": output,
    }
    return collect(**{**request, **changes})


def content(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished") / "data"
    record(folder)
    return folder


@pytest.fixture
def good(finished, tmp_path):
    """A copy to be spoilt."""
    folder = tmp_path / "data"
    shutil.copytree(finished, folder)
    return folder


def rewrite_manifest(folder, change):
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def rewrite_frames(folder, change):
    """Changes frames `[rows, height, width, 3]` in place, and makes the checksum right."""
    frames = np.lib.format.open_memmap(folder / FRAMES, mode="r+")
    change(frames)
    frames.flush()
    checksum = hashlib.sha256((folder / FRAMES).read_bytes()).hexdigest()
    rewrite_manifest(folder, lambda manifest: manifest["observations"]["fixed_camera"].update(sha256=checksum))


def test_the_frames_are_those_that_a_rollout_gives(finished):
    dataset = open_dataset(finished)
    env = REACH(vision=vision(), film_size=None)
    assert dataset.manifest.env == env.spec
    assert dataset.manifest.backends == ("raycast",)
    assert dataset.observations["fixed_camera"].dtype == np.uint8
    for index in (0, 11):
        seed = dataset.manifest.seeds[index]
        episode = rollout(env, HeldRandom(env.spec, **VALUES), seed=seed, num_steps=NUM_STEPS)
        for sensor, readings in episode.observations.items():
            np.testing.assert_array_equal(dataset.episode(index)[0][sensor], readings)


def test_the_bytes_do_not_depend_on_the_number_of_workers(finished, tmp_path):
    record(tmp_path / "data", num_workers=2)
    assert content(tmp_path / "data") == content(finished)


def test_an_interrupted_collection_ends_with_the_same_bytes(finished, tmp_path, monkeypatch):
    def stop_early(*arguments, **named):
        results = parallel_map(*arguments, **named)
        yield from (next(results) for _ in range(10))
        raise KeyboardInterrupt

    monkeypatch.setattr("envs.episodes.collection.parallel_map", stop_early)
    with pytest.raises(KeyboardInterrupt):
        record(tmp_path / "data")
    assert not (tmp_path / "data" / "manifest.json").exists()
    monkeypatch.undo()
    record(tmp_path / "data")
    assert content(tmp_path / "data") == content(finished)


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"vision": None}, "renderer.backends"),
        ({"vision": vision(image_size=32)}, "env.sensors"),
        ({"vision": vision(proprioception=True)}, "env.perceived"),
        ({"vision": vision(backends=("egl",))}, r"renderer.backends=\['raycast'\], this one has .*\['egl'\]"),
    ],
)
def test_a_collection_with_other_cameras_is_another_one(finished, changes, difference):
    before = content(finished)
    with pytest.raises(DatasetError, match=f"holds a collection with {difference}"):
        record(finished, **changes)
    assert content(finished) == before


def test_frames_are_drawn_again_and_are_the_same(finished):
    report = check_dataset(finished, make_task=REACH, num_replays=NUM_EPISODES)
    assert (report.problems, report.notes) == ((), ())
    assert report.num_replayed == report.num_identical == NUM_EPISODES


def test_mixed_backends_draw_every_other_episode_and_are_checked_each_by_its_own(tmp_path):
    if len(available_backends()) < 2:
        pytest.skip("only one backend renders here")
    pair = (available_backends()[0], "raycast")
    record(tmp_path, vision=vision(backends=pair), num_episodes=4, num_workers=2)
    dataset = open_dataset(tmp_path)
    for index, seed in enumerate(dataset.manifest.seeds):
        with closing(REACH(vision=vision(backends=(pair[index % 2],)), film_size=None)) as env:
            frame = env.reset(seed).readings["fixed_camera"]
        np.testing.assert_array_equal(dataset.episode(index)[0]["fixed_camera"][0], frame)
    report = check_dataset(tmp_path, make_task=REACH, num_replays=4)
    assert (report.problems, report.num_identical) == ((), 4)


def test_two_sensors_of_the_body_beside_the_frames_are_checked_too(tmp_path):
    record(tmp_path, vision=vision(proprioception=True), num_episodes=2)
    assert check_dataset(tmp_path, make_task=REACH, num_replays=2).problems == ()


def swap_two_episodes(frames):
    rows = NUM_STEPS + 1
    first, other = (slice(index * rows, (index + 1) * rows) for index in (2, 5))
    frames[first], frames[other] = frames[other].copy(), frames[first].copy()


def blacken_a_start(frames):
    frames[7 * (NUM_STEPS + 1)] = 0


def blacken_within(frames):
    frames[3] = 0


def shift_the_camera(frames):
    frames[:] = np.roll(frames, 1, axis=2)


def brighten(by, frames):
    frames[:] = np.minimum(frames.astype(int) + by, 255)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (swap_two_episodes, "2 of 18 episodes do not start where their seed starts them: in episode 2 (seed 1000002)"),
        (blacken_a_start, "1 of 18 episodes do not start where their seed starts them: in episode 7 (seed 1000007)"),
        (blacken_within, "1 of 4 replayed episodes do not follow from their actions: in episode 0 (seed 1000000)"),
        (shift_the_camera, "18 of 18 episodes do not start where their seed starts them"),
        (partial(brighten, 2), "18 of 18 episodes do not start where their seed starts them"),
    ],
)
def test_a_changed_frame_is_found(good, change, problem):
    rewrite_frames(good, change)
    report = check_dataset(good, make_task=REACH, num_replays=4)
    assert len(report.problems) == 1
    assert report.problems[0].startswith(problem)
    assert "fixed_camera differs by" in report.problems[0]
    assert f"where at most {FRAME_TOLERANCE:.3g} is allowed" in report.problems[0]


def test_frames_that_another_driver_smooths_differently_are_counted_but_no_problem(good):
    def smooth(frames):
        frames[0, 10:12, 10:12] ^= 15

    rewrite_frames(good, smooth)
    report = check_dataset(good, make_task=REACH, num_replays=4)
    assert (report.problems, report.num_replayed, report.num_identical) == ((), 4, 3)


def test_where_the_recorded_backend_does_not_render_only_numbers_are_checked(good, monkeypatch):
    rewrite_frames(good, blacken_within)
    monkeypatch.setattr(check, "probe_backend", lambda backend: Probe(backend, None, f"{backend} is broken"))
    report = check_dataset(good, make_task=REACH, num_replays=4)
    assert report.problems == ()
    assert report.notes == ("frames were not compared: raycast is broken",)
    assert str(report).splitlines()[-1] == report.notes[0]
    assert report.num_identical == report.num_replayed == 4  # in their numbers

    tips = np.lib.format.open_memmap(good / "observations/tip.npy", mode="r+")
    tips[3] += 0.1
    tips.flush()
    checksum = hashlib.sha256((good / "observations/tip.npy").read_bytes()).hexdigest()
    rewrite_manifest(good, lambda manifest: manifest["observations"]["tip"].update(sha256=checksum))
    assert "tip differs by" in check_dataset(good, make_task=REACH, num_replays=4).problems[0]


def test_a_backend_that_nobody_knows_is_a_note(good):
    rewrite_manifest(good, lambda manifest: manifest.update(backends=["vulkan"]))
    report = check_dataset(good, make_task=REACH, num_replays=2)
    assert report.problems == ()
    assert report.notes == ("frames were not compared: nothing is known of the renderer 'vulkan' that drew them",)


def rename_camera(manifest):
    text = json.dumps(manifest).replace("fixed_camera", "front_camera")
    manifest.clear()
    manifest.update(json.loads(text))


def test_a_camera_that_the_environment_does_not_have_is_a_problem(good):
    rewrite_manifest(good, rename_camera)
    (good / FRAMES).rename(good / "observations/front_camera.npy")
    (problem,) = check_dataset(good, make_task=REACH, num_replays=2).problems
    assert problem.startswith("jepa-mpc/Reach-v0 shows no such frames as were recorded: cameras must be among ['fixed'")
    assert problem.endswith("got 'front'")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda env: env.update(asked=[]), "shows no such frames as were recorded: cameras must be a list"),
        (lambda env: env.update(asked=["tip"]), "shows no such frames as were recorded: "),
        (lambda env: env.update(asked=["fixed_camera", "fixed_camera"]), "cameras must be a list of different names"),
        (lambda env: env.update(perceived=["fixed_camera", "tip"]), "with perceived=('fixed_camera', 'tip'), the one"),
        (lambda env: env.update(perceived=[]), "with perceived=(), the one installed here has perceived="),
    ],
)
def test_a_description_of_cameras_that_cannot_be_is_a_problem(good, change, problem):
    rewrite_manifest(good, lambda manifest: change(manifest["env"]))
    problems = check_dataset(good, make_task=REACH, num_replays=2).problems
    assert problem in problems[0]
    assert "\n" not in problems[0]


def test_frames_of_which_nobody_says_what_drew_them_cannot_be_replayed(good):
    rewrite_manifest(good, lambda manifest: manifest.update(backends=[]))
    problems = check_dataset(good, make_task=REACH, num_replays=2).problems
    assert problems and all("they cannot be replayed" in problem for problem in problems)


def test_the_check_never_reads_all_frames_at_once(good, monkeypatch):
    """Whatever looks at frames looks at one of them at a time, so that they need not fit in memory."""
    whole = []
    for name in ("ptp", "isfinite", "abs"):
        original = getattr(np, name)

        def watched(array, *arguments, original=original, **named):
            if np.ndim(array) == 4:
                whole.append(original.__name__)
            return original(array, *arguments, **named)

        monkeypatch.setattr(check.np, name, watched)
    assert check_dataset(good, make_task=REACH, num_replays=2).problems == ()
    assert whole == []
