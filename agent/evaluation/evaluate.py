"""Many episodes, in any order and any number of processes: the same records."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from agent.evaluation.baselines import BASELINES
from agent.evaluation.episodes import EpisodeRecord, EvaluatedEpisode, evaluate_episode
from agent.evaluation.scenarios.types import ScenarioMaker
from agent.evaluation.scenarios.undisturbed import Undisturbed
from agent.host import settings_kept
from envs.episodes.parallel import parallel_map
from envs.types import Policy, Task, TaskFactory
from envs.vision import Vision
from jepa_mpc.journal import line, whole_lines

RECORDS_FILE = "records.jsonl"

PolicyMaker = Callable[[str, Task], Policy]
"""Makes the agent of that name for that task; it is pickled, so it is importable."""


@dataclass(frozen=True)
class EpisodeTask:
    """One episode to run.

    Attributes:
        agent: Who acts.
        seed: Of the episode.
    """

    agent: str
    seed: int


class EpisodeRunner:
    """Runs episodes in one process, each a pure function of agent and seed.

    Args:
        make_task: Makes the task in which the agents act.
        vision: The cameras of whoever is no baseline; those need none.
        make_policy: Makes an agent by its name.
        make_scenario: Makes what happens beside their own doing.
    """

    def __init__(
        self,
        make_task: TaskFactory,
        vision: Vision | None,
        make_policy: PolicyMaker,
        make_scenario: ScenarioMaker = Undisturbed,
    ) -> None:
        self._plain, self._seen = (make_task(vision=cameras, film_size=None) for cameras in (None, vision))
        self._scenario = make_scenario(self._seen.spec)
        self._make_policy = make_policy
        self._policies: dict[str, Policy] = {}

    def __call__(self, task: EpisodeTask) -> EvaluatedEpisode:
        """Runs one episode."""
        place = self._plain if task.agent in BASELINES else self._seen
        if task.agent not in self._policies:
            self._policies[task.agent] = self._make_policy(task.agent, place)
        return evaluate_episode(
            place,
            self._policies[task.agent],
            seed=task.seed,
            num_steps=self._scenario.num_steps,
            scenario=self._scenario,
        )

    def close(self) -> None:
        """Lets go of what the tasks hold."""
        try:
            self._plain.close()
        finally:
            self._seen.close()


def evaluate(
    tasks: Sequence[EpisodeTask],
    *,
    make_task: TaskFactory,
    vision: Vision | None = None,
    make_policy: PolicyMaker,
    make_scenario: ScenarioMaker = Undisturbed,
    num_workers: int,
    fingerprint: str,
    output: Path,
) -> Iterator[tuple[EpisodeTask, EvaluatedEpisode]]:
    """Yields the episode of every task, in the order of the tasks, each as soon as it is over.

    Those that an interrupted evaluation of the same agents has left are read, not run again.

    Args:
        tasks: What to run.
        make_task: Makes the task in which they act.
        vision: The cameras of whoever is no baseline.
        make_policy: Makes an agent by its name.
        make_scenario: Makes what happens beside their own doing.
        num_workers: Processes.
        fingerprint: Of all that the records depend on; records under another one are not used.
        output: Folder in which finished records are kept, one line each.
    """
    path = output / RECORDS_FILE
    finished, num_bytes = _read_records(path, fingerprint)
    missing = [task for task in tasks if task not in finished]
    results = parallel_map(
        partial(EpisodeRunner, make_task, vision, make_policy, make_scenario),
        missing,
        num_workers=num_workers,
        chunk_size=1,
        description="evaluate",
        unit="episode",
    )
    with path.open("ab") as file, settings_kept():
        file.truncate(num_bytes)
        if num_bytes == 0:
            file.write(line({"fingerprint": fingerprint}))
            file.flush()
        for task in tasks:
            if task not in finished:
                finished[task] = next(results)
                file.write(line({"agent": task.agent, "episode": asdict(finished[task])}))
                file.flush()
            yield task, finished[task]
        next(results, None)  # lets the workers end


def are_recorded(tasks: Sequence[EpisodeTask], *, fingerprint: str, output: Path) -> bool:
    """Returns whether all tasks are recorded already, so that `evaluate` would run none."""
    finished, _ = _read_records(output / RECORDS_FILE, fingerprint)
    return all(task in finished for task in tasks)


def _read_records(path: Path, fingerprint: str) -> tuple[dict[EpisodeTask, EvaluatedEpisode], int]:
    """Reads whole records under the same fingerprint, and how many bytes of the file they take.

    What an interruption cut short, or what is no record, is run again, and so is all behind it.
    """
    content = path.read_bytes() if path.is_file() else b""
    entries = whole_lines(content)
    header, num_bytes = next(entries, (None, 0))
    if header != {"fingerprint": fingerprint}:
        return {}, 0
    finished: dict[EpisodeTask, EvaluatedEpisode] = {}
    for entry, end in entries:
        try:
            task, episode = _parse(entry)
        except (ValueError, TypeError, KeyError, AttributeError):
            break
        if line({"agent": task.agent, "episode": asdict(episode)}) != content[num_bytes:end]:
            break
        finished[task], num_bytes = episode, end
    return finished, num_bytes


def _parse(entry: Any) -> tuple[EpisodeTask, EvaluatedEpisode]:
    record = EpisodeRecord(**entry["episode"].pop("record"))
    return EpisodeTask(str(entry["agent"]), int(record.seed)), EvaluatedEpisode(
        record=record, **_with_tuples(entry["episode"])
    )


def _with_tuples(value: Any) -> Any:
    """Returns what was read with tuples for lists, as it was before it was written."""
    if isinstance(value, dict):
        return {key: _with_tuples(it) for key, it in value.items()}
    return tuple(map(_with_tuples, value)) if isinstance(value, list) else value
