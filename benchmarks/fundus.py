"""Fundus photographs: the field of view beside those of the sets, and what the rule that refuses other pictures says.

    python benchmarks/fundus.py DATA
    python benchmarks/fundus.py DATA --only fields
    python benchmarks/fundus.py DATA --learn

Photographs are those of DRIVE, LES-AV and HRF, as they are, turned, with a dark side, cut at two sides, and all of it
together; other pictures are all that the data folder has, frames of its videos, slices of its volumes, larynx frames
behind a round aperture, photographs in other colors, and drawn ones (uniform, noise, clouds with the spectrum of
natural scenes, also in a disc and in the colors of a retina). The table shows photographs of the test parts of
``splits.json``
and of the training parts apart; ``--learn`` learns the rule's numbers from the training parts alone (larynx: patient 1)
and writes them to ``src/gracile/transforms/fundus_rule.yaml``.
"""

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import nibabel
import numpy as np
from doubts_learning import learned, write
from photographs import SETS, Photograph, cropped, padded, photographs, shaded, turned
from PIL import Image
from spoiling import WAYS

from gracile.io.video import open_video
from gracile.transforms.field_of_view import look_for_field_of_view
from gracile.transforms.fundus import GRAY, TABLE, rule, why_not_a_fundus
from gracile.transforms.fundus_figures import kind_figures

PICTURES = {
    "larynx endoscopy": "surgical-video/vocal-folds/images",
    "ultrasound, usgra": "nerve-ultrasound/usgra-seg/images",
    "ultrasound, UNS": "nerve-ultrasound/uns-256-positive/images",
    "ultrasound, UNS at 580x420": "nerve-ultrasound/uns-original-sample/images",
    "ultrasound, brachial plexus": "nerve-ultrasound/brachial-plexus-video/images",
}
VIDEOS = (
    "surgical-video/vocalfolds_seq5.avi",
    "nerve-ultrasound/clips",
    "nerve-ultrasound/brachial-plexus-video/clips",
)
VOLUMES = ("spinal-cord", "landmarks", "any-structure/hippocampus/imagesTr")
OTHER = "other: "
RIDGE = 0.0003  # photographs and other pictures part cleanly
PATIENT_2 = ("seq5", "seq6", "seq8")
DOUBTS = [
    ("border", "low", "disc"), ("roundness", "low", "disc"),
    ("red", "low", "colors"), ("blue", "low", "colors"), ("order", "low", "colors"), ("color", "low", "colors"),
    ("contrast", "low", "vessels"), ("contrast", "high", "vessels"), ("dark_lines", "low", "vessels"),
    ("long_lines", "low", "vessels"),
]  # fmt: skip
Change = Callable[[Photograph, np.random.Generator], Photograph]


def _some(random: np.random.Generator, low: float, high: float) -> float:
    return float(random.uniform(low, high))


def _dark_side(photograph: Photograph, random: np.random.Generator) -> Photograph:
    angle, darkest = _some(random, 0, 2 * np.pi), 10 ** _some(random, -2.3, -1)
    return shaded(photograph, angle, _some(random, 0.2, 0.5), darkest)


def _cut(photograph: Photograph, random: np.random.Generator) -> Photograph:
    one, other = _some(random, 0.05, 0.22), _some(random, 0.05, 0.22)
    sides = [(one, 0, other, 0), (0, one, 0, other), (one, other, 0, 0), (0, one, other, 0)][random.integers(4)]
    return cropped(photograph, *sides)


CHANGES: dict[str, Change] = {
    "as it is": lambda photograph, random: photograph,
    "turned by 90 degrees": lambda photograph, random: turned(photograph, 90),
    "turned by 180 degrees": lambda photograph, random: turned(photograph, 180),
    "turned by any angle": lambda photograph, random: turned(photograph, _some(random, 0, 360)),
    "with a dark side": _dark_side,
    "cut at two sides": _cut,
    "cut, then turned": lambda photograph, random: turned(_cut(photograph, random), _some(random, 0, 360)),
    "cut, with a dark side": lambda photograph, random: _dark_side(_cut(photograph, random), random),
    "in a larger black frame": lambda photograph, random: padded(photograph, _some(random, 0.05, 0.5)),
    "without any border": lambda photograph, random: cropped(photograph, *[0.17] * 4),
}


def main() -> None:
    arguments = parse()
    if arguments.learn:
        learn(arguments)
        return
    if arguments.only in ("", "fields"):
        fields(arguments)
    if arguments.only in ("", "photographs"):
        judged_photographs(arguments)
    if arguments.only in ("", "others"):
        judged_others(arguments)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--only", choices=("", "fields", "photographs", "others"), default="")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS), help="of the photographs")
    parser.add_argument("--most", type=int, default=200, help="pictures of each other kind")
    parser.add_argument("--longer", type=int, default=0, help="photographs are brought to this longer side first")
    parser.add_argument("--learn", action="store_true", help="learn the rule anew")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="with --learn: keep figures there, and take those that are there")
    return parser.parse_args()


def fields(arguments: argparse.Namespace) -> None:
    """Intersection over union with the fields of view that come with the sets, and seconds."""
    print("| photograph | overlap | seconds |\n|---|---|---|")
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for one in photographs(arguments.data, longer=arguments.longer, sets=arguments.sets):
        image = one.channels_first
        start = time.perf_counter()
        region = look_for_field_of_view(image).region
        seconds = time.perf_counter() - start
        found[one.name.partition("/")[0]].append((overlap(region, one.region), seconds))
        print(f"| {one.name} | {found[one.name.partition('/')[0]][-1][0]:.4f} | {seconds:.3f} |", flush=True)
    for name, rows in found.items():
        overlaps, seconds = zip(*rows, strict=True)
        print(f"{name}: least {min(overlaps):.4f}, mean {np.mean(overlaps):.4f}, {np.median(seconds):.3f} s")


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


def judged_photographs(arguments: argparse.Namespace) -> None:
    """How many photographs are refused, and how their fields of view overlap with the known ones."""
    counts: dict[tuple[str, bool], list[tuple[bool, float, float]]] = defaultdict(list)
    for number, one in enumerate(photographs(arguments.data, longer=arguments.longer, sets=arguments.sets)):
        for name, change in CHANGES.items():
            changed = change(one, np.random.default_rng([arguments.seed, number, *name.encode()]))
            image = changed.channels_first
            found = look_for_field_of_view(image)
            why = why_not_a_fundus(image, found.region, found)
            total = rule().total(kind_figures(image, found.region, found.circle))
            counts[name, one.held_back].append((bool(why), overlap(found.region, changed.region), total))
            if why:
                print(f"  refused: {one.name} {name}: {why}", flush=True)
    print(
        f"| photographs | refused | sum of doubts, most (limit {rule().limits['other']:.2f}) | overlap, least, mean |"
    )
    print("|---|---|---|---|")
    for (name, held_back), rows in sorted(counts.items(), key=lambda item: not item[0][1]):
        refused, overlaps, totals = zip(*rows, strict=True)
        part = "test" if held_back else "training"
        print(
            f"| {name}, {part} | {sum(refused)} of {len(rows)} | {max(totals):.2f} | "
            f"{min(overlaps):.3f}, {np.mean(overlaps):.3f} |"
        )


def judged_others(arguments: argparse.Namespace) -> None:
    """How many other pictures are taken for photographs."""
    rows: dict[str, list[tuple[bool, float]]] = defaultdict(list)
    for kind, name, image in others(arguments.data, arguments.most, arguments.seed):
        found = look_for_field_of_view(image)
        why = why_not_a_fundus(image, found.region, found)
        gray = not found.region.any() or "gray" in why
        total = np.inf if gray else rule().total(kind_figures(image, found.region, found.circle))
        rows[kind].append((not why, total))
        if not why:
            print(f"  taken: {kind} {name}", flush=True)
    print(f"| other pictures | refused | gray | sum of doubts, least (limit {rule().limits['other']:.2f}) |")
    print("|---|---|---|---|")
    for kind, found_ones in rows.items():
        taken, totals = zip(*found_ones, strict=True)
        gray = sum(np.isinf(totals))
        least = "" if gray == len(totals) else f"{min(totals):.2f}"
        print(f"| {kind} | {len(taken) - sum(taken)} of {len(taken)} | {gray} | {least} |")


def others(data: Path, most: int, seed: int, held_back: bool | None = None) -> Iterator[tuple[str, str, np.ndarray]]:
    """Kind, name and ``(3, height, width)`` uint8 of pictures that are no fundus photographs."""
    random = np.random.default_rng(seed)
    for one in photographs(data, held_back, longer=900):
        for order in ((2, 1, 0), (1, 0, 2), (0, 2, 1)):
            yield "photographs with channels in another order", one.name, one.channels_first[list(order)]
        yield "photographs made gray", one.name, np.repeat(one.channels_first[1:2], 3, axis=0)
    for kind, folder in PICTURES.items():
        paths = sorted(path for path in (data / folder).rglob("*") if path.suffix.lower() in (".png", ".jpg", ".jpeg"))
        for path in paths[:: max(1, len(paths) // most)]:
            image = np.asarray(Image.open(path).convert("RGB"))
            yield kind, path.stem, channels_first(image)
            if kind == "larynx endoscopy":
                yield f"{kind}, behind a round aperture", path.stem, channels_first(image * aperture(image, random))
    for place in VIDEOS:
        for path in [data / place] if (data / place).is_file() else sorted((data / place).glob("*.mp4")):
            for number, frame in enumerate(open_video(path)):
                if number % 40 == 0:
                    yield f"frames of {path.name}", str(number), channels_first(frame.image)
    for place in VOLUMES:
        paths = sorted(path for path in (data / place).rglob("*.nii.gz") if "seg" not in path.name)
        for path in paths[:: max(1, len(paths) // 20)]:
            volume = np.asarray(nibabel.load(path).dataobj, dtype=np.float32)
            for axis in range(3):
                yield f"slices, {place}", f"{path.name} {axis}", slice_of(volume.reshape(volume.shape[:3]), axis)
    for kind, image in drawn(random, max(4, most // 10)):
        yield kind, "", channels_first(image)


def channels_first(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.moveaxis(image, -1, 0))


def aperture(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """``(height, width, 1)`` bool disc, as an endoscope shows."""
    height, width = image.shape[:2]
    rows, columns = np.indices((height, width), sparse=True)
    radius = _some(random, 0.4, 0.5) * min(height, width)
    return (np.hypot(rows - height / 2, columns - width / 2) <= radius)[..., None]


def slice_of(volume: np.ndarray, axis: int) -> np.ndarray:
    plane = volume.take(volume.shape[axis] // 2, axis=axis)
    low, high = np.percentile(plane, (0.5, 99.5))
    gray = np.rint(np.clip((plane - low) / max(high - low, 1e-6), 0, 1) * 255).astype(np.uint8)
    return np.repeat(gray[None], 3, axis=0)


def drawn(random: np.random.Generator, number: int) -> Iterator[tuple[str, np.ndarray]]:
    """Uniform pictures, noise and clouds (noise with the spectrum of natural scenes), whole and in a disc."""
    size = 420
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size)[None])
    frequency[0, 0] = 1.0

    def clouds(channels: int, slope: float) -> np.ndarray:
        noise = np.fft.fft2(random.normal(size=(channels, size, size)))
        values = np.fft.ifft2(noise / frequency**slope).real
        values -= values.mean(axis=(1, 2), keepdims=True)
        return np.moveaxis(values / values.std(axis=(1, 2), keepdims=True), 0, -1)

    for _ in range(number):
        retina = np.array([_some(random, 110, 235), _some(random, 40, 115), _some(random, 8, 60)])
        anything = random.uniform(20, 240, 3)
        slope = _some(random, 0.5, 1.8)
        tint = 0.05 * clouds(3, slope)
        pictures = {
            "uniform": np.broadcast_to(anything, (size, size, 3)),
            "uniform, colors of a retina": np.broadcast_to(retina, (size, size, 3)),
            "noise": random.uniform(0, 255, (size, size, 3)),
            "noise, colors of a retina": retina + random.normal(0, _some(random, 4, 30), (size, size, 3)),
            "clouds": anything * np.exp(_some(random, 0.2, 0.6) * clouds(3, slope)),
            "clouds, colors of a retina": retina * np.exp(_some(random, 0.05, 0.4) * clouds(1, slope) + tint),
        }
        for kind, values in pictures.items():
            image = np.rint(values).clip(0, 255).astype(np.uint8)
            yield kind, image
            yield f"{kind}, in a disc", image * aperture(image, random)


def learn(arguments: argparse.Namespace) -> None:
    """Learn the rule's numbers from photographs of the training parts and other pictures, and write them."""
    rows = json.loads(arguments.json.read_text()) if arguments.json and arguments.json.exists() else {}
    for part, gather in (("photographs", seen_photographs), ("others", seen_others)):
        if part not in rows and arguments.only in ("", part):
            rows[part] = list(gather(arguments))
    if arguments.json:
        arguments.json.write_text(json.dumps(rows))
    if len(rows) < 2:
        print("the other part is still to be seen")
        return
    kinds, figures = zip(*(row for part in rows.values() for row in part), strict=True)
    judged = [int(kind.startswith(OTHER)) for kind in kinds]
    doubts = learned(figures, judged, shares_of(kinds, judged), DOUBTS, ["other"], RIDGE)
    remark = (
        "What speaks against a picture's being a fundus photograph; learned by benchmarks/fundus.py DATA --learn\n"
        f"from {judged.count(0)} views of photographs and {judged.count(1)} other pictures of the training parts."
    )
    write(doubts, TABLE, remark)
    rule.cache_clear()


def seen_photographs(arguments: argparse.Namespace) -> Iterator[tuple[str, dict[str, float]]]:
    """Kind and figures of photographs of the training parts, changed as in `CHANGES`, or spoiled but usable."""
    for number, one in enumerate(photographs(arguments.data, held_back=False, longer=1200)):
        spoiled = list(WAYS)[number % 2 :: 2]  # usable ones are not to be refused either
        for name in [*CHANGES, *spoiled]:
            random = np.random.default_rng([arguments.seed + 1, number, *name.encode()])
            changed = CHANGES[name](one, random) if name in CHANGES else WAYS[name](one, 1, random)
            found = look_for_field_of_view(changed.channels_first)
            own = kind_figures(changed.channels_first, found.region, found.circle)
            yield name if name in CHANGES else "spoiled", own


def seen_others(arguments: argparse.Namespace) -> Iterator[tuple[str, dict[str, float]]]:
    """Kind and figures of colored pictures of other kinds, without those of the second larynx patient."""
    for kind, name, image in others(arguments.data, arguments.most, arguments.seed + 1, held_back=False):
        if name.startswith(PATIENT_2) or np.array_equal(image[0], image[1]):
            continue
        found = look_for_field_of_view(image)
        if found.region.any():
            own = kind_figures(image, found.region, found.circle)
            if own["color"] >= GRAY:
                yield OTHER + kind, own


def shares_of(kinds: Sequence[str], judged: Sequence[int]) -> list[float]:
    """How much each case counts: both sides alike, and within a side a kind by the root of its number."""
    each = {kind: kinds.count(kind) for kind in set(kinds)}
    sides = [sum(np.sqrt(each[kind]) for kind in set(kinds) if kind.startswith(OTHER) is other)
             for other in (False, True)]  # fmt: skip
    return [1 / (np.sqrt(each[kind]) * sides[other]) for kind, other in zip(kinds, judged, strict=True)]


if __name__ == "__main__":
    main()
