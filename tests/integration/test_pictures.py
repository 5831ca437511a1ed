"""What a run leaves for people to look at, where the agent sees by a camera."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from agent.evaluation.scenarios.types import StagedTask
from agent.run.cli import main
from agent.run.config.composing import compose_config
from agent.run.config.saved import read_config
from agent.run.stages import pictures
from agent.run.stages.loading import load_modules
from agent.run.stages.pictures import load_interpreter
from agent.run.stages.vision import configured_task
from world_model.training.checkpoint import load_checkpoint

RUN = [
    "run",
    "env=reach",
    "observation=pixels",
    "observation.image_size=16",
    "renderer=raycast",
    "experiment=smoke",
    "collect.num_episodes=12",
    "collect.num_workers=1",
    "evaluate.num_episodes=1",
    "evaluate.num_workers=1",
    "planner.num_iterations=1",
]
FILM = "videos/actor_2000000000.webp"


@pytest.fixture(scope="module")
def seeing_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("seeing") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("_JEPA_MPC_RENDERERS", raising=False)
        assert main([*RUN, f"output={folder}"]) == 0
    return folder


def colours(path):
    return len(np.unique(np.asarray(Image.open(path).convert("RGB")).reshape(-1, 3), axis=0))


def test_a_run_leaves_pictures_and_films(seeing_run):
    pictures = sorted(path.name for path in (seeing_run / "pictures").iterdir())
    assert pictures[0] == "distance.png"
    assert len(pictures) == 2
    assert pictures[1].startswith("imagined_")
    assert all(colours(seeing_run / "pictures" / name) > 100 for name in pictures)
    film = Image.open(seeing_run / FILM)
    assert (film.size, film.n_frames) == ((664, 528), 50)


def test_the_agent_is_saved_without_the_decoder(seeing_run):
    assert "interpreter" not in load_checkpoint(seeing_run / "agent.safetensors").sections
    assert set(load_checkpoint(seeing_run / "decoder.safetensors").sections) == {"interpreter"}


def test_pictures_that_are_lost_are_drawn_again_and_others_are_not(seeing_run, capsys):
    records = (seeing_run / "records.jsonl").read_bytes()
    maps, decoder = seeing_run / "pictures/distance.png", seeing_run / "decoder.safetensors"
    before, learned = maps.read_bytes(), decoder.stat().st_mtime_ns
    maps.unlink()
    assert main([*RUN, f"output={seeing_run}"]) == 0
    assert maps.read_bytes() == before
    drawn = maps.stat().st_mtime_ns
    assert main([*RUN, f"output={seeing_run}"]) == 0
    assert (maps.stat().st_mtime_ns, decoder.stat().st_mtime_ns) == (drawn, learned)
    assert (seeing_run / "records.jsonl").read_bytes() == records


def test_where_other_goals_cannot_be_shown_no_map_is_drawn_or_named(seeing_run, monkeypatch, capsys):
    maps = seeing_run / "pictures/distance.png"
    before = maps.read_bytes()
    maps.unlink()
    monkeypatch.setattr(pictures, "configured_task", lambda config: StagedTask(configured_task(config)))
    assert main([*RUN, f"output={seeing_run}"]) == 0
    assert not maps.exists()
    told = capsys.readouterr().out
    assert "imagined_" in told and "distance.png" not in told and "no pictures" not in told
    maps.write_bytes(before)


def test_a_decoder_that_another_model_has_taught_is_not_used(seeing_run, tmp_path):
    shutil.copy(seeing_run / "decoder.safetensors", tmp_path)
    config = compose_config([], base=read_config(seeing_run))
    modules = load_modules(config, seeing_run / "agent.safetensors")
    assert load_interpreter(config, modules.world_model, modules.spec, tmp_path) is not None
    with torch.no_grad():
        next(modules.world_model.parameters()).add_(1.0)
    assert load_interpreter(config, modules.world_model, modules.spec, tmp_path) is None


def test_without_a_decoder_films_show_no_imagination(seeing_run, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("agent.safetensors", "config.yaml"):
        shutil.copy(seeing_run / name, folder)
    assert main(["evaluate", f"run={folder}", f"output={tmp_path}/found"]) == 0
    assert Image.open(tmp_path / "found" / FILM).size == (664, 350)


def test_without_examples_or_cameras_nothing_is_drawn(seeing_run, smoke_run, tmp_path):
    command = ["train", f"data={seeing_run}/data", *RUN[2:6], "pictures.num_examples=0", f"output={tmp_path}/model"]
    assert main(command) == 0
    for folder in (tmp_path / "model", smoke_run):
        assert (folder / "agent.safetensors").is_file()
        assert not any((folder / name).exists() for name in ("pictures", "decoder", "decoder.safetensors"))
