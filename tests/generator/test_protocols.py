import numpy as np
import torch
from PIL import Image

from egoframe.generator.protocols import CORRECTED, PAPER


def test_the_corrected_protocol_keeps_contrast():
    frames = torch.full((1, 3, 8, 8), 0.2)
    frames[..., 4:] = -0.1
    picture = np.asarray(CORRECTED.finish(frames, [(8, 8)])[0])
    assert set(picture.flatten()) == {round(1.2 * 127.5), round(0.9 * 127.5)}


def test_the_papers_protocol_stretches_contrast_and_cuts_to_whole_numbers():
    values = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 0.6 - 0.1
    frame = values[0].permute(1, 2, 0).numpy()
    expected = np.floor((frame - frame.min()) / (frame.max() - frame.min()) * np.float32(255))
    assert np.array_equal(np.asarray(PAPER.finish(values, [(8, 8)])[0]), expected)


def test_the_papers_protocol_stretches_to_the_photos_aspect():
    """Bicubic; here by Pillow, whose kernel is sharper (a = −0.5 for −0.75)."""
    values = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 0.6 - 0.1
    picture = PAPER.finish(values, [(320, 240)])[0]
    assert picture.size == (21, 16)
    planes = [Image.fromarray(plane.numpy()) for plane in values[0]]
    wide = np.stack([np.asarray(p.resize((21, 16), Image.Resampling.BICUBIC)) for p in planes], -1)
    expected = np.floor((wide - wide.min()) / (wide.max() - wide.min()) * 255)
    found = np.asarray(picture, float)
    assert found.min() == 0
    assert found.max() == 255
    assert np.abs(found - expected).mean() < 6


def test_noise_of_a_picture_depends_on_seed_and_name_alone():
    like = torch.zeros(2, 4, 2, 2)
    first = CORRECTED.noise_source([3])([(3, "a/0"), (3, "b/0")], 5)(like)
    again = CORRECTED.noise_source([3])([(3, "b/0")], 9)(like[:1])
    assert torch.equal(first[1], again[0])
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(CORRECTED.noise_source([4])([(4, "a/0")], 5)(like[:1])[0], first[0])


def test_the_papers_noise_depends_on_what_was_drawn_before():
    like = torch.zeros(1, 4, 2, 2)
    source = PAPER.noise_source([3])
    first, second = (source([(3, "a/0")], 2)(like) for _ in range(2))
    assert not torch.equal(first, second)
