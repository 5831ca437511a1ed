"""The report of a comparison: two evaluations of the same episodes, episode by episode."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from agent.evaluation.report.document import Fact, Figure, Report, Section, Table
from agent.evaluation.report.drawing import BLUE, GREY, draw, label_of
from agent.evaluation.results import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def comparison_report(comparison: Mapping[str, Any], *, commands: Sequence[str]) -> Report:
    """Returns the report of a comparison.

    Args:
        comparison: What its results.json holds.
        commands: That come to the same, as they are typed.
    """
    first, second = comparison["folders"]
    pairs = comparison["pairs"]
    return Report(
        title=f"{first} against {second}",
        summary="By how much the first succeeds more often than the second, in the same episodes.",
        facts=_facts(pairs[0]) if len(pairs) == 1 else (),
        sections=(
            Section(title="Difference", figures=(_differences(pairs),), tables=(differences_table(pairs),)),
            Section(title="Where they differ", parts=tuple(map(_episodes, pairs))),
            Section(title="What was compared", parts=tuple(map(_described, pairs)), commands=tuple(commands)),
        ),
    )


def differences_table(pairs: Sequence[Mapping[str, Any]]) -> Table:
    """Returns a row a pair: both rates, their difference with its interval, and the test of it."""
    return Table(
        title="Success at the end, the same episodes for both",
        columns=("pair", "first", "second", "difference, points", "p", "first alone", "second alone", "episodes"),
        rows=tuple(
            (
                pair["name"] or "both",
                *(percent(rate["success_at_end"]) for rate in pair["rates"]),
                points(pair["success_at_end"]),
                f"{pair['success_at_end']['p_value']:.3g}",
                str(len(pair["only_first"])),
                str(len(pair["only_second"])),
                str(pair["rates"][0]["success_at_end"]["n"]),
            )
            for pair in pairs
        ),
        note="The interval is Newcombe's for pairs, 95 %; p is that of McNemar's exact test, for each pair alone: of "
        "many, some are small by chance. Alone: episodes that only one of both solved.",
    )


def points(difference: Mapping[str, float]) -> str:
    """Returns a difference of rates with its interval, in points of a hundred."""
    middle, low, high = (100 * difference[key] for key in ("difference", "low", "high"))
    return f"{middle:+.1f} ({low:+.1f} to {high:+.1f})"


def _facts(pair: Mapping[str, Any]) -> tuple[Fact, ...]:
    found = pair["success_at_end"]
    first, second = (100 * rate["success_at_end"]["rate"] for rate in pair["rates"])
    low, high = (100 * found[key] for key in ("low", "high"))
    return (
        Fact(
            f"{100 * found['difference']:+.1f}",
            "points of success at the end",
            f"95 % interval {low:+.1f} to {high:+.1f}; p = {found['p_value']:.3g}",
        ),
        Fact(f"{first:.1f} %", "the first", "success at the end"),
        Fact(f"{second:.1f} %", "the second", "success at the end"),
    )


def _differences(pairs: Sequence[Mapping[str, Any]]) -> Figure:
    def plot(axes: "Axes") -> None:
        axes.axvline(0.0, color=GREY, linestyle="--", linewidth=1.2)
        for row, pair in enumerate(pairs):
            middle, low, high = (100 * pair["success_at_end"][key] for key in ("difference", "low", "high"))
            axes.plot([low, high], [row, row], color=BLUE, linewidth=3.0, alpha=0.55)
            axes.plot([middle], [row], "o", color=BLUE, markersize=7.0)
        axes.set_yticks(range(len(pairs)), [label_of(pair["name"]) for pair in pairs])
        axes.set_ylim(len(pairs) - 0.5, -0.5)
        axes.margins(x=0.1)
        axes.set_xlabel("points that the first succeeds more often")

    told = "; ".join(f"{pair['name']} {points(pair['success_at_end'])}".strip() for pair in pairs)
    return draw("Difference in success at the end, with its 95 % interval", told, plot, height=0.8 + 0.35 * len(pairs))


def _episodes(pair: Mapping[str, Any]) -> Section:
    return Section(
        title=pair["name"] or "Episodes that only one of both solved",
        tables=(
            Table(
                "Seeds of the episodes",
                ("solved by", "seeds"),
                tuple(
                    (f"the {who} alone", ", ".join(map(str, pair[f"only_{who}"])) or "none")
                    for who in ("first", "second")
                ),
            ),
        ),
    )


def _described(pair: Mapping[str, Any]) -> Section:
    first, second = (
        {
            **{key: str(it[key]) for key in ("env", "observation", "scenario", "split", "planner", "mode")},
            "note": it["note"] or "-",
            "training's seed": str(it["seed"]),
            "checkpoint, SHA-256": it["checkpoint"]["sha256"],
            **{f"version of {package}": version for package, version in it["versions"].items()},
        }
        for it in pair["described"]
    )
    return Section(
        title=pair["name"] or "Both evaluations",
        tables=(
            Table(
                "Both evaluations",
                ("what", "first", "second"),
                tuple((key, first.get(key, "-"), second.get(key, "-")) for key in first | second),
            ),
        ),
    )
