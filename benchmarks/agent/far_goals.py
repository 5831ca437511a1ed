"""Goals from episodes: success by how many control steps of exploration lie between start and goal.

`python -m benchmarks.agent.far_goals run=runs/push` lets the run's agent, as it is, act towards goals that its own
exploration came to 25, 50, 75 and 100 control steps later, in new episodes; and once more without its critics, where it
has any.

All settings: run=DIR, output=DIR (RUN/benchmarks), num_episodes=300, num_workers=2, split=evaluation.
An interrupted call goes on where it was.
"""

from agent.configurator.types import PLANNING
from agent.evaluation.results import write_results
from agent.run.stages.lock import locked
from benchmarks.agent.finished_runs import HEADER, SETTINGS, FinishedRun, Variant, cells, measures
from benchmarks.arguments import call, read_settings
from benchmarks.tables import table

FILE = "far_goals.json"
SCHEMA = 1
OFFSETS = (25, 50, 75, 100)
"""Control steps."""


def main() -> None:
    settings = read_settings({**SETTINGS, "split": "evaluation"})
    run = FinishedRun.of(settings)
    critics = [name for name, critic in run.config.values.critic.items() if critic.weight > 0]
    without = (f"actor.mode={PLANNING}", *(f"critic.{name}.weight=0.0" for name in critics))
    variants = []
    for offset in OFFSETS:
        far = ("evaluate.goals=episodes", f"evaluate.offset={offset}")
        variants.append(Variant(f"{offset} steps ahead", far, settings.num_episodes))
        if critics:
            variants.append(
                Variant(f"{offset} steps ahead, planning without critic", (*far, *without), settings.num_episodes)
            )
    with locked(run.output):
        rows = {name: measures(episodes) for name, episodes in run.evaluate(variants, split=settings.split).items()}
        print(
            table(
                ["goals", *HEADER, "n"], [[name, *cells(row), str(settings.num_episodes)] for name, row in rows.items()]
            )
        )
        findings = {"schema": SCHEMA, **run.describe(split=settings.split), "goals": rows}
        print(f"far goals: {write_results(findings, run.output, file=FILE)}")


if __name__ == "__main__":
    call(main)
