"""Rates with their intervals, one below the other."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from agent.evaluation.report.document import Figure
from agent.evaluation.report.drawing import BLUE, INK, draw, label_of
from agent.evaluation.results import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def intervals(
    title: str,
    rates: Mapping[str, Mapping[str, Any]],
    *,
    label: str,
    colours: Mapping[str, str],
    parts: Mapping[str, Sequence[float]],
    caption: str = "",
) -> Figure:
    """Returns a drawing of rates.

    Args:
        title: Of the figure.
        rates: Name to a rate with its bounds, each in 0..1.
        label: Of the axis.
        colours: Of a name; blue where none is given.
        parts: Of a name the rates of which its own is made, in 0..1, if they are to be seen.
        caption: Below the figure.
    """

    def plot(axes: "Axes") -> None:
        for row, (name, rate) in enumerate(rates.items()):
            colour, middle = colours.get(name, BLUE), 100 * rate["rate"]
            axes.plot([100 * rate["low"], 100 * rate["high"]], [row, row], color=colour, linewidth=3.0, alpha=0.55)
            axes.plot([middle], [row], "o", color=colour, markersize=8.0)
            axes.plot([100 * it for it in parts.get(name, ())], [row + 0.27] * len(parts.get(name, ())), "|", color=INK)
            axes.annotate(
                f"{middle:.1f} %",
                (middle, row),
                xytext=(0, 7),
                textcoords="offset points",
                ha="left" if middle < 10 else "right" if middle > 90 else "center",
                fontsize=9.0,
                color=INK,
            )
        axes.set_yticks(range(len(rates)), list(map(label_of, rates)))
        axes.set_ylim(len(rates) - 0.5, -0.7)
        axes.set_xlim(-4, 104)
        axes.set_xlabel(label)

    description = "; ".join(f"{name} {percent(rate)}" for name, rate in rates.items())
    return draw(title, description, plot, caption=caption, height=0.8 + 0.45 * len(rates))
