import warnings

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image
from torch import Tensor

import egoframe
from egoframe.generator import familiarity
from egoframe.generator.familiarity import UnfamiliarWarning
from egoframe.generator.unlike import unlike


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


def embed(pictures: list[Image.Image]) -> Tensor:
    """Colours of 2×2 cells, in place of an enhancer's embeddings."""
    small = [np.asarray(p.resize((2, 2), Image.Resampling.BOX)) / 255 for p in pictures]
    return torch.from_numpy(np.stack(small)).flatten(1, 2)


def knows(known: familiarity.Familiarity, picture: Image.Image) -> bool:
    return known.knows(picture, embed([picture])[0])


@pytest.fixture(scope="module")
def known() -> familiarity.Familiarity:
    pictures = [scene(k) for k in range(400)]
    return familiarity.fit(pictures, ["open drawer", "take mug"], embed, {"wash up", "make tea"})


def test_new_scenes_of_the_kind_are_familiar(known):
    assert sum(knows(known, scene(k)) for k in range(1000, 1100)) >= 95


@pytest.mark.parametrize("make", ["noise", "flat", "turned"])
def test_other_pictures_are_not(known, make):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    picture = {
        "noise": Image.fromarray(noise),
        "flat": Image.new("RGB", (64, 64), (40, 200, 90)),
        "turned": scene(1).transpose(Image.Transpose.ROTATE_180),
    }[make]
    assert not knows(known, picture)


def test_the_fit_is_the_best_penalised_one(known):
    """At the optimum, no small step of a weight lowers the loss: the same data, in plain numpy."""
    pictures = [scene(k) for k in range(400)]
    own, others = (
        np.stack([familiarity.summary(p, embed([p])[0]) for p in some])
        for some in (pictures, unlike(pictures))
    )
    learnt = own[np.arange(len(own)) % familiarity.HELD_OUT != 0]
    deviation = own.std(0) + 1e-6

    def loss(weights: np.ndarray, offset: float) -> float:
        odds = np.concatenate((learnt @ weights + offset, -(others @ weights + offset)))
        penalty = ((weights * deviation) ** 2).sum()
        return np.logaddexp(0, -odds).mean() + familiarity.PENALTY * penalty

    best = loss(known.weights, known.offset)
    middle = own.mean(0)
    for k in range(len(deviation)):
        for sign in (-1, 1):
            step = sign * 0.05 * np.eye(len(deviation))[k] / deviation
            assert loss(known.weights + step, known.offset - middle @ step) > best - 1e-6


def test_it_is_kept_in_a_models_folder(known, tmp_path):
    assert familiarity.load(tmp_path) is None
    familiarity.save(known, tmp_path)
    again = familiarity.load(tmp_path)
    assert again is not None
    picture = scene(1)
    scores = [f.score(picture, embed([picture])[0]) for f in (again, known)]
    assert scores[0] == pytest.approx(scores[1], abs=1e-2)
    assert again.words == known.words
    assert again.tasks == ("make tea", "wash up")


def test_words_that_were_not_learnt_are_named(known):
    assert list(known.unknown_words(["take drawer", "open mug"])) == []
    (said,) = known.unknown_words(["öffne drawer"])
    assert "öffne" in said
    assert "drawer, mug, open, take" in said


def test_the_packaged_model_warns_of_real_photos_alone(shared_data):
    import av

    pipe = egoframe.load()
    photos = [Image.fromarray(getattr(skimage.data, name)()).convert("RGB")
              for name in ("astronaut", "coffee", "chelsea", "rocket", "camera")]  # fmt: skip
    for path in sorted((shared_data / "clips").glob("*.mp4")):
        with av.open(str(path)) as container:
            photos.append(next(container.decode(video=0)).to_image())
    for photo in photos:
        with pytest.warns(UnfamiliarWarning, match="real photos need real weights"):
            pipe(photo, "open drawer", enhance=False, steps=1)
    assert familiarity.notes_on(pipe, photos[0]) == [familiarity.UNLIKE_PHOTO]
    with warnings.catch_warnings():
        warnings.simplefilter("error", UnfamiliarWarning)
        pipe(Image.open("examples/kitchen.png"), "open drawer", enhance=False, steps=1)
    assert familiarity.notes_on(pipe, Image.open("examples/kitchen.png"), ["open the mug"]) == []
    (note,) = familiarity.notes_on(pipe, Image.open("examples/kitchen.png"), ["öffne mug"])
    assert "öffne" in note
