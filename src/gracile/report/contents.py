"""What a page shows, as plain data."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from gracile.result import Measurement, Quality

FAILED = ("failed", "missing")
"""Statuses of cases without an answer."""


@dataclass
class ReportLayer:
    """One layer that lies over a case's picture and can be switched.

    Args:
        name: What it shows; layers of the same group and name are switched together for all cases.
        color: RGB of its swatch.
        png: A transparent PNG of the base's size; empty for a drawn layer.
        svg: An SVG element of the base's proportions; empty for a raster layer. Its maker has escaped its texts.
        group: Heading it stands under.
        shown: Whether it is switched on at first.
    """

    name: str
    color: tuple[int, int, int]
    png: bytes = b""
    svg: str = ""
    group: str = "Found"
    shown: bool = True


@dataclass
class ReportTable:
    """A table of a page, its cells as they are shown.

    Args:
        caption: What it shows.
        columns: Its headings; the first is that of the rows' names.
        rows: A name and the cells of each row.
        in_words: Whether cells are sentences, which are broken into lines, not figures.
    """

    caption: str
    columns: list[str]
    rows: list[list[str]]
    in_words: bool = False


@dataclass
class ReportStill:
    """One frame of a case that is a video.

    Args:
        caption: Where it is from and what was found in it.
        jpeg: The frame.
        chosen: Whether it is the one that is shown large, as the case's base.
    """

    caption: str
    jpeg: bytes
    chosen: bool = False


@dataclass
class ReportCase:
    """One case of a page.

    Args:
        id: Its name.
        status: ``found``, ``absent``, ``failed``, or what an evaluation says (``scored``, ``missing``).
        reason: Why it is absent or failed.
        base: The picture as JPEG; empty shows none.
        layers: What lies over it.
        measurements: Its table.
        scores: Scores by name; None where undefined.
        flags: Warnings.
        seconds: Wall-clock seconds by step.
        links: Files beside the page by their label, as paths relative to it.
        stills: Frames of a video.
        figures: Caption and SVG of each of its own charts, see `timeline_chart` and `profile_chart`.
        tables: Its own tables.
        quality: How good its answer is predicted to be.
        unlike: How unlike the training images its input is, 1 where flags begin.
    """

    id: str
    status: str
    reason: str = ""
    base: bytes = b""
    layers: list[ReportLayer] = field(default_factory=list)
    measurements: list[Measurement] = field(default_factory=list)
    scores: dict[str, float | None] = field(default_factory=dict)
    flags: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    stills: list[ReportStill] = field(default_factory=list)
    figures: list[tuple[str, str]] = field(default_factory=list)
    tables: list[ReportTable] = field(default_factory=list)
    quality: Quality | None = None
    unlike: float | None = None

    def drop_pictures(self) -> None:
        """Keep the numbers, the flags and the links alone."""
        self.base, self.layers, self.stills, self.figures = b"", [], [], []


@dataclass
class Report:
    """A page. Its cases are shown worst first, see `worst_first`.

    Args:
        title: Heading.
        subtitle: One line: what was run, when.
        classes: Name and RGB of each class, the background first.
        cases: The cases, in any order.
        summary: Figures for the top of the page, by label.
        charts: Caption and SVG of each chart, see `gracile.report.distribution_chart`.
        figures: Caption and SVG of each larger chart, see `gracile.report.curves` and `gracile.report.plane`.
        figures_title: Heading of the larger charts and the tables.
        figures_hint: How to read the larger charts.
        tables: Tables that stand beside the figures.
        settings: What was run, shown as YAML.
        notes: What a reader must know.
        credits: Who made what is shown.
        headline: Names of the scores or measurements that the table shows at first; all when empty.
        order_by: Score by which the cases are ordered; empty orders by predicted quality, or by status and flags.
        lower_is_better: Whether small values of that score are good.
        means: Mean and standard deviation over the cases, by score; the last rows of the table.
        intervals: 95 % interval of the mean, by score, as a text; one more such row.
        figures_first: Whether the larger charts come before all pictures, as those are not what the page is about.
        refreshed_seconds: Seconds after which a browser loads the page anew, as it will have changed; 0 for never.
    """

    title: str
    subtitle: str
    classes: list[tuple[str, tuple[int, int, int]]]
    cases: list[ReportCase]
    summary: dict[str, str | int] = field(default_factory=dict)
    charts: list[tuple[str, str]] = field(default_factory=list)
    figures: list[tuple[str, str]] = field(default_factory=list)
    figures_title: str = "Over all cases"
    figures_hint: str = (
        "A cell's shade is its share of the row, a circle on a curve is where the decisions lie, a dot's size says how "
        "many cases it stands for."
    )
    tables: list[ReportTable] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    credits: str = ""
    headline: tuple[str, ...] = ()
    order_by: str = ""
    lower_is_better: bool = False
    means: dict[str, tuple[float | None, float | None]] = field(default_factory=dict)
    intervals: dict[str, str] = field(default_factory=dict)
    figures_first: bool = False
    refreshed_seconds: int = 0


def worst_first(cases: Sequence[ReportCase], score: str = "", lower_is_better: bool = False) -> list[ReportCase]:
    """The cases in the order in which a person should look at them; equals keep their order.

    Failed ones come first. Then, with a score, flagged ones before the others, each the worst first and those without
    a value last. Without one, where quality is predicted: those whose quality cannot be told, or whose input is unlike
    the training images, as nothing that was learned holds for it; then the others, the worst prediction first. Without
    predictions: flagged ones by the number of their flags, those with nothing found, the rest.
    """
    predicted = any(case.quality is not None for case in cases)

    def rank(case: ReportCase) -> tuple[float, ...]:
        if case.status in FAILED:
            return (0,)
        if score:
            value = case.scores.get(score)
            worth = (1.0,) if value is None else (0.0, -value if lower_is_better else value)
            return (1, not case.flags, *worth)
        if predicted:
            quality = case.quality
            if quality is None or (case.unlike or 0.0) > 1.0:
                return (1, -len(case.flags))
            return (2, -round(quality.badness, 6), -len(case.flags))
        return (1, -len(case.flags), case.status != "absent")

    return sorted(cases, key=rank)
