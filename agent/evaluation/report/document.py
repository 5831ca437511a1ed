"""What a report is made of, and the one place that writes it. Read this first."""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from jepa_mpc.files import write_whole

if TYPE_CHECKING:
    from jinja2 import Template

REPORT_FILE = "report.html"
"""Where in the folder of a command its report lies."""


@dataclass(frozen=True)
class Fact:
    """A number for the top of the page.

    Attributes:
        value: The number, with its unit.
        label: What it is.
        note: How far it can be trusted, or with what it compares.
    """

    value: str
    label: str
    note: str = ""


@dataclass(frozen=True)
class Figure:
    """A drawing.

    Attributes:
        title: Of the figure; the drawing's own title too.
        description: What is seen in it, for who does not see it; its own description too.
        svg: The drawing, as `draw` made it: the one thing that is put into the page as it is.
        caption: Below it.
    """

    title: str
    description: str
    svg: str
    caption: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of text; the first column names the rows.

    Attributes:
        title: Of the table.
        columns: Their names.
        rows: As many texts each as there are columns.
        note: Below it.
        main_row: The row that counts most, or None.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    main_row: int | None = None


@dataclass(frozen=True)
class Picture:
    """A picture or a film, with all its bytes.

    Attributes:
        source: Of its bytes, as `embed` made it.
        alternative: What is seen in it, for who does not see it.
        is_video: Whether a player shows it.
    """

    source: str
    alternative: str
    is_video: bool = False


@dataclass(frozen=True)
class Film:
    """Pictures of one thing, side by side, above one caption.

    Attributes:
        title: Of what it is.
        caption: Below the title.
        pictures: The film first, then what explains it.
    """

    title: str
    caption: str
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Section:
    """A part of a report, or of a section.

    Attributes:
        title: Of the section.
        text: A few sentences.
        figures: Drawings.
        tables: Below them.
        films: Below these.
        commands: To be typed.
        parts: Sections of their own, one level down.
    """

    title: str
    text: str = ""
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()
    films: tuple[Film, ...] = ()
    commands: tuple[str, ...] = ()
    parts: tuple["Section", ...] = ()


@dataclass(frozen=True)
class Report:
    """A page.

    Attributes:
        title: Of the page.
        summary: What it comes to, in a sentence or two.
        facts: The numbers that count; the first is the largest on the page.
        sections: In the order of reading.
    """

    title: str
    summary: str
    facts: tuple[Fact, ...]
    sections: tuple[Section, ...]


def write_report(report: Report, path: Path) -> Path:
    """Writes a report, whole or not at all.

    Raises:
        OSError: It cannot be written.
    """
    write_whole(path, render(report))
    return path


def render(report: Report) -> str:
    """Returns a report as a page of HTML. Every text of it is text there, whatever it holds."""
    return _template().render(report=report)


@cache
def _template() -> "Template":
    from jinja2 import Environment, StrictUndefined

    source = files("agent.evaluation.report").joinpath("report.html.j2").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(source)
