import pytest
import torch

from egoframe.generator.autoencoder import InputAwareAutoencoder, reconstruction_loss


@pytest.fixture(scope="module")
def model() -> InputAwareAutoencoder:
    torch.manual_seed(0)
    return InputAwareAutoencoder(latent_channels=4, widths=(16, 32), detail=8).eval()


def frames(count: int = 2, size: tuple[int, int] = (64, 96)) -> torch.Tensor:
    return torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(3)) * 2 - 1


@torch.no_grad()
def test_latents_are_an_eighth_of_the_frame(model):
    latents = model.encode(frames())
    assert latents.shape == (2, 4, 8, 12)
    assert model.decode(latents, frames()).shape == (2, 3, 64, 96)


def test_a_warp_by_nothing_is_nothing(model):
    picture = frames()
    warped = model._warp(picture, torch.zeros(2, 2, 64, 96))
    torch.testing.assert_close(warped, picture, atol=1e-4, rtol=0)


def test_the_flow_fetches_pixels_from_its_side(model):
    picture = frames()
    pixels = 3
    wanted = 2 * pixels / 95 / model.max_flow  # of half the width, before the tanh
    flow = torch.zeros(2, 2, 64, 96)
    flow[:, 0] = torch.atanh(torch.tensor(wanted))
    warped = model._warp(picture, flow)
    torch.testing.assert_close(warped[..., :-pixels], picture[..., pixels:], atol=1e-3, rtol=0)


def test_measured_latents_are_normalised(model):
    from egoframe.generator.autoencoder_training import measure_latents

    pairs = torch.randint(0, 256, (40, 2, 3, 64, 64), dtype=torch.uint8)
    mean, std = measure_latents(model, pairs)
    measured = {"latents_mean": tuple(mean.tolist()), "latents_std": tuple(std.tolist())}
    sizes = {"latent_channels": 4, "widths": (16, 32), "detail": 8}
    normal = InputAwareAutoencoder(**sizes, **measured).eval()
    normal.load_state_dict(model.state_dict())
    with torch.no_grad():
        latents = normal.encode(pairs.flatten(0, 1).float() / 127.5 - 1).transpose(0, 1).flatten(1)
    torch.testing.assert_close(latents.mean(1), torch.zeros(4), atol=1e-3, rtol=0)
    torch.testing.assert_close(latents.std(1), torch.ones(4), atol=1e-3, rtol=0)


def test_the_loss_is_zero_for_the_truth_and_heavier_where_things_change():
    before, after = torch.zeros(1, 3, 64, 64), torch.zeros(1, 3, 64, 64)
    after[..., 20:40, 20:40] = 1
    assert reconstruction_loss(after, after, before) == 0
    inside, outside = after.clone(), after.clone()
    inside[..., 28:32, 28:32] += 0.5
    outside[..., 2:6, 2:6] += 0.5
    assert reconstruction_loss(inside, after, before) > 3 * reconstruction_loss(
        outside, after, before
    )


def test_a_saved_autoencoder_keeps_its_measures(model, tmp_path):
    sizes = {"latent_channels": 4, "widths": (16, 32), "detail": 8}
    with_measures = InputAwareAutoencoder(**sizes, latents_mean=(1.0,) * 4, latents_std=(2.0,) * 4)
    with_measures.save_pretrained(tmp_path)
    again = InputAwareAutoencoder.from_pretrained(tmp_path)
    with torch.no_grad():
        torch.testing.assert_close(again.encode(frames()), with_measures.encode(frames()))
