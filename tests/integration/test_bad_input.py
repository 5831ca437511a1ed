"""Whatever a user gets wrong is one sentence on stderr and exit code 2; nothing is executed, nothing is lost."""

import errno
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from agent import load_agent
from agent.run.cli import main
from agent.run.config.composing import ConfigError
from agent.run.stages.lock import locked
from envs.rendering import FIXES, available_backends, choose_backend

SMALL = ["renderer=raycast", "observation.image_size=16"]
DISCRETE = ["run", "latent=discrete", "output=out"]
FUTURES = ["configurator.futures.num_futures=4"]
MEMORY = ["run", "predictor=memory", "world_model.context_length=2", "output=out"]
PIXELS = ["run", "observation=pixels", "renderer=raycast", "output=out"]


@pytest.fixture(scope="module", autouse=True)
def announced():
    """What draws is said once a command, and has been said."""
    choose_backend("raycast")


def copy(run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    return folder


def complaint(capsys, arguments):
    """Returns the one sentence that a user's mistake gets."""
    assert main(arguments) == 2
    told = capsys.readouterr().err.strip().splitlines()
    sentence = "\n".join(line for line in told if not line.startswith("rendering with "))  # which says what draws
    assert sentence.startswith("jepa-mpc") and "\n" not in sentence and "Traceback" not in sentence
    return sentence


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rnu"], "there is no command 'rnu'; there are: run, collect"),
        (["run", "planer.num_samples=1"], "did you mean 'planner.num_samples'"),
        (["run", "env=ant"], "there is no env 'ant'"),
        (["run", "--verbose"], "there is no option '--verbose'"),
        (
            [
                "run",
                "env=push",
                "observation=pixels",
                "renderer=raycast",
                "dynamics_training.num_steps=0",
                "output=out",
            ],
            "dynamics_training.num_steps must be above 0 where training.persistence_weight is, got 0",
        ),
        (
            [
                "run",
                "env=push",
                "observation=pixels",
                "renderer=raycast",
                "training.persistence_weight=0",
                "output=out",
            ],
            "world_model.goal_dim must be null where training.persistence_weight is 0, got 2",
        ),
        (
            ["run", "env=push", "observation=pixels", "renderer=raycast", "world_model.goal_dim=23", "output=out"],
            "world_model.goal_dim must be at most 22, got 23: the last 2 of camera_dim=24 numbers tell where the",
        ),
        (
            ["run", "env=push", "observation=pixels", "renderer=raycast", "world_model.camera_dim=4", "output=out"],
            "world_model.camera_dim must be above 4 where training.persistence_weight is above 0, got 4",
        ),
        (
            ["run", "env=push", "observation=pixels", "renderer=raycast", "training.persistent_dim=1", "output=out"],
            "training.persistent_dim must be at least 2, got 1: a place takes 2 numbers",
        ),
        (
            [
                "run",
                "env=push",
                "observation=pixels",
                "renderer=raycast",
                "world_model.embed_dims={fixed_camera: 3}",
                "output=out",
            ],
            "world_model.embed_dims must name no camera where training.persistence_weight is above 0, got fixed_camera",
        ),
        (
            [
                "run",
                "env=push",
                "observation=pixels",
                "renderer=raycast",
                "world_model.embed_dims={nonsense: 3}",
                "output=out",
            ],
            "world_model.embed_dims must name sensors among ['fixed_camera'], got 'nonsense'",
        ),
        (["run", "seed=1000"], "seed must be a whole number in 0..999, got 1000"),
        (["run", "planner.num_elites=1000", "output=out"], "num_elites must be in"),
        (["run", "training.learning_rate=-1", "output=out"], "learning_rate"),
        (
            ["run", "evaluate.fail_under=95", "output=out"],
            "evaluate.fail_under must be a number in 0..1, or null, got 95",
        ),
        (
            ["run", "evaluate.video_format=avi", "output=out"],
            "evaluate.video_format must be one of gif, mp4, webp, got",
        ),
        (["run", "env=push", "world_model.embed_dims={tip: 3}", "output=out"], "must perceive what goals ask for"),
        (
            ["run", "env=push", "critic.delta_step.learning.num_ahead=100", "output=out"],
            "the critic 'delta_step' looks 100 model steps ahead, 400 control steps, and the longest episode has 60",
        ),
        (["run", "env=push", "training.rollout_length=100", "output=out"], "training.rollout_length=100 and"),
        (["run", "env=push", "configurator.horizon=0", "output=out"], "horizon must be at least 1, got 0"),
        (["run", "scenario=tour", "scenario.num_targets=99", "output=out"], "num_targets=99 do not fit"),
        (["run", "env=push", "policy.learning.num_imitated=20", "output=out"], "at most configurator.horizon=5"),
        (["run", "env=push", "critic.cost_to_go.learning.expectile=2", "output=out"], "critic.cost_to_go.learning.exp"),
        (["run", "env=push", "policy=null", "output=out"], "without a policy the mode must be planning"),
        (["run", "env=push", "critic=[]", "output=out"], "a policy learns from a critic"),
        (["run", "env=push", "cost=[goal_distance]", "cost.novelty.weight=1", "output=out"], "cost.novelty.weight"),
        (["run", "scenario=shove", "output=out"], "shove"),
        (["run", "planner=gradient", "evaluate.oracle=1", "output=out"], "the oracle model simulates, so it has no"),
        (["run", "planner=collocation", "evaluate.oracle=1", "output=out"], "the oracle model simulates, so it"),
        ([*PIXELS, "observation.image_size=10"], "image_size must be in 16..512 pixels, got 10"),
        (
            [*PIXELS, "observation.image_size=18"],
            "image_encoder: height and width must be multiples of 4 pixels, got 18 x 18",
        ),
        ([*PIXELS, "image_encoder=vit", "observation.image_size=36"], "multiples of 8 pixels, got 36 x 36"),
        ([*PIXELS, "observation.cameras=[front]"], "observation.cameras must be among ['fixed', 'wrist'], got 'front'"),
        ([*PIXELS, "observation.cameras=[fixed,fixed]"], "observation.cameras must be a list of different names"),
        (
            ["run", "observation.cameras=[fixed]", "output=out"],
            "observation.cameras must be [] where observation=state, got ['fixed']",
        ),
        (
            [*PIXELS, "observation.cameras=[]"],
            "observation.cameras must name a camera where observation=pixels, got []",
        ),
        (
            [*PIXELS, "renderer.backends=[vulkan]"],
            "renderer.backends: backend must be one of egl, osmesa, glfw, raycast, or",
        ),
        ([*PIXELS, "renderer.backends=[]"], "renderer.backends must be a list of different names, got ()"),
        (
            [*PIXELS, "world_model.embed_dims={tip: 3}"],
            "embed_dims must name sensors among ['fixed_camera'], got 'tip'",
        ),
        (
            [*PIXELS, "cost=[goal_distance,workspace]", "cost.workspace.weight=1"],
            "among the numbers that the agent sees of jepa-mpc/Reach-v0, [], got 'tip'",
        ),
        (
            [*PIXELS, "cost=[goal_distance,speed]", "cost.speed.weight=1"],
            "among the numbers that the agent sees of jepa-mpc/Reach-v0, [], got 'tip'",
        ),
        ([*PIXELS, "scenario=tour"], "a tour asks for places of the tip, so the agent must feel where it is"),
        (
            [*PIXELS, "env=push", "scenario=hidden_sensor"],
            "so ['block_orientation', 'block_position', 'block_velocity']",
        ),
        ([*PIXELS, "training.augmentation.max_shift=-1"], "training.augmentation.max_shift must be at least 0, got -1"),
        ([*PIXELS, "training.augmentation.max_shift=64"], "must be below observation.image_size=64"),
        ([*PIXELS, "image_encoder.channels=0"], "image_encoder: channels must be at least 1, got 0"),
        (["run", "predictor.hidden_dim=0", "output=out"], "hidden_dim must be at least 1, got 0"),
        (
            [*MEMORY, "world_model.context_length=1"],
            "world_model.context_length must be at least 2 with predictor=memory, better 8: what to write is learned "
            "from how a frame of a context differs from its prediction, got 1",
        ),
        ([*MEMORY, "predictor.num_slots=0"], "num_slots must be at least 1, got 0"),
        (
            [*MEMORY, "predictor.num_slots=100000"],
            "num_slots * value_dim must be at most 65536, as each candidate of a planner carries a memory of its own, "
            "got 100000 * 16",
        ),
        ([*DISCRETE, "latent.num_values=0"], "latent: num_values must be at least 1, got 0"),
        ([*DISCRETE, "latent.weight=-1"], "latent: weight must be at least 0 and finite, got -1"),
        ([*DISCRETE, "latent.sensors=[block]"], "latent: sensors must name blocks among ['joint_position', 'joint_"),
        ([*DISCRETE, "latent.sensors=[]"], "latent: sensors must name at least one of the blocks ["),
        (["run", "latent=gaussian", "latent.num_dims=0", "output=out"], "latent: num_dims must be at least 1, got 0"),
        (
            [*DISCRETE, *FUTURES, "configurator.futures.share=0"],
            "share must be above 0 and at most 1 and finite, got 0",
        ),
        ([*DISCRETE, *FUTURES, "configurator.futures.share=1.5"], "share must be above 0 and at most 1 and finite"),
        (["run", *FUTURES, "output=out"], "futures.num_futures=1 and configurator.futures.count=mean, got"),
        (["run", "regularizer=infonce", "regularizer.weight=0", "output=out"], "regularizer.weight must be above 0"),
        (
            [*PIXELS, "regularizer=reconstruction", "regularizer.channels=[8,8,8,8,8,8,8,8]"],
            "regularizer.channels must name the sizes of at most 7 images for a camera of 64 x 64 pixels, got 8",
        ),
        (["run", "collect.num_episodes=1", "output=out"], "training needs at least 2 episodes"),
        (["run", "training.device=tpu", "output=out"], "training.device must be one of auto, cpu, cuda, got 'tpu'"),
        (["collect", "num_episodes=0"], "collect.num_episodes must be a whole number in 1..1000000, got 0"),
        (["collect", "num_workers=0"], "num_workers"),
        (["train"], "train needs a folder of episodes"),
        (["train", "data=nowhere"], "nowhere"),
        (["evaluate"], "evaluate needs the folder of a finished run"),
        (["evaluate", "run=nowhere"], "'nowhere' is no run folder"),
        (["check-data"], "check-data takes one folder"),
        (["check-data", "nowhere"], "nowhere"),
        (["doctor", "please"], "doctor takes no arguments"),
    ],
)
def test_a_mistake_on_the_command_line(capsys, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert message in complaint(capsys, arguments)
    assert not (tmp_path / "out").exists()  # nothing is in the way of the same command, corrected


def test_a_gpu_that_is_not_there_stops_a_training_and_no_evaluation(capsys, smoke_run, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    out = tmp_path / "out"
    assert "torch finds no CUDA GPU here" in complaint(capsys, ["run", "training.device=cuda", f"output={out}"])
    assert not out.exists()
    trained_elsewhere = copy(smoke_run, tmp_path)
    config = trained_elsewhere / "config.yaml"
    config.write_text(config.read_text().replace("device: auto", "device: cuda"))
    assert "device: cuda" in config.read_text()
    command = ["evaluate", f"run={trained_elsewhere}", f"output={out}", "num_episodes=1", "num_workers=1", "videos=0"]
    assert main(command) == 0


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["num_episodes=1001"], "evaluate.num_episodes must be a whole number in 1..1000, got 1001"),
        (["goals=pictures"], "evaluate.goals must be one of task, episodes, got pictures"),
        (["goals=episodes", "offset=1001"], "evaluate.offset must be a whole number in 1..1000, got 1001"),
        (["scenario=altered", "scenario.mass=0"], "mass must be"),
        (["split=training"], "evaluate.split must be one of evaluation, validation, got training"),
        (["planner.num_elites=1000"], "num_elites must be in"),
        (["configurator.horizon=0"], "horizon must be at least 1, got 0"),
        (["cost.goal_distance.weight=-1"], "cost.goal_distance.weight must be a number of at least 0, got -1"),
        (["cost.goal_distance.weight=0"], "at least one cost weight must be above 0"),
        (
            ["configurator.num_evaluations=many"],
            "configurator.num_evaluations must be a whole number, or null, got many",
        ),
        (["configurator.milliseconds=20", "split=evaluation"], "evaluate.split=evaluation is for the record"),
        (["first_entry=1000"], "evaluate.first_entry must be a whole number in 0..999, got 1000"),
        (["first_entry=999", "num_episodes=2"], "num_episodes=2 from first_entry=999 on must lie within the 1000"),
        (["fail_under=0.9", "num_episodes=20"], "fail_under=0.9 cannot be decided by num_episodes=20: if all of them"),
        (["fail_under=0.9", "num_episodes=20"], "it takes at least 36 episodes"),
        (["fail_under=1"], "no number of episodes is enough"),
        (
            ["configurator.milliseconds=many"],
            "configurator.milliseconds must be a number, or null, got many",
        ),
        (["configurator.chunk_size=0"], "chunk_size must be a whole number of at least 1, or null, got 0"),
        (["configurator.chunk_size=true"], "configurator.chunk_size must be a whole number, or null, got true"),
        (["planner=[cem]"], "planner must be one name, as in planner="),
        (["planner=beam_search", "planner.num_levels=30"], "num_levels must make a grid of at most 10000 actions"),
        (["planner.num_knots=1.5"], "planner.num_knots must be a whole number, or null, got 1.5"),
        (["fail_under=95"], "evaluate.fail_under must be a number in 0..1, or null, got 95"),
        (["planner.num_samples=null"], "planner.num_samples must be a whole number"),
        (["num_workers=0"], "evaluate.num_workers must be a whole number of at least 1, got 0"),
        (["videos=-1"], "evaluate.videos must be a whole number of at least 0, got -1"),
        (["scenario=tour", "scenario.min_spacing=5"], "num_targets=3 do not fit into the workspace with min_spacing=5"),
        (["guardrails.max_speed=0"], "max_speed must be a number above speed_error=0.05, got 0"),
    ],
)
def test_a_value_that_an_evaluation_cannot_use(capsys, smoke_run, tmp_path, overrides, message):
    command = ["evaluate", f"run={smoke_run}", f"output={tmp_path}/out", "videos=0", "num_episodes=1"]
    assert message in complaint(capsys, [*command, *overrides])
    assert not (tmp_path / "out").exists()  # nothing is in the way of the same command, corrected


def test_changes_in_one_text_are_refused(smoke_run):
    with pytest.raises(ConfigError, match=r"changes must be a list, as in \['seed=1'\], or a mapping"):
        load_agent(smoke_run, "seed=1")


def test_what_only_learning_asks_for_is_not_asked_of_a_finished_run(smoke_push_run, tmp_path):
    command = ["evaluate", f"run={smoke_push_run}", f"output={tmp_path}/out", "videos=0", "num_episodes=1"]
    assert main([*command, "configurator.horizon=2"]) == 0  # fewer steps than of a plan were imitated


@pytest.mark.parametrize("planner", ["gradient", "collocation"])
def test_the_oracle_model_has_no_gradients(capsys, smoke_run, tmp_path, planner):
    command = ["evaluate", f"run={smoke_run}", f"output={tmp_path}/out", "videos=0", "num_episodes=1", "oracle=1"]
    assert "the oracle model simulates, so it" in complaint(capsys, [*command, f"planner={planner}"])


def test_an_evaluation_never_overwrites_its_run(capsys, smoke_run):
    assert "another folder than the run's own" in complaint(
        capsys, ["evaluate", f"run={smoke_run}", f"output={smoke_run}"]
    )


class Bomb:
    def __reduce__(self):
        return (os.system, ("touch pwned",))


def test_a_pickle_in_place_of_a_checkpoint_is_refused_and_not_executed(capsys, smoke_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = copy(smoke_run, tmp_path)
    (folder / "agent.safetensors").write_bytes(pickle.dumps(Bomb()))
    assert "is no checkpoint" in complaint(capsys, ["evaluate", f"run={folder}"])
    assert not Path("pwned").exists()


def test_a_truncated_checkpoint_is_refused(capsys, smoke_run, tmp_path):
    folder = copy(smoke_run, tmp_path)
    path = folder / "agent.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    assert "is no checkpoint" in complaint(capsys, ["evaluate", f"run={folder}"])


def test_a_target_in_a_run_folder_is_refused_and_not_executed(capsys, smoke_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = copy(smoke_run, tmp_path)
    config = folder / "config.yaml"
    config.write_text(config.read_text() + "  evil:\n    _target_: os.system\n    command: touch pwned\n")
    assert "holds the key '_target_'" in complaint(capsys, ["evaluate", f"run={folder}"])
    assert not Path("pwned").exists()


def test_a_checkpoint_of_another_environment_is_refused(capsys, smoke_run, tmp_path):
    message = complaint(capsys, ["evaluate", f"run={smoke_run}", "env=push", f"output={tmp_path}/out", "videos=0"])
    assert "the run was made with env=reach, got env=push" in message


def test_a_truncated_dataset_is_refused(capsys, smoke_run, tmp_path):
    folder = copy(smoke_run, tmp_path) / "data"
    path = folder / "observations" / "tip.npy"
    path.write_bytes(path.read_bytes()[:-8])
    assert "tip.npy" in complaint(capsys, ["train", f"data={folder}", f"output={tmp_path}/model"])
    assert "tip.npy" in complaint(capsys, ["check-data", str(folder)])


def test_a_manifest_that_points_elsewhere_is_refused(capsys, smoke_run, tmp_path):
    folder = copy(smoke_run, tmp_path) / "data"
    text = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(text.replace('"tip"', '"../../tip"'))
    assert "manifest.json" in complaint(capsys, ["train", f"data={folder}", f"output={tmp_path}/model"])


def test_a_sound_dataset_passes_its_check(capsys, smoke_run):
    assert main(["check-data", str(smoke_run / "data")]) == 0


def test_a_camera_that_is_not_there_cannot_be_recorded(capsys, tmp_path):
    command = ["collect", "observation=pixels", *SMALL, "observation.cameras=[front]", f"output={tmp_path}/out"]
    assert "cameras must be among ['fixed', 'wrist'], got 'front'" in complaint(capsys, command)


@pytest.mark.parametrize("command", ["run", "collect"])
def test_a_renderer_that_is_not_there_is_one_sentence_with_its_fix(capfd, tmp_path, command):
    absent = [backend for backend in FIXES if backend not in available_backends()]
    if not absent:
        pytest.skip("everything renders here")
    arguments = [command, "observation=pixels", f"renderer={absent[0]}", f"output={tmp_path}/out"]
    sentence = complaint(capfd, arguments)
    assert f"{absent[0]} does not render (" in sentence
    assert sentence.endswith(f"{FIXES[absent[0]]}; raycast renders everywhere")
    assert not (tmp_path / "out" / "config.yaml").exists()


def test_pictures_are_not_learned_from_numbers(capsys, smoke_run, tmp_path):
    command = ["train", f"data={smoke_run}/data", f"output={tmp_path}/model", "observation=pixels", *SMALL]
    sentence = complaint(capsys, command)
    assert "were recorded for an agent that sees tip [3], joint_position [7], joint_velocity [7], with" in sentence


def test_an_output_that_is_a_file_is_refused(capsys, tmp_path):
    (tmp_path / "file").write_text("")
    assert "must be a folder" in complaint(capsys, ["collect", f"output={tmp_path}/file"])


def test_a_full_disk_is_one_sentence_and_what_was_there_stays(capsys, smoke_run, tmp_path, monkeypatch):
    folder = copy(smoke_run, tmp_path)
    before = (folder / "results.json").read_bytes()
    write_bytes = Path.write_bytes

    def full(path, content):
        if path.name != ".results.json.draft":
            return write_bytes(path, content)
        write_bytes(path, content[:10])
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    command = [
        "run",
        "env=reach",
        "experiment=smoke",
        "evaluate.videos=0",
        "planner.num_iterations=2",
        f"output={folder}",
    ]
    assert "the disk is full" in complaint(capsys, command)
    assert (folder / "results.json").read_bytes() == before


def test_data_that_were_changed_are_not_trained_on(capsys, smoke_run, tmp_path):
    folder = copy(smoke_run, tmp_path) / "data"
    content = bytearray((folder / "actions.npy").read_bytes())
    content[-1] ^= 1
    (folder / "actions.npy").write_bytes(content)
    assert "actions.npy was changed" in complaint(capsys, ["train", f"data={folder}", f"output={tmp_path}/model"])


def test_two_commands_do_not_work_in_one_folder(capsys, smoke_run, tmp_path):
    folder = copy(smoke_run, tmp_path)
    with locked(folder):
        command = [
            "run",
            "env=reach",
            "experiment=smoke",
            "evaluate.videos=0",
            "planner.num_iterations=2",
            f"output={folder}",
        ]
        assert "another jepa-mpc command is at work" in complaint(capsys, command)


def test_an_evaluation_into_a_folder_that_holds_something_else_is_refused(capsys, smoke_run):
    assert "is neither" in complaint(capsys, ["evaluate", f"run={smoke_run}", f"output={smoke_run}/data"])


@pytest.mark.parametrize("line", [b'{"agent": "actor"}', b"[1]", b"\xff\xfe", b'{"agent": "actor", "episode": 3}'])
def test_a_damaged_record_is_run_again(smoke_run, tmp_path, line):
    folder = copy(smoke_run, tmp_path)
    records = (folder / "records.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "records.jsonl").write_bytes(b"".join(records[:-1]) + line + b"\n")
    assert (
        main(
            [
                "run",
                "env=reach",
                "experiment=smoke",
                "evaluate.videos=0",
                "planner.num_iterations=2",
                f"output={folder}",
            ]
        )
        == 0
    )
    agents = [json.loads((run / "results.json").read_text())["agents"] for run in (folder, smoke_run)]
    assert agents[0] == agents[1]


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_ctrl_c_says_so_and_the_same_command_goes_on(smoke_run, tmp_path):
    output = tmp_path / "run"
    arguments = [
        "run",
        "env=reach",
        "experiment=smoke",
        "evaluate.videos=0",
        "planner.num_iterations=2",
        f"output={output}",
    ]
    command = [sys.executable, "-m", "agent.run.cli", *arguments]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 120
    while not (output / "records.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in stderr and "Traceback" not in stderr
    assert main(arguments) == 0
    agents = [json.loads((folder / "results.json").read_text())["agents"] for folder in (output, smoke_run)]
    assert agents[0] == agents[1]
