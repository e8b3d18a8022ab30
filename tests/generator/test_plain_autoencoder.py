import torch

from egoframe.generator.autoencoder import decode, encode
from egoframe.generator.plain_autoencoder import draw_again, new_plain, normalise_latents


def frames(count: int = 2) -> torch.Tensor:
    return torch.rand(count, 3, 64, 96, generator=torch.Generator().manual_seed(3)) * 2 - 1


@torch.no_grad()
def test_normalised_latents_decode_to_the_same_frames():
    torch.manual_seed(0)
    vae = new_plain(4).eval()
    latents, deviation = encode(vae, frames()), vae.encode(frames()).latent_dist.std
    drawn = decode(vae, latents, frames())
    mean, std = torch.tensor([0.1, -0.3, 2.0, 0.0]), torch.tensor([0.5, 3.0, 1.0, 0.2])
    normalise_latents(vae, mean, std)
    shift, scale = mean[:, None, None], std[:, None, None]
    torch.testing.assert_close(encode(vae, frames()), (latents - shift) / scale)
    torch.testing.assert_close(vae.encode(frames()).latent_dist.std, deviation / scale)
    again = decode(vae, encode(vae, frames()), frames())
    torch.testing.assert_close(again, drawn, atol=1e-4, rtol=0)


@torch.no_grad()
def test_drawing_again_is_encoding_and_decoding_with_the_posteriors_noise():
    torch.manual_seed(0)
    vae = new_plain(4).eval()
    latents = encode(vae, frames())
    again, kl = draw_again(vae, frames(), torch.zeros_like(latents))
    torch.testing.assert_close(again, vae.decode(latents).sample)
    mean, logvar = vae.encode(frames()).latent_dist.parameters.chunk(2, 1)
    expected = 0.5 * (mean**2 + logvar.exp() - 1 - logvar).sum((1, 2, 3)).mean()
    torch.testing.assert_close(kl, expected / (3 * 64 * 96))
