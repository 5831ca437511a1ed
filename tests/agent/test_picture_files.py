"""Films and pictures as files, read back by imageio."""

import sys

import imageio.v3 as iio
import numpy as np
import pytest
from matplotlib.figure import Figure

from agent.evaluation.pictures import files
from agent.evaluation.pictures.files import FILM_FORMATS, missing_plugin, write_figure, write_film

GREEN, FRAME_DT = (30, 200, 60), 0.05
PLUGIN = {"gif": "pillow", "webp": "pillow", "mp4": "FFMPEG"}
WORST = {"gif": 20, "webp": 25, "mp4": 25}
"""Format to how far a colour may be from what was filmed, of 255."""


@pytest.fixture
def frames():
    """A square that wanders over a thousand colours, and a small green mark that is a thousandth of the picture."""
    height, width = 96, 95
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    background = np.stack([255 * x / width, 128 * y / height, 255 - 255 * x / width], axis=2).astype(np.uint8)
    frames = np.repeat(background[None], 12, axis=0)
    for time, frame in enumerate(frames):
        frame[20:40, 5 * time : 5 * time + 20] = 240
        frame[80:84, 4:8] = GREEN
    return frames


@pytest.mark.parametrize("film_format", FILM_FORMATS)
def test_a_film_shows_every_frame_in_real_time_and_keeps_a_rare_colour(frames, film_format, tmp_path):
    if missing := missing_plugin(film_format):
        pytest.skip(missing)
    path = write_film(list(frames), tmp_path / f"film.{film_format}", frame_dt=FRAME_DT)
    with iio.imopen(path, "r", plugin=PLUGIN[film_format]) as file:
        seen = np.stack(list(file.iter()))[..., :3]
        metadata = file.metadata() if film_format == "mp4" else file.metadata(index=len(frames) - 1)
    assert len(seen) == len(frames)
    assert metadata.get("fps", 1e3 / metadata["duration"]) == 20
    height, width = frames.shape[1:3]
    assert seen.shape[1:3] == ((96, 96) if film_format == "mp4" else (height, width))
    differences = np.abs(seen[:, :height, :width].astype(int) - frames)
    assert differences.mean() < 5
    assert differences[:, 81:83, 5:7].max() <= WORST[film_format]
    assert [child.name for child in tmp_path.iterdir()] == [path.name]


def test_a_film_that_cannot_be_encoded_leaves_nothing_behind(frames, tmp_path, monkeypatch):
    def broken(frames, frame_dt):
        raise OSError("no")

    monkeypatch.setitem(files.FILM_FORMATS, "gif", broken)
    with pytest.raises(OSError, match="no"):
        write_film(list(frames), tmp_path / "film.gif", frame_dt=FRAME_DT)
    assert not list(tmp_path.iterdir())


def test_a_format_whose_plugin_is_missing_is_a_sentence_that_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    assert missing_plugin("mp4") == (
        "mp4 films need the extra 'video', which brings imageio-ffmpeg: `pip install 'jepa-mpc[video]'`"
    )
    assert missing_plugin("gif") is None


def test_a_figure_is_written_as_it_is_drawn(tmp_path):
    figure = Figure(figsize=(2.0, 1.0), facecolor="white")
    figure.add_axes((0.0, 0.0, 0.5, 1.0), facecolor="red").set_axis_on()
    picture = iio.imread(write_figure(figure, tmp_path / "figure.png", dpi=50))
    assert picture.shape == (50, 100, 3)
    assert picture[25, 25].tolist() == [255, 0, 0]
    assert picture[25, 75].tolist() == [255, 255, 255]
