"""Draws the scene of a case, in a worker process."""

from pathlib import Path
from typing import Any

from gracile.recipe import ClassSpec, InputSpec
from gracile.serve.picture_scene import picture_scene
from gracile.serve.scene import CaseFiles, Scene, begin_scene
from gracile.serve.thumbnails import draw_thumbnail
from gracile.serve.video_scene import video_scene
from gracile.serve.volume_scene import volume_scene
from gracile.serve.worker import News

_VOLUMES = (".nii", ".nii.gz", ".mrk.json")


class DrawingEngine:
    """Draws cases of a results folder when somebody wants to see them."""

    def __init__(self, models: list[str]) -> None:
        del models

    def __call__(self, request: dict[str, Any], news: News) -> dict[str, Any]:
        """``{"record", "classes", "out", "input", "truth", "true_points", "cache", "wanted"}`` to ``cache/scene.json``.

        With ``"thumbnail": true`` to ``cache/thumbnail.jpg`` instead.
        """
        del news
        cache = Path(request["cache"])
        cache.mkdir(parents=True, exist_ok=True)
        case = CaseFiles(
            record=request["record"],
            classes=[ClassSpec(**entry) for entry in request["classes"]],
            out=Path(request["out"]),
            source=Path(request["input"]) if request["input"] else None,
            truth=Path(request["truth"]) if request["truth"] else None,
            cache=cache,
            wanted=InputSpec(**request["wanted"]),
            true_points=request["true_points"],
        )
        if request.get("thumbnail"):
            draw_thumbnail(case)
        else:
            build_scene(case).write(cache / "scene.json")
        return {}


def build_scene(case: CaseFiles) -> Scene:
    """The scene of a case of any kind. Raises DataError."""
    files = case.record.get("files", {})
    if case.record["status"] == "failed":
        return begin_scene(case, "none")
    if "video" in files:
        return video_scene(case)
    if case.record.get("kind") == "volume" or any(name.endswith(_VOLUMES) for name in files.values()):
        return volume_scene(case)
    return picture_scene(case)
