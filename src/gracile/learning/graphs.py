"""The graphs and golden answers of a bundle, made from its stages."""

import hashlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from gracile.bundle import (
    add_graphs,
    bundle_folder,
    graph_file,
    member_folder,
    network_name,
    read_bundle,
    stage_of,
)
from gracile.ensemble import renew_members
from gracile.errors import BundleError, GracileError
from gracile.learning.export import export_graph
from gracile.learning.learners import Exported, Learner
from gracile.learning.runner import trained_learner
from gracile.runners.base import Computing, Graph, Runner
from gracile.runners.choice import is_installed
from gracile.runners.golden import Golden, golden_content, noise
from gracile.runners.onnxruntime import OnnxRuntimeRunner
from gracile.runners.openvino import OpenVINORunner

log = logging.getLogger(__name__)

FARTHEST = 1e-3
"""Difference of an engine's answer from PyTorch's, as a share of its range, with which a graph is not kept."""

GOLDEN_CASES = 2


def write_graphs(learners: Sequence[Learner], folder: Path) -> dict[str, str]:
    """Give a bundle the graphs and golden answers of its stages, each tried first in the engines that are installed.

    Args:
        learners: Of its stages, with the weights of the bundle.
        folder: The bundle, whose weights stay as they are.

    Returns:
        Why a network has no graph, by `gracile.bundle.network_name`; PyTorch alone can compute it.
    """
    graphs: dict[str, bytes] = {}
    goldens: dict[str, bytes] = {}
    reasons: dict[str, str] = {}
    for stage in learners:
        own = stage.exported()
        if own is None:
            reasons[stage.name] = "its network is no graph"
            continue
        weights = (folder / f"{stage.name}.safetensors").read_bytes()
        for name, exported in {"": own, **stage.further_exported()}.items():
            network = network_name(stage.name, name)
            try:
                graphs[network], goldens[network] = _made(exported, network, weights)
            except GracileError as error:
                reasons[network] = error.message
                log.warning("%r has no graph, so that PyTorch alone computes it: %s", network, error.message)
    add_graphs(folder, graphs, goldens)
    return reasons


def _made(own: Exported, network: str, weights: bytes) -> tuple[bytes, bytes]:
    """The graph of a network and the file of its golden answers. Raises BundleError."""
    graph = export_graph(own, weights, f"{stage_of(network)}.safetensors")
    cases = golden_cases(own, network)
    _try(graph, weights, network, cases)
    return graph, golden_content(cases)


def golden_cases(own: Exported, name: str) -> list[Golden]:
    """Inputs of some sizes and what PyTorch answers in float32; the same for the same stage."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
    module = own.module.float().eval()
    cases = []
    for number in range(GOLDEN_CASES):
        inputs = []
        for example, axes in zip(own.inputs, own.axes, strict=True):
            shape = [
                length if axis not in axes else 1 + number if axis == 0 else length + 5 * number
                for axis, length in enumerate(example.shape)
            ]
            whole = not example.is_floating_point()
            inputs.append(np.resize(example.numpy()[number:], shape) if whole else noise(shape, seed + number))
        with torch.inference_mode(), torch.autocast("cpu", enabled=False):
            answer = module(*(torch.from_numpy(values) for values in inputs))
        cases.append(Golden.of(inputs, answer.numpy()))
    return cases


def _try(graph: bytes, weights: bytes, network: str, cases: Sequence[Golden]) -> None:
    """Raise BundleError where an engine that is installed does not give a graph's golden answers."""
    computing = Computing(precision="float32", threads=1)
    engines: dict[str, Callable[[Graph, Computing], Runner]] = {
        "openvino": OpenVINORunner, "onnxruntime": OnnxRuntimeRunner,
    }  # fmt: skip
    with TemporaryDirectory() as place:
        path = Path(place) / graph_file(network)
        path.write_bytes(graph)
        (Path(place) / f"{stage_of(network)}.safetensors").write_bytes(weights)
        key = hashlib.sha256(graph + weights).hexdigest()
        for engine, opened in engines.items():
            if not is_installed(engine):
                continue
            runner = opened(Graph(path, key, f"the graph of {network}"), computing)
            far = max(case.difference(runner(*case.inputs)) for case in cases)
            if not far <= FARTHEST:
                raise BundleError(f"Its graph answers otherwise in {engine}, by {far:.2g} of the range.")


def upgrade_bundle(name_or_folder: str) -> dict[str, str]:
    """Bring a bundle to this format in place: it gets graphs and golden answers; its weights stay as they are.

    Returns:
        Why a network has no graph, by `gracile.bundle.network_name`.

    Raises:
        BundleError: It is damaged, or its weights do not fit its recipe; nothing is changed then.
    """
    folder = bundle_folder(name_or_folder)
    bundle = read_bundle(folder)
    if bundle.members:
        reasons: dict[str, str] = {}
        for number, member in enumerate(bundle.members, start=1):
            own = upgrade_bundle(str(member.folder))
            reasons |= {f"{member_folder(number)}/{stage}": reason for stage, reason in own.items()}
        renew_members(folder)
        return reasons
    return write_graphs([trained_learner(bundle, spec) for spec in bundle.recipe.stages], folder)
