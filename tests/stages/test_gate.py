"""The gate: learns presence or kinds of frames, is calibrated on held-back cases, and closes its own classes alone."""

import dataclasses

import numpy as np
import pytest
import torch

from gracile.case import Case
from gracile.errors import BundleError, DataError, RecipeError
from gracile.learning.learners import build_learner
from gracile.learning.learners.gate import GateSamples
from gracile.pipeline import Pipeline
from gracile.recipe import Recipe, read_recipe
from gracile.stages import Finding
from gracile.stages.gate import GateStage
from gracile.transforms import Prepared
from gracile.trust import GateScores

SMALL = "{name: 'timm:resnet10t'}"
KINDS = ["stages.presence.classes=[General, Tendon, Nerve]", "stages.presence.present=[Nerve]"]


def gate_recipe(*settings: str) -> Recipe:
    small = [f"stages.presence.network={SMALL}", "stages.presence.size=[32, 32]", "prepare.diameter=48"]
    return read_recipe("nerve-ultrasound", [*small, "stages.structures.network.options.width=16", *settings])


def gate(*settings: str):
    recipe = gate_recipe(*settings)
    torch.manual_seed(0)
    return build_learner(recipe.stages[0], recipe).eval()


def frame(nerve: int = 0, vessel: int = 0, frame_class: str = "") -> Prepared:
    truth = np.zeros((3, 40, 48), np.float32)
    truth[1].ravel()[:nerve] = 1
    truth[2].ravel()[-vessel or 5000 :] = 1
    truth[0] = 1 - truth[1] - truth[2]
    image = np.random.default_rng(nerve + vessel).normal(size=(1, 40, 48)).astype(np.float32)
    return Prepared(image, np.ones((40, 48), bool), None, truth, frame_class=frame_class)


def test_presence_comes_from_the_mask_of_its_own_structures():
    stage = gate()
    assert [stage.target(frame(nerve, vessel)) for nerve, vessel in ((0, 0), (1, 0), (0, 9), (5, 5))] == [0, 1, 0, 1]
    assert gate("stages.presence.smallest=4").target(frame(nerve=4)) == 0
    assert gate("stages.presence.smallest=4").target(frame(nerve=5)) == 1


@pytest.mark.parametrize(("word", "target"), [("present", 1), ("Yes", 1), ("nerve", 1), ("0", 0), ("Absent", 0)])
def test_a_tables_word_goes_before_the_mask(word, target):
    assert gate().target(frame(nerve=3 * (1 - target), frame_class=word)) == target


def test_kinds_of_frames_are_named_by_the_data():
    stage = gate(*KINDS)
    assert stage.target(frame(frame_class="tendon")) == 1
    assert not stage.learns_from(frame(nerve=5))
    with pytest.raises(DataError, match="General, Tendon, Nerve"):
        stage.target(frame(frame_class="muscle"))


def test_each_class_is_drawn_equally_often_and_an_index_gives_one_sample():
    stage = gate("stages.presence.per_case=4")
    cases = [frame(nerve=5), *[dataclasses.replace(frame(), image=frame(vessel=i).image) for i in range(9)]]
    samples = stage.samples(cases, seed=3)
    assert isinstance(samples, GateSamples)
    assert len(samples) == 40
    drawn = [samples[i] for i in range(40)]
    assert sum(int(d["target"]) for d in drawn) == 20
    assert drawn[0]["image"].shape == (1, 32, 32)
    again = stage.samples(cases, seed=3)[7]["image"]
    assert torch.equal(drawn[7]["image"], again)
    assert not torch.equal(drawn[1]["image"], drawn[3]["image"])  # one case, varied anew


def test_the_frames_own_shares_come_back_as_a_prior():
    stage = gate()
    stage.samples([frame(nerve=5), *[frame()] * 9], seed=0)
    probabilities = stage.applied().probabilities(np.zeros((1, 2), np.float32))
    np.testing.assert_allclose(probabilities, [[0.9, 0.1]], rtol=1e-5)


def test_calibration_is_chosen_on_held_back_cases_and_stored_with_the_weights():
    stage = gate("stages.presence.recall=1.0")
    cases = [frame(nerve=5 * (i % 2), vessel=i) for i in range(12)]
    figures = stage.calibrate(cases)
    assert figures["recall"] == 1.0  # of one person: the frames name nobody, so that it is six
    assert 0 <= figures["false_alarm_rate"] <= 1
    other = gate("stages.presence.recall=1.0")
    other.load_bundle_state(stage.bundle_state())
    assert float(other.threshold) == float(stage.threshold) == pytest.approx(figures["threshold"])
    assert float(other.temperature) == pytest.approx(figures["temperature"])
    finding = other.applied().find(cases[1], Finding())
    assert finding.gates["nerve"] >= figures["threshold"]
    assert finding.decisions == {"nerve": True}
    assert not finding.closed


class Everywhere:
    """A segmenter that sees nerve on the left and vessel on the right."""

    name = "structures"

    def find(self, prepared, finding):
        shape = prepared.region.shape
        probabilities = np.zeros((3, *shape), np.float32)
        probabilities[1, :, : shape[1] // 2] = 1
        probabilities[2, :, shape[1] // 2 :] = 1
        finding.probabilities = probabilities
        return finding

    def decide(self, probabilities):
        return probabilities.argmax(axis=0).astype(np.uint8)

    def tidy(self, mask, probabilities):
        return []


def answered(threshold: float, *settings: str):
    recipe = gate_recipe(*settings)
    stage = build_learner(recipe.stages[0], recipe)
    stage.threshold.fill_(threshold)
    image = np.random.default_rng(0).integers(0, 255, (60, 80)).astype(np.uint8)
    return Pipeline(recipe, [stage.applied(), Everywhere()])(Case.from_array(image, id="frame"))


def test_an_absent_structure_is_left_empty_and_the_others_stay():
    open_, closed = answered(0.0), answered(1.1)
    assert set(np.unique(open_.mask)) == {1, 2}
    assert open_.gate_decisions == {"nerve": True}
    assert not open_.flags
    assert set(np.unique(closed.mask)) == {0, 2}
    assert closed.status == "found"
    assert closed.gate_decisions == {"nerve": False}
    assert any(flag.startswith("nerve: the gate presence found it absent") for flag in closed.flags)


def test_when_nothing_is_left_the_cascade_ends_and_says_why():
    result = answered(1.1, "stages.presence.structures=[nerve, vessel]")
    assert (result.status, result.mask.any()) == ("absent", False)
    assert "found it absent" in result.reason
    assert result.gate_decisions == {"nerve+vessel": False}
    assert "structures" not in result.seconds


def test_a_gate_that_is_switched_off_says_so():
    result = answered(1.1, "stages.presence.enabled=false")
    assert set(np.unique(result.mask)) == {1, 2}
    assert "the gate presence was switched off" in result.notes


@pytest.mark.parametrize(
    ("setting", "word"),
    [
        ("stages.presence.structures=[nerv]", "nerv"),
        ("stages.presence.present=[Nerve]", "classes"),
        ("stages.presence.classes=[Nerve]", "two classes"),
        ("stages.presence.train={epoch: 3}", "epoch"),
    ],
)
def test_a_gate_that_cannot_be_is_refused(setting, word):
    with pytest.raises(RecipeError, match=word):
        read_recipe(
            "nerve-ultrasound", [setting] if "classes" not in word or "present" in setting else [*KINDS, setting]
        )


MAP = ["stages.presence.network={name: 'map:light-unet', options: {width: 16}}", "stages.presence.masks=1"]


def test_masks_teach_the_map_that_a_gate_pools():
    stage = gate(*MAP)
    cases = [frame(nerve=200), frame()]
    batch = torch.utils.data.default_collate([stage.samples(cases, seed=0)[i] for i in range(4)])
    assert batch["truth"].shape == (4, 2, 32, 32)
    assert [bool(share.any()) for share in batch["truth"][:, 1]] == [bool(target) for target in batch["target"]]
    terms = stage.losses(batch)
    assert set(terms) == {"cross-entropy", "masks"}
    terms["masks"].backward()
    assert stage.classifier.network.head.weight.grad.abs().sum() > 0
    assert stage.classifier.scale.grad is None


def test_a_frame_without_a_mask_teaches_the_map_nothing():
    stage = gate(*MAP)
    told = dataclasses.replace(frame(frame_class="present"), truth=None)
    batch = torch.utils.data.default_collate([stage.samples([told, frame()], seed=0)[i] for i in range(2)])
    there = batch["region"].flatten(1).any(dim=1)
    assert there.tolist() == [not target for target in batch["target"]]
    assert torch.isfinite(sum(stage.losses(batch).values()))


def test_a_small_bright_spot_opens_a_pooled_gate():
    stage = gate(*MAP)
    maps = torch.full((2, 1, 64, 64), -8.0)
    maps[1, 0, 10:14, 10:14] = 8.0
    absent, present = stage.classifier.pooled(maps)[:, 1].tolist()
    assert absent < 0 < present


def test_a_network_without_a_map_learns_from_the_classes_alone():
    stage = gate("stages.presence.masks=1")
    batch = torch.utils.data.default_collate([stage.samples([frame(nerve=9), frame()], seed=0)[i] for i in range(2)])
    assert set(batch) == {"image", "target"}
    assert set(stage.losses(batch)) == {"cross-entropy"}


def test_a_map_knows_two_kinds():
    with pytest.raises(RecipeError, match="absent from present"):
        gate(*MAP, *KINDS)


REMEMBERS = ["stages.presence.memory=filter", "stages.presence.memory_delay=0.1"]


def clip_scores(people: int, seed: int = 0, shows: bool | None = None, timed: bool = True) -> GateScores:
    """What a gate that errs for a while said of clips of 4 s, in which the structures come into view once."""
    random = np.random.default_rng(seed)
    subjects, targets, logits, times = [], [], [], []
    for person in range(people):
        own = np.sort(random.uniform(0, 4, 20))
        there = own > random.uniform(1, 3) if shows is None else np.full(20, shows)
        subjects += [f"p{person}"] * 20
        targets += there.astype(int).tolist()
        logits += (np.where(there, 1.5, -1.5) + 1.5 * random.normal(size=20)).tolist()
        times += own.tolist()
    both = np.stack([np.zeros(len(logits)), logits], axis=1)
    clips = np.array([f"{subject}/clip" for subject in subjects])
    return GateScores(
        np.array(subjects), np.array(targets), both, clips, np.array(times) if timed else np.full(len(logits), np.nan)
    )


def test_a_gates_memory_is_learned_with_a_threshold_of_its_own_and_travels_with_the_weights():
    learner = gate(*REMEMBERS)
    figures = learner.calibrate_by([clip_scores(20), clip_scores(15, seed=1)])
    assert figures["false_alarm_rate_on_clips"] < figures["false_alarm_rate"]
    assert figures["recall_on_clips"] >= 0.95
    state = learner.bundle_state()
    assert state["memory"].shape == (2,)
    assert learner.told()["gate_promises"]["on_clips"]["promise"]["form"] == "average"
    again = gate(*REMEMBERS)
    again.load_bundle_state(state)
    stage = again.applied()
    assert stage.memory == learner.applied().memory
    assert stage.memory.delay_s == 0.1
    assert stage.memory_threshold == pytest.approx(float(learner.memory_threshold))


def test_two_people_carry_no_promise_on_clips_either():
    learner = gate(*REMEMBERS)
    learner.calibrate_by([clip_scores(2)])
    assert learner.on_clips.promise.form == "measured"


@pytest.mark.parametrize(("scores", "remembers"), [
    (clip_scores(12, timed=False), False), (clip_scores(12, shows=False), True), (clip_scores(12, shows=True), True),
])  # fmt: skip
def test_clips_without_times_teach_no_memory_and_clips_of_one_kind_do(scores, remembers):
    learner = gate(*REMEMBERS)
    learner.calibrate_by([scores])
    assert (learner.applied().memory is not None) == remembers


def test_scores_of_clips_are_kept_in_a_card_with_their_times():
    scores = clip_scores(3)
    again = GateScores.from_card(scores.as_card(["absent", "present"]), ["absent", "present"])
    np.testing.assert_allclose(again.times, scores.times, atol=1e-3)
    assert len(np.unique(again.clips)) == 3


def test_a_gate_that_tells_kinds_apart_has_no_memory():
    with pytest.raises(RecipeError, match="no `memory`"):
        gate_recipe(*KINDS, *REMEMBERS)


def test_weights_from_before_there_was_memory_are_refused_where_it_is_asked_for_and_taken_elsewhere():
    older = {name: value.numpy() for name, value in gate().bundle_state().items()}
    spec = gate_recipe(*REMEMBERS)
    with pytest.raises(BundleError, match="memory is missing"):
        GateStage(spec.stages[0], spec, lambda image: image, older)
    newer = {name: value.numpy() for name, value in gate(*REMEMBERS).bundle_state().items()}
    plain = gate_recipe()
    assert GateStage(plain.stages[0], plain, lambda image: image, newer).memory is None
