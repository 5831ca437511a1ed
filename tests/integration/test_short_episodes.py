"""Episodes of no step, or of one: anybody's recorder leaves some. They are skipped, counted and told."""

import re

import numpy as np

from agent.run.cli import main
from envs.episodes.episode import Episode, open_dataset
from envs.episodes.recording import write_dataset

SHORT = (0, 1, 0, 3)


def test_episodes_too_short_to_learn_from_are_skipped_counted_and_told(smoke_run, tmp_path, capsys):
    whole = open_dataset(smoke_run / "data")
    episodes = []
    for index, length in enumerate([*SHORT, *whole.lengths]):
        source = index % whole.num_episodes if index < len(SHORT) else index - len(SHORT)
        observations, actions = whole.episode(source)
        episodes.append(
            Episode(
                observations={name: np.array(readings[: length + 1]) for name, readings in observations.items()},
                actions=np.array(actions[:length]),
                seed=whole.manifest.seeds[source],
                verdicts=(),
                num_redrawn=0,
            )
        )
    values = {"policy_name": whole.manifest.policy_name, "policy_values": dict(whole.manifest.policy_values)}
    write_dataset(tmp_path / "data", episodes, env=whole.manifest.env, **values, report={})
    dataset = open_dataset(tmp_path / "data")
    assert dataset.lengths[: len(SHORT)].tolist() == list(SHORT)
    assert dataset.episode(0)[1].shape == (0, 3) and dataset.episode(0)[0]["tip"].shape == (1, 3)

    assert main(["check-data", str(tmp_path / "data")]) == 0
    capsys.readouterr()
    command = ["train", f"data={tmp_path / 'data'}", f"output={tmp_path / 'model'}", "experiment=smoke"]
    assert main(command) == 0
    told = re.search(r"(\d+) of (\d+) episodes have fewer than the (\d+) control steps", capsys.readouterr().out)
    assert told is not None
    num_short, num_episodes, window = map(int, told.groups())
    assert (num_short, num_episodes) == (len(SHORT), len(SHORT) + whole.num_episodes)
    assert max(SHORT) < window <= whole.lengths.min()
