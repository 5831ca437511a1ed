import json
import pickle

import numpy as np
import pytest

from envs.episodes.episode import DatasetError, Episode, open_dataset
from envs.episodes.recording import write_dataset
from envs.spec import Box, BoxActions, Effector, Sensor, TaskSpec

SPEC = TaskSpec(
    task_id="test/Env-v0",
    fingerprint="ab",
    sensors={"tip": Sensor((3,), "numbers", ""), "camera": Sensor((4, 4, 3), "image", "")},
    perceived=("camera",),
    goal={"tip": Box(low=(0.0, 0.0, 0.0), high=(1.0, 1.0, 1.0))},
    asked=("camera",),
    actions=BoxActions.unit(2),
    control_dt=0.05,
    num_steps=50,
    effector=Effector(sensor="tip", workspace=Box(low=(0.0, 0.0, 0.0), high=(1.0, 1.0, 1.0)), max_displacement=0.03),
)
LENGTHS = (5, 1, 8)
TIP = {"shape": [3], "kind": "numbers", "unit": ""}
CAMERA = {"shape": [4, 4, 3], "kind": "image", "unit": ""}


@pytest.fixture
def episodes():
    rng = np.random.default_rng(0)
    return [
        Episode(
            observations={
                "tip": rng.normal(size=(length + 1, 3)).astype(np.float32),
                "camera": rng.integers(0, 256, (length + 1, 4, 4, 3), dtype=np.uint8),
            },
            actions=rng.uniform(-1, 1, (length, 2)).astype(np.float32),
            seed=100 + length,
            verdicts=(),
            num_redrawn=0,
        )
        for length in LENGTHS
    ]


@pytest.fixture
def folder(tmp_path, episodes):
    write(tmp_path / "data", episodes)
    return tmp_path / "data"


def write(folder, episodes):
    return write_dataset(
        folder, episodes, env=SPEC, policy_name="zero", policy_values={"speed": 0.5}, report={"goal_hit": 0.25}
    )


def change(folder, *path, value):
    """Puts a value into the manifest."""
    manifest = json.loads((folder / "manifest.json").read_text())
    place = manifest
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_what_was_written_is_read_back(folder, episodes):
    dataset = open_dataset(folder)
    assert dataset.num_episodes == 3
    assert dataset.lengths.tolist() == [5, 1, 8]
    assert dataset.first_action.tolist() == [0, 5, 6]
    assert dataset.first_observation.tolist() == [0, 6, 8]
    for index, episode in enumerate(episodes):
        observations, actions = dataset.episode(index)
        np.testing.assert_array_equal(actions, episode.actions)
        for sensor, readings in episode.observations.items():
            assert observations[sensor].dtype == readings.dtype
            np.testing.assert_array_equal(observations[sensor], readings)


def test_the_manifest_says_what_it_is(tmp_path, episodes):
    manifest = write(tmp_path / "data", episodes)
    assert open_dataset(tmp_path / "data").manifest == manifest
    assert manifest.env == SPEC
    assert manifest.seeds == (105, 101, 108)
    assert manifest.policy_values == {"speed": 0.5}
    assert manifest.report == {"goal_hit": 0.25}
    assert {"jepa-mpc", "mujoco", "numpy"} <= set(manifest.versions)


def test_the_files_are_plain_numpy(folder, episodes):
    actions = np.load(folder / "actions.npy", allow_pickle=False)
    np.testing.assert_array_equal(actions, np.concatenate([episode.actions for episode in episodes]))
    tip = np.load(folder / "observations" / "tip.npy", allow_pickle=False)
    np.testing.assert_array_equal(tip, np.concatenate([episode.observations["tip"] for episode in episodes]))


def test_the_same_episodes_give_the_same_bytes(tmp_path, folder, episodes):
    write(tmp_path / "again", episodes)
    for path in (path for path in folder.rglob("*") if path.is_file()):
        assert path.read_bytes() == (tmp_path / "again" / path.relative_to(folder)).read_bytes()


def test_another_content_has_another_fingerprint(tmp_path, folder, episodes):
    write(tmp_path / "same", episodes)
    episodes[1].observations["camera"][0, 0, 0, 0] ^= 1
    write(tmp_path / "other", episodes)
    fingerprints = [open_dataset(path).fingerprint for path in (folder, tmp_path / "same", tmp_path / "other")]
    assert fingerprints[0] == fingerprints[1] != fingerprints[2]


def test_the_data_cannot_be_changed_by_who_reads_it(folder):
    with pytest.raises(ValueError, match="read-only"):
        open_dataset(folder).actions[0] = 0


def test_a_folder_without_a_manifest_is_no_dataset(tmp_path, folder):
    with pytest.raises(DatasetError, match=r"nowhere is not a dataset: it holds no manifest\.json"):
        open_dataset(tmp_path / "nowhere")
    (folder / "manifest.json").unlink()
    with pytest.raises(DatasetError, match="is not a dataset"):
        open_dataset(folder)


def test_a_missing_file_is_named(folder):
    (folder / "observations" / "tip.npy").unlink()
    with pytest.raises(DatasetError, match=r"tip\.npy is missing"):
        open_dataset(folder)


@pytest.mark.parametrize("size", [0, 5, 100, -1])
def test_a_truncated_file_is_named(folder, size):
    path = folder / "actions.npy"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(DatasetError, match=r"actions\.npy is truncated"):
        open_dataset(folder)


def test_a_file_with_more_than_its_rows_is_named(folder):
    path = folder / "actions.npy"
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(DatasetError, match=r"actions\.npy has \d+ bytes, expected \d+"):
        open_dataset(folder)


@pytest.mark.parametrize(
    "array", [np.zeros((14, 2)), np.zeros((7, 4), np.float32), np.zeros((14, 2), np.float32, order="F")]
)
def test_an_array_of_another_kind_is_refused(folder, array):
    np.save(folder / "actions.npy", array)
    with pytest.raises(DatasetError, match=r"actions\.npy"):
        open_dataset(folder)


class Bomb:
    """Its unpickling makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_a_pickle_is_refused_and_not_executed(tmp_path, folder):
    np.save(folder / "actions.npy", np.array([Bomb(tmp_path / "boom")], dtype=object), allow_pickle=True)
    with pytest.raises(DatasetError, match=r"actions\.npy"):
        open_dataset(folder)
    (folder / "actions.npy").write_bytes(pickle.dumps(Bomb(tmp_path / "boom")))
    with pytest.raises(DatasetError, match=r"actions\.npy"):
        open_dataset(folder)
    assert not (tmp_path / "boom").exists()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "3",
        "[" * 100_000,
        '{"schema": NaN}',
        '{"schema": 2}',
        "\x00",
        '{"schema": 2' + "0" * 5000,
    ],
)
def test_a_manifest_that_is_none_is_refused(folder, text):
    (folder / "manifest.json").write_text(text)
    with pytest.raises(DatasetError, match=r"manifest\.json") as error:
        open_dataset(folder)
    assert len(str(error.value)) < 600


def test_a_manifest_that_is_not_text_is_refused(folder):
    (folder / "manifest.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DatasetError, match=r"manifest\.json"):
        open_dataset(folder)


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        (("schema",), 2, "was recorded by an older jepa-mpc, in format 2, and this one reads 3: record it anew"),
        (("schema",), 4, "schema is 4, expected 3"),
        (("schema",), None, "schema is None"),
        (("_target_",), "os.system", "_target_"),
        (("env", "_target_"), "os.system", "env is"),
        (("env",), None, "env is no description"),
        (("env", "sensors"), {}, "env.sensors"),
        (("env", "sensors"), {"../../etc/passwd": TIP, "camera": CAMERA}, "name of a sensor"),
        (("env", "sensors"), {"/etc/passwd": TIP, "camera": CAMERA}, "name of a sensor"),
        (("env", "sensors"), {"..": TIP, "camera": CAMERA}, "name of a sensor"),
        (("env", "sensors"), {"tip\0": TIP, "camera": CAMERA}, "name of a sensor"),
        (("env", "sensors", "tip", "shape"), [10**30], "tip.shape"),
        (("env", "sensors", "tip", "shape"), [-3], "the shape of a sensor must be"),
        (("env", "sensors", "tip", "shape"), ["3"], "env is"),
        (("env", "sensors", "tip", "shape"), [3.5], "env is"),
        (("env", "sensors", "tip", "shape"), [1] * 9, "the shape of a sensor must be"),
        (("env", "sensors", "tip", "kind"), "image", "the shape of an image must be"),
        (("env", "sensors", "tip", "kind"), "sound", "the kind of a sensor must be one of"),
        (("env", "task_id"), "antigravity:Reach-v0", "env.task_id"),
        (("env", "actions"), {"low": [], "high": [], "idle": None}, "two vectors of one size"),
        (("env", "actions"), {"low": [0.0, 1.0], "high": [1.0, 1.0], "idle": None}, "low below high"),
        (("env", "actions"), {"low": [0.0, 1.0], "high": [1.0, 1e400], "idle": None}, "a number is Infinity"),
        (("env", "actions"), {"low": [0.0, 1.0], "high": [1.0, 2.0], "idle": [5.0, 1.0]}, "the idle action"),
        (("env", "actions"), {"num_actions": 1, "idle": None}, "discrete actions must be at least 2"),
        (("env", "actions"), {"num_actions": 10**30, "idle": None}, "actions.shape"),
        (("env", "actions"), {"num_actions": 2, "idle": 2}, "the idle action"),
        (("env", "actions"), {"num_actions": 3, "idle": None}, "actions.shape"),
        (("env", "effector"), {}, "env is no description"),
        (("env", "effector", "sensor"), "elbow", "env.effector.sensor"),
        (("versions",), {"numpy": 2}, "versions.numpy is 2"),
        (("policy_name",), 5, "policy_name is 5"),
        (("policy_values",), [], "policy_values is"),
        (("seeds",), [1, 2], "number of seeds is 2"),
        (("seeds",), "123", "seeds is '123'"),
        (("seeds",), [1, 2, -3], "an entry of seeds is -3"),
        (("seeds",), [1, 2, True], "an entry of seeds is True"),
        (("lengths",), [], "number of seeds"),
        (("lengths",), [5, 1, -1], "an entry of lengths is -1"),
        (("num_steps",), 7, "an entry of num_steps is 7"),
        (("endings",), ["truncated"], "the number of endings is 1"),
        (("endings",), ["truncated", "terminated", "tired"], "an entry of endings is 'tired'"),
        (("endings",), [["truncated"], "terminated", "truncated"], "an entry of endings is"),
        (("lengths",), [5, 1, 8.0], "an entry of lengths is 8.0"),
        (("lengths",), [5, 1, 10**18], "an entry of lengths"),
        (("lengths",), [5, 2, 8], "tip.shape"),
        (("observations",), {}, "set of observations"),
        (("observations",), ["tip", "camera"], "set of observations"),
        (("observations", "tip"), 3, "observations.tip is 3"),
        (("observations", "tip", "shape"), [10**12, 3], "tip.shape"),
        (("observations", "tip", "dtype"), "object", "tip.dtype is 'object'"),
        (("observations", "tip", "dtype"), ["float32"], "tip.dtype"),
        (("observations", "tip", "sha256"), "../..", "tip.sha256"),
        (("observations", "tip", "path"), "/etc/passwd", "observations.tip is"),
        (("actions", "shape"), [1, 2], "actions.shape"),
        (("report",), {"goal_hit": "a lot"}, "report.goal_hit is 'a lot'"),
    ],
)
def test_a_hostile_manifest_gets_one_sentence(folder, path, value, complaint):
    change(folder, *path, value=value)
    with pytest.raises(DatasetError) as error:
        open_dataset(folder)
    sentence = str(error.value)
    assert complaint in sentence
    assert str(folder / "manifest.json") in sentence
    assert "\n" not in sentence
    assert len(sentence) < 1000


def test_a_manifest_of_many_gigabytes_is_not_read(folder):
    with (folder / "manifest.json").open("r+b") as file:
        file.truncate(2**33)
    with pytest.raises(DatasetError, match="a manifest has at most"):
        open_dataset(folder)
