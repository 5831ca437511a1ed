"""Drawings as SVG that is a part of the page: its ink, its colours and its letters are those of the page."""

import hashlib
import html
import io
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from agent.evaluation.report.document import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, QUIET = "#010203", "#040506"
"""What becomes the page's own ink, and a quieter one."""

BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY, GREY = (
    "#0072b2",
    "#e69f00",
    "#009e73",
    "#d55e00",
    "#cc79a7",
    "#56b4e9",
    "#888888",
)
"""Told apart by every colour vision (Okabe and Ito, 2008)."""

SERIES = tuple(
    (colour, style) for style in ("-", "--", ":") for colour in (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY)
)
"""Colour and style of one line after the other."""

AGENTS = {
    "actor": (BLUE, "-"),
    "oracle": (PURPLE, "-."),
    "expert": (GREEN, "--"),
    "random": (VERMILLION, ":"),
    "zero": (GREY, (0, (4, 3))),
}
"""Agent to the colour and the style of its line."""

_PAGE_COLOURS = {INK: "currentColor", QUIET: "var(--quiet)", GREY: "var(--grey)"} | {
    colour: f"var(--{name})"
    for name, colour in {
        "blue": BLUE,
        "orange": ORANGE,
        "green": GREEN,
        "vermillion": VERMILLION,
        "purple": PURPLE,
        "sky": SKY,
    }.items()
}

_WIDTH, _HEIGHT = 4.2, 2.7  # inch, 72 units of the drawing each: as wide as a phone, so that letters stay legible there
_LETTERS, _KEY = 50, 7  # of a line of the legend, and what the key before a name takes of them
_LONGEST_NAME = 26  # letters
_SETTINGS: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "report",
    "text.parse_math": False,  # a name with a dollar is a name
    "axes.unicode_minus": True,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # by which room is measured; the page has its own, which are narrower
    "font.size": 9.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": QUIET,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "legend.fontsize": 9.0,
    "path.simplify_threshold": 0.3,
}


def label_of(name: str) -> str:
    """Returns a name as it stands in a drawing, where there is little room; what describes the drawing has it whole."""
    words = name if "=" in name else name.replace("_", " ")  # what is typed is not for reading alone
    return words if len(words) <= _LONGEST_NAME else f"{words[: _LONGEST_NAME - 1]}…"


def draw(
    title: str, description: str, plot: "Callable[[Axes], None]", *, caption: str = "", height: float = _HEIGHT
) -> Figure:
    """Returns a drawing of one pair of axes.

    Args:
        title: Of the figure.
        description: What is seen in it, for who does not see it.
        plot: Draws into the axes, and names them.
        caption: Below it.
        height: Inch.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure as Canvas

    with rc_context(_SETTINGS):
        figure = Canvas(figsize=(_WIDTH, height), layout="constrained")
        figure.patch.set_visible(False)
        axes = figure.subplots()
        axes.patch.set_visible(False)
        plot(axes)
        _plain_logarithms(axes)
        if names := axes.get_legend_handles_labels()[1]:
            columns = max(1, _LETTERS // (max(map(len, names)) + _KEY))
            figure.legend(loc="outside upper left", ncols=columns, handlelength=2.2, columnspacing=1.2, borderpad=0.0)
        file = io.BytesIO()
        canvas: Any = FigureCanvasSVG(figure)
        canvas.print_svg(file, metadata={"Date": None})
    return Figure(
        title=title, description=description, svg=_part_of_page(file.getvalue(), title, description), caption=caption
    )


def _plain_logarithms(axes: "Axes") -> None:
    """Writes the numbers of a logarithmic axis as numbers, and so few that they have room."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    for axis in (axes.xaxis, axes.yaxis):
        if axis.get_scale() == "log":
            low, high = sorted(axis.get_view_interval())
            near = high / low < 30.0
            axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if near else (1.0,), numticks=12))
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axis.set_minor_formatter(NullFormatter())


def _part_of_page(svg: bytes, title: str, description: str) -> str:
    """Returns what matplotlib wrote without its own styles and names, named and described."""
    root = ElementTree.fromstring(svg)
    prefix = f"d{hashlib.sha256(svg + title.encode() + description.encode()).hexdigest()[:10]}-"
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.endswith(("}metadata", "}style")):
                parent.remove(child)
    referenced = set(re.findall(rb"(?:url\(#|href=\"#)([^)\"]+)", svg))
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        element.attrib = {
            name.rpartition("}")[2]: _attribute(name.rpartition("}")[2], value, prefix)
            for name, value in element.attrib.items()
            if name != "id" or value.encode() in referenced
        }
    root.attrib = {"viewBox": root.attrib["viewBox"], "role": "img"}
    root.attrib["aria-labelledby"] = f"{prefix}title {prefix}desc"
    inside = "".join(ElementTree.tostring(child, encoding="unicode") for child in root)
    names = f'<title id="{prefix}title">{html.escape(title)}</title>'
    names += f'<desc id="{prefix}desc">{html.escape(description)}</desc>'
    opening = " ".join(f'{name}="{html.escape(value)}"' for name, value in root.attrib.items())
    return f"<svg {opening}>{names}{inside.strip()}</svg>"


def _attribute(name: str, value: str, prefix: str) -> str:
    """Returns an attribute's value with ids that no other drawing has, and the page's colours."""
    if name == "id":
        return prefix + value
    if name == "href":
        return value.replace("#", f"#{prefix}")
    if name == "clip-path":
        return value.replace("url(#", f"url(#{prefix}")
    if name != "style":
        return value
    for ours, theirs in _PAGE_COLOURS.items():
        value = value.replace(ours, theirs)
    return value
