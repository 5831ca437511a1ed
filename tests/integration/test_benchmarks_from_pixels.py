"""The benchmarks of finished runs, on one whose agent sees nothing but pictures."""

import json

import pytest
from omegaconf import OmegaConf

from agent.evaluation.seeds import episode_seeds
from agent.run.stages.finished_run import load_modules_for
from agent.run.stages.vision import configured_task
from benchmarks.agent import ablation, disturbances
from benchmarks.agent.finished_runs import FinishedRun
from benchmarks.agent.rank_correlation import expert_ways


@pytest.fixture
def run(smoke_pixels_run, tmp_path):
    return FinishedRun(smoke_pixels_run, output=tmp_path, num_workers=1)


def test_an_ablation_measures_an_agent_that_sees(run):
    row = ablation.make_rows(run, num_evaluations=4)[0]
    ablation.ablate(
        run, [row], OmegaConf.create({"tuned": None, "num_episodes": 1, "num_evaluations": 4, "split": "validation"})
    )
    (found,) = json.loads((run.output / ablation.FILE).read_text())["rows"]
    assert (found["name"], found["evaluations_per_step"]) == (row.name, 4)


def test_disturbances_hide_the_camera_and_leave_out_what_the_task_does_not_have(run, monkeypatch, capsys):
    asked = [f"run={run.folder}", f"output={run.output}", "num_episodes=1", "num_workers=1", "split=validation"]
    monkeypatch.setattr("sys.argv", ["disturbances", *asked])
    disturbances.main()
    found = json.loads((run.output / disturbances.FILE).read_text())
    assert found["scenarios"].keys() == {"undisturbed", "hidden_sensor"}
    assert found["left_out"].keys() == {"shove", "tour"}
    assert "shove is left out: a shove needs something that can be displaced" in capsys.readouterr().out


def test_the_way_of_an_expert_is_seen_by_the_runs_camera(run):
    task = configured_task(run.config)
    modules = load_modules_for(task, run.config, run.folder)
    (way,) = expert_ways(run.config, task, modules, episode_seeds("validation", 1))
    ends = way.embeddings[[0, -1]] - way.goal.embedding
    assert way.num_steps > 2 and ends[1].norm() < ends[0].norm()
