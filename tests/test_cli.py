"""The command line: starts fast, ends with the right code, and says errors in one sentence."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gracile import cli
from gracile.io import write_labels
from gracile.names import (
    MODELS,
    MONAI_NETWORKS,
    NETWORKS,
    PROTOCOLS,
    RECIPES,
    VERSION,
    WINDOW_NETWORKS,
    ShippedModel,
)
from gracile.recipe import read_recipe
from tests.conftest import write_fundus_folder
from tests.evaluation.predicted_qualities import quality, write_records

HEAVY = ("torch", "lightning", "monai", "numpy", "scipy", "skimage", "pandas", "matplotlib", "PIL", "yaml", "optuna")


@pytest.fixture
def gracile(monkeypatch, capsys):
    """Runs a command as the shell would; gives its exit code, output and errors."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["gracile", *map(str, arguments)])
        monkeypatch.setattr(cli._State, "debug", False)
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return run


def assert_one_sentence(error: str) -> None:
    assert error.startswith("Error: ")
    assert "Traceback" not in error
    assert error.count("\n") == 1


@pytest.fixture
def quick(tiny_bundle):
    """Arguments that make a prediction quick."""
    return [tiny_bundle, "--set", "measure=[]", "--device", "cpu", "--no-report"]


HELPS = [["--help"], ["models"], ["predict", "--help"], ["tune", "--help"], ["--version"]]


@pytest.mark.parametrize("arguments", HELPS)
def test_help_and_listings_load_nothing_heavy(arguments):
    code = (
        "import sys, runpy, atexit; "
        f"atexit.register(lambda: print('LOADED', *(m for m in {HEAVY!r} if m in sys.modules))); "
        f"sys.argv = ['gracile', *{arguments!r}]; runpy.run_module('gracile', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].split() == ["LOADED"]
    assert len(done.stdout.splitlines()) > (1 if arguments == ["--version"] else 8)


def test_the_version_is_printed(gracile):
    assert gracile("--version") == (0, f"gracile {VERSION}\n", "")


def test_every_command_is_in_the_help(gracile):
    code, out, _ = gracile("--help")
    assert code == 0
    for command in (
        "train",
        "predict",
        "evaluate",
        "data",
        "models",
        "demo",
        "recipe",
        "merge",
        "table",
        "compare",
        "calibrate",
        "tune",
        "study",
    ):
        assert command in out


@pytest.mark.parametrize("command", [(), ("predict",), ("evaluate",), ("explain",), ("calibrate",)])
def test_the_help_tells_the_exit_codes(gracile, command):
    code, out, _ = gracile(*command, "--help")
    assert code == 0
    assert cli.EXIT_CODES in " ".join(out.split())


@pytest.mark.parametrize(
    "arguments",
    [
        ["prophesy"], ["predict"], ["predict", "m", "a.png"], ["predict", "m", "a", "--out", "o", "--shards", "2/8"],
        ["train", "retina-av"], ["evaluate", "--protocol", "segmentation"],
    ],
)  # fmt: skip
def test_a_command_that_makes_no_sense_exits_2(gracile, arguments):
    assert gracile(*arguments)[0] == 2


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["recipe", "retina-aw"], 2, "retina-av"),
        (["recipe", "retina-av", "--set", "train.epoch=3"], 2, "epochs"),
        (["recipe", "retina-av", "--set", "train.epochs=many"], 2, "train.epochs"),
        (["predict", "retina-aw", "{image}", "--out", "{out}"], 1, "retina-av"),
        (["predict", "{bundle}", "{out}/absent.png", "--out", "{out}"], 1, "absent.png"),
        (["predict", "{bundle}", "{image}", "--out", "{out}", "--shard", "9/8"], 2, "2/8"),
        (["predict", "{bundle}", "{image}", "--out", "{out}", "--disc", "1,2"], 2, "--disc"),
        (["predict", "{bundle}", "{image}", "--out", "{out}", "--set", "stages.vessels.flip=true"], 2, "flips"),
        (["predict", "{bundle}", "{image}", "--out", "{out}", "--device", "toaster"], 2, "cpu"),
        (["predict", "{bundle}", "{image}", "--out", "{image}", "--no-report"], 1, "file"),
        (["predict", "{bundle}", "{image}", "--out", "{out}", "--overlay-opacity", "3"], 2, "0 to 1"),
        (["predict", "{bundle}", "{image}", "--out", "{out}", "--fov", "{out}/absent"], 1, "absent"),
        (["predict", "{bundle}", "{image}", "--out", "{out}", "--level-range", "C2:C3"], 2, "--levels"),
        (
            ["predict", "{bundle}", "{image}", "--out", "{out}", "--levels", "{out}", "--level-range", "C3:2"],
            2,
            "C2:C3",
        ),
        (["table", "{out}"], 1, "predictions.json"),
        (["evaluate", "{out}", "--protocol", "segmentation"], 2, "two folders"),
        (["evaluate", "{out}/absent", "{data}/labels", "--protocol", "segmentation"], 1, "absent"),
        (["evaluate", "{data}/labels", "{data}/labels", "--protocol", "av-multiclass", "--min-area", "3"], 2, "area"),
        (["evaluate", "{data}/labels", "{data}/labels", "--protocol", "segmentation", "--images", "x"], 2, "report"),
        (["evaluate", "{out}", "{out}", "--protocol", "segmentations"], 2, "segmentation"),
        (["data", "check", "{data}", "--recipe", "retina"], 2, "retina-av"),
        (["demo", "--model", "retina-aw", "--out", "{out}"], 2, "retina-av"),
        (["merge", "{out}"], 1, "predictions.2of8.json"),
        (["train", "retina-av", "{data}", "--out", "{out}", "--resume"], 2, "--resume"),
        (["train", "retina-av", "{out}", "--out", "{out}"], 1, "layout"),
        (["train", "retina-av", "{data}", "--out", "{out}/run", "--set", "train.transfer.freze=2"], 2, "freeze"),
        (["compare", "{bundle}", "{bundle}", "{data}", "--out", "{out}", "--protocol", "dice"], 2, "segmentation"),
        (["compare", "{bundle}", "{bundle}", "{out}", "--out", "{out}"], 1, "layout"),
        (["study", "learning_rate"], 2, "learning-rate"),
        (["tune", "surgery", "{data}", "--recipe", "retina-av", "--out", "{out}"], 2, "--from"),
        (["tune", "patch-overlap", "{data}", "--recipe", "retina-av", "--out", "{out}"], 2, "overlap"),
        (["train", "retina-av", "{data}", "--out", "{out}", "--cases", "77"], 1, "77"),
        (["calibrate", "{bundle}", "{data}", "--out", "{out}/new"], 2, "has no gate"),
        (["calibrate", "retina-aw", "{data}", "--out", "{out}/new"], 1, "retina-av"),
        (["calibrate", "surgical-tool", "{data}", "--out", "{out}/new", "--form", "sure"], 2, "'average'"),
        (["calibrate", "surgical-tool", "{data}", "--out", "{out}/new", "--recall", "95"], 2, "0.95"),
    ],
)
def test_an_error_is_one_sentence_with_the_remedy_and_a_code(gracile, tiny_bundle, fundus_folder, tmp_path, arguments, code, said):  # fmt: skip  # noqa: E501
    places = {
        "bundle": tiny_bundle,
        "image": fundus_folder / "images" / "00.png",
        "data": fundus_folder,
        "out": tmp_path,
    }
    found, _, error = gracile(*(argument.format(**places) for argument in arguments))
    assert_one_sentence(error)
    assert said in error
    assert found == code


def test_debug_shows_the_traceback(monkeypatch):
    monkeypatch.setattr(cli._State, "debug", False)
    monkeypatch.setattr(sys, "argv", ["gracile", "--debug", "recipe", "retina-aw"])
    with pytest.raises(Exception, match="retina-av") as caught:
        cli.main()
    assert not isinstance(caught.value, SystemExit)


def test_an_interrupted_command_says_how_to_go_on(gracile, monkeypatch, quick, fundus_folder, tmp_path):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("gracile.api.predict", interrupt)
    code, _, error = gracile("predict", *quick, fundus_folder / "images", "--out", tmp_path)
    assert code == 130
    assert "again" in error
    assert "Traceback" not in error


def test_models_as_json_lists_every_name(gracile):
    code, out, _ = gracile("models", "--json")
    listing = json.loads(out)
    assert code == 0
    assert [model["name"] for model in listing["models"]] == list(MODELS)
    own = {name: entry.summary for name, entry in NETWORKS.items()} | WINDOW_NETWORKS
    networks = own | {f"monai:{name}": text for name, text in MONAI_NETWORKS.items()}
    assert (listing["recipes"], listing["networks"], listing["protocols"]) == (RECIPES, networks, PROTOCOLS)


@pytest.mark.parametrize("name", RECIPES)
def test_a_printed_recipe_reads_back(gracile, name, tmp_path):
    for settings in ([], ["--set", "train.epochs=7"]):
        code, out, _ = gracile("recipe", name, *settings)
        assert code == 0
        (tmp_path / "mine.yaml").write_text(out)
        assert read_recipe(tmp_path / "mine.yaml") == read_recipe(name, settings[1:])


def test_predict_answers_all_and_exits_0(gracile, quick, fundus_folder, tmp_path):
    code, out, _ = gracile("predict", *quick, fundus_folder / "images", "--out", tmp_path)
    assert code == 0
    assert "Answered 4, reused 0, failed 0." in out
    assert len(list(tmp_path.glob("*.png"))) == 4
    assert "reused 4" in gracile("predict", *quick, fundus_folder / "images", "--out", tmp_path)[1]


def test_predict_exits_1_when_some_failed_and_writes_the_others(gracile, quick, fundus_folder, tmp_path):
    (tmp_path / "broken.png").write_bytes((fundus_folder / "images" / "00.png").read_bytes()[:300])
    arguments = [fundus_folder / "images" / "01.png", tmp_path / "broken.png", "--out", tmp_path / "out"]
    code, out, error = gracile("predict", *quick, *arguments)
    assert code == 1
    assert "Answered 1, reused 0, failed 1." in out
    assert "broken.png" in error
    assert (tmp_path / "out" / "01.png").exists()


def test_predict_as_json_prints_the_predictions_and_nothing_else(gracile, quick, fundus_folder, tmp_path):
    code, out, _ = gracile("predict", *quick, fundus_folder / "images", "--out", tmp_path, "--json")
    assert code == 0
    assert json.loads(out) == json.loads((tmp_path / "predictions.json").read_text())


def test_shards_are_predicted_and_merged(gracile, quick, fundus_folder, tmp_path):
    for shard in ("1/2", "2/2"):
        assert gracile("predict", *quick, fundus_folder / "images", "--out", tmp_path, "--shard", shard)[0] == 0
    code, out, _ = gracile("merge", tmp_path)
    assert code == 0
    assert str(tmp_path / "predictions.json") in out
    assert len(json.loads((tmp_path / "predictions.json").read_text())["inputs"]) == 4


def test_tables_of_runs_are_joined(gracile, quick, fundus_folder, tmp_path):
    for run in ("one", "two"):
        gracile("predict", *quick, fundus_folder / "images" / "00.png", "--out", tmp_path / run)
    code, out, _ = gracile("table", tmp_path / "one", tmp_path / "two")
    assert code == 0
    lines = out.splitlines()
    assert lines[0].startswith("run,model,case,status,reason,flags")
    assert [line.split(",")[:3] for line in lines[1:]] == [
        [str(tmp_path / run), "tiny", "00"] for run in ("one", "two")
    ]
    assert gracile("table", tmp_path / "one", tmp_path / "two", "--out", tmp_path / "all.csv") == (0, "", "")
    assert (tmp_path / "all.csv").read_text() == out


def test_evaluate_prints_a_table_and_writes_scores(gracile, fundus_folder, tmp_path):
    labels = fundus_folder / "labels"
    code, out, _ = gracile(
        "evaluate", labels, labels, "--protocol", "av-multiclass", "--fov", fundus_folder / "fov",
        "--json", tmp_path / "scores.json", "--csv", tmp_path / "scores.csv",
    )  # fmt: skip
    assert code == 0
    assert "f1" in out
    assert json.loads((tmp_path / "scores.json").read_text())["summary"]["f1"]["mean"] == pytest.approx(1)
    assert len((tmp_path / "scores.csv").read_text().splitlines()) == 5


def test_evaluate_judges_predicted_qualities(gracile, tmp_path):
    for name, begin in {"good": 5, "poor": 10}.items():
        for folder, first in (("truth", 4), ("run", begin)):
            labels = np.zeros((24, 24), np.uint8)
            labels[first:20, 4:20] = 1
            write_labels(tmp_path / folder / f"{name}.png", labels)
    write_records(tmp_path / "run", {"good": quality(0.9, 0.8, 1), "poor": quality(0.5, 0.4, 0.6)})
    given = ("evaluate", tmp_path / "run", tmp_path / "truth", "--protocol", "segmentation", "--trust")
    code, out, _ = gracile(*given, "--json", tmp_path / "scores.json", "--csv", tmp_path / "scores.csv")
    assert code == 0
    assert "normalized AURC" in out
    trust = json.loads((tmp_path / "scores.json").read_text())["details"]["trust"]
    assert trust["figures"]["normalized_aurc"]["mean"] == 0
    with (tmp_path / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["predicted"], row["low"], row["high"], row["inside"]) for row in rows] == [
        ("0.9", "0.8", "1.0", "1"), ("0.5", "0.4", "0.6", "0"),
    ]  # fmt: skip
    (tmp_path / "run" / "predictions.json").unlink()
    code, _, error = gracile(*given)
    assert code == 1
    assert_one_sentence(error)
    assert "gracile calibrate" in error
    code, _, error = gracile(*given[:-1], "--failure", "0.5")
    assert code == 2
    assert "--trust" in error


def test_evaluate_takes_the_classes_of_a_recipe_by_name_or_file(gracile, fundus_folder, tmp_path):
    labels = fundus_folder / "labels"
    (tmp_path / "mine.yaml").write_text(read_recipe("retina-av").to_yaml())
    for named in ("retina-av", tmp_path / "mine.yaml"):
        code, out, _ = gracile("evaluate", labels, labels, "--protocol", "segmentation", "--recipe", named)
        assert code == 0
        assert "dice_vein" in out


def test_evaluate_refuses_the_multiclass_protocol_without_field_of_view(gracile, fundus_folder, tmp_path):
    labels = shutil.copytree(fundus_folder / "labels", tmp_path / "alone" / "labels")
    code, _, error = gracile("evaluate", labels, labels, "--protocol", "av-multiclass")
    assert code != 0
    assert_one_sentence(error)
    assert "--fov" in error


@pytest.fixture
def broken_folder(tmp_path: Path) -> Path:
    """A data set with five things wrong."""
    folder = write_fundus_folder(tmp_path / "broken", 6)
    (folder / "labels" / "00.png").unlink()
    Image.fromarray(np.zeros((120, 120), np.uint8)).save(folder / "labels" / "01.png")
    Image.fromarray(np.full((120, 120), 9, np.uint8)).save(folder / "labels" / "02.png")
    Image.fromarray(np.ones((60, 60), np.uint8)).save(folder / "labels" / "03.png")
    (folder / "images" / "04.png").write_bytes((folder / "images" / "05.png").read_bytes()[:500])
    return folder


def test_data_check_lists_every_problem_at_once_and_exits_1(gracile, broken_folder):
    code, out, _ = gracile("data", "check", broken_folder)
    assert code == 1
    lines = out.splitlines()
    for severity, file, message in (
        ("warning", "images/00.png", "no label"), ("warning", "labels/01.png", "empty"),
        ("error", "labels/02.png", "9"), ("error", "labels/03.png", "60 x 60"),
        ("error", "images/04.png", "cannot be read"),
    ):  # fmt: skip
        found = [line for line in lines if line.startswith(severity) and file in line and message in line]
        assert found, (file, lines)
    assert "3 errors" in out
    code, out, _ = gracile("data", "check", broken_folder, "--json")
    assert code == 1
    assert sum(problem["severity"] == "error" for problem in json.loads(out)["problems"]) == 3


def test_data_check_tells_what_is_alike_once_and_each_in_json(gracile, tmp_path):
    folder = write_fundus_folder(tmp_path / "small", 6)
    for number in range(5):
        Image.fromarray(np.ones((60 + number, 60), np.uint8)).save(folder / "labels" / f"{number:02d}.png")
    code, out, _ = gracile("data", "check", folder)
    assert code == 1
    (line,) = [line for line in out.splitlines() if line.startswith("error: ")]
    assert line.startswith(f"error: 5 times, first in {folder}/labels/00.png: ")
    assert "60 x 60" in line
    assert "and 1 more" in line
    assert "5 errors" in out
    assert "--json" in out
    assert len(json.loads(gracile("data", "check", folder, "--json")[1])["problems"]) == 5


def test_data_check_of_good_data_exits_0(gracile, fundus_folder):
    code, out, _ = gracile("data", "check", fundus_folder)
    assert code == 0
    assert "0 errors" in out


def test_evaluate_scores_classes_by_group(gracile, tmp_path):
    answers, truth, groups = (tmp_path / f"{name}.csv" for name in ("answers", "truth", "groups"))
    answers.write_text("name,nerve\na,0.9\nb,0.2\nc,0.6\nd,0.7\n")
    truth.write_text("name,class\na,nerve\nb,absent\nc,absent\nd,present\n")
    groups.write_text("name,group\na,1\nb,1\nc,2\nd,2\n")
    arguments = ("evaluate", answers, truth, "--protocol", "classification")
    code, out, _ = gracile(*arguments, "--groups", groups, "--json", tmp_path / "scores.json")
    assert code == 0
    assert "auc_roc_within_groups" in out
    assert json.loads((tmp_path / "scores.json").read_text())["details"]["runs"][0]["confusion"] == [[1, 1], [0, 2]]
    code, _, error = gracile(*arguments, "--min-area", 5)
    assert code == 2
    assert "--min-area" in error


@pytest.mark.skipif(os.name == "nt", reason="there are no pseudo-terminals")
def test_a_command_that_loads_says_so_at_once_at_a_terminal_and_to_no_program(tmp_path):
    import pty

    main, terminal = pty.openpty()
    command = [sys.executable, "-m", "gracile", "merge", str(tmp_path)]
    outcome = subprocess.run(command, stdout=subprocess.PIPE, stderr=terminal, text=True)
    os.close(terminal)
    assert os.read(main, 1000).decode().startswith("Loading ...\r\nError: ")
    assert outcome.stdout == ""
    assert subprocess.run(command, capture_output=True, text=True).stderr.startswith("Error: ")


def test_a_command_as_a_process_ends_with_its_exit_code_and_all_that_it_said(tmp_path):
    command = [sys.executable, "-m", "gracile"]
    listing = subprocess.run([*command, "models", "--json"], capture_output=True, text=True)
    assert listing.returncode == 0
    assert json.loads(listing.stdout)["models"]
    assert subprocess.run([*command, "predict"], capture_output=True).returncode == 2
    assert subprocess.run([*command, "merge", str(tmp_path)], capture_output=True).returncode == 1


def test_the_listing_says_what_each_model_may_be_used_for(gracile):
    _, out, _ = gracile("models")
    for model in MODELS.values():
        (line,) = [
            line for line in out.splitlines() if line.strip().startswith(f"{model.name} ") and model.summary in line
        ]
        assert line.endswith(model.licence)


def test_a_model_of_which_nothing_may_be_passed_on_has_no_demo_and_says_why(gracile, monkeypatch, tmp_path):
    model = ShippedModel(
        "secret", "brachial-plexus", "clips", "Research use only", "", "its clips may not be passed on."
    )
    monkeypatch.setitem(MODELS, "secret", model)
    code, out, _ = gracile("demo", "--model", "secret", "--out", tmp_path / "out")
    assert code == 0
    assert "It is not shown: its clips may not be passed on." in out
    assert not (tmp_path / "out").exists()
