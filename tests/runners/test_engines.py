"""Each engine computes a graph beside its weights, from any number of threads, and names what it cannot."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from gracile.errors import BundleError, UsageError
from gracile.runners import engine_cache
from gracile.runners.base import Computing, Graph
from gracile.runners.onnxruntime import OnnxRuntimeRunner
from gracile.runners.openvino import OpenVINORunner
from tests.runners.graphs import SIZES, right_answer, write_graph

ENGINES = pytest.mark.parametrize("opened", [OpenVINORunner, OnnxRuntimeRunner], ids=["openvino", "onnxruntime"])
ONE, TWO = (Computing(precision="float32", threads=threads) for threads in (1, 2))


def images(size, seed=0):
    return np.random.default_rng(seed).normal(size=size).astype(np.float32)


@ENGINES
def test_a_graph_gives_the_answer_for_any_size_with_one_thread_and_with_two(opened, tmp_path):
    path, weights = write_graph(tmp_path)
    one, two = (opened(Graph(path), computing) for computing in (ONE, TWO))
    for number, size in enumerate(SIZES):
        seen = images(size, number)
        answer = one(seen)
        assert answer.dtype == np.float32
        np.testing.assert_allclose(answer, right_answer(seen, weights), rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(two(seen), answer, rtol=1e-6, atol=1e-6)
    assert (one.computed.threads, two.computed.threads) == (1, 2)
    assert one.computed.precision == "float32"
    assert one.computed.version[0].isdigit()


@ENGINES
def test_views_with_strides_are_taken(opened, tmp_path):
    path, weights = write_graph(tmp_path)
    seen = images((1, 2, 20, 31))[..., ::-1].transpose(0, 1, 3, 2)
    np.testing.assert_allclose(opened(Graph(path), ONE)(seen), right_answer(seen, weights), rtol=1e-5, atol=1e-5)


@ENGINES
@pytest.mark.parametrize("callers", [1, 2])
def test_many_threads_get_each_its_own_answer(opened, callers, tmp_path):
    path, weights = write_graph(tmp_path)
    runner = opened(Graph(path), replace(TWO, callers=callers))
    begin = threading.Barrier(4)

    def ask(number):
        if number < 4:
            begin.wait(timeout=60)
        seen = images(SIZES[number % len(SIZES)], number)
        return np.abs(runner(seen) - right_answer(seen, weights)).max()

    with ThreadPoolExecutor(4) as pool:
        assert max(pool.map(ask, range(24))) < 1e-4


@ENGINES
def test_an_answer_stays_as_it_was_when_the_next_one_comes(opened, tmp_path):
    path, weights = write_graph(tmp_path)
    runner = opened(Graph(path), ONE)
    seen = images(SIZES[0])
    first = runner(seen)
    runner(images(SIZES[0], 1))
    np.testing.assert_allclose(first, right_answer(seen, weights), rtol=1e-5, atol=1e-5)


@ENGINES
def test_an_operator_that_the_engine_does_not_know_is_named_with_the_file(opened, tmp_path):
    path, _ = write_graph(tmp_path, operator="Divination")
    with pytest.raises(BundleError, match=r"vessels\.onnx cannot be computed by O.*Divination") as caught:
        opened(Graph(path), ONE)
    assert "\n" not in caught.value.message


@ENGINES
@pytest.mark.parametrize(
    "spoil", [lambda content: content[: len(content) // 2], lambda content: b"graph", lambda c: b""]
)
def test_a_damaged_graph_is_named(opened, spoil, tmp_path):
    path, _ = write_graph(tmp_path)
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(BundleError, match=r"vessels\.onnx cannot be computed by O"):
        opened(Graph(path), ONE)


@ENGINES
def test_weights_that_are_not_there_are_the_bundle_s_fault(opened, tmp_path):
    path, _ = write_graph(tmp_path)
    path.with_suffix(".safetensors").unlink()
    with pytest.raises(BundleError, match="cannot be computed"):
        opened(Graph(path), ONE)


@ENGINES
def test_inputs_that_do_not_fit_are_an_error_and_the_next_ones_are_answered(opened, tmp_path):
    path, weights = write_graph(tmp_path)
    runner = opened(Graph(path), ONE)
    for wrong in ([images((1, 5, 20, 20))], [images((2, 20, 20))], [], [images(SIZES[0]), images(SIZES[0])]):
        with pytest.raises(BundleError, match=r"vessels\.onnx takes \(any, 2, any, any\), not"):
            runner(*wrong)
    seen = images(SIZES[1])
    np.testing.assert_allclose(runner(seen), right_answer(seen, weights), rtol=1e-5, atol=1e-5)


@ENGINES
def test_a_graph_in_memory_is_taken_too(opened, tmp_path):
    import onnx

    path, weights = write_graph(tmp_path)
    content = onnx.load(path).SerializeToString()
    seen = images(SIZES[0])
    runner = opened(Graph(content), ONE)
    np.testing.assert_allclose(runner(seen), right_answer(seen, weights), rtol=1e-5, atol=1e-5)


def test_onnx_runtime_refuses_bfloat16(tmp_path):
    path, _ = write_graph(tmp_path)
    with pytest.raises(UsageError, match="float32 alone"):
        OnnxRuntimeRunner(Graph(path), Computing(precision="bfloat16", threads=1))


def test_openvino_in_bfloat16_computes_in_it_or_says_that_it_cannot(tmp_path):
    path, weights = write_graph(tmp_path)
    try:
        runner = OpenVINORunner(Graph(path), Computing(precision="bfloat16", threads=1))
    except UsageError as error:
        assert "bfloat16" in error.message  # noqa: PT017
        return
    seen = images(SIZES[0])
    assert runner.computed.precision == "bfloat16"
    difference = np.abs(runner(seen) - right_answer(seen, weights)).max()
    assert 1e-5 < difference < 0.2


def test_openvino_keeps_what_it_made_and_makes_spoiled_files_anew(tmp_path, cache_home):
    path, weights = write_graph(tmp_path)
    seen = images(SIZES[0])

    def ask():
        np.testing.assert_allclose(
            OpenVINORunner(Graph(path), ONE)(seen), right_answer(seen, weights), rtol=1e-5, atol=1e-5
        )

    ask()
    kept = [file for file in cache_home.rglob("*") if file.is_file()]
    assert kept
    assert all(file.is_relative_to(cache_home / "gracile") for file in kept)
    ask()
    for file in kept:
        file.write_bytes(b"spoiled" * 100)
    ask()


def test_another_network_at_the_same_place_is_not_answered_from_the_cache(tmp_path):
    path, weights = write_graph(tmp_path)
    seen = images(SIZES[0])
    OpenVINORunner(Graph(path), ONE)(seen)
    from gracile.io.weights import weights_content

    other = {**weights, "head.bias": weights["head.bias"] + 1}
    path.with_suffix(".safetensors").write_bytes(weights_content(other))
    np.testing.assert_allclose(OpenVINORunner(Graph(path), ONE)(seen), right_answer(seen, other), rtol=1e-5, atol=1e-5)


def test_without_a_cache_folder_openvino_answers_all_the_same(tmp_path, monkeypatch):
    path, weights = write_graph(tmp_path)
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert engine_cache.cache_for("openvino", "1", "key") is None
    seen = images(SIZES[0])
    np.testing.assert_allclose(
        OpenVINORunner(Graph(path), ONE)(seen), right_answer(seen, weights), rtol=1e-5, atol=1e-5
    )
