"""The losses against the sums that their papers write down."""

import pytest
import torch

from egoframe.generator.losses import diffusion_loss, flow_loss
from egoframe.generator.sampling import paper_scheduler, scaled_linear_alphas

ALPHAS = scaled_linear_alphas(paper_scheduler()).float()
T = torch.tensor([0, 1, 300, 700, 999])


class Guess:
    """Takes the place of the U-Net: puts out what it is given, and keeps what it was asked."""

    def __init__(self, out: torch.Tensor) -> None:
        self.sample = out

    def __call__(self, inputs, t, encoder_hidden_states):
        self.inputs, self.t = inputs, t
        return self


@pytest.fixture(scope="module")
def latents() -> tuple[torch.Tensor, ...]:
    return torch.randn(4, 5, 4, 6, 6, generator=torch.Generator().manual_seed(0)).unbind()


def test_noise_and_velocity_tell_the_same_clean_latent_and_snr_weighs_it(latents):
    """min(SNR, γ) times the error of x: what Min-SNR (2023, eq. 8) reduces every kind to."""
    clean, noise, before, guessed = latents
    alpha = ALPHAS[T].view(-1, 1, 1, 1)
    snr = (alpha / (1 - alpha)).flatten()
    noisy = alpha.sqrt() * clean + (1 - alpha).sqrt() * noise
    as_noise = (noisy - alpha.sqrt() * guessed) / (1 - alpha).sqrt()
    as_velocity = alpha.sqrt() * as_noise - (1 - alpha).sqrt() * guessed
    expected = snr.clamp(max=5) * (guessed - clean).square().mean((1, 2, 3))
    for kind, out in (("noise", as_noise), ("velocity", as_velocity)):
        unet = Guess(out)
        loss = diffusion_loss(unet, clean, before, None, T, noise, ALPHAS, kind, min_snr=5.0)
        torch.testing.assert_close(loss, expected, rtol=2e-3, atol=1e-5)
        torch.testing.assert_close(unet.inputs, torch.cat((noisy, before), 1))
    plain = diffusion_loss(Guess(as_noise), clean, before, None, T, noise, ALPHAS)
    torch.testing.assert_close(plain, (as_noise - noise).square().mean((1, 2, 3)))


def test_flow_loss_is_that_of_the_velocity(latents):
    clean, noise, before, guessed = latents
    t = torch.tensor([0.5, 0.6, 0.8, 0.9, 1.0])
    at = t.view(-1, 1, 1, 1)
    unet = Guess(guessed)
    loss = flow_loss(unet, clean, before, None, t, noise, torch.ones(5, 1, 6, 6))
    x_t = (1 - at) * clean + at * noise
    error = (x_t - guessed) / at - (noise - clean)
    torch.testing.assert_close(loss, error.square().mean((1, 2, 3)), rtol=1e-4, atol=1e-5)
    assert torch.equal(unet.t, 1000 * t)
