"""A grid with walls, whose optimum is known for every horizon by dynamic programming."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from benchmarks.planners.objectives import priced
from planners.types import ActionBounds, Score

MAP = """
............
............
..########..
.........#..
.........#..
.........#..
.........#..
..########..
............
....#.......
....#.......
....#.......
"""
"""A pocket that opens to the left, and a wall that stands on the lower edge; 12 x 12 cells."""

Cell = tuple[int, int]

STARTS: list[Cell] = [(0, 0), (5, 7), (5, 2), (11, 2), (5, 8), (1, 4), (11, 0)]
GOALS: list[Cell] = [(11, 11), (5, 11), (0, 11), (11, 7), (10, 5), (6, 4), (5, 8)]
"""Seven ways across `MAP`, of 11 to 22 steps; in five of them walls stand in the straight way."""


@dataclass(frozen=True)
class GridWorld:
    """Cells and walls; a step stays or moves to one of the four neighbours, and a wall or the edge blocks the move.

    Attributes:
        walls: `[num_rows, num_columns]` bool.
    """

    walls: Tensor

    @cached_property
    def bounds(self) -> ActionBounds:
        """The five moves, in rows and columns: stay, up, down, left, right."""
        moves = torch.tensor([[0.0, 0.0], [-1.0, 0.0], [1.0, 0.0], [0.0, -1.0], [0.0, 1.0]])
        return ActionBounds(low=-torch.ones(2), high=torch.ones(2), choices=moves)

    def step(self, cells: Tensor, moves: Tensor) -> Tensor:
        """Returns the cells `[..., 2]` that the moves `[..., 2]` lead to."""
        last = torch.tensor(self.walls.shape) - 1
        ahead = torch.minimum((cells + moves.round().long()).clamp(min=0), last)
        return torch.where(self.walls[ahead[..., 0], ahead[..., 1]][..., None], cells, ahead)

    def steps_to(self, goal: Cell) -> Tensor:
        """Returns the least steps to the goal from every cell, `[num_rows, num_columns]`, around the walls.

        Where no way leads there, the number of cells.
        """
        steps = torch.full(self.walls.shape, float(self.walls.numel()))
        steps[goal] = 0
        for _ in range(self.walls.numel()):
            steps = torch.minimum(steps, 1 + self._least_next(steps))
        return steps

    def optimum(self, starts: Sequence[Cell], cell_cost: Tensor, *, horizon: int) -> Tensor:
        """Returns the least cost from each start, `[batch]`, by dynamic programming.

        Args:
            starts: Cells, one a problem.
            cell_cost: `[batch, num_rows, num_columns]`, see `objective`.
            horizon: Steps.
        """
        least = []
        for start, cost in zip(starts, cell_cost, strict=True):
            cost_to_go = torch.zeros_like(cost)
            for _ in range(horizon):
                cost_to_go = self._least_next(cost + cost_to_go)
            least.append(cost_to_go[start])
        return torch.stack(least)

    def objective(self, starts: Sequence[Cell], cell_cost: Tensor) -> "GridObjective":
        """Returns the cost of move sequences: that of each cell that they lead to, summed.

        Args:
            starts: Cells, one a problem.
            cell_cost: `[batch, num_rows, num_columns]`.
        """
        return GridObjective(self, torch.tensor(starts), cell_cost)

    def _least_next(self, value: Tensor) -> Tensor:
        """Returns the least value that one move leads to from every cell."""
        cells = torch.cartesian_prod(*(torch.arange(size) for size in self.walls.shape))
        assert self.bounds.choices is not None
        ahead = self.step(cells[:, None], self.bounds.choices)  # [num_cells, num_moves, 2]
        return value[ahead[..., 0], ahead[..., 1]].amin(dim=1).view(self.walls.shape)


@dataclass(frozen=True)
class GridObjective:
    """The summed cost of the cells that move sequences lead to."""

    grid: GridWorld
    starts: Tensor
    cell_cost: Tensor

    def __call__(self, actions: Tensor) -> Score:
        cells = self.starts[:, None].expand(-1, actions.shape[1], -1)
        problem = torch.arange(len(self.starts))[:, None]
        cost = torch.zeros(actions.shape[:2])
        for moves in actions.unbind(dim=2):
            cells = self.grid.step(cells, moves)
            cost = cost + self.cell_cost[problem, cells[..., 0], cells[..., 1]]
        return priced(cost)


def make_grid_world() -> GridWorld:
    """Returns the 12 x 12 grid of `MAP`."""
    return GridWorld(walls=torch.tensor([[cell == "#" for cell in row] for row in MAP.split()]))
