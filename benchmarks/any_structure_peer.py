"""nnU-Net v2 by its own commands, with its own plan, its trainer shortened to minutes, in an environment of its own."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from any_structure_sets import DataSet, Files, read_whole
from PIL import Image

TORCH, NNUNET = "torch==2.15.0", "nnunetv2"
"""About 5 GB with all that belongs to them."""

TRAINER = '''"""nnU-Net's trainer, its schedule annealed within minutes of the clock."""

import os
import time
from os.path import join

from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer


class nnUNetTrainerMinutes(nnUNetTrainer):
    def run_training(self):
        self.on_train_start()
        limit, begun, steps = 60 * float(os.environ["TRAINING_MINUTES"]), time.monotonic(), 0
        self.network.train()
        while (progress := (time.monotonic() - begun) / limit) < 1:
            for group in self.optimizer.param_groups:
                group["lr"] = self.initial_lr * (1 - progress) ** 0.9  # its own decay, by time instead of epochs
            self.train_step(next(self.dataloader_train))
            steps += 1
        print(f"steps: {steps}", flush=True)
        self.save_checkpoint(join(self.output_folder, "checkpoint_final.pth"))
        os._exit(0)  # its workers wait for a queue that nobody empties any more
'''


def run_nnunet(data: DataSet, run: Path, minutes: float, environment: Path) -> dict[str, Path]:
    """Plan, train for so many minutes (planning and preprocessing not counted) and predict; gives masks by case."""
    python = built(environment)
    number = 500
    folders = {name: (run / name).resolve() for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")}
    surroundings = {**os.environ, **{name: str(path) for name, path in folders.items()}}
    surroundings |= {"TRAINING_MINUTES": str(minutes), "nnUNet_n_proc_DA": "1", "nnUNet_compile": "f"}
    surroundings |= {"OMP_WAIT_POLICY": "PASSIVE"}
    name = f"Dataset{number}_{''.join(c for c in data.name.title() if c.isalnum())}"
    if not folders["nnUNet_raw"].exists():
        laid_out(data, folders["nnUNet_raw"] / name)
    kind = "3d_fullres" if data.volumes else "2d"

    def call(command: str, *options: Any) -> None:
        subprocess.run([python.parent / command, *map(str, options)], check=True, env=surroundings, stdout=sys.stderr)

    trained = folders["nnUNet_results"] / name / f"nnUNetTrainerMinutes__nnUNetPlans__{kind}" / "fold_all"
    if not (trained / "checkpoint_final.pth").exists():
        if not (folders["nnUNet_preprocessed"] / name / "nnUNetPlans.json").exists():
            call("nnUNetv2_plan_and_preprocess", "-d", number, "-c", kind, "-np", 2, "-npfp", 2)
        call("nnUNetv2_train", number, kind, "all", "-tr", "nnUNetTrainerMinutes", "-device", "cpu")
    out = run / "predictions"
    call(
        "nnUNetv2_predict", "-i", folders["nnUNet_raw"] / name / "imagesTs", "-o", out, "-d", number, "-c", kind,
        "-f", "all", "-tr", "nnUNetTrainerMinutes", "-device", "cpu", "-npp", 1, "-nps", 1,
    )  # fmt: skip
    end = ".nii.gz" if data.volumes else ".png"
    return {case.id: out / f"{case.id}{end}" for case in data.test}


def built(environment: Path) -> Path:
    """Python of the peer's environment, with the trainer in it; built once."""
    python = environment / "bin" / "python"
    if not (environment / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", environment], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", TORCH, NNUNET], check=True)
        (environment / "ready").touch()
    where = subprocess.run(
        [python, "-c", "import nnunetv2.training.nnUNetTrainer as t; print(list(t.__path__)[0])"],
        check=True, stdout=subprocess.PIPE, text=True,
    ).stdout.strip()  # fmt: skip
    (Path(where) / "nnUNetTrainerMinutes.py").write_text(TRAINER)
    return python


def laid_out(data: DataSet, folder: Path) -> None:
    """The set as nnU-Net wants it; labels are counted on without gaps."""
    for part in ("imagesTr", "labelsTr", "imagesTs"):
        (folder / part).mkdir(parents=True)
    end = ".nii.gz" if data.volumes else ".png"
    channels = 1
    for cases, images in ((data.train, "imagesTr"), (data.test, "imagesTs")):
        for case in cases:
            channels = place_image(case, folder / images / f"{case.id}_0000{end}")
            if images == "imagesTr":
                place_label(data, case, folder / "labelsTr" / f"{case.id}{end}")
    table = {
        "channel_names": {str(n): "MR" if data.volumes else f"color {n}" for n in range(channels)},
        "labels": {"background": 0, **{name: n for n, name in enumerate(data.classes, start=1)}},
        "numTraining": len(data.train),
        "file_ending": end,
    }
    (folder / "dataset.json").write_text(json.dumps(table))


def place_image(case: Files, path: Path) -> int:
    """Copy an image, pictures as PNG in RGB; gives its channels."""
    if path.name.endswith(".nii.gz"):
        shutil.copyfile(case.image, path)
        return 1
    Image.open(case.image).convert("RGB").save(path)
    return 3


def place_label(data: DataSet, case: Files, path: Path) -> None:
    values = read_whole(case.label)
    classes = np.zeros(values.shape, np.uint8)
    for index, value in enumerate(data.values, start=1):
        classes[values == value] = index
    if path.name.endswith(".png"):
        Image.fromarray(classes).save(path)
        return
    import nibabel as nib

    image = nib.load(case.image)
    nib.save(nib.Nifti1Image(classes, image.affine, image.header), path)
