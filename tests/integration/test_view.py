"""An agent at work: in a real window where there is a display or Xvfb to make one, and in files."""

import os
import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager

import imageio.v3 as iio
import numpy as np
import pytest

from agent.evaluation.pictures.files import FILM_FORMATS, missing_plugin
from agent.evaluation.video import film_episodes
from agent.run.cli import main
from agent.run.config.composing import compose_config
from agent.run.config.saved import read_config
from agent.run.stages import view
from agent.run.stages.evaluate import PolicyFactory
from agent.run.stages.vision import task_factory
from envs.rendering import NothingRenders, available_backends
from jepa_mpc.errors import UserError

drawn = pytest.mark.skipif(not available_backends(), reason="nothing renders on this machine")
TOO_LONG_S = 300
"""After which a window that hangs is ended, so that the others are tested."""

WATCHED = """
import sys
from agent.evaluation.view.session import Session
from agent.run.cli import main

press, step = Session.press, Session.step

def told(self, code):
    press(self, code)
    switches, state = self.switches, self.actor.state
    print("pressed", switches.planner, switches.mode, switches.episode, switches.paused, state.step > 0, flush=True)

def going(self):
    step(self)
    if self.actor.state.step == 4:
        print("going", flush=True)
    {fault}

Session.press, Session.step = told, going
sys.exit(main(["view", "run={run}"]))
"""


@contextmanager
def window(run, environment, *, fault="pass"):
    """Opens the window of a run in a process of its own, which is ended if it hangs."""
    code = WATCHED.format(run=run, fault=fault)
    path = os.pathsep.join(filter(os.path.isabs, sys.path))
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path, "LIBGL_ALWAYS_SOFTWARE": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    watchdog = threading.Timer(TOO_LONG_S, process.kill)
    watchdog.start()
    try:
        yield process
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


@pytest.fixture(scope="module")
def display():
    """Returns the environment of a display that nobody sees."""
    if not (shutil.which("Xvfb") and shutil.which("xdotool")):
        pytest.skip("Xvfb or xdotool is missing: no window can be tried here")
    reads, writes = os.pipe()
    command = ["Xvfb", "-displayfd", str(writes), "-screen", "0", "1024x768x24", "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=[writes], stderr=subprocess.DEVNULL)
    os.close(writes)
    with os.fdopen(reads) as told:
        number = told.readline().strip()
    if not number:
        pytest.skip("Xvfb does not start here")
    yield {"DISPLAY": f":{number}", "WAYLAND_DISPLAY": "", "XDG_SESSION_TYPE": "x11"}
    server.terminate()
    server.wait()


def read_until(process, beginning):
    """Returns the first line that begins so; none comes where the process ended."""
    for line in process.stdout:
        if line.startswith(beginning):
            return line.split()
    raise AssertionError(f"the window was closed: {process.stderr.read()}")


def type_key(environment, name):
    move = ["mousemove", "300", "300"]  # without a window manager keys go to what the pointer is on
    subprocess.run(["xdotool", *move, "key", name], env={**os.environ, **environment}, check=True)


@pytest.mark.slow
def test_keys_change_planner_mode_and_episode_and_close_the_window(smoke_push_run, display):
    with window(smoke_push_run, display) as process:
        read_until(process, "going")
        for key, expected in [
            ("9", ["cem", "reactive", "0", "False", "True"]),
            ("Right", ["cem_gradient", "reactive", "0", "False", "True"]),
            ("7", ["cem_gradient", "planning", "0", "False", "True"]),
            ("space", ["cem_gradient", "planning", "0", "True", "True"]),
            ("Return", ["cem_gradient", "planning", "1", "True", "False"]),
            ("Left", ["cem", "planning", "1", "True", "False"]),
            ("8", ["cem", "hybrid", "1", "True", "False"]),
        ]:
            type_key(display, key)
            assert read_until(process, "pressed")[1:] == expected, key
        type_key(display, "ctrl+q")
        assert process.wait() == 0
        assert process.stderr.read() == ""


@pytest.mark.slow
def test_a_fault_while_the_window_is_open_closes_it_and_shows_itself(smoke_run, display):
    with window(smoke_run, display, fault="raise RuntimeError('out of range')") as process:
        assert process.wait() == 3
        assert "RuntimeError: out of range" in process.stderr.read()


def test_without_a_display_one_sentence_names_what_needs_none(smoke_run, monkeypatch, capsys):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert main(["view", f"run={smoke_run}"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("jepa-mpc view: a window needs a display with OpenGL") and said.count("\n") == 1
    assert "record=FILE" in said


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["record=film.avi"], "record must end in one of .gif, .mp4, .webp, or in .rrd for Rerun, got 'film.avi'"),
        (["record=film"], "record must end in one of .gif, .mp4, .webp, or in .rrd for Rerun, got 'film'"),
        (["record="], "'view.record=' must name a file"),
        (["episode=1000"], "view.episode must be a whole number in 0..999, got 1000"),
        (["output=x"], "view has no output folder, got output=x: record=FILE names its file"),
        (["actor.learn_online=true"], "set actor.learn_online=false"),
        (["scenario=tour"], "in a window people are what happens, got scenario=tour"),
        (["record=x.gif", "scenario=shove"], "has nothing: choose another scenario"),
    ],
)
def test_what_cannot_be_shown_is_one_sentence_and_nothing_is_written(
    smoke_run, tmp_path, monkeypatch, capsys, asked, said
):
    monkeypatch.chdir(tmp_path)
    assert main(["view", f"run={smoke_run}", *asked]) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_it_needs_a_run(capsys):
    assert main(["view"]) == 2
    assert "view needs the folder of a finished run, as in `jepa-mpc view run=runs/demo`" in capsys.readouterr().err


def test_a_film_that_lacks_a_package_is_one_sentence(smoke_run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(view, "missing_plugin", lambda _: "mp4 films need the extra 'video'")
    assert main(["view", f"run={smoke_run}", f"record={tmp_path}/x.mp4"]) == 2
    assert "mp4 films need the extra 'video'; or record another kind of file" in capsys.readouterr().err


def test_a_task_that_the_viewer_cannot_show_is_one_sentence(smoke_run, monkeypatch, capsys):
    monkeypatch.setattr("agent.evaluation.view.window.check_display", lambda: None)
    monkeypatch.setattr(view, "Viewable", type("Nothing", (), {}))
    assert main(["view", f"run={smoke_run}"]) == 2
    assert (
        "jepa-mpc/Reach-v0 has nothing to show in MuJoCo's viewer: watch it by record=FILE" in capsys.readouterr().err
    )


@drawn
def test_a_film_is_of_the_episode_that_an_evaluation_films(smoke_run, tmp_path, capsys):
    file = tmp_path / "a film" / "it's 3.gif"
    assert main(["view", f"run={smoke_run}", f"record={file}", "episode=3"]) == 0
    assert "episode 3 of validation, seed 2000000003: " in capsys.readouterr().out
    assert list(file.parent.iterdir()) == [file]
    config = compose_config([], base=read_config(smoke_run))
    filmed, other = film_episodes(
        [2_000_000_003, 2_000_000_004],
        agent="actor",
        make_task=task_factory(config),
        make_policy=PolicyFactory(run_folder=smoke_run, config=config.plain()),
        folder=tmp_path / "evaluated",
        video_format="gif",
    )
    assert file.read_bytes() == filmed.read_bytes() != other.read_bytes()


@drawn
@pytest.mark.parametrize("film_format", FILM_FORMATS)
def test_the_suffix_says_what_film_it_is(smoke_run, tmp_path, film_format):
    if missing := missing_plugin(film_format):
        pytest.skip(missing)
    file = tmp_path / f"x.{film_format}"
    assert main(["view", f"run={smoke_run}", f"record={file}"]) == 0
    frames = np.stack(list(iio.imiter(file, plugin="FFMPEG" if film_format == "mp4" else "pillow")))[..., :3]
    assert frames.shape[1:] == (320, 320, 3) and len(frames) > 10
    assert np.abs(frames[0].astype(int) - frames[-1]).max() > 50  # something moved


@drawn
def test_a_film_that_fails_leaves_what_was_there(smoke_run, tmp_path, monkeypatch):
    file = tmp_path / "x.gif"
    file.write_bytes(b"before")

    def fail(*_, **__):
        raise UserError("no more colours")

    monkeypatch.setattr("agent.evaluation.pictures.files.iio.imwrite", fail)
    assert main(["view", f"run={smoke_run}", f"record={file}"]) == 2
    assert file.read_bytes() == b"before" and list(tmp_path.iterdir()) == [file]


def test_where_nothing_renders_a_film_is_one_sentence(smoke_run, tmp_path, monkeypatch, capsys):
    def fail(_):
        raise NothingRenders("no driver")

    monkeypatch.setattr("envs.arm.task.ArmTask.picture", fail)
    assert main(["view", f"run={smoke_run}", f"record={tmp_path}/x.gif"]) == 2
    assert capsys.readouterr().err == "jepa-mpc view: no driver\n"
    assert not list(tmp_path.iterdir())


def test_a_recording_for_rerun_is_of_the_same_episode(smoke_run, tmp_path, capsys):
    chunk = pytest.importorskip("rerun.chunk", reason="rerun-sdk is missing, or too old to read back")
    file = tmp_path / "x.rrd"
    assert main(["view", f"run={smoke_run}", f"record={file}", "episode=3"]) == 0
    assert "episode 3 of validation, seed 2000000003: " in capsys.readouterr().out
    entities = {part.entity_path for part in chunk.RrdReader(str(file)).stream().to_chunks()}
    assert {"/readings/tip", "/goal/tip", "/distance/tip", "/agent/embedding", "/agent/plan/imagined"} <= entities


def test_without_rerun_one_sentence_names_the_extra(smoke_run, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "rerun", None)
    assert main(["view", f"run={smoke_run}", f"record={tmp_path}/x.rrd"]) == 2
    assert "`pip install 'jepa-mpc[rerun]'`" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
