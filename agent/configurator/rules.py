"""The configurator that reads a table of rules: the first that applies decides."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from agent.configurator.types import Configuration, Situation
from agent.cost.types import Cost, CostModule
from agent.futures import Futures
from agent.perception import Attention
from agent.pursuit import SubGoals
from jepa_mpc.hints import hint
from jepa_mpc.ranges import check_number
from planners.types import Budget

QUANTITIES: Mapping[str, Callable[[Situation], float | None]] = {
    "surprise": lambda situation: situation.surprise,
    "goal_distance": lambda situation: situation.goal_distance,
    "cost_to_go": lambda situation: situation.cost_to_go,
    "doubt": lambda situation: situation.doubt,
    "steps_on_goal": lambda situation: situation.steps_on_goal,
    "steps_without_progress": lambda situation: situation.steps_without_progress,
    "num_filled_sensors": lambda situation: len(situation.filled_sensors),
    "goal_index": lambda situation: situation.goal_index,
    "num_goals_left": lambda situation: situation.num_goals - 1 - situation.goal_index,
}
"""What a rule may ask of a situation: each with `_above` or `_below` behind it, and a number."""

CRITIC_QUANTITIES = ("cost_to_go", "doubt")
_CONDITIONS = tuple(f"{quantity}_{side}" for quantity in QUANTITIES for side in ("above", "below"))
_SETTINGS = ("mode", "horizon", "num_evaluations", "weights", "switched_off", "futures")


@dataclass(frozen=True)
class Rule:
    """One line of the table.

    Attributes:
        name: For the record.
        when: Conditions, all of which must hold: name as in `surprise_above`, and the number.
        configuration: What it decides.
    """

    name: str
    when: Mapping[str, float]
    configuration: Configuration

    def applies(self, situation: Situation) -> bool:
        """Returns whether all conditions hold: a value must lie strictly above, or strictly below."""
        for condition, number in self.when.items():
            quantity, _, side = condition.rpartition("_")
            value = QUANTITIES[quantity](situation)
            if value is None or not (value > number if side == "above" else value < number):
                return False
        return True


class RuleConfigurator:
    """Decides by the first rule that applies; what a rule does not set is as given for all.

    Args:
        terms: The cost terms at hand, by name.
        weights: Their weights u_i and v_i; see `CostModule`.
        limits: Of those that are constraints; see `CostModule`.
        mode: How to act, one of `MODES`.
        horizon: Imagined model steps, at least 1.
        num_evaluations: Candidates that the planner may price at a step, or None for the planner's own number.
        milliseconds: Time that the planner may take at a step, or None for any; see `Budget`.
        chunk_size: Futures of candidates that are priced at once, or None for all: a planner prices as many candidates
            at once as have no more of them together; see `Budget`.
        attention: What perception is told.
        futures: Under how many futures a plan is priced, and how they count.
        sub_goals: When to go on to the next goal.
        rules: Each `{"name", "when", "then"}`: `when` maps conditions to numbers, `then` sets any of mode, horizon,
            num_evaluations, weights (cost term to weight; the others stay), switched_off (what perception does not
            look at in the next model step) and futures (what of them differs). The last has no condition.

    Raises:
        ValueError: A value or a rule does not fit, as the sentence says.
    """

    def __init__(
        self,
        *,
        terms: Mapping[str, Cost],
        weights: Mapping[str, float],
        limits: Mapping[str, float],
        mode: str,
        horizon: int,
        num_evaluations: int | None,
        milliseconds: float | None,
        chunk_size: int | None,
        attention: Attention,
        futures: Futures,
        sub_goals: SubGoals,
        rules: Sequence[Mapping[str, Any]],
    ) -> None:
        self.sub_goals = sub_goals
        self._terms, self._weights, self._limits = terms, weights, limits
        self._costs: dict[tuple[tuple[str, float], ...], CostModule] = {}
        base = Configuration(
            rule="",
            cost=self._cost({}),
            mode=mode,
            horizon=horizon,
            budget=Budget(num_evaluations, milliseconds, chunk_size),
            attention=attention,
            futures=futures,
        )
        _check_table(rules)
        self._rules = tuple(self._rule(rule, base) for rule in rules)
        self.configurations = tuple(rule.configuration for rule in self._rules)
        self.needs_critic = any(
            condition.startswith(CRITIC_QUANTITIES) for rule in self._rules for condition in rule.when
        )

    def configure(self, situation: Situation) -> Configuration:
        """Returns what to do in a situation."""
        return next(rule.configuration for rule in self._rules if rule.applies(situation))

    def _rule(self, rule: Mapping[str, Any], base: Configuration) -> Rule:
        """Returns a rule of the table, its configuration built once and for all."""
        name, then = rule["name"], dict(rule["then"])
        weights = then.pop("weights", {})
        if not isinstance(weights, Mapping):
            raise ValueError(f"weights in the rule '{name}' must map cost terms to numbers, got {weights!r}")
        try:
            if "num_evaluations" in then:
                then["budget"] = replace(base.budget, num_evaluations=then.pop("num_evaluations"))
            if "switched_off" in then:
                then["attention"] = replace(base.attention, switched_off=then.pop("switched_off"))
            if "futures" in then:
                then["futures"] = _changed(base.futures, then.pop("futures"))
            configuration = _in_candidates(replace(base, rule=name, cost=self._cost(weights), **then))
        except ValueError as error:
            raise ValueError(f"in the rule '{name}', {error}") from None
        return Rule(name=name, when=dict(rule["when"]), configuration=configuration)

    def _cost(self, changes: Mapping[str, float]) -> CostModule:
        """Returns the cost module of these weights, one for each distinct set."""
        weights = {**self._weights, **changes}
        for name, weight in changes.items():
            check_number(f"the weight of cost term '{name}'", weight, least=0)
        key = tuple(sorted(weights.items()))
        if key not in self._costs:
            self._costs[key] = CostModule(terms=self._terms, weights=weights, limits=self._limits)
        return self._costs[key]


def _in_candidates(configuration: Configuration) -> Configuration:
    """Returns a configuration whose chunks were told in futures, in candidates."""
    budget, num_futures = configuration.budget, configuration.futures.num_futures
    if budget.chunk_size is None:
        return configuration
    if budget.chunk_size < num_futures:
        raise ValueError(
            f"chunk_size must be at least num_futures={num_futures}, as all futures of a candidate are priced at once, "
            f"got {budget.chunk_size}"
        )
    return replace(configuration, budget=replace(budget, chunk_size=budget.chunk_size // num_futures))


def _changed(futures: Futures, changes: Any) -> Futures:
    """Returns futures of which some values differ."""
    names = [it.name for it in fields(futures)]
    if not isinstance(changes, Mapping) or not set(changes) <= set(names):
        raise ValueError(f"futures must map some of {', '.join(names)} to values, got {changes!r}")
    return replace(futures, **changes)


def _check_table(rules: Sequence[Mapping[str, Any]]) -> None:
    """Raises `ValueError` unless this is a table of rules whose last one always applies."""
    if not isinstance(rules, list | tuple) or not rules:
        raise ValueError(f"rules must be a list of at least one rule, got {rules!r}")
    for rule in rules:
        _check_rule(rule)
    names = [rule["name"] for rule in rules]
    if len(set(names)) < len(names):
        raise ValueError(f"every rule must have a name of its own, got {names}")
    for rule in rules[:-1]:
        if not rule["when"]:
            raise ValueError(f"the rule '{rule['name']}' has no condition, so it must be the last, got rules after it")
    if rules[-1]["when"]:
        raise ValueError(
            f"the last rule must have no condition, as in when: {{}}, got '{names[-1]}' with {dict(rules[-1]['when'])}"
        )


def _check_rule(rule: Mapping[str, Any]) -> None:
    if not isinstance(rule, Mapping) or rule.keys() != {"name", "when", "then"} or not isinstance(rule["name"], str):
        raise ValueError(f"a rule must have a name and the mappings 'when' and 'then', and nothing else, got {rule!r}")
    for part in ("when", "then"):
        if not isinstance(rule[part], Mapping):
            raise ValueError(f"'{part}' of the rule '{rule['name']}' must be a mapping, got {rule[part]!r}")
    for condition, number in rule["when"].items():
        if condition not in _CONDITIONS:
            raise ValueError(
                f"a condition of the rule '{rule['name']}' must be one of {', '.join(_CONDITIONS)}, got '{condition}'"
                + hint(condition, _CONDITIONS)
            )
        check_number(f"{condition} in the rule '{rule['name']}'", number)
    for setting in rule["then"]:
        if setting not in _SETTINGS:
            raise ValueError(
                f"the rule '{rule['name']}' may set {', '.join(_SETTINGS)}, got '{setting}'" + hint(setting, _SETTINGS)
            )
