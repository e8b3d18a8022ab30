"""Every frame is the right one, bit for bit what decoding the whole video gives, or is refused."""

import pickle
import random
from fractions import Fraction
from itertools import islice, pairwise

import av
import numpy as np
import pytest
from PIL import Image

from egoframe.curation import decoder
from egoframe.curation.video import UnreadableMedia, VideoFacts, probe, read_frames
from tests.curation.videos import (
    decode_all,
    make_video,
    number_of,
    numbered,
    retime,
    rotate,
    trim_start,
)

X264 = {"g": "12", "bf": "2", "preset": "veryfast"}
X265 = "pools=1:log-level=error:keyint=20:bframes=4"
SVT = {"g": "30", "preset": "10", "crf": "20", "svtav1-params": "lp=1"}
VFR = np.cumsum(random.Random(1).choices([900, 1500, 3003, 9000, 40000], k=120)).tolist()
FRAGMENTS = {"movflags": "frag_keyframe+empty_moov"}


def x264(**settings: object) -> dict[str, str]:
    told = ":".join(f"{name.replace('_', '-')}={value}" for name, value in settings.items())
    return X264 | {"g": "20", "x264-params": told}


# name of the file: how it is made, and the rate if its frames have to be counted
VIDEOS = {
    "25.mp4": ({"options": X264}, None),
    "29.97.mp4": ({"options": X264, "rate": Fraction(30000, 1001)}, None),
    "50.mov": ({"options": X264, "rate": 50}, None),
    "59.94.mp4": ({"options": X264, "rate": Fraction(60000, 1001)}, None),
    "90.mkv": ({"options": X264, "rate": 90}, None),
    "gop250.mp4": ({"options": X264 | {"g": "250", "bf": "3"}, "count": 520}, None),
    "irregular.mp4": ({"options": X264, "times": VFR}, None),
    "irregular.mkv": ({"options": X264, "times": VFR}, None),
    "pyramid.mp4": ({"options": x264(bframes=7, b_adapt=0, ref=4, scenecut=0)}, None),
    "open_gop.mp4": ({"options": x264(open_gop=1, bframes=5, b_adapt=0, ref=4)}, None),
    "open_gop.mkv": ({"options": x264(open_gop=1, bframes=3, b_adapt=0)}, None),
    "open_gop.ts": ({"options": x264(open_gop=1, bframes=3, b_adapt=0, scenecut=0)}, None),
    "intra_refresh.mp4": ({"options": x264(intra_refresh=1)}, None),
    "interlaced.ts": ({"options": x264(interlaced=1)}, None),
    "stream.ts": ({"options": X264}, None),
    "stream.flv": ({"options": X264}, None),
    "fragments.mp4": ({"options": X264, "container_options": FRAGMENTS}, None),
    "no_edits.mp4": ({"options": X264, "container_options": {"use_editlist": "0"}}, None),
    "ten_bits.mp4": ({"options": X264, "pixels": "yuv420p10le"}, None),
    "mpeg4.avi": ({"options": {"g": "12"}, "codec": "mpeg4"}, None),
    "reordered.avi": ({"options": X264}, 25),
    "raw.h264": ({"options": X264}, 25),
    "raw.h265": ({"options": {"x265-params": X265}, "codec": "libx265"}, 25),
    "hevc.mp4": ({"options": {"x265-params": X265}, "codec": "libx265"}, None),
    "hevc_open.mkv": ({"options": {"x265-params": X265 + ":open-gop=1"}, "codec": "libx265"}, None),
    "hevc10.mp4": (
        {"options": {"x265-params": X265}, "codec": "libx265", "pixels": "yuv420p10le"},
        None,
    ),
    "av1.mp4": ({"options": SVT, "codec": "libsvtav1"}, None),
    "av1_10.mkv": ({"options": SVT, "codec": "libsvtav1", "pixels": "yuv420p10le"}, None),
    "vp9.webm": ({"options": {"g": "30", "cpu-used": "8"}, "codec": "libvpx-vp9"}, None),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("videos")


@pytest.fixture(scope="module")
def video(folder):
    """The usual one: 120 frames at 25 a second."""
    return make_video(folder / "usual.mp4", options=X264)


def nearest(shown: np.ndarray, time: float) -> list[int]:
    """By definition: the frame presented nearest to a time, of two equally near the earlier; more
    than one where frames have the same time."""
    distance = np.abs(shown - time)
    equal = shown[distance <= distance.min() + 3e-6]
    return np.flatnonzero(shown == equal.min()).tolist()


def hard_times(shown: np.ndarray, draw: random.Random) -> list[float]:
    """Presentation times, the middles between them, just before and after, repeats; no order."""
    ordered = np.unique(shown)
    gaps = list(pairwise(ordered))
    times = [0.0, ordered[-1], *draw.choices(ordered, k=15), *draw.choices(ordered, k=5)]
    for before, after in draw.sample(gaps, 12):
        times += [(before + after) / 2, 0.51 * before + 0.49 * after, 0.49 * before + 0.51 * after]
        times += [before + 1e-4, after - 1e-4, draw.uniform(0, ordered[-1])]
    times += times[:6]
    draw.shuffle(times)
    return [max(float(time), 0.0) for time in times]


def assert_true(path, rate=None, numbers_from=0):
    """All of many times at once, then a few at a time, so that there is much to leave out."""
    shown, whole = decode_all(path, rate)
    if numbers_from is not None:
        assert [number_of(p) for p in whole] == [numbers_from + k for k in range(len(whole))]
    draw = random.Random(path.name)
    times = hard_times(shown, draw)
    for wanted in (times, *(draw.sample(times, k) for k in (1, 1, 2, 3, 5, 8, 13))):
        found = dict(read_frames(path, wanted, fps=7))
        assert sorted(found) == list(range(len(wanted)))
        for index, picture in found.items():
            assert isinstance(picture, np.ndarray), picture
            frames = nearest(shown, wanted[index])
            assert any(np.array_equal(picture, whole[k]) for k in frames), wanted[index]


@pytest.mark.parametrize("name", VIDEOS)
def test_each_frame_is_the_nearest_to_its_time(name, folder):
    making, rate = VIDEOS[name]
    assert_true(make_video(folder / name, **making), rate)


def test_a_start_that_an_edit_list_leaves_out_is_not_there(folder):
    path = make_video(folder / "trimmed.mp4", options=X264)
    trim_start(path, 12800 * 7 // 25)
    assert_true(path, numbers_from=7)


def test_a_video_that_begins_in_the_middle_of_a_gop(folder):
    path = make_video(folder / "late.ts", options=x264(open_gop=1, bframes=3, b_adapt=0))
    path.write_bytes(path.read_bytes()[188 * 150 :])
    assert_true(path, numbers_from=None)


@pytest.mark.parametrize("kind", ["twice the same time", "pairs out of order", "a later start"])
def test_odd_times(kind, folder):
    plain = make_video(folder / "plain.mkv", options=X264 | {"bf": "0"})
    times = [40 * k for k in range(120)]
    if kind == "twice the same time":
        times = [40 * (k // 2) for k in range(120)]
    elif kind == "a later start":
        times = [5000 + 40 * k for k in range(120)]
    else:
        for k in range(3, 119, 7):
            times[k], times[k + 1] = times[k + 1], times[k]
    assert_true(retime(plain, folder / "odd.mkv", times))


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_pictures_are_upright(degrees, folder):
    path = make_video(folder / "turned.mp4", count=30, options=X264)
    ((_, lying),) = read_frames(path, [0.8], 25)
    rotate(path, degrees)
    ((_, upright),) = read_frames(path, [0.8], 25)
    assert number_of(lying) == 20
    np.testing.assert_array_equal(upright, np.rot90(lying, -degrees // 90))  # clockwise
    ((_, fitted),) = read_frames(path, [0.8], 25, size=48)
    assert np.abs(fitted - box(upright, 48)).mean() < 3


def box(picture: np.ndarray, size: int) -> np.ndarray:
    image = Image.fromarray(picture).resize((size, size), Image.Resampling.BOX)
    return np.asarray(image, float)


@pytest.mark.parametrize("size", [24, 48, 80])
def test_fitted_pictures_are_close_to_a_box_filter_of_the_whole_frame(size, video):
    wanted = [0.2, 2.0, 4.4]
    whole = dict(read_frames(video, wanted, 25))
    for index, picture in read_frames(video, wanted, 25, size):
        assert picture.shape == (size, size, 3)
        assert picture.dtype == np.uint8
        assert np.abs(picture - box(whole[index], size)).mean() < 4  # grey levels; it is noisy
        colour = picture - box(numbered(number_of(picture)), size)
        assert np.abs(colour.mean((0, 1))).max() < 1


def test_gops_without_a_wanted_frame_are_not_decoded(video, monkeypatch):
    sent = []
    real = decoder.Decoder.send

    def send(self, packet, *more):
        sent.append(packet.pts)
        return real(self, packet, *more)

    monkeypatch.setattr(decoder.Decoder, "send", send)
    answers = read_frames(video, [2.0, 4.0, 2.04], 25)
    for _ in range(2):
        assert number_of(next(answers)[1]) in (50, 51)
    few = len(sent)
    assert few <= 4 + 12  # the first frames, and one GOP; nothing yet for the last
    assert number_of(next(answers)[1]) == 100
    assert len(sent) - few <= 12 + 4


def test_the_real_clips_agree_with_decoding_them_whole(shared_data):
    clips = sorted((shared_data / "clips").glob("*.mp4"))
    assert clips
    for path in clips:
        assert_true(path, numbers_from=None)


def test_what_a_video_says_of_itself(video):
    assert probe(video) == VideoFacts(fps=25, duration=4.8)


# Faults: each costs the frames it spoils, and no other.


def reasons(path, times, fps=25.0) -> list[str]:
    found = dict(read_frames(path, times, fps))
    assert sorted(found) == list(range(len(times)))
    return [p.reason if isinstance(p, UnreadableMedia) else "" for _, p in sorted(found.items())]


def test_times_outside_the_video(video):
    nan, endless = float("nan"), float("inf")
    times = [0.0, -0.1, 4.76, 4.799, 4.8, 5.0, 400.0, nan, endless, 1e300]
    negative, past = "negative time", "past the end"
    expected = ["", negative, "", "", past, past, past, negative, past, past]
    assert reasons(video, times) == expected
    assert reasons(video, []) == []


@pytest.mark.parametrize("content", [b"not a video", b"", b"#EXTM3U\nhttp://x/y.ts\n", "jpeg"])
def test_what_is_no_video_is_said(content, folder):
    path = folder / "broken.mp4"
    if content == "jpeg":
        Image.fromarray(numbered(1)).save(path, "JPEG")
    else:
        path.write_bytes(content)
    ((_, trouble), (_, again)) = read_frames(path, [0.0, 1.0], 50)
    assert trouble.file == again.file == "broken.mp4"
    assert trouble.reason == ("not a video" if content else "empty file")
    assert str(trouble).startswith("broken.mp4: ")
    assert "\n" not in str(trouble)
    assert str(folder) not in str(trouble)
    assert isinstance(probe(path), UnreadableMedia)
    same = pickle.loads(pickle.dumps(trouble))
    assert (str(same), same.reason, same.file) == (str(trouble), trouble.reason, trouble.file)


def test_a_missing_video_is_said_for_every_time(folder):
    assert reasons(folder / "absent.mp4", [1.0, 0.0]) == ["no such file"] * 2
    assert probe(folder / "absent.mp4").reason == "no such file"


CUT = {
    "cut.mp4": {"options": x264(bframes=3), "container_options": {"movflags": "faststart"}},
    "cut.mkv": {"options": x264(bframes=3)},
    "cut_open.mkv": {"options": x264(bframes=3, open_gop=1, b_adapt=0)},
    "cut.flv": {"options": x264(bframes=3)},
    "cut.ts": {"options": x264(bframes=3)},
    "cut_hevc.mkv": {"options": {"x265-params": X265}, "codec": "libx265"},
    "cut_av1.mp4": {"options": SVT, "codec": "libsvtav1",
                    "container_options": {"movflags": "faststart"}},
}  # fmt: skip


@pytest.mark.parametrize("name", CUT)
def test_a_video_that_is_cut_short_gives_what_is_whole_and_refuses_the_rest(name, folder):
    path = make_video(folder / name, **CUT[name])
    shown, whole = decode_all(path)
    content = path.read_bytes()
    draw = random.Random(name)
    counts = []
    for share in [0.3, 0.5, 0.7, 0.9, *(draw.uniform(0.4, 1) for _ in range(8))]:
        path.write_bytes(content[: int(share * len(content))])
        for wanted in (list(range(120)), draw.sample(range(120), 4)):
            found = dict(read_frames(path, [float(shown[k]) for k in wanted], 25))
            given = {wanted[i]: p for i, p in found.items() if isinstance(p, np.ndarray)}
            for frame, picture in given.items():
                np.testing.assert_array_equal(picture, whole[frame])
            lost = [p.reason for p in found.values() if isinstance(p, UnreadableMedia)]
            if name != "cut.ts":  # which does not say how long it should be
                assert set(lost) <= {"cut short"}
            if len(wanted) == 120:
                whole_gops = set(range(max(given, default=-1) - 8))
                assert whole_gops <= set(given)
                counts.append((share, len(given)))
    counts.sort()
    assert [n for _, n in counts] == sorted(n for _, n in counts)  # more of the file, more frames
    assert counts[-1][1] > 80


def test_an_mp4_without_its_index_is_cut_short(folder):
    path = make_video(folder / "no_index.mp4", options=X264)
    path.write_bytes(path.read_bytes()[:-2000])
    assert reasons(path, [0.0]) == ["cut short"]


def test_damage_in_the_middle_costs_its_own_gop_only(folder):
    path = make_video(folder / "damaged.mp4", options=X264)
    shown, whole = decode_all(path)
    with av.open(str(path)) as container:
        keys = [packet for packet in container.demux(video=0) if packet.is_keyframe]
        at, size = keys[4].pos, keys[4].size
    content = bytearray(path.read_bytes())
    content[at : at + size] = b"\xff" * size
    path.write_bytes(content)
    found = dict(read_frames(path, list(map(float, shown)), 25))
    lost = [k for k, p in found.items() if isinstance(p, UnreadableMedia)]
    assert 1 <= len(lost) <= 12 + 2
    assert {found[k].reason for k in lost} == {"damaged"}
    for k in set(found) - set(lost):
        np.testing.assert_array_equal(found[k], whole[k])


# Folders of numbered pictures


def test_numbered_frames_count_from_one(tmp_path):
    for number in (1, 26, 27):
        Image.fromarray(numbered(number)).save(tmp_path / f"frame_{number:010d}.jpg", quality=95)
    times = [0.5, 0.0, 0.51, 0.5101, 0.52, 25 / 50 + 1e-9]
    found = dict(read_frames(tmp_path, times, 50))
    assert [number_of(found[k]) for k in range(6)] == [26, 1, 26, 27, 27, 26]
    ((_, fitted),) = read_frames(tmp_path, [0.5], 50, size=32)
    assert fitted.shape == (32, 32, 3)


def test_missing_and_damaged_numbered_frames_are_said(tmp_path):
    (tmp_path / "frame_0000000002.jpg").write_bytes(b"\xff\xd8 half a picture")
    Image.fromarray(numbered(3)).save(tmp_path / "frame_0000000003.jpg")
    times = [0.0, 0.02, 0.04, -1.0, float("inf")]
    assert reasons(tmp_path, times, 50) == [
        "no such file", "damaged", "", "negative time", "no such file",
    ]  # fmt: skip
    first = dict(islice(read_frames(tmp_path, [0.0], 50), 1))[0]
    assert first.file == f"{tmp_path.name}/frame_0000000001.jpg"
