import os
import resource
import subprocess
import sys
from functools import partial
from pathlib import Path

import gymnasium
import numpy as np
import pytest

import envs  # noqa: F401
from envs.episodes.parallel import parallel_map
from envs.rendering import available_backends, make_renderer, probe_backend


def resident_megabytes() -> float:
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return int(statm.read_text().split()[1]) * resource.getpagesize() / 2**20


class Artist:
    """Draws short episodes, with new renderers at every tenth, and weighs its process."""

    def __init__(self, backend: str) -> None:
        self.env = gymnasium.make("jepa-mpc/Push-v0").unwrapped
        self.backend = backend
        self.renderers = []
        self.num_episodes = 0

    def __call__(self, seed):
        if self.num_episodes % 10 == 0:
            for renderer in self.renderers:
                renderer.close()
            self.renderers = [
                make_renderer(self.env.model, camera=camera, width=32, height=32, backend=self.backend)
                for camera in ("fixed", "wrist")
            ]
        self.num_episodes += 1
        self.env.reset(seed=seed)
        self.env.action_space.seed(seed)
        images = []
        for _ in range(3):
            self.env.step(self.env.action_space.sample())
            images.append([renderer.image(self.env.data) for renderer in self.renderers])
        return np.array(images), os.getpid(), resident_megabytes()


def draw(backend: str, num_episodes: int, *, num_workers: int):
    return list(
        parallel_map(
            partial(Artist, backend),
            range(num_episodes),
            num_workers=num_workers,
            chunk_size=1,
            description="drawing",
            unit="episode",
        )
    )


@pytest.fixture(params=["egl", "osmesa", "glfw", "raycast"])
def backend(request: pytest.FixtureRequest) -> str:
    """Each of those that render on this machine."""
    if request.param not in available_backends():
        pytest.skip(f"{request.param} does not render on this machine")
    return request.param


def test_workers_draw_the_same_pictures_at_any_parallelism(backend: str) -> None:
    alone, together = (draw(backend, 6, num_workers=num_workers) for num_workers in (1, 2))
    for (images, *_), (others, *_) in zip(alone, together, strict=True):
        assert images.shape == (3, 2, 32, 32, 3)
        assert images.std() > 10
        np.testing.assert_array_equal(images, others)


@pytest.mark.parametrize("num_episodes", [150, pytest.param(1000, marks=pytest.mark.slow)])
def test_the_memory_of_a_worker_stays_flat(backend: str, num_episodes: int) -> None:
    """What leaks, leaks at every renewal; a library that loads late does so once."""
    weights: dict[int, list[float]] = {}
    for _, worker, megabytes in draw(backend, num_episodes, num_workers=2):
        weights.setdefault(worker, []).append(megabytes)
    assert os.getpid() not in weights
    for weight in weights.values():
        renewals = weight[len(weight) // 3 :: 10]
        assert np.median(np.diff(renewals)) < 0.1, renewals


def test_a_fork_of_a_process_that_drew_with_opengl_is_told_so_and_ends() -> None:
    if not probe_backend("egl").works:
        pytest.skip("no EGL on this machine")
    script = """
import os, gymnasium, envs
from envs.rendering import NothingRenders, make_renderer
env = gymnasium.make("jepa-mpc/Reach-v0").unwrapped
env.reset(seed=0)
def make(backend):
    return make_renderer(env.model, camera="fixed", width=8, height=8, backend=backend)
by_rays, by_egl = make("raycast"), make("egl")
by_egl.image(env.data)
if os.fork() == 0:
    print(by_rays.image(env.data).any(), flush=True)
    for attempt in (lambda: by_egl.image(env.data), lambda: make("egl")):
        try:
            attempt()
        except NothingRenders as error:
            print(error, flush=True)
    os._exit(0)
os.wait()
by_egl.close()
"""
    environment = {**os.environ, "LP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    sentence = "OpenGL was opened before this process was forked and would hang here: fork first, or spawn"
    assert done.stdout.splitlines() == ["True", sentence, sentence]
