import random
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from egoframe.errors import UserError
from egoframe.sources.tables import inside, listed, read_table, seconds, word

NAMES = {"start": ("start", "start_time"), "text": ("text",), "note": ("note",)}


def rows(folder: Path, content: str | bytes, name: str = "t.csv") -> list[Any]:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(read_table(path, NAMES, ("start", "text")))


def refusal(folder: Path, content: str | bytes, name: str = "t.csv") -> str:
    with pytest.raises(UserError) as error:
        rows(folder, content, name)
    assert "\n" not in str(error.value)
    assert str(folder / name) in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("told", "time"),
    [
        ("7.44", 7.44), (7, 7.0), (7.5, 7.5), (" 7 ", 7.0), ("7,44", 7.44), (".5", 0.5),
        ("1e-05", 1e-5), ("+3", 3.0), ("-1.5", -1.5), ("00:01:02.345", 62.345), ("1:02", 62.0),
        ("90:00", 5400.0), ("01:02,5", 62.5), ("-0:01", -1.0), ("100:00:00", 360_000.0),
        ("1:60", None), ("1:2:3:4", None), ("", None), ("nan", None), ("inf", None),
        ("-inf", None), ("1e999", None), ("1_000", None), ("1.234,5", None), ("٣", None),
        ("0x10", None), ("7 s", None), (None, None), (True, None), ([7], None),
        (float("nan"), None), (10**400, None), ("9" * 5000, None),
    ],
)  # fmt: skip
def test_times(told, time):
    assert seconds(told) == (None if time is None else pytest.approx(time, abs=1e-12))


@pytest.mark.parametrize(
    ("told", "items"),
    [
        ("['open', 'hold']", ["open", "hold"]), ('["open"]', ["open"]), (["a", 1], ["a", 1]),
        ("[('open', 'tap')]", [("open", "tap")]), (("a",), ["a"]), ("[]", []), ("open", []),
        ("[open]", []), ("{'a': 1}", []), ("[" * 9000, []), ("-" * 9000 + "1", []), (None, []),
        ("__import__('os')", []), (3, []),
    ],
)  # fmt: skip
def test_lists(told, items):
    assert listed(told) == items


def test_words_of_cells():
    told = ["  a ", 12, True, 1.5, "", None, ["a"], "\ud800"]
    assert [word(value) for value in told] == ["a", "12", *[None] * 6]


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("P01/P01-1.mp4", True), ("a b", True), ("a..b", True), ("", False), ("../a", False),
        ("a/../../b", False), ("a\\..\\b", False), ("/etc/passwd", False), ("C:\\a", False),
        ("c:a", False), ("\\\\host\\a", False), ("a\0b", False), ("x" * 256, False),
        ("é" * 128, False), ("a/" * 600, False),
    ],
)  # fmt: skip
def test_paths_stay_inside(name, safe):
    assert inside(name) is safe


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_csv_as_any_program_writes_it(tmp_path, end, mark, bom):
    lines = [
        ["Text", " Start Time", "other", "note"],
        ['"open, the; ""big""|\tdrawer"', "1.5", "", "x"],
        ["Küche öffnen", "2", "y", ""],
    ]
    content = bom + end.join(mark.join(line) for line in lines) + end
    told = [row.cells for row in rows(tmp_path, content)]
    assert told == [
        {"start": "1.5", "text": 'open, the; "big"|\tdrawer', "note": "x"},
        {"start": "2", "text": "Küche öffnen", "note": None},
    ]


def test_spaces_after_commas_do_not_matter(tmp_path):
    (row,) = rows(tmp_path, 'start, text, note\n1, "open, then close", x\n')
    assert row.cells == {"start": "1", "text": "open, then close", "note": "x"}


def test_tsv_is_separated_by_tabs(tmp_path):
    (row,) = rows(tmp_path, "start\ttext,note\ttext\n1\ta,b\topen\n", "t.TSV")
    assert row.cells == {"start": "1", "text": "open"}


def test_rows_know_their_line_and_flaw(tmp_path):
    content = '\n\nstart,text,note\n1,open,x\n2\n3,"two\nlines"\n,,\n'
    content += "\n4,open, the door,and go\n5,close,x,\n"
    assert [(row.line, row.flaw) for row in rows(tmp_path, content)] == [
        (4, None),
        (5, "row cut short"),
        (7, None),  # where it ends; what is not needed may be left out
        (10, "more cells than columns"),
        (11, None),
    ]


def test_of_several_columns_the_first_that_is_not_empty_counts(tmp_path):
    told = rows(tmp_path, "start_time,start,text\n1,2,a\n1,,a\n,2,a\n")
    assert [row.cells["start"] for row in told] == ["2", "1", "2"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "no rows"),
        ("\n \n", "no rows"),
        ("start,text\n", "no rows"),
        ("start,text\n,\n", "no rows"),
        ("a,b\n1,2\n", "no column for start (called start, start_time) and text (called text)"),
        ("start,a,b\n1,2,3\n", "no column for text (called text); it has start, a, b"),
        ("start,text,TEXT\n1,a,b\n", "column text is there twice"),
        ('start,text\n1,"open\n2,close\n', "line 3 cannot be read"),
        ('start,text\n1,"open" it\n', "line 2 cannot be read"),
        ("start,text\n1," + "x" * 200_000 + "\n", "line 2 cannot be read"),
        ("start,text\n1," + "x" * 2_000_000 + "\n", "line 2 has more than 1048576 characters"),
        ("start,text\n1,K\xfcche\n".encode("cp1252"), "Windows-1252; save it as UTF-8"),
        ("start,text\n1,a\n".encode("utf-16"), "UTF-16, not UTF-8; save it as UTF-8"),
        (b"PK\x03\x04" + bytes(range(256)), "save it as UTF-8"),
        (b"\x00\x01\x02", "no column for start"),
    ],
)
def test_no_table(tmp_path, content, told):
    assert told in refusal(tmp_path, content)


def test_other_kinds_of_file(tmp_path):
    assert ".csv, .tsv or .jsonl; save" in refusal(tmp_path, "", "t.xlsx")
    for name in ("HD_EPIC_Narrations.pkl", "t.pickle"):
        told = refusal(tmp_path, b"cos\nsystem\n(S'touch /tmp/owned'\ntR.", name)
        assert "can run any code" in told
        assert "orient='records', lines=True" in told
    with pytest.raises(UserError, match="No such file"):
        list(read_table(tmp_path / "nowhere.csv", NAMES, ()))
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(UserError, match="Is a directory"):
        list(read_table(tmp_path / "folder.csv", NAMES, ()))


def test_jsonl(tmp_path):
    content = '{"start": 1, "text": "a"}\r\n\n[]\n{"star\n{"Text": "b", "start-time": "1:00"}\n'
    told = rows(tmp_path, "\ufeff" + content, "t.jsonl")
    assert [(row.line, row.flaw, row.cells) for row in told] == [
        (1, None, {"start": 1, "text": "a"}),
        (3, "line cannot be read", {}),
        (4, "line cannot be read", {}),
        (5, None, {"start": "1:00", "text": "b"}),
    ]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "no rows"),
        ("[\n1,\n2]\n", "no JSON object in its first lines"),
        ('{"start": 1}\n' * 200, "no column for text"),
        ("[" * 900_000, "no JSON object"),
        ("9" * 900_000, "no JSON object"),
        ('{"a": "' + "x" * 2_000_000, "line 1 has more than"),
        (b'{"start": 1, "text": "K\xfc"}', "Windows-1252"),
    ],
)
def test_no_jsonl(tmp_path, content, told):
    assert told in refusal(tmp_path, content, "t.jsonl")


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl"])
def test_memory_does_not_grow_with_the_table(tmp_path, name):
    """Of a table of 12 MB, no more than a few lines and 100 rows are held."""
    line = {
        "t.csv": "{k},open,{x}\n",
        "t.jsonl": '{{"start": {k}, "text": "open", "note": "{x}"}}\n',
    }
    path, x = tmp_path / name, "x" * 400
    with path.open("w") as file:
        file.write("start,text,note\n" if name == "t.csv" else "")
        file.writelines(line[name].format(k=k, x=x) for k in range(30_000))
    tracemalloc.start()
    count = sum(1 for _ in read_table(path, NAMES, ("start",)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 30_000
    assert peak < 1_000_000


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.jsonl"])
def test_whatever_the_bytes_there_is_no_traceback(tmp_path, name):
    random.seed(6)
    whole = {
        "t.csv": b'start,text,note\n1,open,x\n"2","close, it",y\n3,a,b\n',
        "t.tsv": b"start\ttext\n1\topen\n2\tclose\n",
        "t.jsonl": b'{"start": 1, "text": "open"}\n{"start": "2", "text": "close"}\n',
    }[name]
    path, read = tmp_path / name, 0
    for _ in range(400):
        spoilt = bytearray(whole)
        for _ in range(random.randint(1, 4)):
            spoilt[random.randrange(len(spoilt))] = random.randrange(256)
        path.write_bytes(spoilt[: random.randint(0, 2 * len(spoilt))])
        try:
            read += bool(list(read_table(path, NAMES, ("start", "text"))))
        except UserError as error:
            assert "\n" not in str(error)  # noqa: PT017
    assert 20 < read < 400
