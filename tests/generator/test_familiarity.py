import numpy as np
import pytest
from PIL import Image
from scipy.spatial.distance import mahalanobis

from egoframe.generator import familiarity


def scene(seed: int) -> Image.Image:
    """A warm room: light above, wood below, some boxes."""
    rng = np.random.default_rng(seed)
    picture = np.empty((64, 64, 3))
    picture[:30], picture[30:] = (0.8, 0.75, 0.7), (0.5, 0.35, 0.2)
    for _ in range(4):
        y, x = rng.integers(0, 50, 2)
        picture[y : y + 10, x : x + 10] = rng.uniform(0.2, 0.9, 3)
    picture += rng.normal(0, 0.02, picture.shape)
    return Image.fromarray((picture.clip(0, 1) * 255).astype(np.uint8))


@pytest.fixture(scope="module")
def known() -> familiarity.Familiarity:
    return familiarity.fit([scene(k) for k in range(400)], ["open drawer", "take mug"])


def test_new_scenes_of_the_kind_are_familiar(known):
    assert sum(known.knows(scene(k)) for k in range(1000, 1100)) >= 98


@pytest.mark.parametrize("make", ["noise", "flat", "inverted"])
def test_other_pictures_are_not(known, make):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    picture = {
        "noise": Image.fromarray(noise),
        "flat": Image.new("RGB", (64, 64), (40, 200, 90)),
        "inverted": Image.fromarray(255 - np.asarray(scene(1))),
    }[make]
    assert not known.knows(picture)


def test_real_photos_are_not(known, shared_data):
    import av

    for path in sorted((shared_data / "clips").glob("*.mp4")):
        with av.open(str(path)) as container:
            assert not known.knows(next(container.decode(video=0)).to_image())


def test_the_distance_is_scipys_mahalanobis(known):
    picture = scene(5000)
    expected = mahalanobis(familiarity.descriptor(picture), known.mean, known.precision)
    assert known.distance(picture) == pytest.approx(expected)


def test_it_is_kept_in_a_models_folder(known, tmp_path):
    assert familiarity.load(tmp_path) is None
    familiarity.save(known, tmp_path)
    again = familiarity.load(tmp_path)
    assert again is not None
    assert again.distance(scene(1)) == pytest.approx(known.distance(scene(1)), rel=1e-2)
    assert again.words == known.words


def test_words_that_were_not_learnt_are_named(known):
    assert list(known.strange([scene(1)], ["take drawer", "open mug"])) == []
    (said,) = known.strange([scene(1)], ["öffne drawer"])
    assert "öffne" in said
    assert "drawer, mug, open, take" in said
