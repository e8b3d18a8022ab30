"""What a converted miniature computes, beside what the authors' own code computed."""

from pathlib import Path

import torch
from safetensors.torch import load_file

from egoframe.convert.lego import convert_lego
from egoframe.generator import autoencoder
from egoframe.generator.losses import diffusion_loss
from egoframe.generator.pipeline import ActionFramePipeline
from egoframe.generator.sampling import DiscreteSigmas, Noise, Sampling, scaled_linear_alphas
from tests.golden import GOLDEN, noise

Pairs = dict[str, tuple[torch.Tensor, torch.Tensor]]


def open_converted(release: Path, out: Path, weights: str) -> ActionFramePipeline:
    """Convert a release (`lego.ckpt` and `clip/`), and open what comes out."""
    convert_lego(release / "lego.ckpt", out, release / "clip", weights=weights)  # type: ignore[arg-type]
    return ActionFramePipeline.from_pretrained(out)


@torch.no_grad()
def computed(ema: ActionFramePipeline, raw: ActionFramePipeline) -> Pairs:
    """Found and wanted, by the golden values' names."""
    golden = load_file(GOLDEN / "lego_mini_outputs.safetensors")
    found = {}
    full, empty = _contexts(ema, golden["input_ids"])
    found["text"], found["image_tokens"], found["text_tokens"] = full.split((77, 256, 77), 1)
    found["text_null"] = empty[:, :77]

    frames, target = (torch.tanh(noise(f"{k}_image", (2, 3, 64, 64))) for k in ("input", "target"))
    found["input_latent"] = ema.encode_frames(frames)
    found["target_latent_mean"] = ema.encode_frames(target) * ema.vae.config.scaling_factor
    found["decoded"] = autoencoder.decode(ema.vae, found["target_latent_mean"], frames)

    x = torch.cat((noise("unet_x", (2, 4, 8, 8)), golden["input_latent"]), 1)
    for name, pipe in (("ema", ema), ("raw", raw)):
        out = pipe.unet(x, golden["unet_t"], encoder_hidden_states=full)
        found[f"unet_eps_{name}"] = out.sample

    alphas = scaled_linear_alphas(ema.scheduler)
    for steps in (10, 100):
        found[f"sigmas_{steps}"] = DiscreteSigmas(alphas).steps(steps)
    settings = Sampling("euler_ancestral", 10, text_guidance=7.5, image_guidance=1.5)
    latents = ema.sample_latents(golden["input_latent"], full, empty, _GoldenNoise(), settings)
    found["sampled_latent"] = latents
    found["sampled_image"] = autoencoder.decode(ema.vae, latents, frames)
    found["loss"] = diffusion_loss(
        raw.unet, golden["target_latent_mean"], golden["input_latent"], full, golden["loss_t"],
        noise("loss_noise", (2, 4, 8, 8)), alphas,
    ).mean()  # fmt: skip
    return {name: (value, golden[name]) for name, value in found.items()}


def relative_error(found: torch.Tensor, wanted: torch.Tensor) -> float:
    """The largest difference, relative to the largest value."""
    assert found.shape == wanted.shape
    return float((found - wanted).abs().max() / wanted.abs().max())


def _contexts(pipe: ActionFramePipeline, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    said = noise("vllm_text", (2, 77, 5120))
    said[:, 50:] = 0
    seen = noise("vllm_image", (2, 256, 5120))
    text, null = (
        pipe.text_encoder(tokens).last_hidden_state
        for tokens in (ids, torch.tensor([[1] + [2] * 76]))
    )
    dropped = torch.zeros(1, dtype=torch.bool)
    return pipe.conditioner(text, seen, said), pipe.conditioner(null, seen[:1], said[:1], dropped)


class _GoldenNoise(Noise):
    def __init__(self) -> None:
        super().__init__([])
        self.names = iter(["start", *(f"step_{k}" for k in range(9))])

    def __call__(self, like_BCHW: torch.Tensor) -> torch.Tensor:
        name = next(self.names)
        return torch.cat([noise(f"{name}_of_{b}", (1, 4, 8, 8)) for b in (0, 1)])
