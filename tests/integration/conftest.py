"""One whole run in seconds, shared by the tests of what comes after it."""

from pathlib import Path

import pytest

from agent.run.cli import main


@pytest.fixture(scope="session")
def smoke_push_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the folder of a finished run on push, where a model step is several control steps."""
    folder = tmp_path_factory.mktemp("smoke") / "run"
    command = ["run", "env=push", "experiment=smoke", "evaluate.videos=0", "evaluate.num_episodes=1"]
    assert main([*command, f"output={folder}"]) == 0
    return folder


@pytest.fixture(scope="session")
def smoke_pixels_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the folder of a finished run on reach that saw small pictures, and learned next to nothing."""
    folder = tmp_path_factory.mktemp("smoke") / "run"
    seeing = ["observation=pixels", "renderer=raycast", "observation.image_size=16", "training.num_threads=1"]
    brief = ["collect.num_episodes=16", "training.num_steps=30", "pictures.num_examples=0", "planner.num_iterations=2"]
    command = ["run", "env=reach", "experiment=smoke", "evaluate.videos=0", "evaluate.num_episodes=1"]
    assert main([*command, *seeing, *brief, f"output={folder}"]) == 0
    return folder


@pytest.fixture(scope="session")
def smoke_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the folder of a finished run on reach that learned next to nothing."""
    folder = tmp_path_factory.mktemp("smoke") / "run"
    command = ["run", "env=reach", "experiment=smoke", "evaluate.videos=0", "planner.num_iterations=2"]
    assert main([*command, f"output={folder}"]) == 0
    return folder
