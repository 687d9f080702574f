"""A page: a verdict at the top, a few figures, then sections of text, plots and tables."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from backendctl.report.plot import Tone

TEMPLATE = "page.html.j2"
MARK = '<meta name="generator" content="backendctl">'
"""What the template has near its top: a page of ours may be replaced by the next one."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One figure that matters at a glance."""

    label: str
    value: str
    note: str = ""
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True)
class Cell:
    """A table cell whose tone says something, or whose text is a number."""

    text: str
    tone: Tone = "plain"
    numeric: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[Cell | str]]


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what belongs under it; empty parts are left out."""

    title: str
    text: Sequence[str] = ()
    plots: Sequence[Markup] = ()
    tables: Sequence[Table] = ()
    folded: bool = False
    """Shown only when opened."""


@dataclass(frozen=True, slots=True)
class Page:
    title: str
    verdict: str
    tone: Tone
    summary: Sequence[str]
    """Sentences right under the verdict: what happened, and why."""
    facts: Sequence[Fact] = ()
    sections: Sequence[Section] = ()
    details: Sequence[tuple[str, str]] = field(default=())
    """Label and value pairs at the end: what was run, where, when."""


def render(page: Page) -> str:
    """The whole HTML document. Everything but plots is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("backendctl.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(TEMPLATE).render(page=page)
