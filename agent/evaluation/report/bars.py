"""Named bars."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from agent.evaluation.report.document import Figure
from agent.evaluation.report.drawing import INK, draw, label_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def bars(title: str, values: Mapping[str, float], colours: Sequence[str], *, label: str, unit: str = "") -> Figure:
    """Returns a drawing of named bars, each with its value.

    Args:
        title: Of the figure.
        values: Name of a bar to its length.
        colours: Of the bars.
        label: Of the axis.
        unit: Behind each value.
    """
    told = {name: f"{value:.3g}{unit}" for name, value in values.items()}

    def plot(axes: "Axes") -> None:
        axes.barh(range(len(values)), list(values.values()), color=list(colours), height=0.6)
        for row, (name, value) in enumerate(values.items()):
            axes.annotate(
                told[name],
                (max(value, 0.0), row),
                xytext=(5, 0),
                textcoords="offset points",
                va="center",
                fontsize=9.0,
                color=INK,
            )
        axes.set_yticks(range(len(values)), list(map(label_of, values)))
        axes.set_ylim(len(values) - 0.4, -0.6)
        axes.margins(x=0.18)
        axes.set_xlabel(label)

    description = f"{label}: " + ", ".join(f"{name.replace('_', ' ')} {it}" for name, it in told.items())
    return draw(title, description, plot, height=0.85 + 0.32 * len(values))
