import json
import shutil

import pytest
import yaml

from agent import load_agent
from agent.run.cli import main
from agent.run.config.saved import read_config
from envs.arm.task import make_task
from envs.episodes.rollout import rollout

RUN = ["run", "env=reach", "experiment=smoke", "evaluate.videos=0", "planner.num_iterations=2"]


def results(folder):
    return json.loads((folder / "results.json").read_text())


def test_a_run_leaves_what_others_build_on(smoke_run):
    content = results(smoke_run)
    assert {"checkpoint", "agents", "latency_ms", "versions"} < set(content)
    assert (content["schema"], content["env"], content["observation"]) == (1, "reach", "state")
    assert (content["planner"], content["seed"], content["solved_at_start_redrawn"]) == ("cem", 0, 0)
    assert set(content["agents"]) == {"actor", "random", "zero", "expert"}
    assert set(content["latency_ms"]) == {"p50", "p90", "p99"}
    for agent in content["agents"].values():
        assert {"rate", "low", "high", "n"} == set(agent["success_once"]) == set(agent["success_at_end"])
        assert [set(episode) for episode in agent["episodes"]] == 4 * [
            {"seed", "success_once", "success_at_end", "final_distance_m", "final_angle_rad", "steps_to_success"}
            | {"final_distances", "num_steps", "terminated", "solved_at_start"}
        ]
    assert content["agents"]["expert"]["success_at_end"]["rate"] == 1.0
    assert content["agents"]["zero"]["success_once"]["rate"] == 0.0


def test_a_finished_run_is_not_done_again(smoke_run, capsys):
    before = (smoke_run / "results.json").read_bytes()
    assert main([*RUN, f"output={smoke_run}"]) == 0
    assert (smoke_run / "results.json").read_bytes() == before
    assert "at the end" in capsys.readouterr().out


def test_a_run_is_not_continued_under_another_config(smoke_run, capsys):
    assert main([*RUN, f"output={smoke_run}", "planner.num_samples=33"]) == 2
    assert "planner.num_samples=256, this one has planner.num_samples=33" in capsys.readouterr().err


def test_every_stage_that_is_lost_is_done_again_to_the_same_records(smoke_run, tmp_path):
    agents = results(smoke_run)["agents"]
    for lost in ("data", "training", "records.jsonl"):
        folder = tmp_path / lost
        shutil.copytree(smoke_run, folder)
        shutil.rmtree(folder / lost) if (folder / lost).is_dir() else (folder / lost).unlink()
        assert main([*RUN, f"output={folder}"]) == 0
        assert results(folder)["agents"] == agents


def test_fail_under_compares_the_lower_bound(smoke_run, tmp_path):
    command = ["evaluate", f"run={smoke_run}", "num_episodes=2", "videos=0"]
    assert main([*command, "fail_under=0.15", f"output={tmp_path}/strict"]) == 1
    assert main([*command, "fail_under=0.0", f"output={tmp_path}/lax"]) == 0


def test_results_of_another_split_or_number_of_episodes_never_replace_the_first(smoke_run, tmp_path, capsys):
    run = shutil.copytree(smoke_run, tmp_path / "run")  # who looks at its evaluation split leaves a note in it
    command = ["evaluate", f"run={run}", "videos=0", "num_workers=1", f"output={tmp_path}/x"]
    assert main([*command, "num_episodes=2"]) == 0
    first = [(tmp_path / "x" / name).read_bytes() for name in ("results.json", "config.yaml")]
    for changes, name in (
        (["num_episodes=2", "split=evaluation"], "results_evaluation_2.json"),
        (["num_episodes=1"], "results_validation_1.json"),
        (["num_episodes=2", "first_entry=7"], "results_validation_from_7_2.json"),
    ):
        capsys.readouterr()
        assert main([*command, *changes]) == 0
        assert f"results: {tmp_path / 'x' / name}" in capsys.readouterr().out
        assert len(json.loads((tmp_path / "x" / name).read_text())["agents"]["actor"]["episodes"]) == int(name[-6])
        describes = yaml.safe_load(
            (tmp_path / "x" / name.replace("results", "config").replace("json", "yaml")).read_text()
        )
        assert describes["values"]["evaluate"]["num_episodes"] == int(name[-6])
        assert describes["values"]["evaluate"]["split"] == name.split("_")[1]
    assert [(tmp_path / "x" / name).read_bytes() for name in ("results.json", "config.yaml")] == first
    assert main([*command, "num_episodes=2"]) == 0
    assert len(list((tmp_path / "x").glob("results*"))) == 4


def test_which_episodes_a_run_was_judged_by_is_no_choice_for_what_comes_after_it(smoke_run, tmp_path):
    run = shutil.copytree(smoke_run, tmp_path / "run")
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["values"]["evaluate"] |= {"split": "evaluation", "first_entry": 9}
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    command = ["evaluate", f"run={run}", "videos=0", "num_episodes=1"]
    assert main([*command, f"output={tmp_path}/out"]) == 0
    found = results(tmp_path / "out")
    assert (found["split"], found["first_entry"], found["evaluation_looks"]) == ("validation", 0, 0)
    assert main([*command, "split=evaluation", f"output={tmp_path}/record"]) == 0
    assert "split=evaluation" in (tmp_path / "record" / "report.html").read_text()  # among the commands


def test_looks_at_the_evaluation_split_are_counted(smoke_run, tmp_path):
    run = shutil.copytree(smoke_run, tmp_path / "run")

    def looks(name, *changes):
        command = ["evaluate", f"run={run}", "videos=0", "num_workers=1", "num_episodes=1", f"output={tmp_path}/{name}"]
        assert main([*command, *changes]) == 0
        return results(tmp_path / name)["evaluation_looks"]

    assert looks("validation") == 0
    assert looks("first", "split=evaluation") == 1
    assert looks("again", "split=evaluation", "num_workers=2") == 1  # the same records: nothing new was seen
    assert looks("other_entries", "split=evaluation", "first_entry=5") == 2
    assert looks("other_agent", "split=evaluation", "planner.num_iterations=1") == 3
    assert looks("validation_once_more", "first_entry=1") == 3


def test_beside_a_tour_it_is_said_what_baselines_do_not_know(smoke_run, tmp_path, capsys):
    command = ["evaluate", f"run={smoke_run}", "num_episodes=1", "videos=0", f"output={tmp_path}/tour"]
    assert main([*command, "scenario=tour"]) == 0
    assert (
        "note: baselines get a tour's last goal alone, not the targets that success asks for" in capsys.readouterr().out
    )
    agents = results(tmp_path / "tour")["agents"]
    assert agents["expert"]["success_once"]["rate"] == 0.0
    assert agents["expert"]["interventions"] == {}


def test_push_runs_to_the_end_by_the_same_command(smoke_push_run):
    assert results(smoke_push_run)["env"] == "push"
    assert results(smoke_push_run)["agents"]["expert"]["success_at_end"]["rate"] == 1.0


def test_train_takes_the_environment_from_the_data(smoke_run, tmp_path, capsys):
    command = ["train", f"data={smoke_run}/data", "experiment=smoke"]
    assert main([*command, f"output={tmp_path}/model"]) == 0
    assert main([*command, "env=push", f"output={tmp_path}/other"]) == 2
    assert "are of env=reach, got env=push" in capsys.readouterr().err


def test_a_budget_of_time_is_for_validation_and_marks_the_results(smoke_run, tmp_path):
    command = ["evaluate", f"run={smoke_run}", "num_episodes=1", "videos=0", f"output={tmp_path}/timed"]
    assert main([*command, "split=validation", "configurator.milliseconds=5"]) == 0
    assert results(tmp_path / "timed")["reproducible"] is False
    assert results(smoke_run)["reproducible"] is True


def test_every_plan_keeps_the_limit_that_plans_without_it_exceed(smoke_run):
    limit, tolerance = 0.1, 1e-3
    unhurried = ["configurator.num_evaluations=null", "planner.num_iterations=4"]
    overrides = [*unhurried, f"cost.control_effort.limit={limit}", f"constraints.tolerance={tolerance}"]
    free, limited = planned_efforts(smoke_run, unhurried), planned_efforts(smoke_run, overrides)
    assert min(free) > limit
    assert 0 < max(limited) <= limit * (1 + tolerance)


def planned_efforts(run_folder, overrides, num_steps=10):
    """Returns the control effort of the plan at each step of an episode."""
    agent, efforts = load_agent(run_folder, overrides), []

    class Watched:
        reset = agent.reset

        def act(self, observation):
            action = agent.act(observation)
            efforts.append(agent.state.plan.actions[0].square().mean(dim=1).sum().item())
            return action

    task = make_task(env_id=read_config(run_folder)["values"]["env"]["env_id"], vision=None, film_size=None)
    rollout(task, Watched(), seed=0, num_steps=num_steps)
    return efforts


@pytest.mark.slow
def test_the_main_job_reaches_its_targets(tmp_path):
    assert main(["run", "env=reach", f"output={tmp_path}/reach", "evaluate.videos=0", "evaluate.fail_under=0.95"]) == 0
    agents = results(tmp_path / "reach")["agents"]
    assert agents["random"]["success_at_end"]["rate"] <= 0.05
    assert agents["expert"]["success_at_end"]["rate"] >= 0.99
