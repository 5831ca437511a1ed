"""Recording many episodes: the same bytes, however many processes write them and however often they are interrupted.

While a collection is under way its folder holds a journal beside the arrays: what is collected, and a line for each
episode that is written. A later call with the same parameters goes on from there. The manifest, without which a folder
is no dataset, comes last, and the journal goes.
"""

import json
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from envs.episodes.episode import Episode
from envs.episodes.journal import EpisodeRecord, Journal, refuse_other_request
from envs.episodes.manifest import FILE_NAME, Manifest, read_manifest
from envs.episodes.parallel import parallel_map
from envs.episodes.recording import Recording, draft_manifest
from envs.episodes.rollout import rollout
from envs.spec import TaskSpec
from envs.types import HasMeasures, Policy, Task, TaskFactory
from envs.vision import Vision

MAX_SEED = 999
MAX_EPISODES = 10**6
"""Collections draw the seeds below 10**9; evaluations draw those above."""

MAX_STEPS = 10**6
"""Of an episode."""

_CHUNK_SIZE = 8

PolicyFactory = Callable[[TaskSpec], Policy]
"""Makes a policy for an environment; it is pickled, so it is importable, or a partial of something importable."""


def episode_seed(seed: int, index: int) -> int:
    """Returns the seed of episode `index` in the collection of seed `seed`; no two collections share one."""
    return seed * MAX_EPISODES + index


def collect(
    *,
    make_task: TaskFactory,
    vision: Vision | None,
    make_policy: PolicyFactory,
    policy_name: str,
    policy_values: Mapping[str, Any],
    seed: int,
    num_episodes: int,
    num_steps: int,
    num_workers: int,
    output: Path,
) -> Manifest:
    """Records a dataset, or the rest of one that was interrupted; what is there already is returned as it is.

    Args:
        make_task: Makes the task.
        vision: The cameras that are recorded too, or None.
        make_policy: Makes the policy that acts.
        policy_name: What the policy is called.
        policy_values: What it was made with; plain JSON.
        seed: Of the collection, 0 to 999.
        num_episodes: How many, at most a million.
        num_steps: Of each episode, unless the task ends it before.
        num_workers: Processes; the result does not depend on it.
        output: Folder of the dataset.

    Returns:
        The manifest; its report holds the mean over the episodes of each of `measures`.

    Raises:
        ValueError: A number outside its range.
        DatasetError: `output` holds something else, or the disk has no room.
    """
    _check_range("seed", seed, 0, MAX_SEED)
    _check_range("num_episodes", num_episodes, 1, MAX_EPISODES)
    _check_range("num_steps", num_steps, 1, MAX_STEPS)
    with closing(make_task(vision=vision, film_size=None)) as task:
        spec = task.spec
    make_policy(spec)
    draft = draft_manifest(
        spec,
        dtypes={name: "uint8" if sensor.is_image else "float32" for name, sensor in spec.sensors.items()},
        backends=() if vision is None else vision.backends,
        policy_name=policy_name,
        policy_values=policy_values,
        seeds=[episode_seed(seed, index) for index in range(num_episodes)],
        lengths=[num_steps] * num_episodes,
    )
    request = _request(draft)
    if (output / FILE_NAME).exists():
        finished = read_manifest(output)
        refuse_other_request(output, _request(finished), request)
        Journal.remove(output)
        return finished

    recording = Recording(output, draft)
    with Journal(output, request) as journal:
        recording.allocate()
        records = {
            record.index: record
            for record in journal.records
            if recording.checksum(record.index, length=record.length) == record.sha256
        }
        missing = [index for index in range(num_episodes) if index not in records]
        recorder = partial(_Recorder, make_task, vision, make_policy, recording, draft.seeds, num_steps)
        for record in parallel_map(
            recorder, missing, num_workers=num_workers, chunk_size=_CHUNK_SIZE, description="collect", unit="episode"
        ):
            journal.append(record)
            records[record.index] = record
        in_order = [records[index] for index in range(num_episodes)]
        manifest = recording.seal(
            lengths=[record.length for record in in_order],
            endings=[record.ending for record in in_order],
            report=_report(in_order),
        )
    Journal.remove(output)
    return manifest


def measures(episode: Episode, task: Task) -> dict[str, float]:
    """Returns what is reported of an episode; none of it reaches a learner.

    `goal_hit` is 1 where the task's own goal, of which the policy knows nothing, was reached in any step. Beside it
    stands what the task has to report.
    """
    further = task.measures(episode.observations) if isinstance(task, HasMeasures) else {}
    return {"goal_hit": float(episode.is_success.any()), **further}


class _Recorder:
    """Records one episode after the other, each where it belongs."""

    def __init__(
        self,
        make_task: TaskFactory,
        vision: Vision | None,
        make_policy: PolicyFactory,
        recording: Recording,
        seeds: tuple[int, ...],
        num_steps: int,
    ) -> None:
        self._task = make_task(vision=vision, film_size=None)
        self._policy = make_policy(self._task.spec)
        self._recording = recording
        self._seeds = seeds
        self._num_steps = num_steps

    def __call__(self, index: int) -> EpisodeRecord:
        episode = rollout(self._task, self._policy, seed=self._seeds[index], num_steps=self._num_steps)
        checksum = self._recording.write(index, episode)
        return EpisodeRecord(
            index=index,
            sha256=checksum,
            length=len(episode.actions),
            ending=episode.ending,
            measures=measures(episode, self._task),
        )

    def close(self) -> None:
        """Lets go of what the task holds."""
        self._task.close()


def _report(records: list[EpisodeRecord]) -> dict[str, float]:
    return {name: float(np.mean([record.measures[name] for record in records])) for name in records[0].measures}


def _request(manifest: Manifest) -> dict[str, Any]:
    """Returns what decides over the content of a dataset, under the names that a user knows."""
    request = {
        "env": manifest.env.task_id,
        "exploration": manifest.policy_name,
        "seed": manifest.seeds[0] // MAX_EPISODES,
        "num_episodes": len(manifest.seeds),
        "num_steps": manifest.num_steps,
        "renderer.backends": manifest.backends,
        **{f"exploration.{key}": value for key, value in manifest.policy_values.items()},
        **{f"env.{key}": value for key, value in manifest.env.to_json().items()},
        **{f"version of {package}": version for package, version in manifest.versions.items()},
    }
    plain: dict[str, Any] = json.loads(json.dumps(request))
    return plain


def _check_range(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ValueError(f"{name} must be in {low}..{high}, got {value}")
