import json
import os
import pickle
import struct
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from world_model.training.checkpoint import (
    Checkpoint,
    CheckpointError,
    Metadata,
    file_sha256,
    load_checkpoint,
    save_checkpoint,
    section_sha256,
)


@pytest.fixture
def metadata():
    return Metadata(
        configs={"encoder": {"name": "mlp", "values": {"hidden_dim": 8}}},
        env={"env_id": "test/Linear-v0", "sensors": {"tip": [3]}},
        action_repeat=2,
        versions={"torch": "2"},
        data_fingerprint="abc",
        training_step=7,
        bonds={"critic": "0" * 64},
    )


@pytest.fixture
def checkpoint(metadata):
    torch.manual_seed(0)
    return Checkpoint(
        sections={"world_model": nn.Linear(3, 2).state_dict(), "critic": nn.Linear(2, 1).state_dict()},
        metadata=metadata,
    )


@pytest.fixture
def saved(tmp_path, checkpoint):
    path = tmp_path / "some" / "last.safetensors"
    save_checkpoint(path, checkpoint)
    return path


def header_of(path):
    content = path.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + size]), content[8 + size :]


def forge(path, change):
    """Rewrites the metadata of a checkpoint and leaves its tensors."""
    outer, tensors = header_of(path)
    inner = json.loads(outer["__metadata__"]["jepa-mpc"])
    change(inner)
    outer["__metadata__"]["jepa-mpc"] = json.dumps(inner)
    text = json.dumps(outer).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + tensors)


def test_what_was_saved_is_loaded(saved, checkpoint):
    loaded = load_checkpoint(saved)
    assert loaded.metadata == checkpoint.metadata
    assert loaded.sections.keys() == checkpoint.sections.keys()
    for section, tensors in checkpoint.sections.items():
        restored = nn.Linear(*reversed(tensors["weight"].shape))
        loaded.restore(section, restored)
        assert all(torch.equal(restored.state_dict()[name], tensor) for name, tensor in tensors.items())


def test_equal_checkpoints_have_equal_bytes_and_others_another_hash(tmp_path, saved, checkpoint):
    save_checkpoint(tmp_path / "again", checkpoint)
    assert (tmp_path / "again").read_bytes() == saved.read_bytes()
    assert file_sha256(tmp_path / "again") == file_sha256(saved)
    save_checkpoint(tmp_path / "other", replace(checkpoint, metadata=replace(checkpoint.metadata, training_step=8)))
    assert file_sha256(tmp_path / "other") != file_sha256(saved)


def test_the_hash_of_a_section_is_that_of_its_names_kinds_shapes_and_numbers(saved, checkpoint):
    tensors = checkpoint.sections["world_model"]
    ours = section_sha256(tensors)
    assert section_sha256(load_checkpoint(saved).sections["world_model"]) == ours
    assert section_sha256(dict(reversed(tensors.items()))) == ours
    weight, bias = tensors["weight"], tensors["bias"]
    others = [
        {"weight": weight, "offset": bias},
        {"weight": weight, "bias": bias.double()},
        {"weight": weight.T.reshape(3, 2), "bias": bias},
        {"weight": weight.reshape(3, 2), "bias": bias},
        {"weight": weight, "bias": torch.nextafter(bias, torch.ones(2))},
        {"weight": weight},
        {},
    ]
    assert len({ours, *map(section_sha256, others)}) == 1 + len(others)


def test_nothing_but_the_file_is_left(saved):
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


class Bomb:
    """Leaves a trace where it is unpickled."""

    def __init__(self, trace):
        self.trace = str(trace)

    def __reduce__(self):
        return os.mkdir, (self.trace,)


@pytest.mark.parametrize("write", [lambda bomb, path: path.write_bytes(pickle.dumps(bomb)), torch.save])
def test_a_pickle_is_refused_and_not_executed(tmp_path, write):
    path, trace = tmp_path / "last.safetensors", tmp_path / "trace"
    write(Bomb(trace), path)
    with pytest.raises(CheckpointError, match="a pickle is never read"):
        load_checkpoint(path)
    assert not trace.exists()


@pytest.mark.parametrize("size", [0, 7, 8, 100, -1])
def test_a_truncated_file_is_refused(saved, size):
    saved.write_bytes(saved.read_bytes()[:size])
    with pytest.raises(CheckpointError, match="no checkpoint, expected a whole safetensors file"):
        load_checkpoint(saved)


def test_no_file_and_somebody_elses_are_told_apart(tmp_path):
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        load_checkpoint(tmp_path / "missing")
    save_file({"weight": torch.zeros(1)}, tmp_path / "other")
    with pytest.raises(CheckpointError, match="somebody else's"):
        load_checkpoint(tmp_path / "other")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda header: header.update(schema=1),
            r"by another version \(schema 1, expected 3\): train it anew",
        ),
        (lambda header: header.pop("schema"), r"another version \(schema None, expected 3\)"),
        (lambda header: header.pop("env"), "has the keys"),
        (lambda header: header.update(extra=1), "has the keys"),
        (lambda header: header.update(action_repeat="two"), "'action_repeat' in .* is two, expected a int"),
        (lambda header: header.update(bonds=["critic"]), "'bonds' in .* is .*, expected a dict"),
        (lambda header: header.update(training_step=True), "'training_step' in .* is True, expected a int"),
        (lambda header: header.update(_target_="os.system"), "the key '_target_'"),
        (lambda header: header["configs"]["encoder"]["values"].update(_target_="os.system"), "the key '_target_'"),
        (lambda header: header["env"].update(list=[{"_partial_": True}]), "the key '_partial_'"),
        (lambda header: header["configs"]["encoder"].update(code="x"), "must hold 'name' and 'values'"),
        (lambda header: header["env"].update(number=float("nan")), "a number is NaN"),
        (lambda header: header.update(action_repeat=0), "'action_repeat' in .* must be at least 1, got 0"),
    ],
)
def test_forged_metadata_are_refused(saved, change, message):
    forge(saved, change)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(saved)


def test_tensors_that_do_not_fit_are_named(checkpoint):
    with pytest.raises(CheckpointError, match=r"no section 'policy', it has \['critic', 'world_model'\]"):
        checkpoint.restore("policy", nn.Linear(3, 2))
    with pytest.raises(CheckpointError, match=r"'world_model.bias' has shape \[2\], its config asks for \[4\]"):
        checkpoint.restore("world_model", nn.Linear(3, 4))
    with pytest.raises(CheckpointError, match=r"lacks the tensor 'world_model.0.bias'"):
        checkpoint.restore("world_model", nn.Sequential(nn.Linear(3, 2)))
    with pytest.raises(CheckpointError, match=r"a tensor 'world_model.bias' that its config does not know"):
        checkpoint.restore("world_model", nn.Linear(3, 2, bias=False))


def test_numbers_of_another_kind_are_refused(checkpoint):
    weights = {"weight": torch.zeros(2, 3, dtype=torch.float64), "bias": torch.zeros(2)}
    with pytest.raises(CheckpointError, match=r"'world_model.weight' is of torch.float64, .* asks for torch.float32"):
        replace(checkpoint, sections={"world_model": weights}).restore("world_model", nn.Linear(3, 2))


@pytest.mark.parametrize("name", ["normalizers.position.std", "action_encoder.normalizer.std"])
@pytest.mark.parametrize("std", [0.0, -1.0])
def test_a_normaliser_that_cannot_divide_is_refused(checkpoint, build_model, name, std):
    model = build_model()
    weights = model.state_dict() | {name: torch.tensor([1.0, std])}
    with pytest.raises(CheckpointError, match=f"'{name}' must be above 0, the least is {std:g}"):
        replace(checkpoint, sections={"world_model": weights}).restore("world_model", model)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_neither_saved_nor_loaded(tmp_path, saved, checkpoint, value):
    bad = replace(checkpoint, sections={"world_model": {"weight": torch.tensor([0.0, value])}})
    with pytest.raises(CheckpointError, match=r"'world_model.weight' of .* must be finite"):
        save_checkpoint(tmp_path / "bad", bad)
    assert not (tmp_path / "bad").exists()
    outer, tensors = header_of(saved)
    text = json.dumps(outer).encode()
    saved.write_bytes(struct.pack("<Q", len(text)) + text + struct.pack("<f", value) + tensors[4:])
    with pytest.raises(CheckpointError, match="must be finite"):
        load_checkpoint(saved)


def test_a_full_disk_leaves_the_old_checkpoint_and_names_the_file(saved, checkpoint, monkeypatch):
    before = saved.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device: .*last.safetensors"):
        save_checkpoint(saved, replace(checkpoint, sections={}))
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]
