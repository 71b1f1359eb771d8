"""Sound files that the tool writes itself, made by the tool, with what reads each again."""

import json
import shutil
from pathlib import Path

import numpy as np
from formats import Subject, picture
from photographs import write_photographs
from PIL import Image

import gracile
from gracile.api.experiments.few_shot import begun
from gracile.bundle import read_bundle
from gracile.data import find_cases
from gracile.data.kaggle import export_run_lengths
from gracile.evaluation.comparison import read_probabilities
from gracile.inference.run_sources import newest, read_sources
from gracile.io.atomic import write_json
from gracile.io.run_tables import join_runs
from gracile.io.tables import read_table, write_table
from gracile.learning.checkpoints import read_checkpoint, take_weights
from gracile.learning.fit import earlier_rows
from gracile.learning.learners import build_learner
from gracile.learning.record import model_card, read_run_recipe, recorded_transfers, require_same_data
from gracile.learning.sampling import prepared_case
from gracile.learning.trial import Plan
from gracile.learning.tune import require_same_study
from gracile.pages.clip_table import read_clip_table
from gracile.pages.drawn import DrawnCases
from gracile.recipe import read_recipe
from gracile.report import ReportCase
from gracile.serve.jobs import JobStore
from gracile.serve.models import served_models
from gracile.serve.results_folder import read_results
from gracile.serve.scene import Scene
from gracile.study import read_study

TINY = [
    "prepare.diameter=32", "stages.vessels.network.options.widths=[4,4,4]", "stages.vessels.sampler.patch=[32,32]",
    "stages.vessels.sampler.per_case=2", "train.batch_size=2", "train.validation=0.5", "train.epochs=1",
    "train.validate_every=1", "trainer.precision=32-true", "trainer.threads=1", "trainer.graphs=false",
    "trainer.workers=0", "measure=[]",
]  # fmt: skip


def write_all(folder: Path) -> dict[str, Subject]:
    """Run the tool once, and give what it wrote by the name of its kind."""
    return _run_folder(folder) | _run(folder) | _study(folder) | _server(folder)


def _copied(source: Path, folder: Path, names: tuple[str, ...]) -> None:
    for name in names:
        shutil.copytree(source, folder / name, dirs_exist_ok=True)


def _run_folder(folder: Path) -> dict[str, Subject]:
    source = folder / "predicted-source"
    (source / "in").mkdir(parents=True)
    for number in range(2):
        Image.fromarray(picture((40, 48))).save(source / "in" / f"{number}.png")
    gracile.predict("nerve-ultrasound", source / "in", source / "out", report=True)
    out = source / "out"
    shutil.copy(out / "predictions.json", out / "predictions.1of1.json")
    records = json.loads((out / "predictions.json").read_text())
    head = {"key": records["key"], "settings": records["settings"], "part": "", "overwrites": False,
            "names": {r["path"]: r["name"] for r in records["inputs"]}}  # fmt: skip
    lines = "".join(f"\n{json.dumps(line)}\n" for line in (head, *records["inputs"]))
    (out / ".gracile" / "a.jsonl").write_text(lines)
    names = ("predictions", "predictions-part", "journal", "drawings", "probabilities")
    _copied(out, folder, names)
    drawn = next((out / ".gracile").rglob("0.json"), None)
    assert drawn is not None
    np.savez_compressed(folder / "probabilities" / "a.npz", probabilities=np.full((2, 4, 4), 0.5, np.float16))

    def sources(at: Path) -> None:
        for record in newest(read_sources(at)).values():
            if {"name", "path", "files", "sha256", "finished"} - record.keys():
                raise KeyError(sorted(record))

    def predictions(at: Path) -> None:
        join_runs([at]), join_runs([at], long=True), read_results(at), sources(at)
        export_run_lengths(at, at / "rle.csv", "nerve")

    def drawings(at: Path) -> None:
        record = {"finished": records["inputs"][0]["finished"]}
        DrawnCases(at / drawn.relative_to(out).parent).put_back(ReportCase("0", "found", ""), record)

    return {
        "predictions": Subject("predictions.json", "json", predictions),
        "predictions-part": Subject("predictions.1of1.json", "json", lambda at: gracile.merge(at)),
        "journal": Subject(".gracile/a.jsonl", "lines", sources),
        "drawings": Subject(str(drawn.relative_to(out)), "json", drawings),
        "probabilities": Subject("a.npz", "zip", lambda at: read_probabilities(at / "a.npz", 2)),
    }


def _run(folder: Path) -> dict[str, Subject]:
    data, source = write_photographs(folder / "fundus"), folder / "trained-source"
    gracile.train("retina-av", data, source, settings=TINY)
    recipe = read_recipe("retina-av", TINY)
    cases = find_cases(data, recipe)
    stage = build_learner(recipe.stages[0], recipe, initialize=False)
    cached = f"cache/{cases[0].id}/image.npy"
    table = "vessels/logs/metrics.csv"

    def checkpoint(name: str) -> object:
        return lambda at: take_weights(stage, read_checkpoint(at / "vessels" / name), at / "vessels" / name)

    kinds = {
        "run-recipe": Subject("recipe.yaml", "yaml", read_run_recipe),
        "run-data": Subject("data.json", "json", lambda at: require_same_data(cases, recipe, at / "data.json")),
        "run-environment": Subject(
            "environment.json", "json", lambda at: (recorded_transfers(at), model_card(recipe, at, {}, []))
        ),
        "run-split": Subject("split.json", "json", lambda at: gracile.data.load_split(at / "split.json", cases)),
        "run-metrics": Subject(table, "csv", lambda at: earlier_rows(at / table, 5)),
        "run-cache": Subject(cached, "bytes", lambda at: np.array(prepared_case(cases[0], recipe, at / "cache").image)),
        "last-ckpt": Subject("vessels/last.ckpt", "zip", checkpoint("last.ckpt")),
        "best-ckpt": Subject("vessels/best.ckpt", "bytes", checkpoint("best.ckpt")),
        "bundle-json": Subject(
            "bundle/bundle.json", "json", lambda at: (read_bundle(at / "bundle"), served_models([str(at / "bundle")]))
        ),
        "bundle-weights": Subject("bundle/vessels.safetensors", "bytes", lambda at: read_bundle(at / "bundle")),
    }  # type: ignore[arg-type]
    _copied(source, folder, tuple(kinds))
    return kinds


def _study(folder: Path) -> dict[str, Subject]:
    recipe = read_recipe("retina-av", TINY)
    plan = Plan(read_study("learning-rate"), recipe, [], folder)
    for name in ("study-json", "few-shot", "cord-table", "clip-table"):
        (folder / name).mkdir()
    identity = {"study": plan.spec.model_dump(mode="json"), "recipe": recipe.model_dump(mode="json"), "data": "x"}
    write_json(folder / "study-json" / "study.json", identity)
    row = {"shots": 1, "repeat": 1, "cases": ["a"], "minutes": 0.1, "dice": 0.5}
    write_json(folder / "few-shot" / "few_shot.json", {"test": ["b"], "rows": [row]})
    write_table(folder / "cord-table" / "a.csv", [{"slice": 1, "area": 0.5}, {"slice": 2, "area": None}])
    (folder / "clip-table" / "a.csv").write_text(
        "frame,time_s,class,probability,gate\n0,0.0,found,0.5,0.5\n1,0.1,,,0.25\n"
    )
    return {
        "study-json": Subject("study.json", "json", lambda at: require_same_study(at, identity)),
        "few-shot": Subject("few_shot.json", "json", lambda at: begun(at, {"test": ["b"]})),
        "cord-table": Subject("a.csv", "csv", lambda at: read_table(at / "a.csv")),
        "clip-table": Subject("a.csv", "csv", lambda at: read_clip_table(at / "a.csv", {"g": ["gate"]}, {}, [])),
    }


def _server(folder: Path) -> dict[str, Subject]:
    job = JobStore(folder / "job", 3600).new("a.png", "m", {})
    job.tell(state="done")
    (folder / "scene").mkdir()
    Scene({"kind": "picture", "downloads": []}, {"a": {"path": "/x", "type": "", "suffix": ".png"}}).write(
        folder / "scene" / "scene.json"
    )
    return {
        "job": Subject(f"{job.id}/job.json", "json", lambda at: JobStore(at, 3600).sweep()),
        "scene": Subject("scene.json", "json", lambda at: Scene.read(at / "scene.json")),
    }
