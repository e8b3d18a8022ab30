"""What is counted and chosen, beside plain loops over all rows."""

import json
import math
from collections import Counter
from dataclasses import asdict, replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from egoframe.curation.filters import Figures, FilterConfig, reason_to_reject, with_own_band
from egoframe.pairs import SPLITS, read_rows, rejected_features, write_shard
from egoframe.report.examples import read_examples
from egoframe.report.facts import FIGURES, GROUPS, NEAREST, Values, known, read_facts
from egoframe.report.histogram import axis, histogram
from egoframe.report.page import make_page
from egoframe.report.thresholds import RULES, switched_off, thresholds
from egoframe.report.told import Told, read_report
from egoframe.storage import Folder
from egoframe.teacher.subset import balanced
from tests.report.made import CONFIG, PAIRS, board, build, clip, good_clips, write_frames


def tables(dataset: Folder) -> tuple[list[dict], list[dict]]:
    """All kept rows and all rejected ones."""
    kept = [
        row for s in SPLITS for row in pq.read_table(dataset.path(f"{s}/00000.parquet")).to_pylist()
    ]
    return kept, pq.read_table(dataset.path("rejected.parquet")).to_pylist()


def test_counts_are_those_of_the_rows(dataset):
    facts = read_facts(dataset, pairs=5, seed=0)
    kept, rejected = tables(dataset)
    assert facts.pairs == len(kept) == PAIRS
    for group in GROUPS:
        assert facts.kept[group] == Counter(row[group] for row in kept)
        assert facts.rejected[group] == Counter(row[group] for row in rejected)
    assert facts.reasons == Counter(row["reason"] for row in rejected)
    written = [row for row in kept if row["description"] is not None]
    assert facts.described == Counter(row["description_source"] for row in written)
    assert set(facts.described) == {"teacher", "<i>model</i>"}
    flagged = [row for row in written if row["description_flags"]]
    assert facts.flagged == Counter(row["description_source"] for row in flagged)
    assert facts.invented == {"whisk": 2, "a+b [x]": 1}


def test_figures_are_all_there_and_unknown_ones_counted(dataset):
    values = read_facts(dataset, pairs=5, seed=0).values
    kept, rejected = tables(dataset)
    blamed = {"nothing happens": "similarity", "scene jump": "similarity", "too dark": "exposure",
              "no hand in the action frame": "hands"}  # fmt: skip
    for name in FIGURES:
        told = [row[name] for row in kept]
        assert sorted(values[name].kept) == sorted(v for v in told if v is not None)
        assert values[name].unknown_kept == told.count(None)
        told = [row[name] for row in rejected]
        assert sorted(values[name].rejected) == sorted(v for v in told if v is not None)
        assert values[name].unknown_rejected == told.count(None)
        for_it = [row[name] for row in rejected if blamed.get(row["reason"]) == name]
        assert sorted(values[name].rejected_for_it) == sorted(for_it)
    assert values["hands"].unknown_kept > 0
    assert len(values["similarity"].rejected_for_it) == 4


def test_not_a_number_is_unknown():
    row = dict.fromkeys(FIGURES, 0.5) | {"similarity": math.nan, "sharpness": math.inf}
    assert known(row | {"hands": None}) == row | dict(similarity=None, sharpness=None, hands=None)


def test_thresholds_are_those_that_the_filters_apply():
    """Just outside each, and only there, the filters reject, for the reason that is named."""
    filters = FilterConfig(min_similarity=0.3, max_similarity=0.9, min_aesthetic=4.0)
    good = Figures(0.5, 50.0, 0.5, 0.0, hands=1, aesthetic=5.0)
    rules = thresholds(Told(None, filters))
    assert [rule.setting for rule in rules] == [setting for setting, *_ in RULES]
    for rule in rules:
        step = 1 if rule.figure == "hands" else 1e-6
        outside = rule.bound - step if rule.least else rule.bound + step
        for value, reason in ((rule.bound, None), (outside, rule.reason)):
            figures = replace(good, **{rule.figure: value})
            assert reason_to_reject(figures, filters) == reason
    assert set(asdict(filters)) == {rule.setting for rule in rules}


def test_thresholds_that_are_off_are_named():
    off = Told(None, FilterConfig(0.1, 0.9, min_sharpness=None, require_hand=False))
    assert switched_off(off) == ["min_sharpness", "require_hand", "min_aesthetic"]


def test_examples_are_those_nearest_to_each_threshold(dataset):
    facts = read_facts(dataset, pairs=1, seed=0)
    kept, rejected = tables(dataset)
    for near in facts.near:
        rule = near.threshold
        blamed = [row for row in rejected if row["reason"] == rule.reason]
        for rows, key, found in ((kept, "pair_id", near.kept), (blamed, "clip_id", near.rejected)):
            distance = {r[key]: abs(r[rule.figure] - rule.bound) for r in rows
                        if r[rule.figure] is not None}  # fmt: skip
            found = [distance[name] for name in found]
            assert found == sorted(distance.values())[:NEAREST]
        assert not near.doubtful


def test_the_sample_is_balanced_and_read_with_its_frames_and_boxes(dataset):
    facts = read_facts(dataset, pairs=12, seed=3)
    kept, _ = tables(dataset)
    assert facts.sample == balanced([(r["pair_id"], r["verb"], r["noun"]) for r in kept], 12, 3)
    examples = read_examples(dataset, facts)
    shown = [examples.items[k] for k in examples.sample]
    assert {item["id"] for item in shown} == facts.sample
    rows = {row["pair_id"]: row for row in kept}
    for item in shown:
        row = rows[item["id"]]
        assert item["description"] == row["description"]
        assert [b["label"] for b in item["boxes"][1]] == [b["label"] for b in row["action_boxes"]]
        assert all(uri.startswith("data:image/jpeg;base64,") for uri in item["frames"])
    assert len({item["id"] for item in examples.items}) == len(examples.items)


def test_every_reason_has_its_examples(dataset):
    facts = read_facts(dataset, pairs=1, seed=0)
    _, rejected = tables(dataset)
    assert set(facts.gallery) == {row["reason"] for row in rejected}
    for reason, gallery in facts.gallery.items():
        own = {row["clip_id"] for row in rejected if row["reason"] == reason}
        assert set(gallery.pictured) | {row["clip_id"] for row in gallery.named} == own
    assert facts.gallery["unreadable"].unpictured == 4


def test_clips_that_contradict_a_threshold_are_told(tmp_path):
    write_frames(tmp_path, "still", board(1, 2), board(1, 2))
    still = clip(tmp_path, "still", "take", "mug")
    out = build([*good_clips(tmp_path)[:6], still], tmp_path / "out")
    (row,) = read_rows(out, "rejected.parquet")
    assert row["reason"] == "nothing happens"
    write_shard(out, "rejected.parquet", [row | {"similarity": 0.998}], rejected_features())
    doubtful = [near.threshold.setting for near in read_facts(out, 1, 0).near if near.doubtful]
    assert doubtful == ["max_similarity"]
    page = make_page(out)
    assert "✗ filters.max_similarity was not 0.9995: kept pairs go up to" in page
    assert "clips rejected as “nothing happens” go down to 0.998." in page


@pytest.mark.parametrize("figure", FIGURES)
def test_every_value_is_in_one_bar(figure):
    rng = np.random.default_rng(0)
    numbers = rng.integers(0, 4, 500) if figure == "hands" else rng.lognormal(0, 2, 500)
    if figure in ("similarity", "exposure"):
        numbers = numbers / numbers.max()
    across = axis(figure, list(numbers), [0.7])
    counts = across.counts(numbers)
    edges = across.edges
    for k, count in enumerate(counts):
        last = k == len(counts) - 1
        inside = [v for v in numbers if edges[k] <= v < edges[k + 1] or (last and v >= edges[-1])]
        low = sum(v < edges[0] for v in numbers) if k == 0 else 0
        assert count == len(inside) + low
    assert counts.sum() == len(numbers)
    assert across.place(edges[0]) < across.place(0.7) < across.place(edges[-1])
    assert all(edges[0] <= tick <= edges[-1] + 1e-9 for tick in across.ticks)


@pytest.mark.parametrize("value", [0.0, 1.0, -0.3, 1e-9])
@pytest.mark.parametrize("figure", FIGURES)
def test_one_value_alone_makes_a_histogram(figure, value):
    values = Values()
    values.kept.append(abs(round(value)) if figure == "hands" else value)
    assert "1 kept" in histogram(figure, values, [])


def test_report_json_is_read_as_it_was_written(dataset):
    read = read_report(dataset)
    assert asdict(read.report) == json.loads(dataset.read("report.json"))
    assert read.filters == with_own_band(CONFIG.filters, CONFIG.models)
