"""Finds landmarks in a volume: by heat in a coarse copy, checked against their mean shape; then in a patch about each.

    python example.py FOLDER volume.nii.gz points.json

FOLDER has the networks, and every number that is used here: in contract.json, which export-contract.md explains. Points
are in mm along the axes of the oriented volume, from the middle of its first voxel, until they are written: in RAS+ mm.
"""

import json
import sys
from itertools import permutations, product
from pathlib import Path

import nibabel as nib
import numpy as np
import onnxruntime


def network(path):  # from images (n, 1, x, y, z), and the numbers of their landmarks, to logits (n, maps, x, y, z)
    session = onnxruntime.InferenceSession(path)
    return lambda **inputs: session.run(None, inputs)[0]


def turned_to(codes, array, affine):  # a view whose axes run to the sides that are named, such as RAS; and its affine
    cosines = affine[:3, :3] / nib.affines.voxel_sizes(affine)
    rows = max(permutations(range(3)), key=lambda rows: sum(abs(cosines[rows, range(3)])))
    own = np.column_stack([rows, np.where(cosines[rows, range(3)] > 0, 1, -1)])
    turn = nib.orientations.ornt_transform(own, nib.orientations.axcodes2ornt(codes))
    return nib.orientations.apply_orientation(array, turn), affine @ nib.orientations.inv_ornt_aff(turn, array.shape)


def read(volume, axis, at, step):  # an axis linearly at some voxels, after the Gaussian for taking every step-th
    places, sigma = np.arange(volume.shape[axis]), np.sqrt(max(0, step**2 - 1) / 12)
    matrix = np.maximum(0, 1 - abs(np.asarray(at)[:, None] - places))
    if reach := int(4 * sigma + 0.5):
        far = np.arange(-reach, len(places) + reach) - places[:, None]
        gauss = np.exp(-0.5 * (far / sigma) ** 2) * (abs(far) <= reach)  # its border goes on as it is
        matrix = matrix @ (gauss / gauss.sum(axis=1)[:, None]) @ (far[0].clip(0, places[-1])[:, None] == places)
    return np.moveaxis(np.tensordot(matrix.astype(np.float32), volume, (1, axis)), 0, axis)


def sampled(volume, places):  # at places (..., 3) in voxels, linearly; 0 beyond
    size = np.array(volume.shape)
    padded, low = np.pad(volume, 1), np.floor(places)
    total = np.zeros(places.shape[:-1], np.float32)
    for corner in product((0, 1), repeat=3):
        share = np.prod(abs(1 - np.array(corner) - (places - low)), axis=-1)
        x, y, z = np.moveaxis((low + corner).clip(-1, size).astype(int) + 1, -1, 0)
        total += padded[x, y, z] * share
    return total * ((places >= -0.5) & (places <= size - 0.5)).all(axis=-1)


def fitted(source, target, weights):  # scale, rotation and shift of least squares (Umeyama 1991)
    weights = weights / weights.sum()
    middle, goal = weights @ source, weights @ target
    before, after = source - middle, target - goal
    left, values, right = np.linalg.svd((after * weights[:, None]).T @ before)
    if values[1] <= 1e-9 * max(values[0], 1e-12):
        return 1.0, np.eye(3), goal - middle
    mirror = np.array([1, 1, np.sign(np.linalg.det(left @ right))])
    rotation, scale = (left * mirror) @ right, values @ mirror / (weights @ (before**2).sum(axis=1))
    return scale, rotation, goal - scale * rotation @ middle


def moved(fit, points):
    scale, rotation, shift = fit
    return scale * points @ rotation.T + shift


def pose_of(points, weights, error, spec):  # of the mean shape, by most of the known points; and which follow it
    known, rule = np.isfinite(points).all(axis=1), spec["fit"]
    source, target, weights = np.array(spec["mean_shape_mm"])[known], points[known], weights[known] + 1e-6
    limit = np.sqrt(np.array(spec["stray_mm"])[known] ** 2 + error**2) * rule["limit_deviations"]
    if len(source) < 4:
        return fitted(source, target, weights) if len(source) else None, known

    def far(fit):
        return np.linalg.norm(moved(fit, source) - target, axis=1) / limit

    def support(fit):
        return weights @ (1 - far(fit) ** 2).clip(0) if rule["sizes"][0] < fit[0] < rule["sizes"][1] else -1

    random = np.random.default_rng(0)
    triples = [random.choice(len(source), 3, replace=False) for _ in range(rule["random_triples"])]
    fits = [fitted(source, target, weights), *(fitted(source[some], target[some], np.ones(3)) for some in triples)]
    best = max(fits, key=support)
    for _ in range(rule["rounds"]):
        if (inside := far(best) <= 1).sum() >= 3:
            best = fitted(source[inside], target[inside], weights[inside])
    known[known] = far(best) <= 1
    return best, known


def located(folder, spec, image, own):  # (landmarks, 3) points, NaN where one is not found; and how sure each is
    step, coarse, peaks = spec["spacing_mm"] / own, image, []
    for axis in range(3):
        coarse = read(coarse, axis, np.arange(0, image.shape[axis] - 1 + 1e-6, step[axis]), step[axis])
    padded = np.pad(coarse, [(0, -n % spec["padded_to_multiple_of"]) for n in coarse.shape], mode="edge")
    logits = network(folder / spec["graph"])(images=padded[None, None])[0]
    every = np.array(padded.shape) // logits.shape[1:]
    apart = step * own * every
    x, y, z = -(-np.array(coarse.shape) // every)
    for map_of, nowhere in zip(logits[:, :x, :y, :z], spec["nowhere_logits"]):
        heat = np.exp(map_of - max(map_of.max(), nowhere))
        heat /= heat.sum() + np.exp(nowhere - max(map_of.max(), nowhere))
        top = np.array(np.unravel_index(heat.argmax(), heat.shape))
        reach = np.ceil(spec["reach_deviations"] * spec["width_mm"] / apart).astype(int)
        box = [np.arange(max(0, t - r), min(n, t + r + 1)) for t, r, n in zip(top, reach, heat.shape)]
        near = heat[np.ix_(*box)].astype(float)
        places = np.stack(np.meshgrid(*box, indexing="ij"), axis=-1)
        place = (near[..., None] * places).sum(axis=(0, 1, 2)) / near.sum() * apart
        peaks.append([*place, near.sum(), heat.sum()])
    *points, sure, anywhere = np.transpose(peaks)
    points, found = np.transpose(points), sure >= spec["presence"]
    hints = np.where(sure[:, None] >= spec["hint"], points, np.nan)
    pose, agreeing = pose_of(hints, sure, spec["width_mm"] / 2, spec)
    if pose is not None and agreeing.sum() >= spec["fewest_agreeing"]:
        placed = moved(pose, np.array(spec["mean_shape_mm"]))
        inside = ((placed >= -own / 2) & (placed <= (np.array(image.shape) - 0.5) * own)).all(axis=1)
        points = np.where((found & agreeing)[:, None], points, placed)
        found = (found & agreeing) | (inside & (anywhere >= spec["absence"]))
        found &= spec["sizes"][0] <= pose[0] <= spec["sizes"][1]
    return np.where(found[:, None], points, np.nan), sure


def look(run, image, own, points, weights, error, spec):  # all landmarks, from a patch about each in the shape's pose
    pose, agreeing = pose_of(points, weights, error, spec)
    if pose is None or agreeing.sum() < spec["fewest_agreeing"]:
        return None
    (scale, rotation, _), stray, margin = pose, np.array(spec["stray_mm"]), spec["margin_samples"]
    placed = moved(pose, np.array(spec["mean_shape_mm"]))
    trust = np.where(agreeing, (scale * stray) ** 2 / ((scale * stray) ** 2 + error**2), 0)[:, None]
    centers = placed + trust * np.nan_to_num(points - placed)
    at = (np.arange(spec["size_samples"]) - (spec["size_samples"] - 1) / 2) * spec["spacing_mm"]
    offsets = np.stack(np.meshgrid(at, at, at, indexing="ij"), axis=-1)
    patches = [sampled(image, (scale * offsets @ rotation.T + center) / own) for center in centers]
    inner = slice(margin, spec["size_samples"] - margin)
    logits = run(images=np.array(patches, np.float32)[:, None], numbers=np.arange(len(centers)))
    offsets = offsets[inner, inner, inner].reshape(-1, 3)
    middles = (placed - centers) @ rotation / scale
    far = ((offsets - middles[:, None]) ** 2).sum(axis=-1) / (2 * stray[:, None] ** 2)
    heat = logits[:, 0, inner, inner, inner].reshape(len(centers), -1) - spec["prior"] * far
    heat = np.exp(heat - heat.max(axis=1, keepdims=True))
    return centers + scale * (heat / heat.sum(axis=1, keepdims=True)) @ offsets @ rotation.T


def refined(folder, spec, image, own, points, weights):  # points moved to where the patches show them
    run, known, error = network(folder / spec["graph"]), np.isfinite(points).all(axis=1), spec["error_mm"]
    for axis, step in enumerate(spec["spacing_mm"] / own):
        image = read(image, axis, np.arange(image.shape[axis]), step)
    for _ in range(spec["passes"]):
        seen = look(run, image, own, points, weights, error, spec)
        if seen is None:
            return points
        points, error = np.where(known[:, None], seen, np.nan), min(error, spec["width_mm"])
    if spec["mirrored"]:  # halfway to where the mirror image has them
        pairs, span = np.array(spec["opposites"]), (image.shape[0] - 1) * own[0]

        def mirror(some):
            return np.where((pairs >= 0)[:, None], some[pairs] * [-1, 1, 1] + [span, 0, 0], np.nan)

        other = look(run, image[::-1], own, mirror(points), np.where(pairs >= 0, weights[pairs], 0), error, spec)
        if other is not None:
            points = points + np.nan_to_num(mirror(other) - points) / 2
    return points


def main(folder, source, target):
    contract = json.loads((folder / "contract.json").read_text(encoding="utf-8"))
    if (contract["format"], contract["cascade"]) != (1, "heat-and-patches"):
        raise ValueError("contract.json is of another kind of model, or of another version")
    steps, image = {step["step"]: step for step in contract["steps"]}, nib.load(source)
    values = np.nan_to_num(np.asarray(image.dataobj, np.float32).reshape(image.shape[:3]), posinf=0, neginf=0)
    values = (values - values.mean()) / max(values.std(), steps["standardize"]["least_deviation"])
    values, affine = turned_to(steps["orient"]["axes_run_to"], values, image.affine)
    own = nib.affines.voxel_sizes(affine)
    points = refined(folder, steps["refine"], values, own, *located(folder, steps["locate"], values, own))
    places = nib.affines.apply_affine(affine, points / own).tolist()
    found = {name: place if np.isfinite(place).all() else None for name, place in zip(contract["landmarks"], places)}
    Path(target).write_text(json.dumps({"coordinates": "RAS+ mm", "points": found}, indent=1), encoding="utf-8")


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), *sys.argv[2:])
    except Exception as error:
        sys.exit(f"{sys.argv[1]} cannot be used by this example: {type(error).__name__} {error}")
