from dataclasses import replace

import pytest
import torch

from agent.memory import Moment, ShortTermMemory
from world_model.training.checkpoint import CheckpointError
from world_model.training.tensor_file import read_tensors, write_tensors
from world_model.types import LatentGoal


def moment(value: float) -> Moment:
    return Moment(
        time=int(value),
        embedding=torch.full((2,), value),
        previous_action=torch.full((1,), value),
        goal=LatentGoal(embedding=torch.tensor([[value, 0.0]]), mask=torch.tensor([[True, False]])),
        intrinsic_cost=value / 3.0,
        surprise=value / 7.0,
        block_surprises={"tip": value / 7.0},
    )


def remember(*values, capacity=10):
    memory = ShortTermMemory(capacity=capacity)
    for value in values:
        memory = memory.record(moment(value))
    return memory


def test_memory_forgets_the_oldest():
    assert [m.time for m in remember(1.0, 2.0, 3.0, capacity=2).moments] == [2, 3]


def test_recording_leaves_the_old_memory_as_it_was():
    memory = remember(1.0)
    memory.record(moment(2.0))
    assert len(memory.moments) == 1


def test_the_triples_are_time_state_and_intrinsic_cost_of_what_is_remembered():
    memory = remember(1.0, 2.0, 3.0, capacity=2)
    times, embeddings, costs = memory.triples()
    assert times.tolist() == [2, 3]
    assert embeddings.tolist() == [[2.0, 2.0], [3.0, 3.0]]
    assert costs.tolist() == [2.0 / 3.0, 3.0 / 3.0]
    assert memory.goals().embedding.tolist() == [[2.0, 0.0], [3.0, 0.0]]


@pytest.fixture
def memory():
    blind = replace(moment(2.0), block_surprises={})
    both = replace(moment(3.0), block_surprises={"tip": 0.1, "block": 0.2})
    return remember(1.0).record(blind).record(both)


def test_what_is_saved_is_read_back_to_the_last_bit(memory, tmp_path):
    memory.save(tmp_path / "memory.safetensors")
    read_back = ShortTermMemory.load(tmp_path / "memory.safetensors")
    assert read_back.capacity == memory.capacity
    for ours, theirs in zip(memory.moments, read_back.moments, strict=True):
        for name in ("time", "intrinsic_cost", "surprise", "block_surprises", "seen"):
            assert getattr(ours, name) == getattr(theirs, name)
        assert torch.equal(ours.embedding, theirs.embedding)
        assert torch.equal(ours.previous_action, theirs.previous_action)
        assert torch.equal(ours.goal.embedding, theirs.goal.embedding)
        assert torch.equal(ours.goal.mask, theirs.goal.mask)
    read_back.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "memory.safetensors").read_bytes()


def test_a_path_may_be_text(memory, tmp_path):
    memory.save(f"{tmp_path}/memory.safetensors")
    assert ShortTermMemory.load(f"{tmp_path}/memory.safetensors").capacity == memory.capacity


def test_no_memory_and_something_else_are_told_apart(tmp_path):
    with pytest.raises(CheckpointError, match=f"^there is no short-term memory {tmp_path}/none$"):
        ShortTermMemory.load(tmp_path / "none")
    (tmp_path / "junk").write_text("junk")
    with pytest.raises(CheckpointError, match=f"^{tmp_path}/junk is no short-term memory, expected a whole file"):
        ShortTermMemory.load(tmp_path / "junk")


def test_a_damaged_file_is_refused_in_one_sentence(memory, tmp_path):
    path = tmp_path / "memory.safetensors"
    memory.save(path)
    content = path.read_bytes()
    for damaged in (content[:-1], content[:100], b"", content.replace(b"memory_schema", b"memory_schemb")):
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError) as error:
            ShortTermMemory.load(path)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("tensors", "header"),
    [
        ({"seen": torch.ones(3, 1, dtype=torch.bool)}, {}),
        ({"surprises": torch.zeros(2)}, {}),
        ({"times": torch.zeros(3)}, {}),
        ({"goal_embeddings": torch.zeros(3, 5)}, {}),
        ({"other": torch.zeros(3)}, {}),
        ({}, {"memory_schema": 2}),
        ({}, {"capacity": 2}),
        ({}, {"capacity": "many"}),
        ({}, {"sensors": ["tip"]}),
        ({}, {"sensors": [1, 2]}),
    ],
)
def test_a_file_that_is_whole_and_makes_no_sense_is_refused(memory, tmp_path, tensors, header):
    path = tmp_path / "memory.safetensors"
    memory.save(path)
    whole, said = read_tensors(path)
    write_tensors(path, {**whole, **tensors}, {**said, **header})
    with pytest.raises(CheckpointError, match="must hold a short-term memory of schema 1"):
        ShortTermMemory.load(path)


def test_there_is_nothing_to_save_of_an_empty_memory(tmp_path):
    with pytest.raises(ValueError, match="empty memory cannot be saved"):
        ShortTermMemory(capacity=2).save(tmp_path / "memory.safetensors")
