"""The file itself: its sums, that no text becomes markup, and what is said of broken datasets."""

import base64
import hashlib
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

from egoframe.errors import UserError
from egoframe.pairs import read_rows, rejected_features, write_pairs, write_shard
from egoframe.report.page import make_page
from egoframe.storage import Folder
from tests.little_dataset import write_dataset as write_little
from tests.report.made import HOSTILE, PAIRS, bad_clips, build, describe, good_clips


class Page(HTMLParser):
    """A page's elements with their attributes, and its scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.lasttag == "script" and self.cdata_elem == "script":
            self.scripts.append(data)
        elif self.cdata_elem is None:
            self.text += data


@pytest.fixture(scope="module")
def page(dataset) -> Page:
    return Page(make_page(dataset))


def copy(dataset: Folder, to: Path) -> Folder:
    return Folder(shutil.copytree(dataset.path(), to))


def test_the_same_dataset_and_seed_give_the_same_bytes_wherever_it_lies(dataset, tmp_path):
    page = make_page(dataset, pairs=9, seed=1)
    assert make_page(copy(dataset, tmp_path / "a&b"), pairs=9, seed=1) == page
    assert make_page(dataset, pairs=9, seed=2) != page
    assert dataset.path() not in page


def test_the_sums_are_those_of_the_report(dataset, page):
    told = json.loads(dataset.read("report.json"))
    train, validation = told["kept"].values()
    rejected = sum(told["rejected"].values())
    text = " ".join(page.text.split())
    sums = f"{told['clips']} annotated clips={train} kept, train+{validation} kept, validation"
    assert f"{sums}+{rejected} rejected" in text
    assert f"✓ It adds up, and the files agree: {PAIRS} pairs in 2 shards" in text
    assert "✗" not in text
    for reason, count in told["rejected"].items():
        assert re.search(rf"{reason}.{{0,40}}{count}{100 * count / told['clips']:.1f} %", text)


def test_each_bad_file_is_named_once_with_its_reason(page):
    files = page.text[page.text.index("Bad files (2)") : page.text.index("Flaws of annotations")]
    assert files.count("<b>damaged&.png") == 2  # and once by the decoder
    assert "unreadable (<b>damaged&.png: is damaged and cannot be decoded" in files
    assert files.count("absent-0.png") == 2
    assert "VISOR object without a <shape>3" in page.text


def test_text_from_outside_never_becomes_markup(page):
    tags = [tag for tag, _ in page.elements]
    assert {"img", "shape"}.isdisjoint(tags)
    assert tags.count("script") == 2
    for words in (HOSTILE, "<b>take</b>", "<i>model</i>", "without a <shape>", "<b>damaged&.png"):
        assert words in page.text
    for tag, attributes in page.elements:
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
    data = json.loads(page.scripts[0])
    assert HOSTILE in {item["narration"] for item in data["items"]}


def test_the_policy_allows_the_one_script_and_nothing_from_outside(page):
    (policy,) = [a["content"] for _, a in page.elements if "http-equiv" in a]
    digest = base64.b64encode(hashlib.sha256(page.scripts[1].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'; img-src data:;" in policy
    links = [a.get("href") or a.get("src") for _, a in page.elements if "href" in a or "src" in a]
    assert all(link.startswith(("#", "data:")) for link in links)


def test_all_rows_of_a_long_table_are_there(tmp_path):
    clips = [*good_clips(tmp_path), *bad_clips(tmp_path)]
    out = build(clips, tmp_path / "out")
    told = json.loads(out.read("report.json"))
    told["bad_files"] = {f"video{k:02d}.mp4": f"video{k:02d}.mp4: truncated" for k in range(45)}
    out.write("report.json", json.dumps(told))
    page = make_page(out)
    assert "show all 45" in page
    assert all(page.count(f"video{k:02d}.mp4") == 1 for k in range(45))


def test_files_that_disagree_with_the_report_are_told(dataset, tmp_path):
    out = copy(dataset, tmp_path / "out")
    rows = list(read_rows(out, "train/00000.parquet"))
    write_shard(out, "train/00000.parquet", rows[1:])
    rejected = list(read_rows(out, "rejected.parquet"))
    write_shard(out, "rejected.parquet", rejected[1:], rejected_features())
    text = Page(make_page(out)).text
    assert f"✗ train holds {len(rows) - 1} pairs, not {len(rows)}." in text
    assert f"✗ rejected.parquet holds {len(rejected) - 1} clips" in text
    assert "It adds up" not in text


def test_a_dataset_of_no_pairs_has_a_page_too(tmp_path):
    out = build(bad_clips(tmp_path), tmp_path / "out")
    text = " ".join(Page(make_page(out)).text.split())
    assert "=0 kept, train+0 kept, validation+13 rejected" in text
    assert "✓ It adds up, and the files agree: 0 pairs in 0 shards, 13 clips" in text


def test_neither_rejected_clips_nor_descriptions_nor_boxes_are_needed(tmp_path):
    out = build(good_clips(tmp_path)[3:4], tmp_path / "out")
    page = make_page(out)
    assert "No clip was dropped." in page
    assert "Unknown for every clip: hands, aesthetic." in page


def test_a_picture_that_is_damaged_leaves_a_gap(dataset, tmp_path):
    out = copy(dataset, tmp_path / "out")
    rows = list(read_rows(out, "train/00000.parquet"))
    rows[0]["input_frame"]["bytes"] = rows[0]["input_frame"]["bytes"][:100]
    write_shard(out, "train/00000.parquet", rows)
    items = json.loads(Page(make_page(out)).scripts[0])["items"]
    (item,) = [item for item in items if item["id"] == rows[0]["pair_id"]]
    assert item["frames"][0] is None
    assert item["frames"][1] is not None


def test_a_dataset_at_a_url_gives_the_same_page(tmp_path):
    pages = []
    for where in (tmp_path / "here" / "pairs", f"dir::file://{tmp_path / 'there' / 'pairs'}"):
        out = build(good_clips(tmp_path), where)
        describe(out)
        pages.append(make_page(out))
    assert pages[0] == pages[1]


def break_json(out: Folder) -> None:
    out.write("report.json", '{"clips": 3')


def change(**values) -> object:
    def changed(out: Folder) -> None:
        out.write("report.json", json.dumps(json.loads(out.read("report.json")) | values))

    return changed


def change_filters(**values) -> object:
    """Settings of another version: with other values, or without those that are "gone"."""

    def changed(out: Folder) -> None:
        told = json.loads(out.read("report.json"))
        filters = told["settings"]["filters"] | values
        told["settings"]["filters"] = {k: v for k, v in filters.items() if v != "gone"}
        out.write("report.json", json.dumps(told))

    return changed


def spoil(name: str) -> object:
    return lambda out: out.write(name, out.read(name)[:-200])


OTHER = r"report\.json: damaged, or of another version of egoframe \(.*\); build the dataset again"


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda out: out.delete("report.json"), "not finished; run the same `egoframe data build`"),
        (break_json, OTHER),
        (change(clips="many"), OTHER),
        (change(speed=3), OTHER),
        (change(kept={"train": 3}), OTHER),
        (change(settings={}), OTHER),
        (change(kept=None), OTHER),
        (change(bad_files=["a.mp4"]), OTHER),
        (lambda out: out.write("report.json", "[]"), OTHER),
        (lambda out: out.write("report.json", "3"), OTHER),
        (lambda out: out.write("report.json", b"\xff\xfe"), OTHER),
        (change_filters(min_sharpness="gone"), OTHER),
        (change_filters(min_sharpness="high"), OTHER),
        (change_filters(min_beauty=1.0), OTHER),
        (spoil("train/00000.parquet"), r"train/00000.parquet: damaged, .*; build it again"),
        (spoil("rejected.parquet"), r"rejected.parquet: damaged, .*; build it again"),
        (lambda out: out.delete("rejected.parquet"), r"rejected.parquet: cannot be read"),
    ],
)
def test_what_is_broken_is_said_in_one_line(dataset, tmp_path, harm, words):
    out = copy(dataset, tmp_path / "out")
    harm(out)
    with pytest.raises(UserError, match=words) as raised:
        make_page(out)
    assert "\n" not in str(raised.value)


def test_datasets_that_were_not_built_are_told_apart(tmp_path):
    with pytest.raises(UserError, match=r"no dataset of action pairs .* `egoframe data build`"):
        make_page(Folder(tmp_path))
    with pytest.raises(UserError, match=r"has pairs but no report\.json"):
        make_page(Folder(write_little(tmp_path / "little")))
    write_pairs(Folder(tmp_path / "empty"), [])
    with pytest.raises(UserError, match="no dataset of action pairs"):
        make_page(Folder(tmp_path / "empty"))
