"""The scene of a picture: its base, a layer per class, probabilities, the truth, and what a gate looked at."""

from itertools import cycle
from pathlib import Path

import numpy as np
from PIL import Image

from gracile.case import Case
from gracile.errors import GracileError
from gracile.geometry import Grid
from gracile.io.atomic import write_bytes
from gracile.io.images import write_png
from gracile.io.masks import read_labels
from gracile.io.pictures import read_picture
from gracile.report.layers import result_layers, visible_color
from gracile.result import Quality, Result
from gracile.serve.scene import CaseFiles, Scene, begin_scene

LONGEST = 2048
"""Pixels of the longer side of what the page shows; downloads are at the picture's own size."""


def picture_scene(case: CaseFiles) -> Scene:
    """Draw a picture's scene into its cache. Raises DataError."""
    scene = begin_scene(case, "picture")
    names = [spec.name for spec in case.classes]
    colors = [spec.color for spec in case.classes]
    mask_file = case.path("mask")
    mask = read_labels(mask_file, case.classes, recoded=False) if mask_file else None
    picture = _picture(case, scene, mask)
    if picture is None:
        return scene
    if mask is not None and mask.shape != picture.grid.shape:
        scene.content["flags"].append("the mask has another size than the picture, so it is not shown")
        mask = None
    truth = _truth(case, scene, picture.grid.shape)
    told = case.record.get("quality")
    quality = None if told is None else Quality.from_summary(told)
    result = Result(picture.id, case.record["status"], picture.grid, names, mask=mask, quality=quality)
    base, layers = result_layers(picture, result, colors, truth, longest=LONGEST)
    height, width = picture.grid.shape
    scene.content["picture"] = {"width": width, "height": height, "base": "base"}
    scene.content["marks"] = case.record.get("marks", {})
    write_bytes(case.cache / "base.jpg", base)
    scene.add("base", case.cache / "base.jpg")
    for index, layer in enumerate(layers):
        if layer.png:
            write_bytes(case.cache / f"layer-{index}.png", layer.png)
            scene.add(f"layer-{index}", case.cache / f"layer-{index}.png")
            _add_layer(scene, f"layer-{index}", layer.name, layer.group, layer.color, "color", layer.shown)
    with Image.open(case.cache / "base.jpg") as shown:
        size = shown.size
    _add_probabilities(case, scene, size)
    _add_heat(case, scene)
    return scene


def _picture(case: CaseFiles, scene: Scene, mask: np.ndarray | None) -> Case | None:
    """The input; a black picture in its place where it is gone, so that the mask is seen at least."""
    if case.source is not None:
        return case.read() if case.wanted.separate else read_picture(case.source, str(case.record["name"]))
    if mask is None:
        return None
    scene.content["flags"].append("the input is not where it was, so that the mask is shown over black")
    return Case(str(case.record["name"]), np.zeros((1, *mask.shape), np.uint8), Grid(mask.shape))


def _truth(case: CaseFiles, scene: Scene, shape: tuple[int, ...]) -> np.ndarray | None:
    if case.truth is None:
        return None
    try:
        truth = read_labels(case.truth, case.classes)
    except GracileError as error:
        scene.content["flags"].append(f"the truth is not shown: {error.message}")
        return None
    if truth.shape != shape:
        scene.content["flags"].append("the truth is not shown: it has another size than the picture")
        return None
    return truth


def _add_probabilities(case: CaseFiles, scene: Scene, size: tuple[int, int]) -> None:
    """A gray picture for each class, or region; the page tints it and cuts it off at a threshold."""
    path = case.path("probabilities")
    if path is None or path.suffix != ".npz":
        return
    with np.load(path, allow_pickle=False) as content:
        maps = content["probabilities"]
        names = [str(name) for name in content["maps"]] if "maps" in content else [spec.name for spec in case.classes]
    for index, (name, spec) in enumerate(zip(names[: len(maps)], cycle(case.classes), strict=False)):
        if index == 0:
            continue
        gray = Image.fromarray(np.rint(np.clip(maps[index].astype(np.float32), 0, 1) * 255).astype(np.uint8))
        file = case.cache / f"probability-{index}.png"
        write_png(file, np.asarray(gray.resize(size, Image.Resampling.BOX) if gray.size != size else gray))
        scene.add(f"probability-{index}", file)
        _add_layer(scene, f"probability-{index}", name, "Probability", visible_color(spec.color), "gray", False)


def _add_heat(case: CaseFiles, scene: Scene) -> None:
    """What `gracile explain` wrote beside the masks or into ``explain/``."""
    for method in ("gradcam", "guided", "saliency"):
        for place in ("explain/", ""):
            path: Path | None = case.inside(f"{place}{case.record['name']}-{method}.png")
            if path is not None:
                scene.offer(method, "Gate's attention", path, f"-{method}.png")
                _add_layer(scene, method, method, "Attention", (249, 142, 9), "opaque", False)
                break


def _add_layer(
    scene: Scene, key: str, name: str, group: str, color: tuple[int, int, int], kind: str, shown: bool
) -> None:
    scene.content["layers"].append(
        {"key": key, "name": name, "group": group, "color": list(color), "kind": kind, "shown": shown}
    )
