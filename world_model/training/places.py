"""Where things are, found out and not told: what a robot moves goes where the robot goes, and all else rests.

An encoder that has learned knows where a thing is, but says so in numbers that bend, saturate and mix. Actions say how
far the robot went. So three kinds of numbers are sought in what the encoder knows, and its last layer is replaced:

- the place of what is moved: it rests while nothing is touched, and else goes as far as the robot;
- all that is left, what persists best first;
- the place of the robot: it goes as far as the actions say.

Both places are in one unit, straight, and so that their difference is the way from the one to the other. Actions that
are no ways of the robot through space, as turns of its joints, leave the first a thing that persists and is driven, and
no place.
"""

from dataclasses import dataclass
from itertools import combinations_with_replacement

import torch
from torch import Tensor

from world_model.training.robust import trust, usual_square

NUM_WINDOWS = 16_384
"""By which places are found."""

NUM_STEPS = 6
"""Model steps of each, at most."""

REST_SCALE = 0.25
"""Standard deviation of what is left, beside 1 of a place: so much less it counts where all numbers are predicted."""

LEAST_VARIANCE = 1e-4
"""As a share of the largest variance of a direction: one that varies less says nothing."""

RESTING, MOVING = 0.5, 0.85
"""Quantiles of the changes in a model step: below the one a thing is taken to rest, above the other to be moved."""


@dataclass(frozen=True)
class AffineMap:
    """A matrix and an offset.

    Attributes:
        weight: `[output_dim, input_dim]`.
        bias: `[output_dim]`.
    """

    weight: Tensor
    bias: Tensor

    def __call__(self, values: Tensor) -> Tensor:
        """Maps `[..., input_dim]` to `[..., output_dim]`."""
        return values @ self.weight.T + self.bias

    def after(self, first: "AffineMap") -> "AffineMap":
        """Returns the map that does what another does, and then what this one does."""
        return AffineMap(self.weight @ first.weight, self(first.bias))

    def minus(self, other: "AffineMap") -> "AffineMap":
        """Returns the difference of two maps of the same input."""
        return AffineMap(self.weight - other.weight, self.bias - other.bias)

    @classmethod
    def together(cls, *maps: "AffineMap") -> "AffineMap":
        """Returns what gives the outputs of several maps of the same input, one behind the other."""
        return cls(torch.cat([it.weight for it in maps]), torch.cat([it.bias for it in maps]))

    @classmethod
    def fit(cls, inputs: Tensor, outputs: Tensor, *, ridge: float = 0.0) -> "AffineMap":
        """Fits `[..., input_dim]` to `[..., output_dim]` by least squares; a ridge is a share of the mean square."""
        inputs, outputs = inputs.flatten(0, -2), outputs.flatten(0, -2)
        mean, middle = inputs.mean(dim=0), outputs.mean(dim=0)
        weight = _solve(inputs - mean, outputs - middle, ridge=ridge).T
        return cls(weight, middle - weight @ mean)


def find_places(hidden: Tensor, ways: Tensor, *, last: AffineMap, persistent_dim: int) -> AffineMap:
    """Returns the last layer that tells places.

    Args:
        hidden: `[num_windows, time, hidden_dim]`, what an encoder has before its last layer, of at least two frames.
        ways: `[num_windows, time - 1, action_dim]`, how far the actions between the frames go together.
        last: The layer that the encoder has learned, of more than `2 * action_dim` numbers.
        persistent_dim: How many of its first numbers have learned to persist.

    Returns:
        `action_dim` numbers of the place of what is moved; what is left, without the directions that persist least, for
        which there is no room; and `action_dim` numbers of the place of the robot. Places have the mean 0, and that of
        the thing, or else that of the robot, a standard deviation of 1 on average.
    """
    hidden, last = hidden.double(), AffineMap(last.weight.double(), last.bias.double())
    ways = ways.double() / ways.double().square().mean().sqrt()
    embeddings = last(hidden)
    persistent = embeddings[..., :persistent_dim]
    in_order = order_of_persistence(persistent[:, 0], persistent[:, min(_NUM_APART, ways.shape[1])])
    thing = AffineMap.fit(hidden, _place_of_thing(in_order(persistent), ways), ridge=_READOUT_RIDGE)
    places = AffineMap.together(thing, _place_of_robot(embeddings, ways).after(last))
    said = places(hidden).flatten(0, 1)
    spread = said.std(dim=0).view(2, -1).mean(dim=1)
    unit = (
        spread[0] if spread[0] > _LEAST_SPREAD * spread[1] else spread[1]
    )  # where nothing is moved, there is the robot
    places = AffineMap(places.weight / unit, (places.bias - said.mean(dim=0)) / unit)

    left = last.minus(AffineMap.fit(places(hidden), embeddings).after(places))
    before, after = left(hidden[:, 0]), left(hidden[:, min(_NUM_APART, ways.shape[1])])
    in_order = order_of_persistence(before, after)
    num_left = len(last.bias) - len(places.bias)
    in_order = AffineMap(REST_SCALE * in_order.weight[:num_left], REST_SCALE * in_order.bias[:num_left])
    of_thing, of_robot = (
        AffineMap(weight, bias) for weight, bias in zip(places.weight.chunk(2), places.bias.chunk(2), strict=True)
    )
    return AffineMap.together(of_thing, in_order.after(left), of_robot)


def order_of_persistence(before: Tensor, after: Tensor) -> AffineMap:
    """Returns the map to uncorrelated numbers of variance 1, those first that change least where nothing moves.

    Directions in which hardly anything varies at all come last, as they are.

    It solves the generalised eigenproblem of slow feature analysis (Wiskott & Sejnowski 2002), with changes that are
    large, those by which something was moved, hardly counting (Cauchy's weights; Holland & Welsch 1977).

    Args:
        before: `[num_windows, dim]`, embeddings.
        after: `[num_windows, dim]`, of the same windows, later.
    """
    frames = torch.cat([before, after]).double()
    mean = frames.mean(dim=0)
    variances, directions = torch.linalg.eigh((frames - mean).T @ (frames - mean) / len(frames))
    says_nothing = variances <= LEAST_VARIANCE * variances.max()
    whitening = directions[:, ~says_nothing] / variances[~says_nothing].sqrt()
    changes = (after - before).double() @ whitening
    squares = changes.square().sum(dim=1)
    weights = trust(squares, usual_square(squares, beside=squares))
    _, order = torch.linalg.eigh((changes * weights[:, None]).T @ changes / weights.sum())
    recombined = torch.cat([whitening @ order, directions[:, says_nothing]], dim=1)
    largest = recombined.gather(0, recombined.abs().argmax(dim=0, keepdim=True))
    weight = (recombined * largest.sign()).T
    return AffineMap(weight, -weight @ mean)


def _place_of_robot(embeddings: Tensor, ways: Tensor) -> AffineMap:
    """Returns a map of embeddings `[num_windows, time, dim]` whose changes are the ways; walls hardly count."""
    changes, ways = embeddings.diff(dim=1).flatten(0, 1), ways.flatten(0, 1)
    weights, sizes = torch.ones(len(ways), dtype=ways.dtype), ways.square().sum(dim=1)
    for _ in range(_NUM_REWEIGHTINGS):
        matrix = _solve(changes, ways, weights=weights, ridge=_RIDGE)
        squares = (changes @ matrix - ways).square().sum(dim=1)
        weights = trust(squares, usual_square(squares, beside=sizes))
    return AffineMap(matrix.T, torch.zeros(len(matrix.T), dtype=matrix.dtype))


def _place_of_thing(persistent: Tensor, ways: Tensor) -> Tensor:
    """Returns where what is moved is, `[num_windows, time, action_dim]`, in the unit of the ways.

    In turn, it is told from the changes of a place which steps something rested in and which it was moved in, and a new
    place is fitted that rests in the former and goes the way of the robot in the latter: at first a linear function of
    what persists, then one of squares and cubes too.

    Args:
        persistent: `[num_windows, time, dim]`, what persists best first, uncorrelated, of variance 1.
        ways: `[num_windows, time - 1, action_dim]`.
    """
    place = persistent[..., :_NUM_WATCHED]
    for _ in range(_LINEAR_ROUNDS):
        place = _goes_along(persistent[..., :_NUM_LINEAR], place, ways)
    curved = _curved(persistent)
    for _ in range(_CURVED_ROUNDS):
        place = _goes_along(curved, place, ways)
    return place


def _goes_along(features: Tensor, place: Tensor, ways: Tensor) -> Tensor:
    """Returns the linear function of features that rests where a place rests, and goes the way where it moves.

    Args:
        features: `[num_windows, time, num_features]`.
        place: `[num_windows, time, dim]`, of which only the sizes of its changes count.
        ways: `[num_windows, time - 1, action_dim]`.

    Returns:
        `[num_windows, time, action_dim]`, of the mean 0.
    """
    sizes = place.diff(dim=1).norm(dim=2)
    rests, moves = (_all_between(kind) for kind in (sizes <= sizes.quantile(RESTING), sizes > sizes.quantile(MOVING)))
    window, pair = (rests | moves).nonzero(as_tuple=True)
    if len(window) > _MOST_ROWS:
        chosen = torch.linspace(0, len(window) - 1, _MOST_ROWS, dtype=torch.float64).long()
        window, pair = window[chosen], pair[chosen]
    first, last = torch.triu_indices(features.shape[1], features.shape[1], offset=1)[:, pair]
    so_far = torch.cat([torch.zeros_like(ways[:, :1]), ways.cumsum(dim=1)], dim=1)
    is_moved = moves[window, pair]
    wanted = torch.where(is_moved[:, None], so_far[window, last] - so_far[window, first], 0.0)
    changes = features[window, last] - features[window, first]
    share = torch.where(is_moved, 1.0 / is_moved.sum().clamp_min(1), _RESTING_WEIGHT / (~is_moved).sum())
    weights = torch.ones_like(share)
    for _ in range(_NUM_REWEIGHTINGS):
        matrix = _solve(changes, wanted, weights=share * weights, ridge=_RIDGE)
        squares = (changes @ matrix - wanted).square().sum(dim=1)
        scale = torch.where(is_moved, _SLACK, squares[~is_moved].median())
        weights = trust(squares, scale)
    found = features @ matrix
    return found - found.flatten(0, 1).mean(dim=0)


def _all_between(steps: Tensor) -> Tensor:
    """Returns for each two frames whether something holds for all steps between them.

    Args:
        steps: `[num_windows, time - 1]`, whether it holds for each step.

    Returns:
        `[num_windows, num_pairs]`, in the order of `torch.triu_indices`.
    """
    so_far = torch.cat([torch.zeros_like(steps[:, :1], dtype=torch.long), steps.cumsum(dim=1)], dim=1)
    first, last = torch.triu_indices(so_far.shape[1], so_far.shape[1], offset=1)
    holds: Tensor = so_far[:, last] - so_far[:, first] == last - first
    return holds


def _curved(numbers: Tensor) -> Tensor:
    """Returns numbers `[..., dim]`, their products in pairs, and the cubes of the first of them, each of variance 1."""
    dim = numbers.shape[-1]
    powers = [
        *combinations_with_replacement(range(dim), 1),
        *combinations_with_replacement(range(dim), 2),
        *combinations_with_replacement(range(min(dim, _NUM_CUBIC)), 3),
    ]
    products = torch.stack([numbers[..., power].prod(dim=-1) for power in map(list, powers)], dim=-1)
    return products / products.flatten(0, -2).std(dim=0).clamp_min(_TINY)


def _solve(inputs: Tensor, outputs: Tensor, *, ridge: float, weights: Tensor | None = None) -> Tensor:
    """Returns the matrix `[input_dim, output_dim]` of weighted least squares; see `AffineMap.fit`."""
    weighted = inputs.T if weights is None else inputs.T * weights
    products = weighted @ inputs
    slack = (ridge * products.diagonal().mean()).clamp_min(_TINY) * torch.eye(len(products), dtype=products.dtype)
    matrix: Tensor = torch.linalg.solve(products + slack, weighted @ outputs)
    return matrix


_NUM_APART = 2  # model steps between frames that tell what persists
_NUM_WATCHED = 5  # first numbers, of those that persist, whose changes tell at first whether something is moved
_NUM_LINEAR = 8  # of which a place is at first a linear function
_NUM_CUBIC = 6  # that appear in cubes
_LINEAR_ROUNDS, _CURVED_ROUNDS, _NUM_REWEIGHTINGS = 2, 3, 4
_SLACK = 0.025  # squared, of the rms way of a model step: what is pushed does not go quite as far
_RESTING_WEIGHT = 4.0  # of all that rests, beside 1 of all that is moved
_RIDGE, _READOUT_RIDGE = 1e-6, 1e-3
_MOST_ROWS = 60_000
_LEAST_SPREAD = 0.1  # of the thing's place, beside the robot's: of what is never moved, no place is told
_TINY = 1e-12
