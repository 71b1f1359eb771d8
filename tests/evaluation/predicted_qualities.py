"""Run folders whose records carry predicted qualities, for tests."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def quality(predicted: float, low: float, high: float, *, score: str = "dice", **more: Any) -> dict[str, Any]:
    return {"score": score, "predicted": predicted, "low": low, "high": high, "band": None, "band_unit": "",
            "reasons": [], **more}  # fmt: skip


def write_records(
    folder: Path,
    qualities: Mapping[str, dict[str, Any] | None],
    unlike: Mapping[str, float] | None = None,
    images: Path | None = None,
) -> None:
    """A ``predictions.json`` with the quality of each case, None where it cannot be told.

    Args:
        folder: The folder of the run.
        qualities: By case.
        unlike: By case.
        images: Folder of the pictures that were predicted, named as the cases.
    """
    inputs = [
        {
            "name": name,
            "status": "found",
            "quality": one,
            "unlike": (unlike or {}).get(name),
            **({"path": str(images / f"{name}.png")} if images else {}),
        }
        for name, one in qualities.items()
    ]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "predictions.json").write_text(json.dumps({"version": 1, "inputs": inputs}), encoding="utf-8")
