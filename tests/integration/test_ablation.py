import json
import shutil
from itertools import pairwise

import pytest
from omegaconf import OmegaConf

from agent.run.config.composing import ConfigError, flatten
from agent.run.stages.looks import LOOKS_FILE
from benchmarks.agent import ablation
from benchmarks.agent.finished_runs import FinishedRun, Variant


@pytest.fixture(scope="module")
def run(smoke_push_run, tmp_path_factory):
    return FinishedRun(smoke_push_run, output=tmp_path_factory.mktemp("ablation") / "out", num_workers=1)


def changes(before, after):
    """Returns the values that differ between two configs."""
    old, new = (flatten(config.plain()["values"]) for config in (before, after))
    return {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)}


@pytest.mark.slow
def test_each_row_differs_from_the_one_before_by_one_thing(run):
    rows = ablation.make_rows(run, num_evaluations=8)
    so_far, configs = (), []
    for row in rows:
        so_far = row.on(so_far) + (row.trials[0].overrides if row.trials else ())
        configs.append(run.compose(so_far))
    differences = {row.name: changes(*pair) for row, pair in zip(rows[1:], pairwise(configs), strict=True)}
    assert {**differences, "reactive alone": None, "as shipped": None} == {
        "+ novelty": {"cost.novelty.weight"},
        "+ delta-step critic": set(),  # shipped without weight, and the run's own value comes first
        "+ cost-to-go critic": {"critic.cost_to_go.weight"},
        "+ ensemble penalty": set(),
        "+ policy proposals": {"actor.mode", "configurator.mode"},  # the second follows the first
        "+ configurator": {"configurator.rules"},
        "reactive alone": None,
        "as shipped": None,
    }
    assert changes(run.config, configs[-1]) == set()
    first, reactive = configs[0].values, configs[-2].values
    weights = {name: term.weight for name, term in {**first.cost, **first.critic}.items()}
    assert {name for name, weight in weights.items() if weight} == {"goal_distance"}
    assert first.configurator.num_evaluations == 8 and first.actor.mode == "planning"
    assert reactive.actor.mode == "reactive"
    assert [rule.name for rule in reactive.configurator.rules] == ["always"]


def test_each_row_has_as_many_trials_but_the_one_where_nothing_can_be_set(run):
    counts = {row.name: len(row.trials) for row in ablation.make_rows(run, num_evaluations=8)}
    assert counts.pop("reactive alone") == counts.pop("as shipped") == 0
    assert set(counts.values()) == {len(ablation.FACTORS)}


def test_the_first_value_of_a_row_is_the_runs_own(run):
    own = flatten(run.config.plain()["values"])
    for row in ablation.make_rows(run, num_evaluations=8):
        for override in row.trials[0].overrides if row.trials else ():
            key, _, value = override.partition("=")
            if key != "configurator.rules":
                assert float(value) == own[key]


@pytest.mark.slow
def test_every_row_can_be_run_with_each_of_its_values(run):
    ablation.check(run, ablation.make_rows(run, num_evaluations=8))
    broken = ablation.Row("broken", (), (ablation.Trial("warm_std=1.5", ("planner.warm_std=1.5",)),))
    with pytest.raises(ConfigError, match="warm_std"):
        ablation.check(run, [broken])


def test_a_tuned_value_is_taken_and_an_unknown_one_refused(run):
    row = ablation.make_rows(run, num_evaluations=8)[1]
    assert ablation.chosen(row, {}) == row.trials[0]
    assert ablation.chosen(row, {row.name: row.trials[2].label}) == row.trials[2]
    with pytest.raises(SystemExit, match=r"tuning says weight=77 for '\+ novelty', which has weight="):
        ablation.chosen(row, {row.name: "weight=77"})


def test_episodes_are_kept_and_shared_by_variants_that_are_the_same(run):
    budget = "configurator.num_evaluations=4"
    first = run.evaluate([Variant("one", (budget,), 1)], split="validation")["one"]
    again = run.evaluate([Variant("other name", (budget,), 1)], split="validation")["other name"]
    assert again == first  # times included: nothing was run


def test_a_benchmark_on_the_evaluation_split_is_a_look_at_it(run, tmp_path):
    looked_at = FinishedRun(shutil.copytree(run.folder, tmp_path / "run"), output=tmp_path / "out", num_workers=1)
    for _ in range(2):  # the second time shows nothing new
        looked_at.evaluate([Variant("one", ("configurator.num_evaluations=4",), 1)], split="evaluation")
        assert len((looked_at.folder / LOOKS_FILE).read_text().splitlines()) == 1


def test_every_row_is_written_and_drawn(run, capsys):
    first, *_, reactive, _ = ablation.make_rows(run, num_evaluations=4)
    (run.output / ablation.TUNED_FILE).write_text(json.dumps({"won": {first.name: first.trials[2].label}}))
    values = {"tuned": None, "num_episodes": 1, "num_evaluations": 4, "split": "validation"}
    ablation.ablate(run, [first, reactive], OmegaConf.create(values))
    found = json.loads((run.output / ablation.FILE).read_text())["rows"]
    assert [(row["name"], row["value"], row["evaluations_per_step"]) for row in found] == [
        (first.name, first.trials[2].label, 4),
        (reactive.name, "", 0),
    ]
    assert found[0]["difference_at_end"] is None and -1 <= found[1]["difference_at_end"]["difference"] <= 1
    assert (run.output / ablation.PLOT_FILE).is_file()
    assert "| reactive alone " in capsys.readouterr().out
