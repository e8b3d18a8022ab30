"""Chains of frames: nothing drifts where nothing is done."""

import numpy as np
import pytest
import torch
from PIL import Image

from egoframe.generator import chain as chains
from egoframe.generator.chain import begin_chain, continue_chain, show
from egoframe.generator.pipeline import ActionFramePipeline
from tests.generator.tiny import tiny_pipeline


@pytest.fixture(scope="module")
def pipe() -> ActionFramePipeline:
    return tiny_pipeline()


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    values = np.random.default_rng(0).integers(0, 256, (72, 96, 3), dtype=np.uint8)
    return Image.fromarray(values)


@pytest.mark.parametrize("paper", [False, True])
def test_one_step_is_what_the_pipeline_draws_where_nothing_is_kept(paper, photo, monkeypatch):
    pipe = tiny_pipeline(paper)
    monkeypatch.setattr(chains, "SAME", 0.0)
    start = begin_chain(pipe, photo)
    chain, said = continue_chain(pipe, start, "open the drawer", seed=3, name="0/0")
    drawn = pipe(photo, "open the drawer", seed=3)  # the noise of its only picture: "0/0"
    assert said == drawn.descriptions[0]
    apart = np.asarray(show(pipe, chain), int) - np.asarray(drawn.images[0], int)
    assert np.abs(apart).max() <= 1
    other, _ = continue_chain(pipe, start, "open the drawer", seed=3, name="1/0")
    assert not torch.equal(other.latents_BCHW, chain.latents_BCHW)


def test_where_a_step_changes_little_the_photo_stays_as_it_is(pipe, photo, monkeypatch):
    start = begin_chain(pipe, photo)
    first = start.first_BCHW
    noise = 0.1 * torch.randn(first.shape, generator=torch.Generator().manual_seed(0))
    drawn = first + noise
    drawn[..., 2:5, 3:6] += 4.0  # and here, something is done
    monkeypatch.setattr(pipe, "sample_latents", lambda *_: drawn)
    chain, _ = continue_chain(pipe, start, "open drawer")
    changed = (chain.latents_BCHW != first).any(1)[0]
    assert changed[2:5, 3:6].all()
    assert changed.sum() == 25  # and a seam of one around it
    monkeypatch.setattr(pipe, "sample_latents", lambda *_: first + noise)
    chain, _ = continue_chain(pipe, chain, "close drawer")
    assert torch.equal(chain.latents_BCHW, first)  # it is as it was


def test_what_is_drawn_between_last_frame_and_photo_is_one_of_them(pipe, photo, monkeypatch):
    start = begin_chain(pipe, photo)
    first = start.first_BCHW
    arm = torch.zeros_like(first)
    arm[..., :5, :5] = 3.0
    last = start.restarted(first + arm)
    for left, expected in ((0.2, first), (0.7, first), (0.9, first + arm)):
        unsure = first + left * arm + 0.1
        monkeypatch.setattr(pipe, "sample_latents", lambda *_, unsure=unsure: unsure)
        chain, _ = continue_chain(pipe, last, "put down mug")
        inside = (..., slice(4), slice(4))
        assert torch.equal(chain.latents_BCHW[inside], expected[inside])
        assert torch.equal(chain.latents_BCHW[..., 7:, 7:], first[..., 7:, 7:])
    new = first + arm
    new[:, 0, :4, :4] += 4.0  # away from both: it is new
    new[:, 1, :4, :4] -= 4.0
    monkeypatch.setattr(pipe, "sample_latents", lambda *_: new)
    chain, _ = continue_chain(pipe, last, "take mug")
    assert torch.equal(chain.latents_BCHW[..., :3, :3], new[..., :3, :3])


def test_what_an_earlier_step_changed_stays_too(pipe, photo, monkeypatch):
    start = begin_chain(pipe, photo)
    drawn = start.first_BCHW.clone()
    drawn[..., :4, :4] += 4.0
    monkeypatch.setattr(pipe, "sample_latents", lambda *_: drawn)
    chain, _ = continue_chain(pipe, start, "open drawer")
    again = drawn + 0.05
    again[..., 6:, 9:] += 4.0
    monkeypatch.setattr(pipe, "sample_latents", lambda *_: again)
    later, _ = continue_chain(pipe, chain, "take mug")
    assert torch.equal(later.latents_BCHW[..., :4, :4], drawn[..., :4, :4])
    assert show(pipe, later).size == show(pipe, start).size
    back = start.restarted(chain.latents_BCHW)
    assert torch.equal(back.latents_BCHW, chain.latents_BCHW)
