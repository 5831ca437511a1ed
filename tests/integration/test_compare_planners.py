import json
import shutil
from types import SimpleNamespace

import pytest

from agent.evaluation.comparison import Setting
from agent.run.cli import main
from agent.run.config.composing import ConfigError, compose_config, group_names
from agent.run.stages import compare_planners
from jepa_mpc.errors import UserError

PAIR = ["planners=[cem,random_shooting]", "budgets=[4,null]", "num_episodes=2"]


def compare(run, output, *overrides):
    assert main(["compare-planners", f"run={run}", f"output={output}", *overrides]) == 0
    return json.loads((output / "comparison.json").read_text())


def without_times(comparison):
    return [{key: value for key, value in setting.items() if key != "latency_ms"} for setting in comparison["settings"]]


@pytest.fixture(scope="module")
def pair(smoke_run, tmp_path_factory):
    """Returns the folder of a comparison of two planners, and what it found."""
    folder = tmp_path_factory.mktemp("compare") / "pair"
    return folder, compare(smoke_run, folder, *PAIR, "num_workers=1")


def test_every_shipped_planner_is_compared(smoke_run, tmp_path, capsys):
    comparison = compare(smoke_run, tmp_path / "all", "budgets=[8]", "num_episodes=1")
    assert [setting["planner"] for setting in comparison["settings"]] == group_names()["planner"]
    assert all(1 <= setting["evaluations"]["max"] <= 8 for setting in comparison["settings"])
    printed = capsys.readouterr().out
    assert "about" in printed and "[1/" in printed and "cem_gradient at 8" in printed
    assert (tmp_path / "all" / "comparison.png").is_file()


def test_all_act_in_the_same_episodes_and_the_runs_own_planner_keeps_its_values(pair):
    _, comparison = pair
    names = [(setting["planner"], setting["budget"]) for setting in comparison["settings"]]
    assert names == [("cem", 4), ("cem", None), ("random_shooting", 4), ("random_shooting", None)]
    seeds = [[episode["seed"] for episode in setting["episodes"]] for setting in comparison["settings"]]
    assert seeds == 4 * [[2_000_000_000, 2_000_000_001]]
    assert [setting["evaluations"]["max"] for setting in comparison["settings"]][:3] == [4, 256 * 2, 4]
    assert comparison["planners"]["cem"]["num_iterations"] == 2  # the run's, not the shipped one
    assert comparison["reference"] == "cem"


def test_the_records_are_those_of_an_evaluation(pair, smoke_run, tmp_path):
    _, comparison = pair
    command = ["evaluate", f"run={smoke_run}", f"output={tmp_path}/out", "split=validation", "num_episodes=2"]
    assert main([*command, "videos=0", "configurator.num_evaluations=4"]) == 0
    actor = json.loads((tmp_path / "out" / "results.json").read_text())["agents"]["actor"]
    assert comparison["settings"][0]["episodes"] == actor["episodes"]


@pytest.mark.slow
def test_any_number_of_workers_and_any_order_give_the_same_records(pair, smoke_run, tmp_path):
    _, comparison = pair
    overrides = ["planners=[random_shooting,cem]", "budgets=[null,4]", "num_episodes=2", "num_workers=2"]
    again = without_times(compare(smoke_run, tmp_path / "again", *overrides))
    reference = without_times(comparison)
    assert sorted(again, key=str) == sorted(reference, key=str)


def test_an_interrupted_comparison_goes_on_where_it_stopped(pair, smoke_run, tmp_path):
    folder, comparison = pair
    shutil.copytree(folder, tmp_path / "rest")
    records = tmp_path / "rest" / "records.jsonl"
    kept = records.read_bytes().splitlines(keepends=True)[:4]
    records.write_bytes(b"".join(kept) + b'{"agent": "cem at its own nu')
    resumed = compare(smoke_run, tmp_path / "rest", *PAIR)
    assert without_times(resumed) == without_times(comparison)
    assert resumed["settings"][0] == comparison["settings"][0]  # read, times included, and not run again


def test_more_budgets_and_planners_are_added_to_what_is_there(pair, smoke_run, tmp_path):
    folder, comparison = pair
    shutil.copytree(folder, tmp_path / "more")
    more = compare(smoke_run, tmp_path / "more", "planners=[cem]", "budgets=[4,8]", "num_episodes=2")
    assert more["settings"][0] == comparison["settings"][0]


def test_planners_are_compared_in_the_scenario_that_is_asked_for(smoke_run, tmp_path):
    overrides = ["planners=[cem]", "budgets=[4]", "num_episodes=2", "num_workers=1", "scenario=tour"]
    toured = compare(smoke_run, tmp_path / "tour", *overrides)
    command = ["evaluate", f"run={smoke_run}", f"output={tmp_path}/out", "split=validation", "num_episodes=2"]
    assert main([*command, "videos=0", "configurator.num_evaluations=4", "scenario=tour", "num_workers=1"]) == 0
    actor = json.loads((tmp_path / "out" / "results.json").read_text())["agents"]["actor"]
    assert toured["settings"][0]["episodes"] == actor["episodes"]
    assert toured["scenario"] == "tour"


def test_where_nobody_plans_a_comparison_says_so(smoke_push_run, tmp_path, capsys):
    overrides = ["planners=[cem]", "budgets=[4]", "num_episodes=1", "num_workers=1", "actor.mode=reactive"]
    (setting,) = compare(smoke_push_run, tmp_path / "x", *overrides)["settings"]
    assert setting["evaluations"] == {"mean": 0.0, "max": 0}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["planners=[cem,mpi]"], "there is no planner 'mpi'; there are"),
        (["planners=[]"], "compare.planners must be a list of different planners"),
        (["planners=cem"], "compare.planners must be a list of texts, or null, got cem"),
        (["planners=[cem,cem]"], "compare.planners must be a list of different planners"),
        (["budgets=[64,0]"], "compare.budgets must be a list of different whole numbers of at least 1, or null"),
        (["budgets=[1.5]"], "compare.budgets must be a list"),
        (["budgets=[true]"], "compare.budgets must be a list"),
        (["budgets=[many]"], "compare.budgets must be a list"),
        (["budgets=[]"], "compare.budgets must be a list"),
        (["budgets=64"], "compare.budgets must be a list"),
        (["planner=cem"], "takes those to compare, as in planners=[cem,mppi]"),
        (["planner.num_samples=64"], "planner.num_samples=64 is ambiguous among several planners"),
        (["configurator.num_evaluations=64"], "takes those to compare at, as in budgets=[64,256,null]"),
        (["configurator.milliseconds=5"], "takes those to compare at, as in budgets=[64,256,null]"),
        (["num_episodes=0"], "compare.num_episodes must be a whole number in 1..1000, got 0"),
        (["num_episodes=1001"], "compare.num_episodes must be a whole number in 1..1000, got 1001"),
        (["num_workers=0"], "compare.num_workers must be a whole number of at least 1, got 0"),
        (["split=training"], "compare.split must be one of evaluation, validation, got training"),
    ],
)
def test_a_mistake_is_one_sentence(capsys, smoke_run, tmp_path, overrides, message):
    assert main(["compare-planners", f"run={smoke_run}", f"output={tmp_path}/out", *overrides]) == 2
    sentence = capsys.readouterr().err.strip()
    assert message in sentence and "\n" not in sentence
    assert not (tmp_path / "out").exists()


def test_a_run_without_training_is_one_sentence(capsys, smoke_run, tmp_path):
    shutil.copytree(smoke_run, tmp_path / "run", ignore=shutil.ignore_patterns("agent.safetensors"))
    for arguments, message in (
        ([f"run={tmp_path}/run"], "there is no checkpoint"),
        ([f"run={tmp_path}"], "is no run folder"),
        ([], "compare-planners needs the folder of a finished run"),
    ):
        assert main(["compare-planners", *arguments]) == 2
        sentence = capsys.readouterr().err.strip()
        assert message in sentence and "\n" not in sentence


def test_where_a_planner_cannot_plan_those_that_can_are_named(monkeypatch):
    def make(name, task):
        if name.startswith("cem"):
            raise UserError("there are only 3 discrete ones")

    make.configs = {f"{name} at 8": compose_config([]) for name in ("beam_search", "cem", "mppi")}
    acted = SimpleNamespace(planning_latencies_ms=[1.0])
    monkeypatch.setattr(compare_planners, "evaluate_episode", lambda *_, **__: acted)
    settings = [Setting(name, 8) for name in ("beam_search", "cem", "mppi")]
    with pytest.raises(
        ConfigError,
        match=r"^the planner cem at 8 cannot plan in this run: there are only 3 discrete ones; "
        r"those that can are planners=\[beam_search,mppi\]$",
    ):
        compare_planners._try_all(settings, make, None, SimpleNamespace(num_steps=5), 0)
    assert compare_planners._try_all(settings[::2], make, None, SimpleNamespace(num_steps=5), 0) > 0


def test_another_split_lies_beside_the_first_comparison_and_nothing_is_overwritten(pair, smoke_run, tmp_path):
    folder = shutil.copytree(pair[0], tmp_path / "pair")
    first = {name: (folder / name).read_bytes() for name in ("comparison.json", "comparison.png", "config.yaml")}
    few = ["planners=[random_shooting]", "budgets=[4]", "num_episodes=1", "split=evaluation", "num_workers=1"]
    run = shutil.copytree(smoke_run, tmp_path / "run")  # who looks at its evaluation split leaves a note in it
    assert main(["compare-planners", f"run={run}", f"output={folder}", *few]) == 0
    assert {name: (folder / name).read_bytes() for name in first} == first
    assert json.loads((folder / "comparison_evaluation_1.json").read_text())["split"] == "evaluation"
    assert (folder / "comparison_evaluation_1.png").is_file() and (folder / "config_evaluation_1.yaml").is_file()
