import os
import subprocess
import sys
from pathlib import Path

import pytest

from envs.rendering import BACKENDS, FIXES, choice, choose_backend, make_renderer, probe_backend
from envs.rendering.probe import Probe
from envs.simulator import mujoco

ENV = (
    'env = gymnasium.make("envs:jepa-mpc/Reach-v0", render_mode="rgb_array", width=32, height=32)\nenv.reset(seed=0)\n'
)


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    """The environment of a process that finds no graphics library, whatever this machine has."""
    for package in ("OpenGL", "glfw"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("raise ImportError('there is none')")
    kept = {name: value for name, value in os.environ.items() if name not in ("MUJOCO_GL", "_JEPA_MPC_RENDERERS")}
    return {**kept, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}


@pytest.fixture
def unchosen(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """As if this process had not rendered yet, with a say in what probes find."""
    monkeypatch.setenv("_JEPA_MPC_RENDERERS", "{}")  # what is chosen in a test ends with it
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    return monkeypatch


def rates(**frames_per_second: float):
    """A machine on which only these backends render, at these rates."""

    def probe(backend: str) -> Probe:
        rate = frames_per_second.get(backend)
        message = f"{backend} does not render" if rate is None else f"{backend} renders {rate} frames/s"
        return Probe(backend, rate, message)

    return probe


def run(script: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", f"import gymnasium\nfrom envs.rendering import *\n{script}"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_probe_measures_what_renders_and_says_what_helps_where_nothing_is_drawn(backend: str) -> None:
    probe = probe_backend(backend)
    assert probe.backend == backend
    assert "\n" not in probe.message
    if probe.works:
        assert probe.frames_per_second > 1
    else:
        assert probe.message.startswith(f"{backend} does not render (")
        assert probe.message.endswith(f"): {FIXES[backend]}; raycast renders everywhere")


def test_a_folder_of_the_users_that_is_called_as_ours_is_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / "envs").mkdir()
    (tmp_path / "envs" / "__init__.py").touch()
    script = "from envs.rendering import *; print(probe_backend('egl').message)"
    command = [sys.executable, "-P", "-c", script]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "envs.rendering" not in done.stdout


def test_rays_render_everywhere() -> None:
    assert probe_backend("raycast").works


def test_without_a_graphics_library_rays_are_chosen_and_announced_once(bare: dict[str, str]) -> None:
    done = run(f"{ENV}print(env.render().std() > 10, choose_backend())\nenv.close()\nenv.render()", bare)
    assert done.stdout == "True raycast\n"
    assert done.stderr.startswith("rendering with raycast: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(("named", "asked"), [("egl", "auto"), ("vulkan", "raycast")])
def test_rays_render_whatever_mujoco_was_told(bare: dict[str, str], named: str, asked: str) -> None:
    script = f"print(choose_backend({asked!r}))\n{ENV}print(env.render().std() > 10)"
    done = run(script, {**bare, "MUJOCO_GL": named})
    assert done.stdout == "raycast\nTrue\n", done.stderr


def test_a_backend_that_is_asked_for_and_missing_is_one_sentence_with_its_fix(bare: dict[str, str]) -> None:
    script = """
for backend in FIXES:
    try:
        choose_backend(backend)
    except NothingRenders as error:
        print(error)
"""
    sentences = run(script, bare).stdout.splitlines()
    for backend, sentence in zip(FIXES, sentences, strict=True):
        assert sentence.startswith(f"{backend} does not render (")
        assert sentence.endswith(f"): {FIXES[backend]}; raycast renders everywhere")


def test_workers_render_with_what_was_chosen_and_announce_nothing(bare: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "drawing.py").write_text(
        f"import gymnasium\nfrom envs.rendering import choose_backend\n{ENV}\n"
        "def draw(seed):\n    env.reset(seed=seed)\n    return choose_backend(), env.render().sum()\n"
        "def make_draw():\n    return draw\n"
    )
    script = """
from envs.episodes.parallel import parallel_map
from drawing import make_draw
choose_backend()
print(set(name for name, _ in parallel_map(
    make_draw, range(6), num_workers=2, chunk_size=1, description="drawing", unit="picture")))
"""
    done = run(script, bare)
    assert done.stdout == "{'raycast'}\n", done.stderr
    assert done.stderr.count("rendering with") == 1


def test_the_first_that_renders_is_chosen(unchosen: pytest.MonkeyPatch) -> None:
    unchosen.setattr(choice, "probe_backend", rates(osmesa=900, glfw=1000, raycast=2000))
    assert choose_backend() == "osmesa"


def test_mujoco_gl_decides_where_nothing_is_asked_for(unchosen: pytest.MonkeyPatch) -> None:
    unchosen.setattr(choice, "probe_backend", rates(egl=1000, osmesa=900, raycast=2000))
    unchosen.setenv("MUJOCO_GL", "osmesa")
    assert choose_backend() == "osmesa"
    assert choose_backend("egl") == "egl"


def test_a_backend_that_is_asked_for_changes_nothing_where_none_is(
    unchosen: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    unchosen.setattr(choice, "probe_backend", rates(egl=1000, raycast=2000))
    assert choose_backend("raycast") == "raycast"
    assert choose_backend("raycast") == "raycast"
    assert capsys.readouterr().err == "rendering with raycast: 2,000 frames/s at 64 pixels\n"
    assert choose_backend() == "egl"
    assert choose_backend("egl") == "egl"
    assert capsys.readouterr().err == "rendering with egl: 1,000 frames/s at 64 pixels\n"


@pytest.mark.parametrize("named", ["vulkan", "osmesa"])
def test_where_mujoco_gl_names_nothing_that_renders_it_is_told(
    unchosen: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], named: str
) -> None:
    unchosen.setattr(choice, "probe_backend", rates(egl=1000, raycast=2000))
    unchosen.setenv("MUJOCO_GL", named)
    assert choose_backend() == "raycast"
    told = f"(MUJOCO_GL={named} is none of egl, osmesa, glfw, or does not render here)"
    assert capsys.readouterr().err == f"rendering with raycast: 2,000 frames/s at 64 pixels {told}\n"


@pytest.mark.parametrize(
    ("machine", "told"),
    [
        ({"egl": 300.0, "raycast": 2000.0}, "rendering with egl: 300 frames/s at 64 pixels"),
        (
            {"egl": 40.0, "glfw": 90.0, "raycast": 2000.0},
            "rendering with egl: 40 frames/s at 64 pixels, which is slow: raycast renders 2000.0 frames/s",
        ),
        (
            {"egl": 40.0, "raycast": 30.0},
            "rendering with egl: 40 frames/s at 64 pixels, which is slow, and nothing else here is faster",
        ),
    ],
)
def test_a_slow_backend_is_told_with_what_is_faster(
    unchosen: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], machine: dict[str, float], told: str
) -> None:
    unchosen.setattr(choice, "probe_backend", rates(**machine))
    assert choose_backend() == "egl"
    assert capsys.readouterr().err == f"{told}\n"


def test_a_backend_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match="one of egl, osmesa, glfw, raycast, or auto, got 'vulkan'"):
        choose_backend("vulkan")
    model = mujoco.MjModel.from_xml_string('<mujoco><worldbody><camera name="a"/></worldbody></mujoco>')
    with pytest.raises(ValueError, match="one of egl, osmesa, glfw, raycast, got 'vulkan'"):
        make_renderer(model, camera="a", width=8, height=8, backend="vulkan")
