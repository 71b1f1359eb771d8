"""Two models compared on the same labeled cases."""

import logging
from collections.abc import Sequence
from pathlib import Path

from gracile.api.arguments import checked
from gracile.api.model import Model, load
from gracile.data import CaseFiles, find_cases, select
from gracile.data.splits import read_split
from gracile.errors import GracileError
from gracile.inference.before_after import Compared, Contender, compare_models
from gracile.io.atomic import require_writable

log = logging.getLogger(__name__)


@checked
def compare(
    before: str | Path | Model,
    after: str | Path | Model,
    data: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    protocol: str = "",
    cases: str = "",
    exclude: str = "",
    device: str = "auto",
) -> Compared:
    """Set two models side by side on labeled cases, such as one before and after its fine-tuning.

    Args:
        before: A name, a folder or a loaded model.
        after: Likewise; its recipe says how the labels are read.
        data: One or several data folders or CSV files that neither model was trained on.
        out: Folder to write masks, ``comparison.json``, ``comparison.csv`` and ``index.html`` to.
        protocol: A name of `gracile.names.PROTOCOLS`; that of the model after when empty.
        cases: Comma-separated ids or file stems to take; empty takes all.
        exclude: Those to leave out.
        device: ``auto``, ``cpu`` or ``cuda``.
    """
    require_writable(out, "comparison.json", "comparison.csv", "index.html", depth=3)
    sides = [_contender(model, device) for model in (before, after)]
    chosen = select(find_cases(data, sides[1].pipeline.recipe), include=cases, exclude=exclude)
    return compare_models(before=sides[0], after=sides[1], cases=chosen, out=Path(out), protocol=protocol)


def _contender(model: str | Path | Model, device: str) -> Contender:
    loaded = model if isinstance(model, Model) else load(model, device=device)
    path = Path("model" if isinstance(model, Model) else model)
    name = path.parent.name if path.name == "bundle" else path.name
    return Contender(name or "model", loaded.pipeline, loaded.card, loaded.checksums)


def compare_held_back(before: str | Path, after: Path, cases: Sequence[CaseFiles], out: Path) -> None:
    """Compare a fine-tuned bundle with the one it started from on the cases held back; says why where it cannot."""
    held_back = set(read_split(out / "split.json")[1])
    if not held_back:
        return
    note = (
        "These cases were held back from the training and chose among its weights, so that the scores after are "
        "optimistic; whether the model before was trained on them is not known. Compare on others with: gracile compare"
    )
    try:
        some = [files for files in cases if files.id in held_back]
        compare_models(_contender(before, "auto"), _contender(after, "auto"), some, out / "comparison", notes=[note])
    except GracileError as error:
        log.warning("There is no comparison with the model before: %s", error)
