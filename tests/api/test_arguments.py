"""Wrong arguments are told in words, by name, before anything runs."""

import numpy as np
import pytest

import gracile
from gracile.errors import GracileError


@pytest.fixture(scope="module")
def model() -> gracile.Model:
    return gracile.load("nerve-ultrasound", device="cpu")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: gracile.load(5), "load() cannot use 5 as model. It takes str or Path or list of"),
        (lambda: gracile.load("retina-av", settings="a=1"), "as settings. It takes list of str."),
        (lambda: gracile.load(), "load() needs the argument model."),
        (lambda: gracile.load("retina-av", [], "cpu"), "load() was given too many arguments."),
        (lambda: gracile.load("retina-av", devise="cpu"), "has no argument 'devise'. Did you mean device?"),
        (lambda: gracile.load("retina-av", device="gpu"), "There is no device 'gpu'."),
        (lambda: gracile.predict("retina-av", "demo", None), "cannot use None as out."),
        (lambda: gracile.predict("retina-av", [], "out"), "Nothing is named to look at."),
        (lambda: gracile.evaluate("a", "b", "segmentation", missing="x"), "It takes 'error' or 'worst'."),
        (lambda: gracile.train("structure-2d", 5, "out"), "cannot use 5 as data."),
        (lambda: gracile.few_shot("retina-av", "demo", "out", test="a", shots=5), "as shots. It takes list of int."),
        (lambda: gracile.compare(1, 2, "demo", "out"), "cannot use 1 as before. It takes str or Path or Model."),
        (lambda: gracile.gate_value(1, 2), "cannot use 1 as gated. It takes Evaluation."),
    ],
)
def test_a_function_says_which_argument_does_not_fit(call, words):
    with pytest.raises(GracileError) as told:
        call()
    assert words in str(told.value)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (5, "A model cannot use 5 as image. It takes str or Path or list of str or Path or ndarray or Case."),
        ([[1, 2], [3, 4]], "A model cannot use [[1, 2], [3, 4]] as image."),
        (np.zeros((8, 8)), "whole numbers from 0 to 255 (uint8), not float64"),
        (np.zeros((0, 0), np.uint8), "not (0, 0)"),
        (np.zeros((2, 2, 2, 2), np.uint8), "not (2, 2, 2, 2)"),
        ("nowhere.png", "nowhere.png cannot be opened"),
    ],
)
def test_a_model_says_what_it_looks_at(model, image, words):
    with pytest.raises(GracileError) as told:
        model(image)
    assert words in str(told.value)


def test_options_may_be_given_as_plain_data(tmp_path, model):
    with pytest.raises(GracileError, match="no file"):
        gracile.predict(model, "nowhere*.png", tmp_path, options={"probabilities": True})


def test_editors_see_what_gracile_offers():
    offered = dir(gracile)
    assert {"load", "predict", "train", "evaluate", "explain", "Result", "Answer", "Case", "GracileError"} <= set(
        offered
    )
    assert all(getattr(gracile, name) is not None for name in offered)
