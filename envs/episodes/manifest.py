"""What a dataset says of itself, and the strict reading of it: a manifest may come from anywhere."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn, get_args

from envs.spec import SENSOR_NAME, TASK_ID, TaskSpec
from jepa_mpc.errors import UserError
from jepa_mpc.files import write_whole

SCHEMA = 3
FILE_NAME = "manifest.json"
DTYPES = ("float32", "uint8")

Ending = Literal["terminated", "truncated"]
"""How an episode ended: in the task itself, so that nothing could follow, or because somebody had seen enough."""

_MAX_BYTES = 64 * 2**20
_SHA256 = re.compile(r"[0-9a-f]{64}")
_KEYS = (
    "schema",
    "env",
    "versions",
    "policy_name",
    "policy_values",
    "backends",
    "seeds",
    "num_steps",
    "lengths",
    "endings",
    "observations",
    "actions",
    "report",
)


class DatasetError(UserError):
    """A folder is no dataset, or a damaged one; the message is one sentence for whoever named the folder."""


@dataclass(frozen=True)
class ArrayInfo:
    """What is stored in one `.npy` file.

    Attributes:
        shape: Rows of all episodes one after the other, `(num_rows, *row_shape)`.
        dtype: One of `DTYPES`, little-endian.
        sha256: Of the whole file, as hexadecimal digits; empty while the file is being written.
    """

    shape: tuple[int, ...]
    dtype: str
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What a dataset says of itself.

    Attributes:
        env: The environment that the episodes come from.
        versions: Package name to the version that recorded them.
        policy_name: Who acted.
        policy_values: With which values; plain JSON.
        backends: What drew the frames of cameras; of several, each episode had the next, by its seed.
        seeds: One for each episode, in the order of the rows.
        num_steps: Most steps that an episode could have.
        lengths: Steps of each episode; an episode has one observation more than it has steps.
        endings: How each episode ended.
        observations: Sensor name to its array.
        actions: `(num_steps, action_dim)`.
        report: Measures of the whole, each finite.
    """

    env: TaskSpec
    versions: Mapping[str, str]
    policy_name: str
    policy_values: Mapping[str, Any]
    backends: tuple[str, ...]
    seeds: tuple[int, ...]
    num_steps: int
    lengths: tuple[int, ...]
    endings: tuple[Ending, ...]
    observations: Mapping[str, ArrayInfo]
    actions: ArrayInfo
    report: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """Returns plain data that `manifest_from_json` turns back into an equal manifest."""
        data: dict[str, Any] = json.loads(json.dumps({"schema": SCHEMA, **asdict(self)}, allow_nan=False))
        return data

    @classmethod
    def from_json(cls, data: Any) -> "Manifest":
        """Reads what `to_json` wrote, and nothing else.

        Raises:
            DatasetError: `data` is no manifest of this schema, or contradicts itself.
        """
        _require(isinstance(data, dict), "the manifest", type(data).__name__, "a JSON object")
        schema = data.get("schema")
        if isinstance(schema, int) and 0 < schema < SCHEMA:
            raise DatasetError(
                f"was recorded by an older jepa-mpc, in format {schema}, and this one reads {SCHEMA}: record it anew"
            )
        _require(schema == SCHEMA, "schema", schema, f"{SCHEMA}")
        _require(set(data) == set(_KEYS), "the set of keys", sorted(data), f"{sorted(_KEYS)}")
        env = _env(data["env"])
        lengths = _integers(data["lengths"], "lengths", minimum=0)
        endings = _endings(data["endings"])
        seeds = _integers(data["seeds"], "seeds", minimum=0)
        _require(len(seeds) == len(lengths) > 0, "the number of seeds", len(seeds), f"one a length, {len(lengths)}")
        _require(len(endings) == len(lengths), "the number of endings", len(endings), f"one a length, {len(lengths)}")
        num_steps, num_rows = sum(lengths), sum(lengths) + len(lengths)
        (most,) = _integers([data["num_steps"]], "num_steps", minimum=max(lengths))
        _require(num_steps > 0, "the number of steps", num_steps, "at least one, in any of its episodes")
        observations = data["observations"]
        _require(
            isinstance(observations, dict) and set(observations) == set(env.sensors),
            "the set of observations",
            sorted(observations) if isinstance(observations, dict) else observations,
            f"the sensors {sorted(env.sensors)}",
        )
        return cls(
            env=env,
            versions=_texts(data["versions"], "versions"),
            policy_name=_text(data["policy_name"], "policy_name"),
            policy_values=_mapping(data["policy_values"], "policy_values"),
            backends=_backends(data["backends"]),
            seeds=seeds,
            num_steps=most,
            lengths=lengths,
            endings=endings,
            observations={
                name: _array(observations[name], f"observations.{name}", (num_rows, *shape))
                for name, shape in env.shapes.items()
            },
            actions=_array(data["actions"], "actions", (num_steps, env.action_dim)),
            report=_report(data["report"]),
        )


def read_manifest(folder: Path) -> Manifest:
    """Reads the manifest of a dataset.

    Raises:
        DatasetError: The folder holds none, or one that cannot be trusted; the sentence names the folder.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        raise DatasetError(f"{folder} is not a dataset: it holds no {FILE_NAME}")
    if path.stat().st_size > _MAX_BYTES:
        raise DatasetError(f"{path} has {path.stat().st_size} bytes, a manifest has at most {_MAX_BYTES}")
    try:
        return Manifest.from_json(json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant))
    except DatasetError as error:
        raise DatasetError(f"{path}: {error}") from None
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{path} is not JSON that can be read: {error}") from None


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Writes the manifest: it is there as a whole, on the disk, or not at all."""
    lines = (f" {json.dumps(key)}: {json.dumps(value)}" for key, value in manifest.to_json().items())
    write_whole(folder / FILE_NAME, "{\n" + ",\n".join(lines) + "\n}\n")


def _require(condition: bool, what: str, value: object, right: str) -> None:
    if not condition:
        raise DatasetError(f"{what} is {_short(value)}, expected {right}")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}…"


def _refuse_constant(constant: str) -> NoReturn:
    raise DatasetError(f"a number is {constant}, expected finite numbers only")


def _env(data: Any) -> TaskSpec:
    try:
        env = TaskSpec.from_json(data)
        faithful = json.loads(json.dumps(env.to_json())) == data
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise DatasetError(f"env is no description of an environment ({error!r}): {_short(data)}") from None
    _require(faithful, "env", data, "the keys and types of a TaskSpec and no others")
    _require(TASK_ID.fullmatch(env.task_id) is not None, "env.task_id", env.task_id, "letters, digits and any of _./-")
    _require(bool(env.sensors), "env.sensors", data["sensors"], "at least one sensor")
    for name in env.sensors:
        _require(
            SENSOR_NAME.fullmatch(name) is not None, "the name of a sensor", name, "lower-case letters, digits and _"
        )
    for what in ("perceived", "asked"):
        _require(set(data[what]) <= set(env.sensors), f"env.{what}", data[what], f"some of {sorted(env.sensors)}")
    if env.effector is not None:
        sensor = env.effector.sensor
        _require(sensor in env.sensors, "env.effector.sensor", sensor, f"one of {sorted(env.sensors)}")
    return env


def _array(data: Any, what: str, shape: tuple[int, ...]) -> ArrayInfo:
    keys = {"shape", "dtype", "sha256"}
    _require(isinstance(data, dict) and set(data) == keys, what, data, f"an object of {sorted(keys)}")
    _require(data["shape"] == list(shape), f"{what}.shape", data["shape"], f"{list(shape)}, by env and lengths")
    _require(data["dtype"] in DTYPES, f"{what}.dtype", data["dtype"], f"one of {DTYPES}")
    checksum = _text(data["sha256"], f"{what}.sha256")
    _require(_SHA256.fullmatch(checksum) is not None, f"{what}.sha256", checksum, "64 hexadecimal digits")
    return ArrayInfo(shape=shape, dtype=str(data["dtype"]), sha256=checksum)


def _integers(data: Any, what: str, *, minimum: int) -> tuple[int, ...]:
    _require(isinstance(data, list), what, data, "a list of integers")
    for value in data:
        good = isinstance(value, int) and not isinstance(value, bool) and minimum <= value < 2**32
        _require(good, f"an entry of {what}", value, f"an integer in {minimum}..{2**32 - 1}")
    return tuple(data)


def _endings(data: Any) -> tuple[Ending, ...]:
    _require(isinstance(data, list), "endings", data, "a list of texts")
    for value in data:
        _require(value in get_args(Ending), "an entry of endings", value, f"one of {get_args(Ending)}")
    return tuple(data)


def _text(data: Any, what: str) -> str:
    _require(isinstance(data, str), what, data, "a text")
    return str(data)


def _mapping(data: Any, what: str) -> dict[str, Any]:
    _require(isinstance(data, dict), what, data, "a JSON object")
    return dict(data)


def _backends(data: Any) -> tuple[str, ...]:
    _require(isinstance(data, list), "backends", data, "a list of texts")
    return tuple(_text(backend, "an entry of backends") for backend in data)


def _texts(data: Any, what: str) -> dict[str, str]:
    return {key: _text(value, f"{what}.{key}") for key, value in _mapping(data, what).items()}


def _report(data: Any) -> dict[str, float]:
    report = _mapping(data, "report")
    for key, value in report.items():
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        _require(number, f"report.{key}", value, "a finite number")
    return report
