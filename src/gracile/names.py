"""The tables of names as data: what the help, the choices and the listings show. Needs no torch."""

import importlib
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

VERSION = "0.1.0"

PACKAGE = Path(__file__).parent

Kind = Literal["image", "volume"]
"""What a recipe looks at: pictures and videos, or volumes."""

PICTURES: tuple[Kind, ...] = ("image",)
VOLUMES: tuple[Kind, ...] = ("volume",)
ANY: tuple[Kind, ...] = ("image", "volume")


@dataclass(frozen=True)
class Named:
    """What a recipe may name.

    Args:
        summary: One line for help and tables.
        place: Where its code is, ``module:attribute``.
        inputs: What it can be used on.
        role: Of networks: what it does where it is no network that delineates.
        begins: Of networks: whether it can begin with the weights of a file.
    """

    summary: str
    place: str
    inputs: tuple[Kind, ...]
    role: str = "delineates"
    begins: bool = False

    def load(self) -> Any:
        """Its code; imported now, and not before."""
        module, _, attribute = self.place.partition(":")
        return getattr(importlib.import_module(module), attribute)

    def sees(self) -> tuple[Kind, ...]:
        """What it can be used on; what other packages add is imported to tell."""
        return self.inputs

    def problem(self) -> str:
        """Why it cannot be used, as far as that is seen without its code; empty where nothing is."""
        return ""


NETWORKS: dict[str, Named] = {
    "refining-unet": Named(
        "two U-Nets in a row: the second sees the image and the first one's answer",
        "gracile.networks.refining_unet:RefiningUNet",
        PICTURES,
    ),
    "fusion-av": Named(
        "artery branch, vein branch and all-class generator, fused (Zhou et al. 2021)",
        "gracile.networks.fusion:FusionGenerator",
        PICTURES,
        "fuses",
    ),
    "unet": Named("U-Net (Ronneberger et al. 2015)", "gracile.networks.unet:UNet", PICTURES),
    "attention-unet": Named(
        "U-Net with attention gates on its skip connections (Oktay et al. 2018)",
        "gracile.networks.attention:AttentionUNet",
        PICTURES,
    ),
    "r2u-net": Named(
        "U-Net of recurrent residual units (Alom et al. 2018)", "gracile.networks.attention:R2UNet", PICTURES
    ),
    "r2-attention-unet": Named(
        "R2U-Net with attention gates on its skip connections", "gracile.networks.attention:R2AttentionUNet", PICTURES
    ),
    "res-unet": Named("U-Net of residual units (Zhang et al. 2018)", "gracile.networks.res_unet:ResUNet", PICTURES),
    "multires-unet": Named(
        "U-Net whose blocks see three scales, with residual paths (Ibtehaz and Rahman 2020)",
        "gracile.networks.multires_unet:MultiResUNet",
        PICTURES,
    ),
    "double-unet": Named(
        "VGG19 U-Net, then a second U-Net on what the first one found (Jha et al. 2020)",
        "gracile.networks.double_unet:DoubleUNet",
        PICTURES,
        begins=True,
    ),
    "light-unet": Named("small and fast, for video on a processor", "gracile.networks.light_unet:LightUNet", PICTURES),
    "light-unet-3d": Named("small and fast, for volumes", "gracile.networks.light_unet_3d:LightUNet3d", VOLUMES),
    "unet-3d": Named("3D U-Net (Çiçek et al. 2016), for volumes", "gracile.networks.unet_3d:UNet3d", VOLUMES),
    "unet-discriminator": Named(
        "judges maps pixel by pixel and as a whole, for the stage fuse",
        "gracile.networks.fusion:UNetDiscriminator",
        PICTURES,
        "judges",
    ),
}
"""Networks of our own, by name; each takes ``in_channels`` and ``out_channels`` first. ``smp:DECODER:ENCODER`` and
``monai:CLASS`` name those of the libraries. `gracile.extensions` adds those of other packages, also of losses and
measures."""


def takes_first_weights(network: str) -> bool:
    """Whether a network that answers maps can begin with weights: a file's, or its library's own."""
    return network.startswith("smp:") or (network in NETWORKS and NETWORKS[network].begins)


MONAI_NETWORKS: dict[str, str] = {
    "AttentionUnet": "attention U-Net; needs channels and strides",
    "AutoEncoder": "U-Net without skip connections; needs channels and strides",
    "BasicUNet": "U-Net with five resolutions; options features",
    "BasicUNetPlusPlus": "nested U-Net; options features, deep_supervision",
    "DynUNet": "the U-Net of nnU-Net; needs kernel_size, strides and upsample_kernel_size; options filters, res_block, "
    "deep_supervision",
    "FlexibleUNet": "U-Net on an encoder; needs backbone (efficientnet-b0 to -b8, resnet10 to resnet200)",
    "HighResNet": "dilated residual network that stays at full resolution; option layer_params",
    "MedNeXt": "ConvNeXt U-Net; options init_filters, kernel_size, deep_supervision",
    "SegResNet": "residual encoder and decoder; options init_filters, blocks_down, blocks_up",
    "SegResNetDS": "the same with deep supervision; options init_filters, blocks_down, dsdepth",
    "SwinUNETR": "Swin transformer U-Net; option feature_size (a multiple of 12); needs the package einops",
    "UNETR": "vision transformer U-Net; needs img_size, the size of the stage's patches; needs the package einops",
    "UNet": "residual U-Net; needs channels and strides; option num_res_units",
    "VNet": "V-Net",
}
"""Classes of MONAI that map images to logits of their size, in two and three dimensions, by name."""

WINDOW_NETWORKS: dict[str, str] = {
    "smicnet": "tells landmarks from small windows, as published (Wang et al. 2023)",
    "smicnet-unpadded": "SMICNet without padding, whose features overlapping windows share",
}
"""Networks that classify small windows of a volume, by name."""

LOSSES: dict[str, Named] = {
    "cross-entropy": Named("cross-entropy over all classes", "gracile.losses.entropy:CrossEntropy", ANY),
    "dice": Named("soft Dice, mean over the foreground classes", "gracile.losses.overlap:Dice", ANY),
    "tree": Named(
        "cross-entropy and soft Dice of each structure that classes share, such as a vessel tree",
        "gracile.losses.overlap:Tree",
        ANY,
    ),
    "cldice": Named(
        "soft centerline Dice of each structure (Shit et al. 2021)", "gracile.losses.skeletons:CenterlineDice", ANY
    ),
    "skeleton-recall": Named(
        "recall of the truth's skeleton, widened, for each structure (Kirchhoff et al. 2024)",
        "gracile.losses.skeletons:SkeletonRecall",
        ANY,
    ),
    "bce-dice": Named("binary cross-entropy and soft Dice of each structure", "gracile.losses.overlap:BinaryDice", ANY),
    "focal": Named(
        "cross-entropy that counts what is easy less (Lin et al. 2017)", "gracile.losses.entropy:Focal", ANY
    ),
    "tversky": Named(
        "Dice with weights for what was missed and what was too much (Salehi et al. 2017)",
        "gracile.losses.overlap:Tversky",
        ANY,
    ),
    "focal-tversky": Named(
        "a power of the Tversky loss (Abraham and Khan 2019)", "gracile.losses.overlap:FocalTversky", ANY
    ),
}
"""Losses, by name; each takes the ``structures`` first."""

MEASURES: dict[str, Named] = {
    "vessels": Named(
        "caliber, tortuosity, density, fractal dimension of vessel trees, and their ratios around the optic disc",
        "gracile.measure.vessels:Vessels",
        PICTURES,
    ),
    "areas": Named("area, islands and center of each class", "gracile.measure.areas:Areas", PICTURES),
    "ultrasound": Named(
        "area, depth below the skin and contrast of each class", "gracile.measure.ultrasound:Ultrasound", PICTURES
    ),
    "cord": Named(
        "sections slice by slice, length and volume of a slender structure", "gracile.measure.cord:Cord", VOLUMES
    ),
    "volumes": Named(
        "ml, islands, centroid, extent and mean intensity of each structure", "gracile.measure.volumes:Volumes", VOLUMES
    ),
    "landmarks": Named(
        "distances and angles between landmarks, and formulas over them",
        "gracile.measure.landmarks:Landmarks",
        VOLUMES,
    ),
}
"""What is measured, by name; each is a `gracile.measure.base.Measure`, whose fields are its options."""

PROTOCOLS: dict[str, str] = {
    "av-multiclass": "arteries, veins and crossings, one against the rest, inside the field of view",
    "segmentation": "Dice, IoU and surface distances per class",
    "gated-segmentation": "Dice, false alarms and misses of structures that many pictures do not show",
    "classification": "what a gate says of whole pictures: confusion, curves, calibration",
    "landmarks": "distance of points from their true places in mm, success rates, points that were missed",
}

PROTOCOL_INPUTS: dict[str, tuple[Kind, ...]] = {
    "av-multiclass": PICTURES,
    "classification": PICTURES,
    "landmarks": VOLUMES,
}
"""What a protocol can be used on, where that is not everything."""

RECIPES: dict[str, str] = {
    "retina-av": "arteries and veins in fundus photographs: refining U-Net",
    "retina-av-fusion": "arteries and veins in fundus photographs: adversarial branches, fused (Zhou et al. 2021)",
    "nerve-ultrasound": "nerves and vessels in ultrasound: gate, then refining U-Net",
    "brachial-plexus": "trunks of the brachial plexus in ultrasound video: gate with a memory, then their place",
    "nerve-video": "stage of the operation, then nerve, in surgical video: small networks that keep up with a camera",
    "nerve-video-published": "the published pair for surgical video: DenseNet201, then DoubleU-Net",
    "surgical-tool": "tools in endoscopic video: presence gate, then light U-Net",
    "spinal-cord": "the spinal cord in MR volumes: centerline, then a column of slices along it",
    "skull-landmarks": "named points in CT in any pose: heat maps coarse to fine, checked against their mean shape",
    "cochlea-landmarks": "apex, basal turn and round window in CT, or points of your own: heat maps coarse to fine",
    "cochlea-landmarks-published": "apex, basal turn and round window in CT: small windows, scanned (Wang et al. 2023)",
    "structure-2d": "structures of your own in pictures",
    "structure-3d": "structures of your own in volumes",
    "points-3d": "points of your own in volumes: heat maps coarse to fine",
}


STUDIES: dict[str, str] = {
    "surgery": "which part of the network begins anew, from nothing to all of it; needs --from",
    "batch-size": "samples of a step",
    "patch-overlap": "overlap of the patches, for recipes that have one",
    "learning-rate": "learning rate over three powers of ten",
    "frozen-depth": "how much of the network stays frozen, from the input on; needs --from",
    "unfreezing-rate": "learning rate once the frozen half is freed; needs --from",
    "augmentation": "none, geometry, intensities, both, and stronger",
    "fine-tuning": "learning rate, frozen depth and unfreezing together; needs --from",
}
"""Studies of settings, for `gracile tune`; the first seven are the trials of the lumbosacral spinal cord system."""


@dataclass(frozen=True)
class ShippedModel:
    """A trained bundle that comes with Gracile.

    Args:
        name: Its folder.
        recipe: By which it was trained.
        summary: One line for help and tables.
        licence: What its weights may be used for, as its card begins to say it.
        demo: Folder of its demo pictures; empty where nothing of its kind may be passed on.
        why_no_demo: Why there is none.
    """

    name: str
    recipe: str
    summary: str
    licence: str
    demo: str
    why_no_demo: str = ""


_SHIPPED = (
    ShippedModel(
        "retina-av", "retina-av", "arteries and veins in color fundus photographs", "Weights for research", "retina"
    ),
    ShippedModel(
        "nerve-ultrasound", "nerve-ultrasound", "nerves and vessels in ultrasound of regional anesthesia", "CC BY 4.0",
        "ultrasound",
    ),
    ShippedModel(
        "surgical-tool", "surgical-tool", "tools in endoscopic video of the larynx, standing in for nerves",
        "CC BY 4.0", "surgery",
    ),
    ShippedModel(
        "spinal-cord", "spinal-cord", "the spinal cord in T2 volumes, brainstem to upper back", "MIT", "spinal-cord"
    ),
    ShippedModel(
        "skull-landmarks", "skull-landmarks", "45 landmarks of the mouse skull in micro-CT, in any pose", "GPL-3.0",
        "skull",
    ),
    ShippedModel(
        "brachial-plexus", "brachial-plexus", "trunks of the brachial plexus in ultrasound video, as a place",
        "Research use only, non-commercial", "",
        "nothing of the clips it learned from may be passed on, and a drawn frame would look as if it had been "
        "tried on a nerve.",
    ),
)  # fmt: skip

MODELS: dict[str, ShippedModel] = {model.name: model for model in _SHIPPED}


def models_folder() -> Path:
    """The folder of the shipped bundles."""
    return _shipped("models")


def demo_folder(name: str) -> Path:
    """The folder of a shipped model's demo pictures."""
    return _shipped("demo") / name


def cache_root() -> Path:
    """The folder, of this user, of all that is kept to be faster the next time; nothing is lost with it."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(home) if home and Path(home).is_absolute() else Path.home() / ".cache") / "gracile"


def docs_page(name: str) -> str:
    """Where a page of the documents lies, for messages: it comes with the package as well as with a checkout."""
    page = _shipped("docs") / name
    with suppress(OSError, ValueError):
        return str(page.relative_to(Path.cwd()))
    return str(page)


def _shipped(folder: str) -> Path:
    """A folder inside the installed package, or at the top of a source checkout."""
    inside = PACKAGE / folder
    return inside if inside.is_dir() else PACKAGE.parents[1] / folder
