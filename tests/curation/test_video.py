from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from egoframe.curation.video import UnreadableMedia, read_frames


def numbered(number: int) -> np.ndarray:
    """A picture that carries its number, as eight big black or white squares."""
    bits = [(number >> k) & 1 for k in range(8)]
    return np.kron(np.array(bits, np.uint8).reshape(2, 4) * 255, np.ones((32, 32), np.uint8))


def number_of(picture: Image.Image) -> int:
    grey = np.asarray(picture.convert("L")).reshape(2, 32, 4, 32).mean((1, 3)) > 127
    return int((grey.ravel() * 2 ** np.arange(8)).sum())


@pytest.fixture(scope="module", params=[(50, 12, 2), (30, 250, 0)])
def video(request, tmp_path_factory) -> tuple[Path, int]:
    rate, gop, b_frames = request.param
    path = tmp_path_factory.mktemp("video") / "numbered.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 128, 64, "yuv420p"
        stream.options = {"g": str(gop), "bf": str(b_frames)}
        for number in range(240):
            rgb = np.repeat(numbered(number)[..., None], 3, -1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode(None))
    return path, rate


def test_each_frame_is_the_one_on_show_at_its_time(video):
    path, rate = video
    wanted = [3, 200, 7, 8, 120, 239, 0]
    found = read_frames(path, [n / rate for n in wanted], rate)
    assert [number_of(picture) for picture in found] == wanted


def test_a_time_past_the_end_is_said(video):
    path, rate = video
    with pytest.raises(UnreadableMedia, match="no frame at"):
        read_frames(path, [400 / rate], rate)


def test_damaged_and_missing_videos_are_said(tmp_path):
    path = tmp_path / "broken.mp4"
    path.write_bytes(b"not a video")
    with pytest.raises(UnreadableMedia, match=r"broken\.mp4"):
        read_frames(path, [0.0], 50)
    with pytest.raises(UnreadableMedia, match="no such video"):
        read_frames(tmp_path / "absent.mp4", [0.0], 50)


def test_numbered_frames_count_from_one(tmp_path):
    Image.fromarray(numbered(26)).save(tmp_path / "frame_0000000026.jpg")
    assert number_of(read_frames(tmp_path, [0.5], 50)[0]) == 26
    with pytest.raises(UnreadableMedia, match="frame_0000000001"):
        read_frames(tmp_path, [0.0], 50)


def test_the_real_clips_agree_with_decoding_them_whole(shared_data):
    for path in sorted((shared_data / "clips").glob("*.mp4")):
        with av.open(str(path)) as container:
            whole = [(frame.time, frame.to_ndarray(format="rgb24"))
                     for frame in container.decode(video=0)]  # fmt: skip
        chosen = [5, 25, 17, len(whole) - 1]
        found = read_frames(path, [whole[k][0] for k in chosen], 30)
        for k, picture in zip(chosen, found, strict=True):
            np.testing.assert_array_equal(np.asarray(picture), whole[k][1])
