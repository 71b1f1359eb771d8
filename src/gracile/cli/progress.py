"""What the terminal shows of a prediction: a bar on the way, and a summary in the end."""

from collections import Counter
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from gracile.inference import Summary


class Progress:
    """A bar with the time left; silent for programs."""

    def __init__(self, title: str, quiet: bool) -> None:
        from rich import progress

        self.bar = progress.Progress(
            progress.TextColumn(title),
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TimeRemainingColumn(),
            progress.TextColumn("{task.description}"),
            disable=quiet,
        )
        self.task = self.bar.add_task("", total=None)

    def __enter__(self) -> "Progress":
        self.bar.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.__exit__(*error)  # type: ignore[arg-type]

    def step(self, done: int, total: int, record: dict[str, Any]) -> None:
        """Show that so many are done, and what became of the last."""
        self.bar.update(self.task, completed=done, total=total, description=f"{record['name']}: {record['status']}")


def print_summary(summary: "Summary") -> None:
    """Say what a run answered, what failed and why, the commonest flags, its notes and its report."""
    typer.echo(f"Answered {len(summary.answered)}, reused {len(summary.reused)}, failed {len(summary.failed)}.")
    for name, reason in summary.failed.items():
        typer.echo(f"  {name}: {reason}", err=True)
    for flag, count in Counter(flag for flags in summary.flagged.values() for flag in flags).most_common(5):
        typer.echo(f"  flagged, {count} of them: {flag}")
    for note in summary.notes:
        typer.echo(f"  note: {note}")
    if summary.report:
        typer.echo(f"Report: {summary.report}")
