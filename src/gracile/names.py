"""The tables of names as data: what the help, the choices and the listings show. Needs no torch."""

from dataclasses import dataclass
from pathlib import Path

VERSION = "0.1.0"

PACKAGE = Path(__file__).parent

NETWORKS: dict[str, str] = {
    "refining-unet": "two U-Nets in a row: the second sees the image and the first one's answer",
    "fusion-av": "artery branch, vein branch and all-class generator, fused (Zhou et al. 2021)",
    "unet": "U-Net (Ronneberger et al. 2015)",
    "attention-unet": "U-Net with attention gates on its skip connections (Oktay et al. 2018)",
    "r2u-net": "U-Net of recurrent residual units (Alom et al. 2018)",
    "r2-attention-unet": "R2U-Net with attention gates on its skip connections",
    "res-unet": "U-Net of residual units (Zhang et al. 2018)",
    "multires-unet": "U-Net whose blocks see three scales, with residual paths (Ibtehaz and Rahman 2020)",
    "double-unet": "VGG19 U-Net, then a second U-Net on what the first one found (Jha et al. 2020)",
    "light-unet": "small and fast, for video on a processor",
    "light-unet-3d": "small and fast, for volumes",
    "unet-3d": "3D U-Net (Çiçek et al. 2016), for volumes",
}
"""Networks of our own, by name; ``smp:DECODER:ENCODER`` and ``monai:CLASS`` name those of the libraries."""

VOLUME_NETWORKS: tuple[str, ...] = ("light-unet-3d", "unet-3d")
"""Those of our own that see volumes; the others see pictures."""

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

LOSSES: dict[str, str] = {
    "cross-entropy": "cross-entropy over all classes",
    "dice": "soft Dice, mean over the foreground classes",
    "tree": "cross-entropy and soft Dice of each structure that classes share, such as a vessel tree",
    "cldice": "soft centerline Dice of each structure (Shit et al. 2021)",
    "bce-dice": "binary cross-entropy and soft Dice of each structure",
    "focal": "cross-entropy that counts what is easy less (Lin et al. 2017)",
    "tversky": "Dice with weights for what was missed and what was too much (Salehi et al. 2017)",
    "focal-tversky": "a power of the Tversky loss (Abraham and Khan 2019)",
}

PROTOCOLS: dict[str, str] = {
    "av-multiclass": "arteries, veins and crossings, one against the rest, inside the field of view",
    "segmentation": "Dice, IoU and surface distances per class",
    "gated-segmentation": "Dice, false alarms and misses of structures that many pictures do not show",
    "classification": "what a gate says of whole pictures: confusion, curves, calibration",
    "landmarks": "distance of points from their true places in mm, success rates, points that were missed",
}

RECIPES: dict[str, str] = {
    "retina-av": "arteries and veins in fundus photographs: refining U-Net",
    "retina-av-fusion": "arteries and veins in fundus photographs: adversarial branches, fused (Zhou et al. 2021)",
    "nerve-ultrasound": "nerves and vessels in ultrasound: gate, then refining U-Net",
    "nerve-video": "stage of the operation, then nerve, in surgical video: small networks that keep up with a camera",
    "nerve-video-published": "the published pair for surgical video: DenseNet201, then DoubleU-Net",
    "surgical-tool": "tools in endoscopic video: presence gate, then light U-Net",
    "spinal-cord": "the spinal cord in MR volumes: centerline, then a column of slices along it",
    "skull-landmarks": "named points in CT in any pose: heat maps coarse to fine, checked against their mean shape",
    "cochlea-landmarks": "apex, basal turn and round window in CT, or points of your own: heat maps coarse to fine",
    "cochlea-landmarks-published": "apex, basal turn and round window in CT: small windows, scanned (Wang et al. 2023)",
    "structure-2d": "a structure of your own in pictures",
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
    """A trained bundle that comes with Gracile."""

    name: str
    recipe: str
    summary: str
    demo: str


MODELS: dict[str, ShippedModel] = {
    "retina-av": ShippedModel("retina-av", "retina-av", "arteries and veins in color fundus photographs", "retina"),
    "nerve-ultrasound": ShippedModel(
        "nerve-ultrasound", "nerve-ultrasound", "nerves and vessels in ultrasound of regional anesthesia", "ultrasound"
    ),
    "surgical-tool": ShippedModel(
        "surgical-tool", "surgical-tool", "tools in endoscopic video of the larynx, standing in for nerves", "surgery"
    ),
    "spinal-cord": ShippedModel(
        "spinal-cord", "spinal-cord", "the spinal cord in T2 volumes, brainstem to upper back", "spinal-cord"
    ),
    "skull-landmarks": ShippedModel(
        "skull-landmarks", "skull-landmarks", "45 landmarks of the mouse skull in micro-CT, in any pose", "skull"
    ),
}


def models_folder() -> Path:
    """The folder of the shipped bundles."""
    return _shipped("models")


def demo_folder(name: str) -> Path:
    """The folder of a shipped model's demo pictures."""
    return _shipped("demo") / name


def _shipped(folder: str) -> Path:
    """A folder inside the installed package, or at the top of a source checkout."""
    inside = PACKAGE / folder
    return inside if inside.is_dir() else PACKAGE.parents[1] / folder
