"""The scene of a volume: scan, mask, probability maps, landmarks and lines, and where each finding lies."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gracile.errors import GracileError
from gracile.geometry import PointList
from gracile.io import read_points, read_table, read_volume_labels, write_mask
from gracile.report.bands import NAME as BAND
from gracile.report.bands import band_around
from gracile.report.wording import label, number
from gracile.result import Landmark
from gracile.serve.scene import CaseFiles, Scene, begin_scene

_MOST_BYTES = 2 * 2**30
_SHOWN_AS_THEY_ARE = (".nii", ".nii.gz")
_NO_MAPS = ("mask", "centerline_voxels")


def volume_scene(case: CaseFiles) -> Scene:
    """Make a volume's scene; what the page cannot read is written anew as NIfTI into the cache. Raises DataError."""
    scene = begin_scene(case, "volume")
    volume: dict[str, Any] = {
        "image": None, "mask": None, "truth": None, "maps": [], "points": [], "findings": [], "profile": None,
    }  # fmt: skip
    scene.content["volume"] = volume
    if case.source is not None:
        volume["image"] = _tried(scene, "the scan", lambda: _scan(case, scene))
    if case.truth is not None:
        volume["truth"] = _tried(scene, "the truth", lambda: _truth(case, scene))
    _add_band(case, scene)
    landmarks = [Landmark.from_summary(entry) for entry in case.record.get("landmarks", [])]
    likely = {f"probability of {part.name}": part.name for part in landmarks}
    choices = []
    for kind, name in case.record.get("files", {}).items():
        path = case.path(kind)
        if path is None:
            continue
        key = case.keys[kind]
        if name.endswith(".mrk.json") and not (landmarks and kind == "landmarks"):
            points = _tried(scene, label(kind), lambda path=path: read_points(path))
            volume["points"] += [_listed(points, kind)] if points is not None else []
        elif name.endswith(".nii.gz") and kind == "mask":
            volume["mask"] = key
            volume["findings"] += _findings(path, case)
        elif kind in likely:
            choices.append({"key": key, "name": likely[kind]})
        elif name.endswith(".nii.gz") and kind not in _NO_MAPS:
            volume["maps"].append({"key": key, "name": label(kind), "frames": _frames(path)})
    if choices:
        volume["maps"].append({"key": choices[0]["key"], "name": "Probability", "frames": 1, "choices": choices})
    table = case.path("cord")
    if table is not None:
        volume["profile"] = _profile(read_table(table))
    volume["findings"] += [_landmark(part, case.true_points.get(part.name)) for part in landmarks]
    volume["findings"] += [finding for group in volume["points"] for finding in _places(group)]
    volume["points"] += _landmark_groups(landmarks, case.true_points)
    return scene


def _add_band(case: CaseFiles, scene: Scene) -> None:
    """The band that is expected to hold the true outline, as a volume that can be switched on."""
    told, mask = case.record.get("quality"), case.path("mask")
    if told is None or told.get("band") is None or mask is None:
        return

    def draw() -> str:
        labels = read_volume_labels(mask, case.classes, recoded=False)
        assert labels.grid.spacing_mm is not None
        band = band_around(labels.values, float(told["band"]), labels.grid.spacing_mm)
        write_mask(case.cache / "band.nii.gz", band.astype(np.uint8), labels.grid)
        return scene.add("band", case.cache / "band.nii.gz")

    key = _tried(scene, "the band of the true outline", draw)
    if key is not None:
        scene.content["volume"]["maps"].append({"key": key, "name": BAND, "frames": 1})


def _landmark_groups(landmarks: Sequence[Landmark], truth: Mapping[str, Sequence[float]]) -> list[dict[str, Any]]:
    """What was found and, where it is known, the truth, as lists of points for the page."""
    found = [{"label": part.name, "mm": part.point_mm.tolist()} for part in landmarks if part.point_mm is not None]
    true = [{"label": name, "mm": list(place)} for name, place in truth.items()]
    groups = [("Landmarks", found, False), ("Truth", true, True)]
    return [
        {"curve": False, "name": name, "truth": known, "points": points} for name, points, known in groups if points
    ]


def _landmark(part: Landmark, truth: Sequence[float] | None) -> dict[str, Any]:
    """Where a landmark is and how sure that is; without a place where it was not found."""
    said = [f"probability {number(part.probability, 2)}"]
    if part.point_mm is None:
        return {"label": part.name, "note": "not found", "more": " · ".join([*said, part.note]).strip(" ·"), "mm": None}
    place = part.point_mm.tolist()
    if part.uncertainty_mm is not None:
        said.append(f"uncertain by {number(part.uncertainty_mm, 2)} mm")
    if truth is not None:
        said.append(f"{number(math.dist(place, truth), 2)} mm from the truth")
    return {"label": part.name, "note": _place(place), "more": " · ".join([*said, part.note]).strip(" ·"), "mm": place}


def _tried(scene: Scene, role: str, make: Any) -> Any:
    """What a function gives; None and a flag where it cannot."""
    try:
        return make()
    except (GracileError, OSError) as error:
        scene.content["flags"].append(f"{role} cannot be shown: {getattr(error, 'message', 'it cannot be read')}")
        return None


def _scan(case: CaseFiles, scene: Scene) -> str:
    """The scan itself where the page can read it, else a copy of the one volume that was predicted."""
    import nibabel

    assert case.source is not None
    first = case.wanted.shown_index == 0
    if first and case.source.name.endswith(_SHOWN_AS_THEY_ARE) and _is_one_volume(case.source):
        return scene.add("image", case.source)
    read = case.read()
    values = read.looked_at[0]
    short = np.iinfo(np.int16)
    if short.min <= values.min() and values.max() <= short.max and (values == np.rint(values)).all():
        values = values.astype(np.int16)
    nibabel.Nifti1Image(values, read.grid.affine).to_filename(case.cache / "scan.nii.gz")
    return scene.add("image", case.cache / "scan.nii.gz")


def _is_one_volume(path: Path) -> bool:
    """Whether a NIfTI file holds one volume of a size that a browser can hold."""
    import nibabel

    try:
        header: Any = nibabel.load(path)
    except nibabel.filebasedimages.ImageFileError:
        return False
    return len(header.shape) == 3 and math.prod(header.shape) * header.get_data_dtype().itemsize <= _MOST_BYTES


def _truth(case: CaseFiles, scene: Scene) -> str:
    assert case.truth is not None
    labels = read_volume_labels(case.truth, case.classes)
    write_mask(case.cache / "truth.nii.gz", labels.values, labels.grid)
    return scene.add("truth", case.cache / "truth.nii.gz")


def _frames(path: Path) -> int:
    import nibabel

    shape: tuple[int, ...] = nibabel.load(path).shape  # type: ignore[attr-defined]
    return math.prod(shape[3:])


def _listed(points: PointList, kind: str) -> dict[str, Any]:
    """A list of points for the page, in RAS+ mm, without those that have no place."""
    known = [
        {"label": name or str(index), "mm": [float(value) for value in place]}
        for index, (name, place) in enumerate(zip(points.labels, points.points_mm, strict=True), start=1)
        if np.isfinite(place).all()
    ]
    curve = points.kind != "points"
    return {"curve": curve, "name": points.name or label(kind), "truth": False, "points": known}


def _places(group: dict[str, Any]) -> list[dict[str, Any]]:
    """Where a list of points leads: to each landmark, to the middle and the ends of a line."""
    points = group["points"]
    if not group["curve"]:
        return [{"label": p["label"], "note": _place(p["mm"]), "mm": p["mm"]} for p in points]
    if not points:
        return []
    ends = {"lower end": points[0], "middle": points[len(points) // 2], "upper end": points[-1]}
    return [
        {"label": f"{name} of the {group['name']}", "note": _place(p["mm"]), "mm": p["mm"]} for name, p in ends.items()
    ]


def _findings(path: Path, case: CaseFiles) -> list[dict[str, Any]]:
    """Each class of a mask: where its middle lies, in RAS+ mm, and how much there is of it."""
    import nibabel

    image: Any = nibabel.load(path)
    mask = np.asarray(image.dataobj).reshape(image.shape[:3])
    voxel_mm3 = abs(float(np.linalg.det(image.affine[:3, :3])))
    findings = []
    for index, spec in enumerate(case.classes):
        member = mask == index
        count = int(member.sum()) if index else 0
        if not count:
            continue
        sums = [member.sum(axis=tuple(axis for axis in range(3) if axis != kept)) for kept in range(3)]
        middle = [float(along @ np.arange(len(along))) / count for along in sums]
        place = (image.affine @ [*middle, 1.0])[:3].tolist()
        findings.append({"label": spec.name, "note": f"{number(count * voxel_mm3)} mm³", "mm": place})
    return findings


def _profile(rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The area along a structure from above to below, with the place of each section."""
    places: list[list[Any]] = [[row.get(f"{axis}_ras_mm") for axis in "xyz"] for row in rows]
    known = [(place, row) for place, row in zip(places, rows, strict=True) if None not in place]
    if not known:
        return None
    known.sort(key=lambda entry: -entry[0][2])
    top = known[0][0][2]
    return {
        "title": "Area along the structure", "x": "mm below the upper end", "y": "mm²",
        "points": [
            {"x": top - place[2], "y": row.get("area_mm2"), "level": row.get("level"), "mm": place}
            for place, row in known
        ],
    }  # fmt: skip


def _place(mm: list[float]) -> str:
    return "R {:.1f}  A {:.1f}  S {:.1f} mm".format(*mm)
