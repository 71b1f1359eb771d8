"""Which engine computes a network, in which numbers."""

import importlib
import importlib.metadata
import importlib.util
import logging
import re
import threading
from dataclasses import dataclass, replace
from weakref import WeakValueDictionary

from gracile.bundle import Bundle, stage_of
from gracile.errors import BundleError, GracileError, UsageError, nearest
from gracile.runners.agreement import agrees
from gracile.runners.base import Computing, Opener, Runner
from gracile.runners.processor import computes_bfloat16, usable_cores

log = logging.getLogger(__name__)

ENGINES: dict[str, str] = {
    "openvino": "gracile.runners.openvino:open_openvino_runner",
    "onnxruntime": "gracile.runners.onnxruntime:open_onnxruntime_runner",
    "torch": "gracile.learning.runner:open_torch_runner",
}
"""Where each engine is opened, ``module:function``, imported when asked for; ``auto`` tries them in this order."""

PRECISIONS = ("auto", "float32", "bfloat16")
DEVICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True)
class Library:
    """What an engine needs.

    Args:
        title: For people.
        oldest: Version before which it lacks what is needed; empty where any will do.
        install: What to install.
        precisions: Numbers that it computes in.
        graphs: Whether it computes from graphs, on the processor alone; PyTorch computes what they were made of.
    """

    title: str
    oldest: str
    install: str
    precisions: tuple[str, ...]
    graphs: bool = True


LIBRARIES: dict[str, Library] = {
    "openvino": Library("OpenVINO", "2024.0", "openvino", ("float32", "bfloat16")),
    "onnxruntime": Library("ONNX Runtime", "1.18", "onnxruntime", ("float32",)),
    "torch": Library("PyTorch", "", '"gracile[train]"', ("float32", "bfloat16"), graphs=False),
}

_OPENED: "WeakValueDictionary[tuple[object, ...], Runner]" = WeakValueDictionary()
_OPENING = threading.Lock()


def open_runner(bundle: Bundle, stage: str, computing: Computing | None = None) -> Runner:
    """The network of a bundle's stage as a function of arrays.

    ``auto`` takes OpenVINO, then ONNX Runtime, then PyTorch, whichever is installed and can; why it is not the first
    stands in the notes of ``computed``. A network is made ready once in a process, whoever asks for it.

    Args:
        bundle: With its graphs; a stage without one needs PyTorch.
        stage: Name of its stage; or of another network of it, by `gracile.bundle.network_name`.
        computing: What is asked for; everything ``auto`` when None.

    Raises:
        UsageError: The engine is not known, not installed, too old, or cannot do what is asked.
        BundleError: No engine that may be taken can compute the network.
    """
    asked = computing or Computing()
    _require_known(asked)
    if asked.engine != "auto":
        return _opened(bundle, stage, asked.engine, asked)
    notes: list[str] = []
    failures: list[GracileError] = []
    if stage not in bundle.graphs and is_installed("torch"):
        return _opened(bundle, stage, "torch", asked, ("It has no graph.",))
    for engine in ENGINES:
        if LIBRARIES[engine].graphs and (asked.device.startswith("cuda") or not is_installed(engine)):
            continue
        try:
            return _opened(bundle, stage, engine, asked, tuple(notes))
        except GracileError as error:
            failures.append(error)
            notes.append(error.message)
    raise _none_can(bundle, stage, failures)


def _none_can(bundle: Bundle, stage: str, failures: list[GracileError]) -> GracileError:
    """Why ``auto`` found nothing: the first engine's own reason, unless all that lacks is PyTorch."""
    if stage not in bundle.graphs and not is_installed("torch"):
        return BundleError(
            f"The stage {stage!r} has no graph, so that only PyTorch can compute it, which is not installed.",
            f"Install it: pip install {LIBRARIES['torch'].install}.",
        )
    return failures[0]


def _require_known(asked: Computing) -> None:
    for what, value, known in (
        ("engine", asked.engine, ("auto", *ENGINES)), ("precision", asked.precision, PRECISIONS),
    ):  # fmt: skip
        if value not in known:
            raise UsageError(f"There is no {what} {value!r}.", nearest(value, known))
    if asked.device.partition(":")[0] not in DEVICES:
        raise UsageError(f"There is no device {asked.device!r}.", nearest(asked.device, DEVICES))
    if asked.threads < 0:
        raise UsageError(f"{asked.threads} threads cannot compute.", "Take 1 or more, or 0 for all cores.")


def _opened(bundle: Bundle, stage: str, engine: str, asked: Computing, notes: tuple[str, ...] = ()) -> Runner:
    """The runner of an engine, which must be able to; ``notes`` say why it is not an earlier one."""
    require_engine(engine, asked.device)
    library = LIBRARIES[engine]
    if library.graphs and stage not in bundle.graphs:
        raise BundleError(
            f"The stage {stage!r} has no graph, which {library.title} computes from.",
            "Make it: gracile models upgrade BUNDLE; or take another engine: --engine torch.",
        )
    computing = resolved(bundle, engine, asked)
    sums = (bundle.checksums.get(stage_of(stage)), bundle.graph_checksums.get(stage))
    place = "" if sums[0] else str(bundle.folder)  # equal weights are one network, in whichever member of an ensemble
    key = (computing, stage, place, bundle.recipe.model_dump_json(), *sums, notes)
    with _OPENING:
        runner = _OPENED.get(key) if bundle.folder is not None else None
        if runner is None:
            runner = load_opener(engine)(bundle, stage, computing)
            if notes:
                log.warning("The stage %r is computed by %s. %s", stage, library.title, " ".join(notes))
                runner.computed = replace(runner.computed, notes=notes)
            if bundle.folder is not None:
                _OPENED[key] = runner
    return runner


def load_opener(engine: str) -> Opener:
    """What opens an engine's runners; imported now, and not before."""
    module, _, function = ENGINES[engine].partition(":")
    opener: Opener = getattr(importlib.import_module(module), function)
    return opener


def resolved(bundle: Bundle, engine: str, asked: Computing) -> Computing:
    """What is asked for with nothing ``auto`` in it, but for PyTorch's device.

    bfloat16 is taken where the processor computes in it and the bundle's table says that answers agree.

    Raises:
        UsageError: The engine does not compute in these numbers.
    """
    library = LIBRARIES[engine]
    precision = asked.precision
    if precision == "auto":
        fast = asked.device.startswith("cuda") or computes_bfloat16()
        takes = "bfloat16" in library.precisions and fast and agrees(bundle.card, engine, "bfloat16")
        precision = "bfloat16" if takes else "float32"
    elif precision not in library.precisions:
        raise UsageError(
            f"{library.title} does not compute in {precision}.", "Take --precision float32, or --engine openvino."
        )
    device = "cpu" if library.graphs else asked.device
    threads = asked.threads or usable_cores()
    return Computing(engine, precision, threads, device, min(asked.callers or threads, threads))


def require_engine(engine: str, device: str = "cpu") -> None:
    """Raise UsageError where an engine is not installed, is too old, or does not run on a device."""
    library = LIBRARIES[engine]
    if library.graphs and device.startswith("cuda"):
        raise UsageError(f"The engine {engine} runs on the processor.", "Use --device cpu, or the engine torch.")
    if not is_installed(engine):
        raise UsageError(
            f"{library.title} is not installed.",
            f"Install it, or take another engine: pip install {library.install}.",
        )
    version = version_of(engine)
    if library.oldest and _numbers(version) < _numbers(library.oldest):
        raise UsageError(
            f"{library.title} {version} is too old; {library.oldest} is the oldest that will do.",
            f"Update it: pip install --upgrade {library.install}.",
        )


def is_installed(engine: str) -> bool:
    """Whether an engine's library is there; it is not imported."""
    return importlib.util.find_spec(engine) is not None


def version_of(engine: str) -> str:
    """Version of an engine's library, told without importing it where its package has its name."""
    try:
        return importlib.metadata.version(engine)
    except importlib.metadata.PackageNotFoundError:
        return str(importlib.import_module(engine).__version__)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])
