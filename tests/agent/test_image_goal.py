"""Goals from pictures: files that a user gives, and frames of recorded episodes."""

import struct
import warnings
import zlib
from functools import partial

import imageio.v3 as iio
import numpy as np
import pytest
from PIL import Image

from agent.goal import GoalError, make_goal
from agent.image_goal import picture_goal, recorded_goal
from envs.arm.task import make_task
from envs.episodes.collection import collect
from envs.episodes.episode import open_dataset
from envs.episodes.exploration import UniformRandom
from envs.vision import Vision

NUM_STEPS = 4
REACH = partial(make_task, env_id="jepa-mpc/Reach-v0")


def vision(*cameras):
    return Vision(cameras=cameras, image_size=16, proprioception=False, backends=("raycast",))


@pytest.fixture(scope="module")
def spec():
    return REACH(vision=vision("fixed"), film_size=None).spec


@pytest.fixture(scope="module")
def numbers():
    return REACH(vision=None, film_size=None).spec


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    def run(seen):
        folder = tmp_path_factory.mktemp("recorded") / "data"
        collect(
            make_task=REACH,
            vision=seen,
            make_policy=UniformRandom,
            policy_name="uniform",
            policy_values={},
            seed=0,
            num_episodes=3,
            num_steps=NUM_STEPS,
            num_workers=1,
            output=folder,
        )
        return open_dataset(folder)

    return run


@pytest.fixture(scope="module")
def recorded(record):
    return record(vision("fixed"))


@pytest.fixture
def noise():
    return partial(np.random.default_rng(0).integers, 0, 256, dtype=np.uint8)


def test_a_file_of_the_cameras_size_is_the_goal_as_it_is(spec, noise, tmp_path):
    image = noise((16, 16, 3))
    iio.imwrite(tmp_path / "goal.png", image)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        goal = picture_goal(tmp_path / "goal.png", spec)
    assert goal.keys() == {"fixed_camera"}
    np.testing.assert_array_equal(goal["fixed_camera"], image)
    assert make_goal(goal, spec, sensors=spec.perceived).observation["fixed_camera"].shape == (1, 16, 16, 3)


def test_a_picture_that_could_be_transparent_and_is_not_is_the_goal(spec, noise, tmp_path):
    image = noise((16, 16, 4))
    image[..., 3] = 255
    iio.imwrite(tmp_path / "goal.png", image)
    np.testing.assert_array_equal(picture_goal(tmp_path / "goal.png", spec)["fixed_camera"], image[..., :3])


def test_a_picture_that_is_transparent_in_places_is_refused(spec, noise, tmp_path):
    image = noise((16, 16, 4))
    image[..., 3] = 255
    image[3, 4, 3] = 254
    iio.imwrite(tmp_path / "goal.png", image)
    with pytest.raises(GoalError, match=r"goal.png' must show something everywhere, and is transparent in places"):
        picture_goal(tmp_path / "goal.png", spec)


def test_pixels_instead_of_a_file_are_told_how_to_be_a_goal(spec, noise):
    with pytest.raises(GoalError, match=r"by the path of its file, got ndarray: .* as \{'fixed_camera': pixels\}"):
        picture_goal(noise((16, 16, 3)), spec)


def test_a_larger_picture_is_resized_with_a_warning_to_the_mean_of_its_pixels(spec, noise, tmp_path):
    small = noise((16, 16, 3))
    iio.imwrite(tmp_path / "goal.png", small.repeat(4, axis=0).repeat(4, axis=1))
    with pytest.warns(UserWarning, match=r"goal.png' has 64 x 64 pixels, the camera has 16 x 16: it is resized"):
        goal = picture_goal(tmp_path / "goal.png", spec)
    np.testing.assert_array_equal(goal["fixed_camera"], small)


def test_resizing_can_be_refused(spec, noise, tmp_path):
    iio.imwrite(tmp_path / "goal.png", noise((32, 32, 3)))
    with pytest.raises(GoalError, match="has 32 x 32 pixels, the camera has 16 x 16: give it in that size, or allow"):
        picture_goal(tmp_path / "goal.png", spec, resize=False)


@pytest.mark.parametrize("resize", [True, False])
def test_a_picture_of_another_shape_is_refused(spec, noise, tmp_path, resize):
    iio.imwrite(tmp_path / "goal.png", noise((24, 32, 3)))
    with pytest.raises(GoalError, match="has 32 x 24 pixels, the camera has 16 x 16: crop it to the same shape"):
        picture_goal(tmp_path / "goal.png", spec, resize=resize)


def test_a_picture_that_is_nearly_as_high_as_wide_is_resized(spec, noise, tmp_path):
    iio.imwrite(tmp_path / "goal.png", noise((100, 101, 3)))
    with pytest.warns(UserWarning, match="101 x 100"):
        assert picture_goal(tmp_path / "goal.png", spec)["fixed_camera"].shape == (16, 16, 3)


def png(width, height, pixels):
    """Returns a file of 8-bit colours, whose pixels may be missing."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(pixels))]
    body = (struct.pack(">I", len(it)) + kind + it + struct.pack(">I", zlib.crc32(kind + it)) for kind, it in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


@pytest.mark.parametrize(
    "content",
    [b"", b"just text", png(16, 16, b"")[:30], png(16, 16, b"\0" * 100), png(60_000, 60_000, b""), None],
    ids=["empty", "text", "broken", "truncated", "bomb", "absent"],
)
def test_a_file_that_holds_no_picture_is_one_sentence(spec, tmp_path, content):
    path = tmp_path / "goal.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(GoalError, match=r"goal.png' must be a picture that can be read") as error:
        picture_goal(path, spec)
    assert "\n" not in str(error.value)
    assert "Errno" not in str(error.value)


@pytest.mark.parametrize("mode", ["P", "CMYK"])
def test_colours_that_are_told_otherwise_are_the_same(spec, tmp_path, mode):
    size, colour = spec.shapes["fixed_camera"][:2][::-1], (204, 51, 102)
    path = tmp_path / ("goal.png" if mode == "P" else "goal.tiff")
    Image.new("RGB", size, colour).convert(mode).save(path)
    assert (picture_goal(path, spec)["fixed_camera"] == colour).all()


@pytest.mark.parametrize(("dtype", "mode"), [(np.uint8, "L"), (np.uint16, "I;16")])
def test_a_picture_without_colours_is_refused(spec, tmp_path, dtype, mode):
    iio.imwrite(tmp_path / "goal.png", np.arange(256).reshape(16, 16).astype(dtype))
    with pytest.raises(GoalError, match=f"must be a picture in 8-bit colours, .*, got {mode}"):
        picture_goal(tmp_path / "goal.png", spec)


def test_where_goals_are_numbers_a_picture_is_none(numbers, noise, recorded, tmp_path):
    iio.imwrite(tmp_path / "goal.png", noise((16, 16, 3)))
    message = r"the goals of jepa-mpc/Reach-v0 ask for \['tip'\], so a picture is none of them"
    with pytest.raises(GoalError, match=message):
        picture_goal(tmp_path / "goal.png", numbers)
    with pytest.raises(GoalError, match=message):
        recorded_goal(recorded, numbers, episode=0)


@pytest.mark.parametrize(("step", "row"), [(-1, NUM_STEPS), (0, 0), (2, 2), (-NUM_STEPS - 1, 0)])
def test_a_recorded_frame_is_the_goal_as_it_is(recorded, spec, step, row):
    goal = recorded_goal(recorded, spec, episode=1, step=step)
    np.testing.assert_array_equal(goal["fixed_camera"], recorded.episode(1)[0]["fixed_camera"][row])
    assert goal["fixed_camera"].flags.writeable  # it is a copy


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"episode": 3}, r"episode must be in 0\.\.2, got 3"),
        ({"episode": -1}, r"episode must be in 0\.\.2, got -1"),
        ({"episode": 0, "step": 5}, r"step must be in -5\.\.4, got 5"),
        ({"episode": 0, "step": -6}, r"step must be in -5\.\.4, got -6"),
        ({"episode": 0, "step": 1.5}, r"step must be in -5\.\.4, got 1.5"),
    ],
)
def test_a_frame_that_was_not_recorded_is_one_sentence(recorded, spec, where, message):
    with pytest.raises(GoalError, match=message):
        recorded_goal(recorded, spec, **where)


def test_a_goal_needs_the_frames_of_all_cameras(recorded, record, spec):
    both = REACH(vision=vision("fixed", "wrist"), film_size=None).spec
    with pytest.raises(GoalError, match=r"must have recorded \['wrist_camera'\], it has \["):
        recorded_goal(recorded, both, episode=0)
    assert recorded_goal(record(vision("fixed", "wrist")), both, episode=0).keys() == set(both.asked)
