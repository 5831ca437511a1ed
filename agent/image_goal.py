"""Goals that are pictures: a file that the user gives, or a frame of a recorded episode."""

import warnings
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
from imageio.core.request import InitializationError
from numpy.typing import NDArray
from PIL import Image
from PIL.Image import DecompressionBombError

from agent.goal import GoalError
from envs.episodes.episode import EpisodeDataset
from envs.spec import TaskSpec

_COLOURS = ("RGB", "RGBA", "P", "CMYK", "YCbCr")
"""Kinds of pictures, as Pillow calls them, that become red, green and blue of 8 bits; P is a palette."""

_UNREADABLE = (OSError, SyntaxError, ValueError, InitializationError, DecompressionBombError)
"""What is raised where a file holds no picture; a broken PNG is bad syntax."""

MAX_STRETCH = 0.02
"""By which width and height of a picture may be scaled differently."""


def picture_goal(path: Path | str, spec: TaskSpec, *, resize: bool = True) -> dict[str, NDArray[np.uint8]]:
    """Returns the goal that the task's camera sees what is on a picture.

    Args:
        path: Of a PNG, or whatever else holds one picture.
        spec: Of the task, as `actor.spec`; the picture is for the first camera that its goals ask for.
        resize: Whether a picture of another size is resized, with a warning; otherwise it is refused.

    Raises:
        GoalError: The task's goals are no pictures, the file holds none, or one of another shape.
    """
    camera, shape = _camera(spec)
    if not isinstance(path, Path | str):
        raise GoalError(
            f"a picture is told by the path of its file, got {type(path).__name__}: "
            f"pixels that you have are a goal by themselves, as {{'{camera}': pixels}}"
        )
    try:
        reader: Any = iio.imopen(Path(path).read_bytes(), "r", plugin="pillow")
        with reader as file:
            mode = file.metadata(index=0)["mode"]
            picture = file.read(index=0, mode="RGBA" if mode in _COLOURS else None, rotate=True)
    except _UNREADABLE as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise GoalError(f"'{path}' must be a picture that can be read: {reason}") from None
    if mode not in _COLOURS:
        raise GoalError(f"'{path}' must be a picture in 8-bit colours, one of {', '.join(_COLOURS)}, got {mode}")
    if picture[..., 3].min() < 255:
        raise GoalError(
            f"'{path}' must show something everywhere, and is transparent in places: lay it on a background"
        )
    return {camera: _fitted(picture[..., :3], shape, path, resize=resize)}


def recorded_goal(dataset: EpisodeDataset, spec: TaskSpec, *, episode: int, step: int = -1) -> dict[str, NDArray[Any]]:
    """Returns the goal that the task's cameras see again what they saw in a recorded episode.

    Args:
        dataset: Where the episode lies.
        spec: Of the task, as `actor.spec`.
        episode: Its number, from 0.
        step: Of the frame; negative ones count from the end.

    Raises:
        GoalError: The task's goals are no pictures, or the dataset has no such frame.
    """
    _camera(spec)
    if episode not in range(dataset.num_episodes):
        raise GoalError(f"episode must be in 0..{dataset.num_episodes - 1}, got {episode!r}")
    readings, actions = dataset.episode(episode)
    if step not in range(-len(actions) - 1, len(actions) + 1):
        raise GoalError(f"step must be in {-len(actions) - 1}..{len(actions)}, got {step!r}")
    if missing := sorted(set(spec.asked) - set(readings)):
        raise GoalError(f"the dataset {dataset.folder} must have recorded {missing}, it has {sorted(readings)}")
    return {camera: np.array(readings[camera][step]) for camera in spec.asked}


def _camera(spec: TaskSpec) -> tuple[str, tuple[int, ...]]:
    """Returns the first camera that goals ask for, and the shape of its frames."""
    for name in spec.asked:
        if spec.sensors[name].is_image:
            return name, spec.sensors[name].shape
    raise GoalError(f"the goals of {spec.task_id} ask for {list(spec.asked)}, so a picture is none of them")


def _fitted(picture: NDArray[np.uint8], shape: tuple[int, ...], path: Path | str, *, resize: bool) -> NDArray[np.uint8]:
    """Returns a picture in the camera's size."""
    if picture.shape == shape:
        return picture
    (height, width), (given_height, given_width) = shape[:2], picture.shape[:2]
    sizes = f"{given_width} x {given_height} pixels, the camera has {width} x {height}"
    if abs(given_width * height / (given_height * width) - 1) > MAX_STRETCH:
        raise GoalError(f"'{path}' has {sizes}: crop it to the same shape, or it would be distorted")
    if not resize:
        raise GoalError(f"'{path}' has {sizes}: give it in that size, or allow resize=True")
    warnings.warn(f"'{path}' has {sizes}: it is resized", stacklevel=3)
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BOX))
