import numpy as np
import pytest
from PIL import Image

from egoframe.errors import UserError
from egoframe.generator.photos import GRAIN, to_frame, working_size


@pytest.mark.parametrize("size", [(300, 200), (90, 160), (4000, 1000), (50, 50)])
def test_the_working_size_keeps_aspect_and_area(size):
    width, height = working_size(Image.new("RGB", size), 256, squeeze=False)
    assert width % GRAIN == height % GRAIN == 0
    assert abs(np.log(width / height / (size[0] / size[1]))) < 0.25
    assert width * height == pytest.approx(256**2, rel=0.25)
    assert working_size(Image.new("RGB", size), 256, squeeze=True) == (256, 256)


def test_too_long_and_narrow_a_photo_is_refused():
    for squeeze in (False, True):
        with pytest.raises(UserError, match="500×20 is too long and narrow"):
            working_size(Image.new("RGB", (500, 20)), 256, squeeze)


def test_frames_are_averaged_or_squeezed_as_lego_does():
    values = np.random.default_rng(0).integers(0, 256, (64, 128, 3), dtype=np.uint8)
    photo = Image.fromarray(values)
    means = values.reshape(32, 2, 32, 4, 3).mean((1, 3))
    averaged = np.asarray(to_frame(photo, (32, 32), squeeze=False), float)
    assert np.abs(averaged - means).max() <= 1
    lanczos = photo.resize((32, 32), Image.Resampling.LANCZOS)
    assert to_frame(photo, (32, 32), squeeze=True) == lanczos
