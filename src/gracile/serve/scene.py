"""A scene: all that the page needs to show one case, as plain data and files by key.

The browser names files by their keys alone; what a key stands for is looked up: no path ever comes from outside.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from typing_extensions import TypedDict

from gracile.case import Case
from gracile.errors import DataError
from gracile.io import read_case_file
from gracile.io.atomic import write_json
from gracile.io.naming import file_names
from gracile.io.predictions_file import channels_of
from gracile.plain_data import FileName, Text, read_json
from gracile.recipe import ClassSpec, InputSpec
from gracile.report.layers import visible_color
from gracile.report.wording import band_words, decimals, label, number, quality_words, unit_text
from gracile.result import Quality

_TYPES = {
    ".png": "image/png", ".jpg": "image/jpeg", ".json": "application/json", ".csv": "text/csv; charset=utf-8",
    ".nii.gz": "application/gzip", ".nii": "application/octet-stream", ".npz": "application/octet-stream",
    ".mp4": "video/mp4", ".webm": "video/webm", ".avi": "video/x-msvideo", ".zip": "application/zip",
    ".html": "text/html; charset=utf-8", ".fcsv": "text/csv; charset=utf-8", ".dcm": "application/dicom",
}  # fmt: skip
_SUFFIXES = (".seg.dcm", ".mrk.json", ".rle.csv", ".nii.gz", ".seg.nrrd")
_LABELS = {
    ".mrk.json": "Slicer markups", ".fcsv": "Slicer FCSV", ".rle.csv": "run lengths, CSV",
    ".nii.gz": "NIfTI", ".nii": "NIfTI", ".png": "PNG", ".csv": "CSV", ".npz": "NumPy", ".mp4": "MP4", ".avi": "AVI",
    ".seg.dcm": "DICOM-SEG", ".json": "JSON", ".zip": "ZIP", ".dcm": "DICOM", ".jpg": "JPEG",
}  # fmt: skip


_TITLES = {
    "landmarks_fcsv": "Landmarks", "landmarks_table": "Landmarks", "landmarks_nnlandmark": "Landmarks for nnLandmark",
    "centerline_curve": "Centerline", "centerline_voxels": "Centerline",
}  # fmt: skip


@dataclass(frozen=True)
class CaseFiles:
    """What a scene is made from.

    Args:
        record: The case's record of ``predictions.json``.
        classes: The recipe's classes.
        out: The folder that the record's files lie in.
        source: The input; None where it is gone.
        truth: The labels of a person, if any.
        cache: Folder for what is drawn.
        wanted: What the recipe takes; of a volume which series and which of several.
        true_points: Where landmarks truly are, ``(3,)`` RAS+ mm by name.
    """

    record: Mapping[str, Any]
    classes: Sequence[ClassSpec]
    out: Path
    source: Path | None
    truth: Path | None
    cache: Path
    wanted: InputSpec = field(default_factory=lambda: InputSpec(kind="volume"))
    true_points: Mapping[str, Sequence[float]] = field(default_factory=dict)

    @property
    def keys(self) -> dict[str, str]:
        """What the page calls the record's files, by their kinds, which may bear a landmark's name as it is."""
        return file_names(list(self.record.get("files", {})))

    def read(self) -> Case:
        """The input, with all of its channels. Raises DataError where it, or one of them, is not where it was."""
        if self.source is None:
            raise DataError(f"The input of {self.record['name']} is not where it was.")
        # Of a folder that was moved, the further channels lie where the first one does.
        beside = [self.source.with_name(path.name) for path in channels_of(self.record)]
        channels = [
            path if path.exists() else near for path, near in zip(channels_of(self.record), beside, strict=True)
        ]
        return read_case_file(self.source, str(self.record["name"]), self.wanted, channels=channels)

    def path(self, kind: str) -> Path | None:
        """The record's file of a kind; None when there is none, or when it lies outside the folder."""
        name = self.record.get("files", {}).get(kind)
        return self.inside(name) if name else None

    def inside(self, name: str) -> Path | None:
        """A file of the folder; None when it is not there or only pretends to be in it."""
        path = (self.out / name).resolve()
        return path if path.is_relative_to(self.out.resolve()) and path.is_file() else None


class SceneShape(TypedDict):
    """A scene that was kept."""

    content: dict[Text, Any]
    files: dict[Text, dict[Text, FileName]]


@dataclass
class Scene:
    """What the page is told of a case, and its files by key."""

    content: dict[str, Any]
    files: dict[str, dict[str, str]] = field(default_factory=dict)

    def add(self, key: str, path: Path, suffix: str = "") -> str:
        """Name a file for the page; returns its key."""
        suffix = suffix or suffix_of(path)
        self.files[key] = {"path": str(path), "type": _TYPES.get("." + suffix.rsplit(".", 1)[-1], ""), "suffix": suffix}
        if suffix.endswith(".nii.gz"):
            self.files[key]["type"] = _TYPES[".nii.gz"]
        return key

    def offer(self, key: str, title: str, path: Path, suffix: str = "") -> None:
        """Name a file and offer it for download."""
        self.add(key, path, suffix or suffix_of(path))
        kind = _LABELS.get(suffix_of(path), suffix_of(path).lstrip(".").upper())
        self.content["downloads"].append({"key": key, "label": f"{title} ({kind})", "bytes": path.stat().st_size})

    def write(self, path: Path) -> None:
        """Keep it on disk."""
        write_json(path, {"content": self.content, "files": self.files})

    @classmethod
    def read(cls, path: Path) -> "Scene":
        """One that was kept."""
        return cls(**read_json(path, "Predict it again.", shape=SceneShape))


def begin_scene(case: CaseFiles, kind: str) -> Scene:
    """What scenes of all kinds tell, and the downloads of what the record names."""
    record = case.record
    content = {
        "kind": kind,
        "name": record["name"],
        "status": record["status"],
        "reason": record.get("reason", ""),
        "flags": list(record.get("flags", [])),
        "notes": list(record.get("notes", [])),
        "gates": record.get("gates", {}),
        "decisions": record.get("gate_decisions", {}),
        "seconds": record.get("seconds", {}),
        "measurements": measurement_rows(record.get("measurements", [])),
        "quality": quality_said(record.get("quality")),
        "classes": [{"name": spec.name, "color": visible_color(spec.color)} for spec in case.classes],
        "layers": [],
        "downloads": [],
    }
    scene = Scene(content)
    for file_kind, key in case.keys.items():
        path = case.path(file_kind)
        if path is not None:
            scene.offer(key, _TITLES.get(file_kind) or label(file_kind), path, f"-{key}{suffix_of(path)}")
    return scene


def measurement_rows(measurements: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Measurements as they are shown: label, value, unit, structure, note."""
    return [
        {
            "label": label(m["name"]),
            "value": number(m["value"], decimals([m["value"]])),
            "unit": unit_text(m["unit"]),
            "structure": m.get("structure", ""),
            "note": m.get("note", ""),
        }
        for m in measurements
    ]


def quality_said(entry: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """How good an answer is predicted to be, in words."""
    if entry is None:
        return None
    quality = Quality.from_summary(entry)
    return {"text": quality_words(quality), "band": band_words(quality), "reasons": list(quality.reasons)}


def suffix_of(path: Path) -> str:
    """A file's suffix, double ones included."""
    name = path.name.lower()
    return next((suffix for suffix in _SUFFIXES if name.endswith(suffix)), path.suffix.lower())
