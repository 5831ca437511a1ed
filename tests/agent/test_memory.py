import pytest
import torch

from agent.memory import Moment, ShortTermMemory


def moment(value: float) -> Moment:
    return Moment(embedding=torch.full((2,), value), previous_action=torch.full((1,), value), surprise=value)


def test_the_context_is_the_newest_moments_in_order():
    memory = ShortTermMemory(capacity=10)
    for value in (1.0, 2.0, 3.0):
        memory = memory.record(moment(value))
    context = memory.context(2)
    assert context.embeddings[0, :, 0].tolist() == [2.0, 3.0]
    assert context.actions[0, :, 0].tolist() == [2.0, 3.0]


def test_at_the_start_the_first_moment_is_repeated_at_rest():
    context = ShortTermMemory(capacity=10).record(moment(1.0)).record(moment(2.0)).context(4)
    assert context.embeddings[0, :, 0].tolist() == [1.0, 1.0, 1.0, 2.0]
    assert context.actions[0, :, 0].tolist() == [0.0, 0.0, 1.0, 2.0]


def test_memory_forgets_the_oldest():
    memory = ShortTermMemory(capacity=2)
    for value in (1.0, 2.0, 3.0):
        memory = memory.record(moment(value))
    assert [m.surprise for m in memory.moments] == [2.0, 3.0]


def test_recording_leaves_the_old_memory_as_it_was():
    memory = ShortTermMemory(capacity=2).record(moment(1.0))
    memory.record(moment(2.0))
    assert len(memory.moments) == 1


def test_an_empty_memory_has_no_context():
    with pytest.raises(ValueError, match="empty memory"):
        ShortTermMemory(capacity=2).context(1)
