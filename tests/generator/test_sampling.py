"""Samplers against closed forms."""

import pytest
import torch

from egoframe.errors import UserError
from egoframe.generator.sampling import (
    DiscreteSigmas,
    Noise,
    OneStream,
    Sampling,
    choose_scheduler,
    paper_scheduler,
    sample_euler_ancestral,
    sample_with_scheduler,
    scaled_linear_alphas,
)

DEVIATION = 0.7  # of a Gaussian data set around MEAN
MEAN = torch.tensor([0.6, -0.2, 0.0, 0.4]).view(1, 4, 1, 1)


def best(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """The best denoiser of that data set (Karras et al., 2022, eq. 57)."""
    share = DEVIATION**2 / (DEVIATION**2 + sigma**2)
    return MEAN + share * (x - MEAN)


def moments(x: torch.Tensor) -> tuple[torch.Tensor, float]:
    return x.mean((0, 2, 3)), float(x.std((0, 2, 3)).mean())


def test_noise_levels_are_the_trainings_at_whole_times():
    alphas = scaled_linear_alphas(paper_scheduler())
    levels = DiscreteSigmas(alphas)
    known = ((1 - alphas) / alphas).sqrt().float()
    times = torch.tensor([0.0, 17.0, 998.0, 999.0])
    torch.testing.assert_close(levels.at(times), known[times.long()])
    between = levels.at(torch.tensor(10.25)).log()
    expected = 0.75 * known[10].log() + 0.25 * known[11].log()
    torch.testing.assert_close(between, expected)


def test_euler_ancestral_samples_a_gaussian_data_set():
    levels = DiscreteSigmas(scaled_linear_alphas(paper_scheduler()))
    sigmas = levels.steps(100)
    noise = Noise([torch.Generator().manual_seed(k) for k in range(16)])
    like = torch.zeros(16, 4, 16, 16)
    done = []
    drawn = sample_euler_ancestral(best, noise(like) * sigmas[0], sigmas, noise, done.append)
    mean, deviation = moments(drawn)
    torch.testing.assert_close(mean, MEAN.flatten(), atol=0.05, rtol=0)
    assert deviation == pytest.approx(DEVIATION, rel=0.05)
    assert done == list(range(1, 101))


@pytest.mark.parametrize("sampler", ["ddim", "dpm++2m", "unipc"])
def test_schedulers_sample_a_gaussian_data_set(sampler):
    scheduler = choose_scheduler(paper_scheduler(), sampler, 50)
    alphas = scaled_linear_alphas(scheduler).float()

    def predict(x, t, _):
        alpha = alphas[int(t)]
        sigma = ((1 - alpha) / alpha).sqrt()
        scaled = x / alpha.sqrt()
        return (scaled - best(scaled, sigma)) / sigma

    noise = Noise([torch.Generator().manual_seed(k) for k in range(16)])
    drawn = sample_with_scheduler(predict, torch.zeros(16, 4, 16, 16), scheduler, 50, noise)
    mean, deviation = moments(drawn)
    torch.testing.assert_close(mean, MEAN.flatten(), atol=0.06, rtol=0)
    assert deviation == pytest.approx(DEVIATION, rel=0.06)


def test_each_picture_has_noise_of_its_own():
    like = torch.zeros(3, 4, 2, 2)
    together = Noise([torch.Generator().manual_seed(k) for k in range(3)])
    alone = Noise([torch.Generator().manual_seed(1)])
    for _ in range(2):
        assert torch.equal(together(like)[1], alone(like[:1])[0])


def test_the_one_stream_is_used_up_picture_after_picture():
    shape = (4, 2, 2)
    stream = torch.Generator().manual_seed(7)
    expected = [[torch.randn(1, *shape, generator=stream) for _ in range(3)] for _ in range(2)]
    noise = OneStream(torch.Generator().manual_seed(7), pictures=2, steps=3)
    for step in range(3):
        drawn = noise(torch.zeros(2, *shape))
        assert torch.equal(drawn, torch.cat([expected[picture][step] for picture in range(2)]))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"steps": 0}, "steps 0: at least 1"),
        ({"image_guidance": float("inf")}, "image_guidance inf"),
        ({"interval": (0.8, 0.2)}, "guidance_interval 0.8 0.2"),
        ({"interval": (0.0, 2.0)}, "guidance_interval 0.0 2.0"),
    ],
)
def test_numbers_out_of_range_are_named(changes, words):
    settings = {"sampler": "ddim", "steps": 4, "text_guidance": 7.5, "image_guidance": 1.5}
    with pytest.raises(UserError, match=words):
        Sampling(**{**settings, **changes})


@torch.no_grad()
@pytest.mark.parametrize("sampler", ["ddim", "dpm++2m", "unipc"])
@pytest.mark.parametrize("steps", [1, 2, 999])
def test_schedulers_begin_where_there_is_nothing_but_noise(sampler, steps):
    scheduler = choose_scheduler(paper_scheduler(), sampler, steps)
    times = []

    def predict(x, t, _):
        times.append(int(t))
        return x

    noise = Noise([torch.Generator().manual_seed(0)])
    drawn = sample_with_scheduler(predict, torch.zeros(1, 4, 2, 2), scheduler, steps, noise)
    assert times[0] >= 998
    assert torch.isfinite(drawn).all()


def test_what_a_sampler_cannot_do_is_told():
    for sampler in ("ddim", "euler_ancestral"):
        with pytest.raises(UserError, match=r"steps 1000: sampler .* takes fewer than the 1000"):
            choose_scheduler(paper_scheduler(), sampler, 1000)
    velocity = paper_scheduler().from_config(
        paper_scheduler().config, prediction_type="v_prediction"
    )
    with pytest.raises(UserError, match="predicts v_prediction, not noise"):
        choose_scheduler(velocity, "euler_ancestral", 10)
