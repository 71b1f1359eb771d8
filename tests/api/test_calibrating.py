"""A site calibrates a model's gates on its own clips: another threshold, what it promises, and nothing else changed."""

import json
import re
from pathlib import Path

import pytest

from gracile import api
from gracile.bundle import Bundle, read_bundle, write_bundle
from gracile.data import image_checksum
from gracile.ensemble import read_bundles, write_ensemble
from gracile.errors import BundleError, DataError, UsageError
from gracile.io.model_card import CALIBRATED_ON, GATE_PROMISES, GATE_SCORES, QUALITY
from gracile.recipe import recipe_with
from tests.gated_clips import gated_bundle, gated_recipe, write_clips
from tests.two_channels import random_bundle
from tests.two_channels import recipe_of as without_a_gate


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return gated_bundle(tmp_path_factory.mktemp("model") / "gated", data={"cases": 60})


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clips(tmp_path_factory.mktemp("clips"), people=20, frames=4)


@pytest.fixture(scope="module")
def made(model: Path, clips: Path, tmp_path_factory: pytest.TempPathFactory) -> api.Calibrated:
    return api.calibrate(model, clips, tmp_path_factory.mktemp("made") / "new", clips=True)


def test_twenty_people_carry_a_recall_of_95_on_average(made):
    (gate,) = made.gates
    promise = gate.calibration.promise
    assert (promise.form, promise.people, promise.recall) == ("average", 20, 0.95)
    assert gate.sentences[0].startswith("Promised on average")
    assert "Each person judged by the threshold that the others give" in gate.sentences[1]
    assert gate.trade.chosen.recall == pytest.approx(promise.measured)
    assert 0.95 <= gate.trade.chosen.recall <= 1


def test_only_the_gates_numbers_change_and_networks_stay(made, model):
    before, after = read_bundle(model), read_bundle(made.bundle)
    changed = {
        (stage, name)
        for stage, weights in before.weights.items()
        for name, values in weights.items()
        if values.tobytes() != after.weights[stage][name].tobytes()
    }
    assert changed == {("presence", "temperature"), ("presence", "threshold")}
    assert after.checksums["structures"] == before.checksums["structures"]
    chosen = made.gates[0].calibration
    assert float(after.weights["presence"]["threshold"]) == pytest.approx(chosen.threshold)
    assert before.card["data"] == after.card["data"]


def test_the_new_model_decides_by_the_new_threshold(made, clips):
    loaded = api.load(made.bundle, device="cpu")
    assert loaded.pipeline.stages[0].threshold == pytest.approx(made.gates[0].calibration.threshold)
    result = loaded(clips.parent / "p000_003.png")
    assert result.gate_decisions["nerve"] == (result.gates["nerve"] >= made.gates[0].calibration.threshold)
    at = made.gates[0].calibration.presence[3]
    assert result.gates["nerve"] == pytest.approx(at, abs=1e-4)


def test_the_card_tells_what_when_and_on_whom(made, clips):
    card = read_bundle(made.bundle).card
    assert card["calibration"]["people"] == 20
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", card["calibration"]["on"])
    assert card[GATE_PROMISES]["presence"]["in_words"].startswith("Promised on average")
    assert len(card[GATE_SCORES]["presence"]["kept"]) == 80
    assert len(card[CALIBRATED_ON]) == 80
    assert "p000" not in json.dumps(card)
    assert list(card)[-1] == "limits"
    text = (made.bundle / "card.md").read_text(encoding="utf-8")
    assert "rests on 20 people" in text
    assert card[CALIBRATED_ON][0] not in text


def test_the_page_tells_the_trade_and_what_the_gate_buys(made):
    assert made.page == made.bundle.parent / "calibration.html"
    page = made.page.read_text(encoding="utf-8")
    for words in ("Promised on average", "Recall against false alarms", "Reliability", "false paint, s a minute"):
        assert words in page, words
    rows = {row["score"]: row for row in made.gates[0].savings.rows}
    assert rows["false paint, s a minute"]["ungated"] == pytest.approx(30)  # random weights paint everywhere
    assert rows["false paint, s a minute"]["gated"] == pytest.approx(30 * made.gates[0].trade.chosen.false_alarm_rate)
    assert rows["lost, s a minute"]["ungated"] == 0


def test_what_is_asked_for_is_kept_in_the_recipe(model, clips, tmp_path):
    made = api.calibrate(model, clips, tmp_path / "new", recall=0.9, form="confidence", confidence=0.8)
    assert made.gates[0].calibration.promise.form == "confidence"  # 16 people would do
    gate = read_bundle(made.bundle).recipe.gates[0]
    assert (gate.recall, gate.promise, gate.confidence) == (0.9, "confidence", 0.8)
    again = api.calibrate(made.bundle, clips, tmp_path / "again")
    assert again.gates[0].calibration.threshold == pytest.approx(made.gates[0].calibration.threshold)


def test_two_people_are_promised_nothing(model, tmp_path):
    made = api.calibrate(model, write_clips(tmp_path / "clips", people=2, frames=4), tmp_path / "new")
    promise = made.gates[0].calibration.promise
    assert (promise.form, promise.people, promise.needed) == ("measured", 2, 19)
    assert "A measured trade, nothing is promised" in made.gates[0].sentences[0]
    assert "nothing is promised" in read_bundle(made.bundle).card[GATE_PROMISES]["presence"]["in_words"]


def test_own_scores_are_joined_where_they_are_kept(model, made, tmp_path, caplog):
    more = write_clips(tmp_path / "clips", people=2, first=50, frames=4)
    joined = api.calibrate(made.bundle, more, tmp_path / "joined", join=True)
    chosen = joined.gates[0].calibration
    assert (chosen.promise.people, chosen.scores[0].frames) == (22, 88)
    assert len(read_bundle(joined.bundle).card[CALIBRATED_ON]) == 88
    with pytest.raises(BundleError, match="keeps no scores"):
        api.calibrate(model, more, tmp_path / "other", join=True)
    with pytest.raises(DataError, match="has not seen"):
        api.calibrate(joined.bundle, more, tmp_path / "twice", join=True)
    assert "their scores are kept in the model" in caplog.text


def test_what_the_model_was_trained_on_is_left_out(clips, tmp_path, caplog):
    learned = [image_checksum(path, "image") for path in sorted(clips.parent.glob("p000_00?.png"))]
    model = gated_bundle(tmp_path / "model", learned_from=learned)
    made = api.calibrate(model, clips, tmp_path / "new")
    assert made.gates[0].calibration.promise.people == 19
    assert "4 of 80 cases are left out: the model was trained on them" in caplog.text
    with pytest.raises(DataError, match="has not seen"):
        api.calibrate(model, clips, tmp_path / "none", cases="p000_000,p000_003")


def test_a_clip_without_the_structure_counts_for_false_alarms_alone(model, clips, tmp_path):
    empty = write_clips(tmp_path / "clips", people=1, first=70, frames=4, shown="none")
    made = api.calibrate(model, [clips, empty], tmp_path / "new")
    assert made.gates[0].calibration.promise.people == 20
    assert made.gates[0].trade.empty_frames == 44


def test_frames_that_never_show_it_are_refused(model, tmp_path):
    with pytest.raises(DataError, match="No frame shows nerve"):
        api.calibrate(model, write_clips(tmp_path / "clips", people=3, shown="none"), tmp_path / "new")
    assert not (tmp_path / "new" / "bundle.json").exists()


def test_frames_that_all_show_it_say_nothing_of_false_alarms(model, tmp_path):
    made = api.calibrate(model, write_clips(tmp_path / "clips", people=19, frames=2, shown="all"), tmp_path / "new")
    assert made.gates[0].calibration.promise.form == "average"
    assert "Every frame shows the structures: of false alarms nothing is known." in made.gates[0].sentences
    assert made.gates[0].trade.chosen.false_alarm_rate is None
    assert made.page.stat().st_size > 10_000


def test_frames_of_nobody_are_told_of(model, clips, tmp_path):
    lines = clips.read_text(encoding="utf-8").splitlines()
    nameless = clips.parent / "nameless.csv"
    nameless.write_text("\n".join(line.rpartition(",")[0] for line in lines), encoding="utf-8")
    made = api.calibrate(model, nameless, tmp_path / "new")
    assert made.gates[0].calibration.promise.people == 40
    assert any("each counts as a person" in sentence for sentence in made.gates[0].sentences)


def test_a_model_without_a_gate_is_refused(clips, tmp_path):
    with pytest.raises(UsageError, match="has no gate"):
        api.calibrate(random_bundle(without_a_gate("image"), tmp_path / "model"), clips, tmp_path / "new")
    with pytest.raises(UsageError, match=r"not say|of one kind"):
        api.calibrate("nerve-ultrasound", clips, tmp_path / "new")


@pytest.mark.parametrize(
    ("asked", "said"),
    [({"recall": 1.2}, "recall of 1.2"), ({"recall": 0.0}, "recall of 0"), ({"confidence": 1.0}, "confidence of 1"),
     ({"form": "surely"}, "'average' or 'confidence'")],
)  # fmt: skip
def test_numbers_that_make_no_sense_are_refused(model, clips, tmp_path, asked, said):
    with pytest.raises(UsageError, match=re.escape(said)):
        api.calibrate(model, clips, tmp_path / "new", **asked)


def test_the_models_own_folder_is_not_written_to(model, clips):
    before = (model / "bundle.json").read_bytes()
    for folder in (model, model / "new", model.parent):
        with pytest.raises(UsageError, match="Choose another --out"):
            api.calibrate(model, clips, folder)
    assert (model / "bundle.json").read_bytes() == before


def test_an_ensemble_has_one_threshold_and_a_temperature_each(model, clips, tmp_path):
    other = gated_bundle(tmp_path / "other", seed=1)
    ensemble = write_ensemble(read_bundles([model, other]), tmp_path / "ensemble")
    made = api.calibrate(ensemble, clips, tmp_path / "new")
    loaded = read_bundle(made.bundle)
    numbers = [{name: float(part.weights["presence"][name]) for name in ("temperature", "threshold")}
               for part in loaded.members]  # fmt: skip
    assert numbers[0]["threshold"] == numbers[1]["threshold"] == pytest.approx(made.gates[0].calibration.threshold)
    assert numbers[0]["temperature"] != numbers[1]["temperature"]
    assert loaded.card[GATE_PROMISES]["presence"]["people"] == 20
    result = api.load(made.bundle, device="cpu")(clips.parent / "p003_001.png")
    assert result.gates["nerve"] == pytest.approx(made.gates[0].calibration.presence[13], abs=1e-4)
    more = write_clips(tmp_path / "clips", people=1, first=50, frames=4)
    joined = api.calibrate(made.bundle, more, tmp_path / "joined", join=True)
    assert joined.gates[0].calibration.promise.people == 21


def test_kinds_of_frames_are_calibrated_likewise(tmp_path):
    """A gate that tells kinds of frames apart, which a table names."""
    kinds = ["stages.presence.classes=[General, Nerve]", "stages.presence.present=[Nerve]"]
    model = gated_bundle(tmp_path / "model", *kinds)
    clips = write_clips(tmp_path / "clips", people=19, frames=4)
    rows = [line.split(",") for line in clips.read_text(encoding="utf-8").splitlines()[1:]]
    table = [f"{image},{'Nerve' if int(image[5:8]) > 1 else 'General'},{subject}" for image, _, subject in rows]
    (clips.parent / "kinds.csv").write_text("\n".join(["image,class,subject", *table]), encoding="utf-8")
    made = api.calibrate(model, clips.parent / "kinds.csv", tmp_path / "new")
    assert made.gates[0].calibration.promise.form == "average"
    assert read_bundle(made.bundle).card[GATE_SCORES]["presence"]["kinds"] == ["General", "Nerve"]


def test_a_gate_alone_is_calibrated_too(clips, tmp_path):
    recipe = gated_recipe()
    bundle = read_bundle(gated_bundle(tmp_path / "model"))
    alone = recipe_with(recipe, {"stages": [recipe.stages[0].model_dump(mode="json")], "measure": []})
    (tmp_path / "alone").mkdir()
    from gracile.bundle import Bundle, write_bundle

    weights = {"presence": bundle.weights["presence"]}
    model = write_bundle(Bundle(recipe=alone, weights=weights, card={"limits": []}), tmp_path / "alone")
    made = api.calibrate(model, clips, tmp_path / "new")
    assert made.gates[0].savings is None
    assert made.gates[0].calibration.promise.form == "average"


REMEMBERS = "stages.presence.memory=filter"


def test_a_gate_that_remembers_is_calibrated_on_clips_too(tmp_path):
    model = gated_bundle(tmp_path / "model", REMEMBERS)
    clips = write_clips(tmp_path / "clips", people=19, times=True)
    made = api.calibrate(model, clips, tmp_path / "new")
    (gate,) = made.gates
    assert (gate.on_clips.promise.form, gate.on_clips.promise.people) == ("average", 19)
    assert gate.trade_on_clips.chosen.recall == pytest.approx(gate.on_clips.promise.measured)
    weights = read_bundle(made.bundle).weights["presence"]
    assert weights["memory"].tolist() == pytest.approx(gate.on_clips.numbers.tolist())
    assert float(weights["memory_threshold"]) == pytest.approx(gate.on_clips.promise.threshold)
    loaded = api.load(made.bundle, device="cpu").pipeline.stages[0]
    assert loaded.memory_threshold == pytest.approx(gate.on_clips.promise.threshold)
    card = read_bundle(made.bundle).card
    assert card[GATE_PROMISES]["presence"]["on_clips"]["promise"]["people"] == 19
    assert card[GATE_SCORES]["presence"]["columns"][-1] == "time_s"
    page = made.page.read_text(encoding="utf-8")
    assert "With memory, on clips: recall and false alarms" in page
    assert "false paint, s a minute" in page  # times are known
    more = write_clips(tmp_path / "more", people=1, first=60, times=True)
    again = api.calibrate(made.bundle, more, tmp_path / "again", join=True)
    assert again.gates[0].on_clips.promise.people == 20


def test_without_times_a_memory_stays_as_it_was_and_that_is_said(clips, tmp_path):
    model = gated_bundle(tmp_path / "model", REMEMBERS)
    made = api.calibrate(model, clips, tmp_path / "new")
    assert made.gates[0].on_clips is None
    assert any("stay as they were" in sentence for sentence in made.gates[0].sentences)
    assert made.page.stat().st_size > 10_000


def ungated_copy(model: Path, folder: Path) -> Path:
    """The model without its gate."""
    bundle = read_bundle(model)
    recipe = bundle.recipe.model_copy(update={"stages": bundle.recipe.stages[1:]})
    weights = {recipe.stages[0].name: bundle.weights[recipe.stages[0].name]}
    return write_bundle(Bundle(recipe=recipe, weights=weights, card=bundle.card), folder)


def test_how_good_answers_are_is_learned_with_the_gate(model, tmp_path):
    clips = write_clips(tmp_path / "clips", people=24, frames=4)
    made = api.calibrate(model, clips, tmp_path / "new", quality=True)
    assert made.quality.learned.subjects > 10
    assert read_bundle(made.bundle).card[QUALITY]["score"] == "dice"
    assert "How good answers are is learned from" in made.page.read_text(encoding="utf-8")
    assert f"cases: {made.quality.learned.cases}" in (made.bundle / "card.md").read_text(encoding="utf-8")
    answer = api.load(made.bundle, device="cpu")(clips.parent / "p000_003.png")
    assert answer.quality is not None


def test_a_model_without_a_gate_learns_how_good_its_answers_are_and_nothing_else(model, tmp_path):
    clips = write_clips(tmp_path / "clips", people=24, frames=2, shown="all")
    ungated = ungated_copy(model, tmp_path / "ungated")
    with pytest.raises(UsageError, match="--quality"):
        api.calibrate(ungated, clips, tmp_path / "new")
    made = api.calibrate(ungated, clips, tmp_path / "new", quality=True)
    assert (made.page, made.gates) == (None, [])
    before, after = read_bundle(ungated), read_bundle(made.bundle)
    assert before.checksums == after.checksums
    assert set(after.card) - set(before.card) == {"calibration", CALIBRATED_ON, QUALITY}


def test_too_few_cases_leave_no_bundle_of_a_model_without_a_gate(model, tmp_path):
    clips = write_clips(tmp_path / "clips", people=2, frames=2, shown="all")
    with pytest.raises(DataError, match="3 subjects"):
        api.calibrate(ungated_copy(model, tmp_path / "ungated"), clips, tmp_path / "new", quality=True)
    assert not (tmp_path / "new" / "bundle.json").exists()


def test_too_few_cases_leave_a_gate_that_is_calibrated(model, tmp_path, caplog):
    made = api.calibrate(model, write_clips(tmp_path / "clips", people=2, frames=4), tmp_path / "new", quality=True)
    assert made.quality is None
    assert len(made.gates) == 1
    assert "stays as it was" in caplog.text
