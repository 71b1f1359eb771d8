"""Drawn heads with six spots for landmarks, and a recipe of networks small enough to learn them in a test."""

import numpy as np
import torch
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, ornt_transform
from scipy.spatial.transform import Rotation

from gracile.case import Case
from gracile.geometry import Grid
from gracile.learning.learners.heat import target_heat
from gracile.result import Landmark
from gracile.stages.landmark_heat import LandmarkHeatStage, bounds_mm

NAMES = ["a", "b", "c", "d", "e", "f"]
SMALL = "{name: light-unet-3d, options: {width: 8, depths: [1, 1, 1], stride: [2, 2, 2], unfold: %s}}"
AUGMENT = "{rotation: 15, tilt: 10, flip: false, scale: 0.05, elastic: 0, shift: 0.05}"
SETTINGS = [
    f"landmarks=[{', '.join(f'{{name: {name}}}' for name in NAMES)}]",
    f"stages.locate.network={SMALL % 'false'}",
    "stages.locate.spacing_mm=[1, 1, 1]",
    "stages.locate.width_mm=1.5",
    "stages.locate.patch=[24, 24, 24]",
    f"stages.locate.augment={AUGMENT}",
    f"stages.refine.network={SMALL % 'true'}",
    "stages.refine.spacing_mm=0.5",
    "stages.refine.size=13",
    "stages.refine.reach_mm=2.5",
    "stages.refine.width_mm=0.5",
    "stages.refine.shift_mm=0.7",
    "stages.refine.prior=0",  # these landmarks stray by chance, and the network sees them better than a shape tells
    f"stages.refine.augment={AUGMENT}",
    "trainer.workers=0",
]
SHAPE = (40, 44, 36)
SPACING = 0.5
BASE = np.array([[5.0, 5, 5], [14, 6, 8], [6, 16, 7], [13, 15, 12], [9, 9, 13], [8, 12, 4]])


def head(seed: int, codes: str = "RAS", base: np.ndarray = BASE) -> Case:
    """A volume of 0.5 mm with six spots of different brightness, in the axes of ``codes``."""
    random = np.random.default_rng(seed)
    turn = Rotation.from_euler("z", random.uniform(-8, 8), degrees=True).as_matrix()
    middle = np.array(SHAPE) * SPACING / 2
    points = (base - middle) @ turn.T + middle + random.normal(0, 0.3, base.shape)
    axes = np.stack(np.meshgrid(*[np.arange(n) * SPACING for n in SHAPE], indexing="ij"), axis=-1)
    image = random.normal(0, 3, SHAPE)
    for number, point in enumerate(points):
        image += 40 * (number + 1) * np.exp(-((axes - point) ** 2).sum(axis=-1) / (2 * 0.8**2))
    affine = np.diag([SPACING, SPACING, SPACING, 1.0])
    affine[:3, 3] = -7, 12, 40
    back = ornt_transform(axcodes2ornt(tuple("RAS")), axcodes2ornt(tuple(codes)))
    turned = np.ascontiguousarray(apply_orientation(image, back))
    grid = Grid(turned.shape, affine=affine @ inv_ornt_aff(back, SHAPE))
    places = dict(zip(NAMES, points + affine[:3, 3], strict=True))
    return Case(f"head{seed}", turned[None].astype(np.float32), grid, points=places)


def heat_at(points: np.ndarray, sure: float = 0.95) -> np.ndarray:
    """Heat on a grid of 2 mm, as answered for a coarse copy of 1 mm."""
    places = torch.from_numpy(points).float()
    sizes, two = (10, 11, 9), torch.full((3,), 2.0)
    return sure * target_heat(places, sizes, two, torch.full((3,), 1.5)).numpy()


def read(stage: LandmarkHeatStage, heat: np.ndarray) -> list[Landmark]:
    return stage.landmarks(heat, np.full(3, 2.0), bounds_mm(SHAPE, np.full(3, SPACING)), np.eye(4))
