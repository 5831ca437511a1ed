"""`jepa-mpc benchmark` and `jepa-mpc compare`, as they are called."""

import json
import shutil

import pytest

from agent import api
from agent.run.cli.commands import main

TASKS = 'tasks=["env=reach","env=reach recipe=state_critic"]'
AGENTS = 'agents=["planner.num_iterations=1","actor.mode=reactive"]'
SMALL = ["experiment=smoke", "evaluate.videos=0", "seeds=[0,1]", "num_episodes=2", "num_workers=1", "split=validation"]


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmark") / "out"
    assert main(["benchmark", TASKS, AGENTS, *SMALL, f"output={folder}"]) == 0
    return folder


def results(folder):
    return json.loads((folder / "results.json").read_text())


def complaint(capsys, arguments):
    assert main(arguments) == 2
    return capsys.readouterr().err


def test_a_benchmark_is_a_table_of_tasks_and_agents_with_every_seed(benchmark):
    rows = {(row["task"], row["agent"]): row for row in results(benchmark)["cells"]}
    assert len(rows) == 4
    assert "without a policy the mode must be planning" in rows["env=reach", "actor.mode=reactive"]["refused"]
    critic = rows["env=reach recipe=state_critic", "actor.mode=reactive"]
    assert critic["pooled"]["success_at_end"]["n"] == 4 and list(critic["seeds"]) == ["0", "1"]
    assert {path.name for path in benchmark.iterdir()} >= {"results.csv", "junit.xml", "report.html"}


def test_each_training_has_entries_of_its_own(benchmark):
    seeds = results(benchmark)["cells"][0]["seeds"]
    assert [run["first_entry"] for run in seeds.values()] == [0, 2]
    agents = [json.loads((benchmark / run["results"]).read_text())["agents"] for run in seeds.values()]
    shown = [{it["seed"] for it in agent["actor"]["episodes"]} for agent in agents]
    assert len(shown[0] | shown[1]) == 4


def test_the_same_command_does_nothing_twice_and_may_have_a_threshold(benchmark, monkeypatch, capsys):
    before = results(benchmark)
    monkeypatch.setattr("agent.run.stages.benchmark.train_alone", None)  # calling it would fail
    assert main(["benchmark", TASKS, AGENTS, *SMALL, f"output={benchmark}", "fail_under=0.39"]) == 1
    assert "is below fail_under=0.39" in capsys.readouterr().out
    assert results(benchmark) == {**before, "fail_under": 0.39}


@pytest.mark.slow
def test_more_seeds_change_nothing_of_those_that_are_there(benchmark, tmp_path):
    folder = shutil.copytree(benchmark, tmp_path / "benchmark")
    shutil.rmtree(folder / "cells")
    asked = ["benchmark", 'tasks=["env=reach"]', 'agents=["planner.num_iterations=1"]', *SMALL, f"output={folder}"]
    assert main([*asked, "seeds=[0]", "num_episodes=3"]) == 0
    assert main(asked) == 0
    seeds = results(folder)["cells"][0]["seeds"]
    assert seeds["0"]["results"].endswith("results_validation_2.json")  # beside those of three episodes
    assert main(["compare", str(folder), str(benchmark), f"output={tmp_path}/out"]) == 0
    assert [pair["rates"][0]["success_at_end"]["n"] for pair in results(tmp_path / "out")["pairs"]] == [2, 2]


def test_a_training_that_is_there_is_not_taken_for_another_one(benchmark, capsys):
    command = ["benchmark", TASKS, AGENTS, *SMALL, f"output={benchmark}", "seeds=[0]", "training.num_steps=21"]
    assert "training.num_steps=" in complaint(capsys, command)


def test_a_folder_that_holds_something_else_is_left_alone(smoke_run, capsys):
    before = (smoke_run / "config.yaml").read_bytes()
    command = ["benchmark", 'tasks=["env=reach"]', AGENTS, *SMALL, f"output={smoke_run}"]
    assert "must be a new folder or that of an earlier benchmark" in complaint(capsys, command)
    assert (smoke_run / "config.yaml").read_bytes() == before


@pytest.mark.slow
def test_a_training_that_is_stopped_leaves_the_others_alone(tmp_path, capsys):
    tasks = 'tasks=["env=reach training.learning_rate=1e6","env=reach"]'
    command = ["benchmark", tasks, 'agents=["planner.num_iterations=1"]', *SMALL, "seeds=[0]", f"output={tmp_path}/out"]
    assert main(command) == 1
    assert "env=reach training.learning_rate=1e6, seed 0: the training was stopped" in capsys.readouterr().out
    stopped, sound = results(tmp_path / "out")["cells"]
    assert stopped["refused"].startswith("seed 0: ") and sound["pooled"]["success_at_end"]["n"] == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("seed=1", "what is asked for of all must not set seed, got 1: benchmark.seeds, benchmark.agents"),
        ("evaluate.split=evaluation", "what is asked for of all must not set evaluate.split, got evaluation"),
        ('tasks=["env=reach seed=5"]', "the task env=reach seed=5 must not set seed, got 5"),
        ('agents=["scenario=shove"]', "the agent scenario=shove must not set scenario, got shove"),
        (
            'agents=["world_model.action_repeat=3"]',
            "the agent world_model.action_repeat=3 can act in none of the tasks",
        ),
        (
            'agents=["configurator.milliseconds=9"]',
            "can act in none of the tasks: evaluate.split=evaluation is for the",
        ),
        ("seeds=[0,0]", "benchmark.seeds must be a list of different entries, got [0, 0]"),
        ("tasks=[]", "benchmark.tasks must be a list of different entries, got []"),
        ('tasks=["env=reech"]', "reech"),
        ('agents=["actor.mode=reactive"]', "the agent actor.mode=reactive can act in none of the tasks"),
        ("num_episodes=600", "choose at most num_episodes=500"),
        ("fail_under=0.99", "benchmark.fail_under=0.99 cannot be decided by num_episodes=4"),
    ],
)
def test_what_no_benchmark_can_be_made_of_is_one_sentence(capsys, tmp_path, change, message):
    command = ["benchmark", 'tasks=["env=reach"]', 'agents=["actor.mode=planning"]', *SMALL, f"output={tmp_path}/out"]
    said = complaint(capsys, [*command, change, *["split=evaluation"] * ("milliseconds" in change)])
    assert message in said
    assert not (tmp_path / "out").exists()


def cells(benchmark, agent):
    """Returns the folders of the evaluations of an agent in the task with a critic."""
    row = next(it for it in results(benchmark)["cells"] if "critic" in it["task"] and it["agent"] == agent)
    return [(benchmark / run["results"]).parent for run in row["seeds"].values()]


def test_two_agents_are_compared_on_the_same_episodes(benchmark, tmp_path, capsys):
    first, second = cells(benchmark, "planner.num_iterations=1")[0], cells(benchmark, "actor.mode=reactive")[0]
    assert main(["compare", str(first), str(second), f"output={tmp_path}/out"]) == 0
    assert "p is that of McNemar's exact test" in capsys.readouterr().out
    (pair,) = results(tmp_path / "out")["pairs"]
    rates = [it["agents"]["actor"]["success_at_end"]["rate"] for it in map(results, (first, second))]
    assert pair["success_at_end"]["difference"] == pytest.approx(rates[0] - rates[1])
    assert (tmp_path / "out" / "report.html").is_file()
    assert main(["compare", str(second), str(first), f"output={tmp_path}/out"]) == 0  # that of an earlier comparison


def test_two_benchmarks_are_compared_where_they_have_something_in_common(benchmark, tmp_path):
    assert main(["compare", str(benchmark), str(benchmark), f"output={tmp_path}/out"]) == 0
    pairs = results(tmp_path / "out")["pairs"]
    assert len(pairs) == 6 and all(pair["success_at_end"]["difference"] == 0 for pair in pairs)
    assert all(pair["success_at_end"]["p_value"] == 1 for pair in pairs)


@pytest.mark.slow
def test_all_of_it_is_at_hand_from_python(benchmark, tmp_path):
    keys = dict(text.split("=", 1) for text in SMALL) | {"seeds": [0, 1], "num_episodes": 2, "num_workers": 1}
    keys |= {"tasks": ["env=reach"], "agents": ["planner.num_iterations=1"], "evaluate.videos": 0}
    found = api.benchmark(**keys, output=shutil.copytree(benchmark, tmp_path / "benchmark"))
    assert found.passed and found.report_file.is_file() and "by seed: " in found.report
    pairs = api.compare(benchmark, benchmark, output=tmp_path / "out")
    assert pairs.results == results(tmp_path / "out") and "McNemar" in pairs.report


def test_evaluations_of_other_episodes_are_not_compared(benchmark, smoke_run, tmp_path, capsys):
    first, second = cells(benchmark, "actor.mode=reactive")
    message = complaint(capsys, ["compare", str(first), str(second), f"output={tmp_path}/out"])
    assert "these differ in first_entry: 0 and 2" in message
    assert "episodes: 2 and 4" in complaint(capsys, ["compare", str(first), str(smoke_run), f"output={tmp_path}/out"])
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_compared_is_one_sentence(benchmark, smoke_run, tmp_path, capsys):
    def said(*folders):
        return complaint(capsys, ["compare", *map(str, folders), f"output={tmp_path}/out"])

    half = shutil.copytree(smoke_run, tmp_path / "half")
    (half / "results.json").unlink()
    other = tmp_path / "other"
    other.mkdir()
    assert f"there is no folder '{tmp_path}/none'" in said(smoke_run, tmp_path / "none")
    assert "an interrupted one goes on with the command that began it" in said(half, smoke_run)
    assert "holds a benchmark and" in said(smoke_run, benchmark)
    damaged = json.dumps({**results(smoke_run), "agents": {"actor": {"episodes": []}}})
    for content, message in (
        ("{", "must be JSON"),
        ('{"schema": 99}', "got schema 99"),
        ("[]", "got schema None"),
        ('{"schema": 1, "kind": "pairs"}', "got a comparison"),
        (damaged, "is not as it was written: evaluate anew"),
        (json.dumps({**results(smoke_run), "agents": []}), "is not as it was written: evaluate anew"),
    ):
        (other / "results.json").write_text(content)
        assert message in said(smoke_run, other)
    assert "compare takes two folders and an output" in said(smoke_run)
    assert main(["compare", str(smoke_run), str(smoke_run), f"output={smoke_run}"]) == 2
    assert "must be a new folder or that of an earlier comparison" in capsys.readouterr().err
