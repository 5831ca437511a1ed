"""What each part of the agent is worth: one checkpoint, one manifest, and as many evaluations a step in every row.

`python -m benchmarks.agent.ablation run=runs/demo` adds one part after the other to the bare goal distance, lets the
policy act alone in the end, and last the run's agent as it is shipped. Each row is run on the same episodes, with
`num_evaluations` candidates a step wherever it plans, except where the configurator decides otherwise, and but for the
last, which has the run's own. Prints the table, and writes ablation.json and ablation.png.

`python -m benchmarks.agent.ablation tune=true run=runs/demo` gives each row as many trials of the number that comes
with it, on the validation split, on top of what won in the rows before, and writes ablation_tuned.json: the winner has
the highest success at the end, of equals the highest success once. An ablation of the same output reads it, that of
another run with tuned=FILE; without one, each row takes the first of its values, the run's own.

All settings: run=DIR, output=DIR (RUN/benchmarks), num_episodes=300, num_workers=2, num_evaluations=512,
split=evaluation, tune=false, num_tuning_episodes=100, tuned=FILE. An interrupted call goes on where it was.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from agent.evaluation.episodes import EvaluatedEpisode, judged
from agent.evaluation.results import write_results
from agent.run.stages.lock import locked
from agent.run.stages.validation import validate
from benchmarks.agent.ablation_plot import write_plot
from benchmarks.agent.finished_runs import (
    HEADER,
    SETTINGS,
    FinishedRun,
    Variant,
    cells,
    difference_at_end,
    measures,
    points,
    spelled,
)
from benchmarks.arguments import call, read_settings
from benchmarks.tables import table

FILE, TUNED_FILE, PLOT_FILE = "ablation.json", "ablation_tuned.json", "ablation.png"
SCHEMA = 1
FACTORS = (1.0, 0.3, 3.0)
"""The trials of a row: so many times the run's own number."""

FROM_ZERO = (0.0, 0.3, 1.0)
"""The trials of a row where the run's own number is 0."""


@dataclass(frozen=True)
class Trial:
    """A value of the number that comes with a row.

    Attributes:
        label: Number and value.
        overrides: That set it.
    """

    label: str
    overrides: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """A part that is added to the agent of the row before.

    Attributes:
        name: Of the part.
        overrides: That add it.
        trials: Values of the number that comes with it, the run's own first; empty where nothing can be set.
        alone: It is without what the rows before it added.
    """

    name: str
    overrides: tuple[str, ...]
    trials: tuple[Trial, ...]
    alone: bool = False

    def on(self, before: tuple[str, ...]) -> tuple[str, ...]:
        """Returns the overrides of this row on top of those of the row before, without the number."""
        return self.overrides if self.alone else before + self.overrides


def main() -> None:
    settings = read_settings(
        {
            **SETTINGS,
            "num_evaluations": 512,
            "split": "evaluation",
            "tune": False,
            "num_tuning_episodes": 100,
            "tuned": None,
        }
    )
    run = FinishedRun.of(settings)
    rows = make_rows(run, num_evaluations=settings.num_evaluations)
    check(run, rows)
    with locked(run.output):
        if settings.tune:
            tune(run, rows, num_episodes=settings.num_tuning_episodes)
        else:
            ablate(run, rows, settings)


def make_rows(run: FinishedRun, *, num_evaluations: int) -> list[Row]:
    """Returns the rows of the table, for the parts that the run has."""
    values = run.config.values
    others = [f"cost.{name}.weight=0.0" for name in values.cost if name != "goal_distance"]
    others += [f"critic.{name}.weight=0.0" for name in values.critic]
    start = ("actor.mode=planning", *run.configured_by("fixed"), f"configurator.num_evaluations={num_evaluations}")
    rows = [
        Row("goal distance only", (*start, *others), _trials(values, "cost.goal_distance.term.last_step_weight")),
        Row("+ novelty", (), _trials(values, "cost.novelty.weight")),
    ]
    if "delta_step" in values.critic:
        rows.append(Row("+ delta-step critic", (), _trials(values, "critic.delta_step.weight")))
    if "cost_to_go" in values.critic:
        rows.append(Row("+ cost-to-go critic", (), _trials(values, "critic.cost_to_go.weight")))
        rows.append(Row("+ ensemble penalty", (), _trials(values, "critic.cost_to_go.term.doubt_weight")))
    if values.policy is not None:
        rules = OmegaConf.to_container(run.compose(["configurator=rules"]).values.configurator.rules)
        assert isinstance(rules, list)
        rows += [
            Row("+ policy proposals", ("actor.mode=hybrid",), _warm_trials(values)),
            Row("+ configurator", ("configurator=rules",), _rule_trials(rules, "cost_to_go_below")),
            Row("reactive alone", ("actor.mode=reactive", *run.configured_by("fixed")), (), alone=True),
        ]
    return [*rows, Row("as shipped", (), (), alone=True)]


def check(run: FinishedRun, rows: Sequence[Row]) -> None:
    """Validates every row with each value of its number, so that no mistake waits behind hours of episodes.

    Raises:
        ConfigError: One cannot be run.
    """
    so_far: tuple[str, ...] = ()
    for row in rows:
        so_far = row.on(so_far)
        for overrides in [trial.overrides for trial in row.trials] or [()]:
            validate(run.compose(so_far + overrides), run.spec)
        so_far += row.trials[0].overrides if row.trials else ()


def _warm_trials(values: DictConfig) -> tuple[Trial, ...]:
    """Returns trials of the planner's spread around what it starts from, where it has one."""
    if "warm_std" not in values.planner:
        return ()
    return _trials(values, "planner.warm_std", low=values.planner.min_std, high=values.planner.init_std)


def _trials(values: DictConfig, key: str, *, low: float = 0.0, high: float = math.inf) -> tuple[Trial, ...]:
    """Returns trials of a number, the run's own first: `FACTORS` of it, or `FROM_ZERO`, within its limits."""
    own = OmegaConf.select(values, key)
    numbers = dict.fromkeys(
        min(max(round(number, 6), low), high) for number in ([factor * own for factor in FACTORS] if own else FROM_ZERO)
    )
    return tuple(Trial(f"{key.rpartition('.')[2]}={number:g}", (f"{key}={number}",)) for number in numbers)


def _rule_trials(rules: Sequence[Any], condition: str) -> tuple[Trial, ...]:
    """Returns trials of a number in the conditions of a table of rules: `FACTORS` of what is there."""
    own = [rule["when"][condition] for rule in rules if condition in rule["when"]]
    if not own:
        raise SystemExit(f"the ablation tunes {condition} in the rules of the configurator, and no rule there has it")
    trials = []
    for factor in FACTORS:
        changed = [
            {**rule, "when": {name: at * (factor if name == condition else 1) for name, at in rule["when"].items()}}
            for rule in rules
        ]
        label = f"{condition}={'/'.join(f'{factor * at:g}' for at in own)}"
        trials.append(Trial(label, (f"configurator.rules={spelled(changed)}",)))
    return tuple(trials)


def tune(run: FinishedRun, rows: Sequence[Row], *, num_episodes: int) -> None:
    """Tries the values of each row on the validation split, on top of the winners of the rows before."""
    so_far: tuple[str, ...] = ()
    winners, shown = {}, []
    for row in rows:
        so_far = row.on(so_far)
        if not row.trials:
            continue
        variants = [Variant(f"{row.name}, {it.label}", so_far + it.overrides, num_episodes) for it in row.trials]
        trials = list(zip(row.trials, run.evaluate(variants, split="validation").values(), strict=True))
        best, _ = max(trials, key=lambda trial: _merit(trial[1]))
        first = trials[0][1]
        for trial, episodes in trials:
            difference = "" if episodes is first else points(difference_at_end(episodes, first))
            won = "won" if trial is best else ""
            shown.append([f"{row.name}, {trial.label}", *cells(measures(episodes)), difference, won])
        winners[row.name] = best.label
        so_far += best.overrides
    print(table(["row and value", *HEADER, "against the first value, points", ""], shown))
    print(f"{num_episodes} episodes of the validation split; an interval that holds 0 tells no difference.")
    findings = {"schema": SCHEMA, **run.describe(split="validation", num_episodes=num_episodes, won=winners)}
    print(f"winners: {write_results(findings, run.output, file=TUNED_FILE)}")


def _merit(episodes: Sequence[EvaluatedEpisode]) -> tuple[int, int]:
    """Returns success at the end, and once: of equals the first value wins."""
    records = [episode.record for episode in judged(episodes)]
    return sum(record.success_at_end for record in records), sum(record.success_once for record in records)


def ablate(run: FinishedRun, rows: Sequence[Row], settings: DictConfig) -> None:
    """Runs every row, prints the table, and writes it and its picture."""
    path = run.output / TUNED_FILE if settings.tuned is None else Path(settings.tuned)
    if settings.tuned is not None and not path.is_file():
        raise SystemExit(f"tuned must be the file of a tuning, '{path}' is none")
    won: Mapping[str, str] = json.loads(path.read_text())["won"] if path.is_file() else {}
    so_far: tuple[str, ...] = ()
    variants, labels = [], []
    for row in rows:
        trial = chosen(row, won)
        so_far = row.on(so_far) + (() if trial is None else trial.overrides)
        variants.append(Variant(row.name, so_far, settings.num_episodes))
        labels.append("" if trial is None else trial.label)
    episodes = run.evaluate(variants, split=settings.split)
    findings = {
        "schema": SCHEMA,
        **run.describe(
            split=settings.split, num_evaluations=settings.num_evaluations, tuned=str(path) if won else None
        ),
        "rows": [],
    }
    shown = []
    before: list[EvaluatedEpisode] | None = None
    for variant, label in zip(variants, labels, strict=True):
        name, of_row = variant.name, episodes[variant.name]
        row_measures = measures(of_row)
        difference = None if before is None else difference_at_end(of_row, before)
        findings["rows"].append(
            {
                "name": name,
                "value": label,
                "overrides": list(variant.overrides),
                "difference_at_end": None if difference is None else asdict(difference),
                **row_measures,
            }
        )
        shown.append([name, label, *cells(row_measures), "" if difference is None else points(difference)])
        before = of_row
    print(table(["part", "its value", *HEADER, "against the row before, points"], shown))
    print(
        f"{settings.num_episodes} episodes of the {settings.split} split, the same for all; values "
        + (f"tuned: {path}" if won else "as the run has them, not tuned")
    )
    print(f"ablation: {write_results(findings, run.output, file=FILE)}")
    print(f"picture: {write_plot(findings, run.output / PLOT_FILE)}")


def chosen(row: Row, won: Mapping[str, str]) -> Trial | None:
    """Returns the value of a row that won the tuning, or the first where there was none."""
    if row.name not in won:
        return row.trials[0] if row.trials else None
    by_label = {trial.label: trial for trial in row.trials}
    if won[row.name] not in by_label:
        raise SystemExit(
            f"the tuning says {won[row.name]} for '{row.name}', which has {', '.join(by_label)}: tune anew"
        )
    return by_label[won[row.name]]


if __name__ == "__main__":
    call(main)
