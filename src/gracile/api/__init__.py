"""The functions that ``gracile`` exports. The command line runs the same ones."""

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gracile.api.answer import Answer as Answer
from gracile.api.arguments import checked
from gracile.api.calibrating import Calibrated as Calibrated
from gracile.api.calibrating import calibrate as calibrate
from gracile.api.checking import check_data as check_data
from gracile.api.checking import check_recipe as check_recipe
from gracile.api.experiments import compare as compare
from gracile.api.experiments import few_shot as few_shot
from gracile.api.experiments import tune as tune
from gracile.api.landmarks import evaluate_points
from gracile.api.model import Model as Model
from gracile.api.model import load as load
from gracile.api.model import model_name
from gracile.api.planning import plan as plan
from gracile.api.training import train as train
from gracile.api.truths import labeled_cases, subjects_note
from gracile.bundle import read_bundle
from gracile.case import Case
from gracile.ensemble import read_bundles
from gracile.errors import UsageError
from gracile.evaluation import Evaluation, find_protocol
from gracile.evaluation import evaluate as evaluate_folders
from gracile.evaluation import gate_value as unchecked_gate_value
from gracile.evaluation.scoring_options import require_trust
from gracile.inference import Options as Options
from gracile.inference import Summary, find_inputs, merge_shards
from gracile.inference import predict as predict_inputs
from gracile.inference.predict import Observer
from gracile.io.atomic import require_writable, require_writable_file
from gracile.io.predictions_file import PREDICTIONS, learned_notes, read_predictions
from gracile.io.run_tables import CASES, MEASUREMENTS, join_runs
from gracile.recipe import ClassSpec, Recipe, read_recipe, recipe_from
from gracile.result import Result
from gracile.runners import Computing

if TYPE_CHECKING:
    from gracile.explain.run import Explained
    from gracile.export.run import Exported

OUTPUTS = (PREDICTIONS, MEASUREMENTS, CASES)

gate_value = checked(unchecked_gate_value)


@checked
def predict(
    model: str | Path | Model,
    inputs: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    ensemble: Sequence[str | Path] = (),
    settings: Sequence[str] = (),
    device: str = "auto",
    engine: str = "auto",
    precision: str = "auto",
    threads: int = 0,
    options: Options | None = None,
    report: bool = True,
    credits: str = "",
    progress: Callable[[int, int, dict[str, Any]], None] | None = None,
) -> Summary:
    """Predict files, folders or patterns and write masks, ``predictions.json`` and a report to ``out``.

    Args:
        model: A name, a folder or a loaded model.
        inputs: What to predict.
        out: Folder to write to.
        ensemble: Further models that answer together with this one; their probabilities are averaged.
        settings: ``key=value`` changes to the recipe.
        device: ``auto``, ``cpu`` or ``cuda``.
        engine: ``auto``, ``openvino``, ``onnxruntime`` or ``torch``.
        precision: ``auto``, ``float32`` or ``bfloat16``.
        threads: Of the processor, for the networks; 0 takes all, and half of them where videos are among the inputs,
            which leaves the others to decoding, painting and encoding.
        options: Shard, field-of-view masks, probability maps, measurement settings.
        report: Write ``out/report/index.html``.
        credits: Whose pictures they are, for the foot of the report.
        progress: Called with (done, all, record) after each input.
    """
    from gracile.pages.predictions import ReportWriter

    require_writable(out, *OUTPUTS, *(["report/"] if report else []), depth=2)
    patterns = [inputs] if isinstance(inputs, str | Path) else list(inputs)
    if isinstance(model, Model) and ensemble:
        raise UsageError("A loaded model is not joined with others.", "Load them together: gracile.load([a, b]).")
    models = [] if isinstance(model, Model) else [model, *ensemble]
    bundle = model.bundle if isinstance(model, Model) else read_bundles(models, list(settings))
    found = find_inputs([str(pattern) for pattern in patterns], bundle.recipe.input)
    if isinstance(model, Model):
        loaded = model
    else:
        moving = any(entry.kind in ("video", "camera") for entry in found)
        threads = threads or (max(1, (os.cpu_count() or 2) // 2) if moving else 0)
        loaded = Model(bundle, Computing(engine, precision, threads, device), model_name(models))
    options = options or Options()
    total = len(options.shard.part(found)) if options.shard else len(found)
    writer = ReportWriter(loaded.recipe, loaded.name, Path(out), credits) if report else None
    done = 0

    def observe(case: Case | None, result: Result | None, record: dict[str, Any]) -> str:
        nonlocal done
        done += 1
        flaw = writer.try_add(case, result, record) if writer else ""
        if progress:
            progress(done, total, record)
        return flaw

    observer: Observer = observe
    identity = {"name": loaded.name, "weights": loaded.checksums}
    label = options.shard.label if options.shard else ""
    publish = partial(writer.write_all, part=label) if writer else None
    return predict_inputs(loaded.pipeline, identity, found, Path(out), options, observer, publish)


@checked
def explain(
    model: str | Path | Model,
    inputs: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    method: str = "gradcam",
    layer: str = "",
    target: str = "",
    settings: Sequence[str] = (),
    device: str = "auto",
) -> "Explained":
    """Write what a model's gate looked at: a heat map over each picture, feature maps, and ``out/index.html``.

    Args:
        model: A name, a folder or a loaded model; its recipe has a gate.
        inputs: Files, folders or patterns.
        out: Folder to write to.
        method: ``gradcam``, ``guided`` or ``saliency``.
        layer: Layer of the gate's network; its last one with maps when empty.
        target: Class to explain; the likeliest of each picture when empty.
        settings: ``key=value`` changes to the recipe.
        device: ``auto``, ``cpu`` or ``cuda``.
    """
    from gracile.explain import explain_pictures

    patterns = [inputs] if isinstance(inputs, str | Path) else list(inputs)
    require_writable(out, "index.html")
    found = [(entry.path, entry.name) for entry in find_inputs([str(pattern) for pattern in patterns])]
    bundle = model.bundle if isinstance(model, Model) else read_bundle(model, list(settings))
    return explain_pictures(bundle, found, Path(out), method, layer, target, device)


@checked
def export(
    model: str | Path,
    to: str,
    out: str | Path,
    *,
    cases: str | Path | Sequence[str | Path] = (),
    settings: Sequence[str] = (),
) -> "Exported":
    """Write a model for other programs to ``out``, and try it beside Gracile: ``out/parity.json``.

    Args:
        model: A name or a folder.
        to: ``onnx``, ``openvino`` or ``monai``.
        out: Folder to write to.
        cases: Pictures, clips or folders to try it on; the model's demo when empty.
        settings: ``key=value`` changes to the recipe.

    Returns:
        The files, and how the exported model compares.

    Raises:
        RecipeError: The recipe has an option that the format does not express.
        ExportError: The exported model answers otherwise than Gracile; the message has the figures.
    """
    from gracile.export.run import PARITY, export_model

    require_writable(out, PARITY)
    places = [cases] if isinstance(cases, str | Path) else cases
    return export_model(str(model), to, Path(out), [Path(place) for place in places], settings)


@checked
def merge(out: str | Path) -> Summary:
    """Join the predictions and the reports of array jobs (``--shard``) in one folder. Raises DataError."""
    from gracile.pages.predictions import ReportWriter

    summary = Summary(Path(out) / PREDICTIONS)
    if Path(out).is_dir():
        require_writable(out, *OUTPUTS, "report/", depth=2)

    def publish(records: list[dict[str, Any]]) -> Path:
        for record in records:
            summary.take(record, reused=True)
        settings = read_predictions(summary.predictions)["settings"]
        writer = ReportWriter(recipe_from(settings["recipe"]), settings["model"]["name"], Path(out))
        return writer.write_all(records)

    summary.report = merge_shards(Path(out), publish)
    return summary


@checked
def table(
    folders: str | Path | Sequence[str | Path], out: str | Path | None = None, *, long: bool = False
) -> list[dict[str, Any]]:
    """Join the tables of run folders, also of different recipes: a row for each case, failed ones too.

    Args:
        folders: What `predict` wrote, one or several.
        out: CSV file to write it to as well.
        long: A row for each measurement instead, as in ``measurements.csv``.

    Returns:
        The rows. Those of ``cases.csv`` or ``measurements.csv``, with the ``run`` they come from and its ``model``;
        ``pandas.DataFrame`` takes them.

    Raises:
        DataError: A folder holds no predictions, or the file cannot be written.
    """
    if out is not None:
        require_writable_file(out)
    runs = [Path(folder) for folder in ([folders] if isinstance(folders, str | Path) else folders)]
    joined = join_runs(runs, long=long)
    if out is not None:
        joined.write(Path(out))
    return joined.rows


@checked
def evaluate(
    predictions: str | Path | Sequence[str | Path],
    truth: str | Path,
    protocol: str,
    *,
    classes: Sequence[ClassSpec] | None = None,
    recipe: str | Path | Recipe | None = None,
    fov: str | Path | None = None,
    probabilities: str | Path | Sequence[str | Path] | None = None,
    missing: Literal["error", "worst"] = "error",
    images: str | Path | None = None,
    report: str | Path | None = None,
    groups: str | Path | None = None,
    min_area: int = 0,
    windows: str | Path | Model | None = None,
    tolerance: float | None = None,
    absent: Literal["leave-out", "count"] | None = None,
    trust: bool = False,
    failure: float | None = None,
) -> Evaluation:
    """Score masks, classes or points against the truth; several folders of predictions are runs: mean and deviation.

    Args:
        predictions: Folder of masks, or one per run. With the protocol ``classification`` what
            `gracile.evaluation.class_sources.read_answers` reads.
        truth: Folder of labels; with ``classification`` what `gracile.evaluation.class_sources.read_classes` reads;
            with a recipe also a data set, whose cases meet their predictions by their ids and whose subjects are the
            groups of the intervals; with ``landmarks`` what `gracile.api.landmarks.evaluate_points` takes.
        protocol: A name of `gracile.names.PROTOCOLS`.
        classes: Classes of the labels.
        recipe: Name of a recipe, a YAML file, or a recipe, whose classes they are instead and that finds the labels of
            a data set; without either, they are those of the protocol's recipe.
        fov: Folder of field-of-view masks.
        probabilities: Folder of ``.npz`` probability maps, or one per run.
        missing: Whether a missing prediction is an error or counts with the worst value of every score.
        images: Folder of the images; the report then shows truth and differences over them.
        report: HTML file to write: the worst cases first.
        groups: CSV with columns ``name`` and ``group``; bootstrap intervals then resample whole groups (patients).
        min_area: Pixels that a structure in a mask must exceed to be present, with ``classification``.
        windows: With ``landmarks``: a model whose classification of windows is scored as well.
        tolerance: Of the normalized surface distance, in mm, of pictures in pixels; 1 when None.
        absent: With ``segmentation``: whether a class that neither truth nor prediction has is left out of means
            (``leave-out``, as when None) or counts as right (``count``).
        trust: Whether to add how far the predicted qualities that the folders carry can be trusted:
            ``details["trust"]``, a table, and columns of ``cases``. Each subject then counts once.
        failure: With ``trust``: the score below which, or the error in mm above which, an answer is a failure; the
            worst tenth of the cases when None.
    """
    if classes and recipe is not None:
        raise UsageError("Classes and a recipe are given.", "Give one of them: a recipe names the classes.")
    if report is not None:
        require_writable_file(report)
    rules = find_protocol(protocol)
    require_trust(rules, trust, failure)
    runs = [Path(run) for run in ([predictions] if isinstance(predictions, str | Path) else predictions)]
    if windows is not None and not rules.of_points:
        raise UsageError(f"Protocol {rules.name} knows no windows.", "Leave --windows out.")
    if rules.of_points:
        if fov is not None or probabilities is not None or classes or min_area or tolerance is not None or absent:
            raise UsageError(f"Protocol {rules.name} scores points alone.", "Leave out what belongs to masks.")
        wanted = read_recipe(recipe) if isinstance(recipe, str | Path) else recipe
        model = load(windows) if isinstance(windows, str | Path) else windows
        if wanted is None and model is not None:
            wanted = model.recipe
        return evaluate_points(
            runs, Path(truth), wanted, missing=missing, images=Path(images) if images else None,
            report=Path(report) if report else None, groups=Path(groups) if groups else None,
            windows=model.bundle if model is not None else None, trust=trust, failure=failure,
        )  # fmt: skip
    named = rules.recipe if recipe is None else recipe
    ruling = named if isinstance(named, Recipe) else read_recipe(named)
    chosen = list(classes) if classes else ruling.classes
    found = labeled_cases(ruling, Path(truth)) if recipe is not None and rules.score_case is not None else []
    labels: Path | dict[str, Path] = {case.id: case.label for case in found if case.label} or Path(truth)
    by_subject = {case.id: case.subject for case in found} if groups is None and (rules.intervals or trust) else {}
    if images is not None and report is None:
        raise UsageError("Images are only used in a report.", "Name its file with --report.")
    files = {}
    classifies = rules.score_case is None
    if images is not None and not classifies and isinstance(labels, Path):
        from gracile.pages.mask_scores import find_case_files

        wanted_input = None if recipe is None else ruling.input
        field = Path(fov) if fov else None
        files = find_case_files(runs[0], Path(truth), Path(images), field, protocol, wanted_input)
    evaluation = evaluate_folders(
        runs, labels, protocol, classes=chosen, fov=fov, probabilities=probabilities, missing=missing,
        groups=by_subject or groups, min_area=min_area, tolerance=tolerance, absent=absent, trust=trust,
        failure=failure,
    )  # fmt: skip
    evaluation.notes += [*subjects_note(by_subject), *learned_notes(runs)]
    if report is not None and classifies:
        from gracile.pages.classification_scores import write_classification_scores

        write_classification_scores(evaluation, Path(report), Path(images) if images else None, str(truth))
    elif report is not None:
        from gracile.pages.mask_scores import write_mask_scores

        sources = {"predictions": [str(run) for run in runs], "truth": str(truth), "fov": str(fov) if fov else None}
        write_mask_scores(evaluation, chosen, Path(report), files, sources)
    return evaluation
