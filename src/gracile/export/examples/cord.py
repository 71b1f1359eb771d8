"""Delineates a slender structure in a volume: finds its line in a coarse copy, then looks at a column along the line.

    python example.py FOLDER volume.nii.gz mask.nii.gz

FOLDER has the networks, and every number that is used here: in contract.json and tables.npz, which export-contract.md
explains.
"""

import json
import sys
from itertools import accumulate, permutations
from pathlib import Path

import nibabel as nib
import numpy as np
import onnxruntime


def network(path):  # from (x, y, z) to logits (maps, x, y, z)
    session = onnxruntime.InferenceSession(path)
    return lambda image: session.run(None, {"images": image[None, None].astype(np.float32)})[0][0]


def turned_to(codes, array, affine):  # a view whose axes run to the sides that are named, such as LAS; and its affine
    cosines = affine[:3, :3] / nib.affines.voxel_sizes(affine)
    rows = max(permutations(range(3)), key=lambda rows: sum(abs(cosines[rows, range(3)])))
    own = np.column_stack([rows, np.where(cosines[rows, range(3)] > 0, 1, -1)])
    turn = nib.orientations.ornt_transform(own, nib.orientations.axcodes2ornt(codes))
    return nib.orientations.apply_orientation(array, turn), affine @ nib.orientations.inv_ornt_aff(turn, array.shape)


def read(volume, axis, at, step=1.0, sigma=0.0):  # an axis linearly at every step-th voxel, smoothed for that; 0 beyond
    places, sigma = np.arange(volume.shape[axis]), sigma or np.sqrt(max(0, step**2 - 1) / 12)
    matrix = np.maximum(0, 1 - abs(np.asarray(at)[:, None] * step - places))
    if reach := int(4 * sigma + 0.5):
        far = np.arange(-reach, len(places) + reach) - places[:, None]
        gauss = np.exp(-0.5 * (far / sigma) ** 2) * (abs(far) <= reach)  # its border goes on as it is
        matrix = matrix @ (gauss / gauss.sum(axis=1)[:, None]) @ (far[0].clip(0, places[-1])[:, None] == places)
    return np.moveaxis(np.tensordot(matrix.astype(np.float32), volume, (1, axis)), 0, axis)


def tiled(run, column, overlap, weights):  # class probabilities of overlapping tiles along a column, in a weighted mean
    length, more = weights.shape[2], max(0, weights.shape[2] - column.shape[2])
    longer = np.pad(column, [(0, 0), (0, 0), (more // 2, more - more // 2)])
    total, last, step = 0, longer.shape[2] - length, max(1, int(length * (1 - overlap)))
    for start in sorted({min(start, last) for start in range(0, last + step, step)}):
        shares = np.exp(run(longer[:, :, start : start + length]))
        answer = np.concatenate([shares / shares.sum(axis=0), np.ones_like(weights)[None]]) * weights
        total = total + np.pad(answer, [(0, 0)] * 3 + [(start, last - start)])
    return (total[:-1] / total[-1])[..., more // 2 :][..., : column.shape[2]]


def seen(volume, pixels, shares):  # the slices of (..., x, y, z) mirrored or turned: four pixels for each, and shares
    slices = volume.reshape(-1, len(pixels[0]), volume.shape[-1])
    return sum(slices[:, p] * s[:, None] for p, s in zip(pixels, shares)).reshape(volume.shape)


def named(where, *steps):  # the number of each voxel's island, neighbors being along the axes of a step
    before, names = None, np.arange(where.size).reshape(where.shape) * where
    while not np.array_equal(before, names):
        before = names
        for axes in steps:
            for axis in axes:
                names = np.maximum.reduce([names, np.roll(names, 1, axis), np.roll(names, -1, axis)])
            names = names * where
        names = names.ravel()[names]
    return names


def best_path(scores, find):  # the first slice and (row, column) on each from there on: the largest sum over all slices
    (rows, columns), (down, right, _) = scores.shape[1:], np.max(find["moves"], axis=0).astype(int)
    came, worth, best, first, path = [], np.zeros((rows, columns)), 0.0, 0, []
    for number, picture in enumerate(scores):
        wide = np.pad(worth, [(down, down), (right, right)], constant_values=-np.inf)
        offers = np.stack([wide[down + r :, right + c :][:rows, :columns] - cost for r, c, cost in find["moves"]])
        came.append(np.where(offers.max(axis=0) > 0, offers.argmax(axis=0), -1))
        worth = offers.max(axis=0).clip(0) + picture - find["presence"]
        if worth.max() > best:
            best, first, path = worth.max(), number, [np.unravel_index(worth.argmax(), worth.shape)]
    while path and (move := came[first][path[0]]) >= 0:
        first, path = first - 1, [tuple(np.add(path[0], find["moves"][move][:2])), *path]
    return first, np.array(path, float)


def centered(picture, place, find):  # a place moved to the middle of the hill that it stands on, no higher than itself
    at, own, window = place, picture[tuple(place.astype(int))], np.array(find["window_samples"])
    for _ in range(find["centerings"]):
        near = [np.arange(max(0, m - r), min(n, m + r + 1)) for m, r, n in zip(map(round, at), window, picture.shape)]
        weight = (picture[np.ix_(*near)].clip(max=own) - own / 2).clip(1e-12)
        at = np.array([weight.sum(axis=1) @ near[0], weight.sum(axis=0) @ near[1]]) / weight.sum()
    return at


def line_of(heat, affine, find):  # the line (n, 3) in RAS+ mm; None where no slice is warm enough
    slices, to_mm = turned_to("SPL", heat, affine)
    (gap, *sides), limit = np.linalg.norm(to_mm[:3, :3], axis=0), np.array(find["largest_step_samples"])
    first, path = best_path(slices, find)
    if not len(path):
        return None
    path = np.stack([centered(slices[first + k], place, find) for k, place in enumerate(path)])
    down, up = (list(accumulate(way, lambda a, b: b.clip(a - limit, a + limit))) for way in (path, path[::-1]))
    path = (np.array(down) + up[::-1]) / 2
    sure = [max(read(read(slices[first + k], 0, at[:1]), 1, at[1:]).item(), 1e-3) for k, at in enumerate(path)]
    weights = trust = (sure / np.median(sure)).clip(0.1, 1)
    curve, places, count, more = path * sides, path * sides, len(path), find["extend_slices"]
    for _ in range(find["smoothings"] if count >= 5 else 0):  # a smoothing spline; what lies far off counts less
        bends, half = np.diff(np.eye(count), 2, axis=0), np.eye(count - 2) / 3 + np.eye(count - 2, k=1) / 6
        stiffness = (find["smoothing_mm"] / gap) ** 4 * bends.T @ np.linalg.solve(half + half.T, bends)
        curve = np.linalg.solve(np.diag(trust) + stiffness, trust[:, None] * places)
        off = np.linalg.norm(places - curve, axis=1)
        far = off / (find["tukey"] * max(1.4826 * np.median(off), find["smoothing_mm"] / 20))
        trust = (weights * (1 - far.clip(max=1) ** 2) ** 2).clip(1e-4)
    # It goes on as it ends, and turns upright.
    numbers = np.arange(max(0, first - more), min(len(slices), first + count + more))
    nearest, reach = (numbers - first).clip(0, count - 1), min(find["end_mm"] / gap, count - 1)
    inner = [np.interp([reach, count - 1 - reach], np.arange(count), part) for part in curve.T]
    slopes = (curve[[0, -1]] - np.transpose(inner)) / max(reach * gap, 1e-9)
    beyond = (numbers - first - nearest)[:, None] * gap / find["settling_mm"]
    line = curve[nearest] + slopes[(beyond[:, 0] > 0) * 1] * find["settling_mm"] * (1 - np.exp(-abs(beyond)))
    line = (line / sides).clip(0, np.subtract(slices.shape[1:], 1))
    return nib.affines.apply_affine(to_mm, np.column_stack([numbers, line]))


def delineated(folder, steps, image, affine):  # class indices of an oriented, standardized volume
    find, cut, segment, decide = (steps[name] for name in ("find-line", "cut-column", "delineate", "decide"))
    own, shape, heat = nib.affines.voxel_sizes(affine), np.array(image.shape), image
    step = find["spacing_mm"] / own
    for axis in range(3):
        heat = read(heat, axis, np.arange(int((shape[axis] - 1) / step[axis] + 1e-6) + 1), step[axis])
    heat = 1 / (1 + np.exp(-network(folder / find["graph"])(heat)[0]))
    if (line := line_of(heat, affine @ np.diag([*step, 1]), find)) is None:
        return np.zeros(image.shape)
    # The line on the volume's own slices; the column's slices along it, standardized by those around each.
    line = np.array(sorted(nib.affines.apply_affine(np.linalg.inv(affine), line), key=lambda place: place[2]))
    met = np.flatnonzero(abs(np.arange(shape[2]) - line[[0, -1], 2].mean()) <= np.ptp(line[:, 2]) / 2 + step[2] + 1e-6)
    step, size = np.where(cut["spacing_mm"], cut["spacing_mm"] / own, 1), np.array(cut["size_pixels"])
    last = min(np.ceil(met[-1] / step[2] - 1e-6), np.floor((shape[2] - 1) / step[2] + 1e-6))
    levels = np.arange(min(last, np.floor(met[0] / step[2] + 1e-6)), last + 1)
    middle = [np.interp(levels * step[2], met, np.interp(met, line[:, 2], line[:, axis])) for axis in (0, 1)]
    corners = np.round(np.transpose(middle) / step[:2]).astype(int) - size // 2
    tall, (xs, ys) = read(image, 2, levels, step[2]), (np.arange(n) for n in size)
    column = [read(read(tall[..., k], 0, x + xs, step[0]), 1, y + ys, step[1]) for k, (x, y) in enumerate(corners)]
    means, reach = np.array([(one.mean(), (one**2).mean()) for one in column]), cut["evening_mm"] / (own[2] * step[2])
    mean, square = read(means, 0, np.arange(len(means)), sigma=reach).T
    column = ((np.stack(column, axis=-1) - mean) / np.sqrt((square - mean**2).clip(1e-6))).astype(np.float32)
    # The network's answers to it as it is, mirrored and turned.
    run, tables = network(folder / segment["graph"]), np.load(folder / "tables.npz")
    maps, weights = 0, tables["tile_weights"][..., : {"whole": column.shape[2]}.get(segment["short_columns"])]
    for view, pixels, shares in zip(segment["views"], tables["view_pixels"], tables["view_shares"]):
        answer = tiled(run, seen(column, pixels[0], shares[0]), segment["tile_overlap"], weights)
        maps = maps + seen(answer, pixels[1], shares[1])[view["class_order"]] / len(segment["views"])
    # Back on the voxels of the part of the volume that the column covers; beyond it all is background.
    box = np.array([[*corners.min(axis=0), levels[0]], [*corners.max(axis=0) + size - 1, last]]) * step
    low, high = np.ceil(box[0] - 1e-6).clip(0).astype(int), np.floor(box[1] + 1e-6).clip(0, shape - 1).astype(int) + 1
    at, outside = [np.arange(a, b) / one for a, b, one in zip(low, high, step)], np.eye(len(maps))[0][:, None, None]
    flat = [read(read(maps[..., k] - outside, 1, at[0] - x), 2, at[1] - y) for k, (x, y) in enumerate(corners)]
    found = read(np.stack(flat, axis=-1), 3, (at[2] - levels[0]).clip(0, len(levels) - 1)) + outside[..., None]
    found = read(found, 3, np.arange(found.shape[3]), sigma=steps["smooth"]["deviation_mm"] / own[2])
    # Decided; of each class its largest island, and what its slices enclose: the last voxel of each lies outside.
    mask = np.pad(found.argmax(axis=0), 1)
    for index in range(1, len(maps)):
        if decide["largest_island_only"] and (own := mask == index).any():
            islands = named(own, (0, 1, 2))
            mask[own & (islands != np.bincount(islands[own]).argmax())] = 0
        if decide["fill_holes_of_slices"]:
            islands = named(mask != index, (0,), (1,))
            mask[(islands != islands[-1:, -1:]) & (mask == 0)] = index
    return np.pad(mask[1:-1, 1:-1, 1:-1], list(zip(low, shape - high)))


def main(folder, source, target):
    contract = json.loads((folder / "contract.json").read_text(encoding="utf-8"))
    if (contract["format"], contract["cascade"]) != (1, "line-and-column"):
        raise ValueError("contract.json is of another kind of model, or of another version")
    steps, image = {step["step"]: step for step in contract["steps"]}, nib.load(source)
    values = np.nan_to_num(np.asarray(image.dataobj, np.float32).reshape(image.shape[:3]), posinf=0, neginf=0)
    mask, scale, codes = np.zeros(values.shape, np.uint8), steps["standardize"], steps["orient"]["axes_run_to"]
    low, high = np.percentile(values, (scale["low_percentile"], scale["high_percentile"]))
    values = (values - low) / max(high - low, scale["least_span"])
    turned_to(codes, mask, image.affine)[0][...] = delineated(folder, steps, *turned_to(codes, values, image.affine))
    nib.save(nib.Nifti1Image(mask, image.affine, image.header, dtype=np.uint8), target)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), *sys.argv[2:])
    except Exception as error:
        sys.exit(f"{sys.argv[1]} cannot be used by this example: {type(error).__name__} {error}")
