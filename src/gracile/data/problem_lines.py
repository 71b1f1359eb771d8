"""The problems of a data set as lines for people: what is alike becomes one line with its count."""

import re
from collections.abc import Sequence

from gracile.data.check import Problem

SHOWN = 3
"""Further files of a group that are named."""

_VARIES = re.compile(
    r"\S*[/\\]\S+|\S+\.\w{2,4}(?=[\s.,;:)]|$)"  # paths and names of files
    r"|\d+ x \d+|\d+(\.\d+)?%|\(\d+ pixels\)|(?<=line )\d+"
)


def problem_lines(problems: Sequence[Problem]) -> list[str]:
    """One line per kind of problem: the first in full, how often it comes, and the next few files.

    Alike are problems whose words are equal but for names of files, sizes, shares, and counts of pixels.

    Args:
        problems: In the order in which they are to be told.
    """
    groups: dict[tuple[str, str, str], list[Problem]] = {}
    for problem in problems:
        key = (problem.severity, _words(problem, problem.message), _words(problem, problem.remedy))
        groups.setdefault(key, []).append(problem)
    return [_line(group) for group in groups.values()]


def _words(problem: Problem, text: str) -> str:
    """A text without what varies from case to case."""
    return _VARIES.sub("…", text.replace(problem.file, "…"))


def _line(group: list[Problem]) -> str:
    first = group[0]
    place = first.file if len(group) == 1 else f"{len(group)} times, first in {first.file}"
    others = list(dict.fromkeys(problem.file for problem in group if problem.file != first.file))
    more = f" and {len(others) - SHOWN} more" if len(others) > SHOWN else ""
    also = f"Also in {', '.join(others[:SHOWN])}{more}." if others else ""
    told = len(group) == 1 and first.message.startswith(first.file)  # by the message itself
    head = f"{first.severity}:" if told else f"{first.severity}: {place}:"
    return " ".join(part for part in (head, first.message, first.remedy, also) if part)
