"""Layouts: what an embedding is made of, and what its blocks are seen from each other."""

import pytest
import torch

from world_model.layout import Layout

BLOCKS = {"hand": slice(0, 2), "ball": slice(2, 4), "angle": slice(4, 5), "cup": slice(5, 7)}


def test_differences_of_one_kind_stand_behind_the_embedding():
    layout = Layout(BLOCKS, kinds=[("hand", "ball", "cup")])
    embedding = torch.arange(7.0)[None]
    assert (layout.embed_dim, layout.seen_dim) == (7, 13)
    expected = [*range(7), *(0 - 2, 1 - 3), *(0 - 5, 1 - 6), *(2 - 5, 3 - 6)]
    assert layout.seen(embedding).tolist() == [expected]


def test_where_nothing_is_compared_an_embedding_is_all_that_is_seen():
    layout, embedding = Layout(BLOCKS), torch.randn(3, 2, 7)
    assert layout.seen_dim == layout.embed_dim == 7
    assert layout.seen(embedding) is embedding


@pytest.mark.parametrize("way", [(1.0, -2.0), (30.0, 4.0)])
def test_moving_everything_by_one_vector_changes_no_difference(way):
    layout = Layout(BLOCKS, kinds=[("hand", "ball", "cup")])
    embedding = torch.randn(4, 7, dtype=torch.float64)
    moved = embedding.clone()
    for name in ("hand", "ball", "cup"):
        moved[:, BLOCKS[name]] += torch.tensor(way, dtype=torch.float64)
    torch.testing.assert_close(layout.seen(moved)[:, 7:], layout.seen(embedding)[:, 7:])
