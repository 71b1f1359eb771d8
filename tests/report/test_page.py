"""A page stands on its own, escapes what users named, and shows what needs a look first."""

import errno
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from gracile.case import Case
from gracile.errors import DataError
from gracile.report import (
    Report,
    ReportCase,
    ReportStill,
    ReportTable,
    TimeLine,
    distribution_chart,
    result_layers,
    timeline_chart,
    worst_first,
    write_report,
)
from gracile.report.wording import run_notes
from gracile.result import Measurement, Result

CLASSES = [("background", (0, 0, 0)), ("artery", (255, 0, 0)), ("vein", (0, 0, 255))]
EVIL = "<script>alert('x')</script>\"'&"


def pictured(name="eye", **more):
    case = Case.from_array(np.full((20, 30, 3), 90, np.uint8), name)
    mask = np.zeros((20, 30), np.uint8)
    mask[5], mask[10] = 1, 2
    marks = {"optic_disc": {"row": 10, "column": 10, "diameter": 4}}
    result = Result(name, "found", case.grid, [c[0] for c in CLASSES], mask=mask, marks=marks)
    base, layers = result_layers(case, result, [c[1] for c in CLASSES])
    return ReportCase(name, "found", base=base, layers=layers, **more)


def page(tmp_path, *cases, **more):
    report = Report("Vessels", "a run", CLASSES, list(cases), **more)
    return write_report(report, tmp_path / "report" / "index.html").read_text(encoding="utf-8")


class Tags(HTMLParser):
    """Collects tags with their attributes, and the text outside of scripts and styles."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.words, self.silent = [], "", False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.silent = tag in ("script", "style")

    def handle_endtag(self, tag):
        self.silent = False

    def handle_data(self, data):
        self.words += "" if self.silent else data


def test_everything_a_user_named_is_escaped(tmp_path):
    case = pictured(
        EVIL,
        reason=EVIL,
        flags=[EVIL],
        measurements=[Measurement(EVIL, 1.5, EVIL, EVIL, EVIL)],
        seconds={EVIL: 1.0},
        links={EVIL: "overlays/%3Cscript%3E.jpg"},
        stills=[ReportStill(EVIL, b"jpeg", chosen=True)],
        figures=[(EVIL, timeline_chart([TimeLine(EVIL, [0, 1], [0, 1])], EVIL))],
        tables=[ReportTable(EVIL, [EVIL, EVIL], [[EVIL, EVIL]])],
    )
    chart = distribution_chart({EVIL: [1.0, 2.0, 3.0]}, EVIL)
    text = page(
        tmp_path, case, charts=[(EVIL, chart)], settings={EVIL: EVIL}, notes=[EVIL], credits=EVIL, summary={EVIL: EVIL},
        headline=(EVIL,),
    )  # fmt: skip
    tags = Tags(text).tags
    assert sum(tag == "script" for tag, _ in tags) == 1
    assert not any(name.startswith("on") for _, attributes in tags for name in attributes)
    assert text.count("<script") == 1


def test_the_page_loads_nothing_from_anywhere(tmp_path):
    video = pictured("clip", stills=[ReportStill("0 s", b"jpeg")])
    text = page(
        tmp_path, pictured(), video, credits="See https://example.org", charts=[("a", distribution_chart({}, "px"))]
    )
    tags = Tags(text).tags
    sources = [attributes[name] for _, attributes in tags for name in ("src", "srcset") if name in attributes]
    assert sources
    assert all(source.startswith("data:image/") for source in sources)
    links = [attributes["href"] for _, attributes in tags if "href" in attributes]
    assert all(link.startswith("#") for link in links)
    assert not re.search(r"url\(|@import", text)
    assert not any(tag in ("link", "iframe", "object", "embed", "base", "form") for tag, _ in tags)
    policies = [a["content"] for t, a in tags if t == "meta" and a.get("http-equiv") == "Content-Security-Policy"]
    assert len(policies) == 1
    assert "default-src 'none'" in policies[0]
    assert "img-src data:" in policies[0]


def test_each_link_within_the_page_has_its_target(tmp_path):
    tags = Tags(page(tmp_path, pictured("a"), pictured("b"))).tags
    names = {attributes["id"] for _, attributes in tags if "id" in attributes}
    links = {attributes["href"][1:] for _, attributes in tags if attributes.get("href", "").startswith("#")}
    assert {"case-1", "case-2"} <= links <= names


def test_each_layer_has_a_switch(tmp_path):
    tags = Tags(page(tmp_path, pictured())).tags
    layers = [attributes["data-layer"] for _, attributes in tags if "data-layer" in attributes]
    switches = [attributes["data-switch"] for _, attributes in tags if "data-switch" in attributes]
    assert layers == switches == ["Found/artery", "Found/vein", "Marks/Optic disc"]


def order(text):
    return re.findall(r'data-case="([^"]*)"', text)


def test_without_scores_failed_then_flagged_then_absent_then_the_rest(tmp_path):
    cases = [
        ReportCase("good", "found"),
        ReportCase("empty", "absent", "nothing there"),
        ReportCase("odd", "found", flags=["one"]),
        ReportCase("odder", "found", flags=["one", "two"]),
        ReportCase("broken", "failed", "unreadable"),
    ]
    assert order(page(tmp_path, *cases)) == ["broken", "odder", "odd", "empty", "good"]


def test_a_report_begins_with_the_pictures_that_most_need_a_look(tmp_path):
    cases = [
        pictured("fine"),
        pictured("plain"),
        pictured("odd", flags=["blurred"]),
        ReportCase("broken", "failed", "gone"),
    ]
    text = page(tmp_path, *cases, summary={"found": 3})
    links = [attributes["href"] for tag, attributes in Tags(text).tags if attributes.get("class") == "tile"]
    assert links == ["#case-2", "#case-3", "#case-4"]  # the first is the failed one, without a picture
    places = [
        text.index(part) for part in ('class="tile"', 'class="tiles"', "What to look at", "<table", 'id="case-2"')
    ]
    assert places == sorted(places)


def test_a_report_of_few_cases_begins_with_them(tmp_path):
    text = page(tmp_path, pictured("one"), pictured("two"), summary={"found": 2})
    assert 'class="tile"' not in text
    assert text.index('id="case-1"') < text.index('class="tiles"') < text.index('data-case="one"')


def test_what_is_true_of_the_whole_run_is_said_once():
    records = [{"status": "found", "notes": ["not gated"]}, {"status": "found", "notes": ["not gated", "cut"]}]
    assert run_notes([*records, {"status": "failed"}]) == ["not gated", "cut (1 of 2 cases)"]


def test_with_scores_the_worst_comes_first():
    cases = [
        ReportCase(name, "scored", scores={"f1": value})
        for name, value in {"middle": 0.7, "undefined": None, "best": 0.9, "worst": 0.2}.items()
    ] + [ReportCase("missing", "missing", scores={"f1": 0.0})]
    assert [c.id for c in worst_first(cases, "f1")] == ["missing", "worst", "middle", "best", "undefined"]
    up = [c.id for c in worst_first(cases, "f1", lower_is_better=True)]
    assert up == ["missing", "best", "middle", "worst", "undefined"]


def test_a_failed_case_is_shown_with_its_reason(tmp_path):
    words = Tags(page(tmp_path, pictured(), ReportCase("broken", "failed", "The file is truncated."))).words
    assert words.count("The file is truncated.") == 2  # at the top and on its card


def test_flags_are_counted_at_the_top(tmp_path):
    words = Tags(page(tmp_path, *(ReportCase(str(i), "found", flags=["disc detected"]) for i in range(3)))).words
    assert re.search(r"3\s*×\s*disc detected", words)


def test_a_single_case_shows_numbers_units_and_notes(tmp_path):
    case = pictured(
        measurements=[
            Measurement("caliber_mean", 91.25, "um", "artery", "weighted by length"),
            Measurement("caliber_mean", 112.5, "um", "vein", "weighted by length"),
            Measurement("avr", None, "1", "", "needs an optic disc"),
        ],
        seconds={"read": 0.25, "vessels": 1.5},
    )
    words = Tags(page(tmp_path, case, settings={"prepare": {"diameter": 600}})).words
    for shown in (
        "Caliber mean",
        "µm",
        "91.2",
        "112.5",
        "AVR",
        "–",
        "needs an optic disc",
        "total 1.75",
        "diameter: 600",
    ):
        assert shown in words, shown
    assert words.count("weighted by length") == 1


def test_all_cases_are_in_the_table_and_other_measurements_wait_for_a_click(tmp_path):
    cases = [
        ReportCase(f"c{i}", "found", measurements=[Measurement("area", i, "px"), Measurement("islands", 1.0, "1")])
        for i in range(70)
    ]
    text = page(tmp_path, *cases, headline=("area",))
    assert len(order(text)) == 70
    hidden = [a for tag, a in Tags(text).tags if tag == "td" and "more" in a.get("class", "").split()]
    assert len(hidden) == 70


def test_means_stand_below_the_scores(tmp_path):
    cases = [ReportCase("a", "scored", scores={"f1": 0.5}), ReportCase("b", "scored", scores={"f1": 0.75})]
    words = Tags(page(tmp_path, *cases, order_by="f1", means={"f1": (0.625, 0.1768)})).words
    assert "0.6250" in words
    assert "0.1768" in words


def test_an_empty_report_is_a_page(tmp_path):
    assert "Vessels" in Tags(page(tmp_path)).words


def test_a_page_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    page(tmp_path, ReportCase("first", "found"))
    whole_open = Path.open

    def full(self, mode="r", *args, **kwargs):
        if "w" in mode:
            whole_open(self, mode, *args, **kwargs).close()
            raise OSError(errno.ENOSPC, "No space left on device")
        return whole_open(self, mode, *args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", full)
        with pytest.raises(DataError, match="disk is full"):
            page(tmp_path, ReportCase("second", "found"))
    assert [p.name for p in (tmp_path / "report").iterdir()] == ["index.html"]
    assert order((tmp_path / "report" / "index.html").read_text(encoding="utf-8")) == ["first"]
