"""Many episodes, in any order and any number of processes: the same records."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium

from agent.evaluation.episodes import EpisodeRecord, EvaluatedEpisode, evaluate_episode
from envs.mujoco_env import MujocoEnv
from envs.parallel import parallel_map
from envs.rollout import Policy

RECORDS_FILE = "records.jsonl"

PolicyMaker = Callable[[str, MujocoEnv], Policy]
"""Makes the agent of that name for that environment; it is pickled, so it is importable."""


@dataclass(frozen=True, order=True)
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
        env_id: Where the agents act.
        make_policy: Makes an agent by its name.
    """

    def __init__(self, env_id: str, make_policy: PolicyMaker) -> None:
        env = gymnasium.make(env_id).unwrapped
        assert isinstance(env, MujocoEnv)
        self._env = env
        self._make_policy = make_policy
        self._policies: dict[str, Policy] = {}

    def __call__(self, task: EpisodeTask) -> EvaluatedEpisode:
        """Runs one episode."""
        if task.agent not in self._policies:
            self._policies[task.agent] = self._make_policy(task.agent, self._env)
        return evaluate_episode(
            self._env, self._policies[task.agent], seed=task.seed, num_steps=self._env.description.num_steps
        )


def evaluate(
    tasks: Sequence[EpisodeTask],
    *,
    env_id: str,
    make_policy: PolicyMaker,
    num_workers: int,
    fingerprint: str,
    output: Path,
) -> dict[EpisodeTask, EvaluatedEpisode]:
    """Runs episodes, or reads those that an interrupted evaluation of the same agents has left.

    Args:
        tasks: What to run.
        env_id: Where.
        make_policy: Makes an agent by its name.
        num_workers: Processes.
        fingerprint: Of all that the records depend on; records under another one are not used.
        output: Folder in which finished records are kept, one line each.
    """
    finished = _read_records(output / RECORDS_FILE, fingerprint)
    missing = [task for task in tasks if task not in finished]
    results = parallel_map(
        partial(EpisodeRunner, env_id, make_policy),
        missing,
        num_workers=num_workers,
        chunk_size=1,
        description="evaluate",
        unit="episode",
    )
    with (output / RECORDS_FILE).open("w") as file:
        file.write(json.dumps({"fingerprint": fingerprint}) + "\n")
        for task, episode in finished.items():
            file.write(json.dumps({"agent": task.agent, "episode": asdict(episode)}) + "\n")
        for task, episode in zip(missing, results, strict=True):
            finished[task] = episode
            file.write(json.dumps({"agent": task.agent, "episode": asdict(episode)}) + "\n")
            file.flush()
    return {task: finished[task] for task in tasks}


def _read_records(path: Path, fingerprint: str) -> dict[EpisodeTask, EvaluatedEpisode]:
    """Reads whole lines under the same fingerprint; what an interruption cut short is run again."""
    if not path.is_file():
        return {}
    header, *lines = path.read_text().splitlines() or [""]
    if header != json.dumps({"fingerprint": fingerprint}):
        return {}
    finished = {}
    for line in lines:
        try:
            entry: dict[str, Any] = json.loads(line)
        except json.JSONDecodeError:
            break
        episode = entry["episode"]
        record = EpisodeRecord(**episode["record"])
        finished[EpisodeTask(entry["agent"], record.seed)] = EvaluatedEpisode(
            record=record, redrawn=episode["redrawn"], latencies_ms=tuple(episode["latencies_ms"])
        )
    return finished
