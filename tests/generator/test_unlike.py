import numpy as np
from PIL import Image

from egoframe.generator.unlike import unlike


def gradient(seed: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    down = np.linspace(255, 0, 128)[:, None, None] * rng.uniform(0.5, 1, 3)
    return Image.fromarray(np.broadcast_to(down, (128, 128, 3)).astype(np.uint8))


def test_no_picture_is_left_as_it_was_and_the_seed_says_how_each_is_spoilt():
    own = [gradient(k) for k in range(64)]
    made = unlike(own)
    assert {(p.size, p.mode) for p in made} == {((128, 128), "RGB")}
    for picture, other in zip(own, made, strict=True):
        assert np.abs(np.asarray(picture).astype(int) - np.asarray(other)).mean() > 3
    assert [p.tobytes() for p in made] == [p.tobytes() for p in unlike(own)]
    assert [p.tobytes() for p in made] != [p.tobytes() for p in unlike(own, seed=1)]


def test_the_tiles_are_the_pictures_own():
    """Some are shuffled: the same colours, elsewhere."""
    own = [gradient(k) for k in range(64)]
    same = [
        np.array_equal(np.sort(np.asarray(p), None), np.sort(np.asarray(q), None))
        for p, q in zip(own, unlike(own), strict=True)
    ]
    assert 4 <= sum(same) <= 32  # tiles and turns
