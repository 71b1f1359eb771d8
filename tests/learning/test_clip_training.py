"""Trainings on frames of clips: the gate learns a memory, and sources and contradictions weigh what is drawn."""

import pytest

from gracile.api import train
from gracile.bundle import read_bundle
from gracile.errors import DataError
from gracile.pipeline import Pipeline
from tests.frames_on_disk import write_disc_clips

QUICK = [
    "prepare.diameter=48",
    "stages.presence.size=[48,48]",
    "stages.presence.network.options={width: 8}",
    "stages.presence.train={epochs: 6, batch_size: 8}",
    "stages.place.network.options={width: 8}",
    "stages.place.sampler.patch=[48,48]",
    "stages.presence.crossfit=2",
    "train.validation=0",
    "train.epochs=2",
    "train.batch_size=8",
    "train.average_weights=0",
    "trainer.precision=32-true",
    "trainer.threads=1",
    "trainer.graphs=false",
    "trainer.workers=0",
]


@pytest.mark.slow
def test_a_training_on_clips_teaches_the_gate_a_memory_that_its_bundle_keeps(tmp_path):
    bundle = read_bundle(
        train("brachial-plexus", write_disc_clips(tmp_path / "data"), tmp_path / "run", settings=QUICK)
    )
    on_clips = bundle.card["gate_promises"]["presence"]["on_clips"]
    assert on_clips["frames"] == 48
    assert on_clips["promise"]["form"] == "measured"  # six people carry no 0.95
    assert "recall_on_clips" in bundle.card["validation"]["presence"]
    assert list(Pipeline.from_bundle(bundle).memories) == ["presence"]


@pytest.mark.slow
@pytest.mark.parametrize(("shows", "kind"), [("......", "absent"), ("######", "present")])
def test_clips_all_of_one_kind_leave_the_gate_out_and_say_so(tmp_path, shows, kind):
    data = write_disc_clips(tmp_path / "data", shows=shows)
    if kind == "absent":
        with pytest.raises(DataError, match="Every mask is empty"):
            train("brachial-plexus", data, tmp_path / "run", settings=QUICK)
        return
    bundle = read_bundle(train("brachial-plexus", data, tmp_path / "run", settings=QUICK))
    assert f"every training frame is of one kind, {kind}" in bundle.recipe.ungated


@pytest.mark.slow
def test_a_training_in_which_no_frame_weighs_anything_is_refused(tmp_path):
    data = write_disc_clips(tmp_path / "data", people=2)
    with pytest.raises(DataError, match="weigh nothing"):
        train("brachial-plexus", data, tmp_path / "run", settings=[*QUICK, "train.source_weights={human: 0}"])


@pytest.mark.slow
def test_contradicting_frames_are_left_out_of_learning_and_calibrated_on(tmp_path):
    data = write_disc_clips(tmp_path / "data", people=4, shows="..#..####")
    settings = [*QUICK, "train.contradicting_weight=0", "stages.place.train={epochs: 1}"]
    bundle = read_bundle(train("brachial-plexus", data, tmp_path / "run", settings=settings))
    assert bundle.card["validation"]["presence"]["calibrated_on"] == 36
    # Eight frames a person are learned from: batches of 8 in 6 epochs.
    assert bundle.card["validation"]["presence"]["steps_of_the_run"] == 4 * 8 // 8 * 6
