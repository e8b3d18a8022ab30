"""The generator's loss on a batch: what is drawn, what is dropped, what is compared.

Shape suffixes: B pairs, C channels, H height, W width, T tokens, D width, V the tower's width.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from egoframe.errors import UserError
from egoframe.generator.losses import diffusion_loss, flow_loss
from egoframe.training import Batch


@dataclass(frozen=True)
class ObjectiveConfig:
    """What is learnt from a pair."""

    kind: Literal["flow", "noise", "velocity"] = "flow"  # "noise": the paper's
    predict: Literal["latent", "change"] = "change"
    text: Literal["description", "label"] = "description"
    label_share: float = 0.2  # of the samples that get the bare action for a description
    drop_text: float = 0.05  # LEGO: text alone, image alone, both
    drop_image: float = 0.05
    drop_both: float = 0.05
    min_snr: float | None = (
        None  # γ of noise and velocity's weights (Hang et al., 2023); 5 is usual
    )
    # of flow matching alone:
    changed_weight: float = 3.0  # more weight on latents that change
    time_shift: float = 0.5  # mean of the logit of t: above 0 learns more from strong noise
    noise_only: float = 0.65  # share of the training, at its beginning, at t = 1
    noise_only_after: float = 0.3  # and the share of samples at t = 1 after that

    def __post_init__(self) -> None:
        dropped = (self.drop_text, self.drop_image, self.drop_both)
        if min(dropped) < 0 or sum(dropped) > 1:
            raise UserError(f"objective.drop_…={dropped}: shares, together at most 1")
        if self.min_snr is not None and (self.min_snr <= 0 or self.kind == "flow"):
            raise UserError(f"objective.min_snr={self.min_snr}: above 0, of noise or velocity")


@dataclass(frozen=True)
class Scales:
    """Figures of the data and the autoencoder that latents are scaled by."""

    latent: float  # the autoencoder's own
    change: float  # deviation of the latents' change
    changed_weight: float  # mean weight of a latent, see `changed_weight_of`


class GeneratorObjective:
    """From a batch of features to the loss of each pair (B,).

    Arguments:
        networks: unet, text_encoder and, where the model has one, conditioner.
        projector: from image states (B, I, V) to image embeddings (B, I, D); stays as it is.
        empty_tokens: (1, 77) of the dropped text "".
        alphas_cumprod: (N,) of the noise schedule.
    """

    def __init__(
        self,
        networks: nn.ModuleDict,
        config: ObjectiveConfig,
        scales: Scales,
        projector: nn.Module,
        empty_tokens: Tensor,
        alphas_cumprod: Tensor,
        device: torch.device | str,
    ) -> None:
        self.networks, self.config, self.scales = networks, config, scales
        self.projector = copy.deepcopy(projector).float().to(device)
        self.empty_tokens, self.alphas_cumprod, self.device = empty_tokens, alphas_cumprod, device

    def __call__(self, batch: Batch) -> Tensor:
        config = self.config
        data = {name: value.to(self.device) for name, value in batch.data.items()}
        before_BCHW, action_BCHW = (
            data[name].float() for name in ("input_latents", "action_latents")
        )
        no_text_B, no_image_B = self.dropped(batch)
        label_B = batch.chance(config.label_share).to(self.device)
        if config.text == "label":
            label_B = torch.ones_like(label_B)
        context_BTD = self.context(data, label_B, no_text_B)
        condition_BCHW = torch.where(no_image_B.view(-1, 1, 1, 1), 0.0, before_BCHW)
        clean_BCHW = self.clean(before_BCHW, action_BCHW)
        noise_BCHW = batch.normal(*clean_BCHW.shape[1:]).to(self.device)
        unet = self.networks["unet"]
        if config.kind != "flow":
            t_B = batch.integers(len(self.alphas_cumprod)).to(self.device)
            return diffusion_loss(
                unet, clean_BCHW, condition_BCHW, context_BTD, t_B, noise_BCHW,
                self.alphas_cumprod.to(self.device), config.kind, config.min_snr,
            )  # fmt: skip
        t_B = torch.sigmoid(config.time_shift + batch.normal())
        share = 1.0 if batch.progress < config.noise_only else config.noise_only_after
        t_B = torch.where(batch.chance(share), 1.0, t_B).to(self.device)
        weight = change_weight(before_BCHW, action_BCHW, self.scales.change, config.changed_weight)
        weight = weight / self.scales.changed_weight
        return flow_loss(
            unet, clean_BCHW, condition_BCHW, context_BTD, t_B, noise_BCHW, weight
        )  # fmt: skip

    def clean(self, before_BCHW: Tensor, action_BCHW: Tensor) -> Tensor:
        """What is diffused: the change of the latent, or the action frame's latent, scaled."""
        if self.config.predict == "change":
            return (action_BCHW - before_BCHW) / self.scales.change
        return action_BCHW * self.scales.latent

    def dropped(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Bools (B,): whose text, and whose image is dropped; the text alone, the image alone, and
        both, each in its own share (LEGO section 3.3; InstructPix2Pix section 3.2)."""
        config, draw = self.config, batch.uniform()
        text, image = config.drop_text, config.drop_text + config.drop_both + config.drop_image
        no_text = draw < text + config.drop_both
        no_image = (draw >= text) & (draw < image)
        return no_text.to(self.device), no_image.to(self.device)

    def contexts(self, data: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The contexts of text (B, T, D), and of dropped text (1, T, D)."""
        none_B = torch.zeros(len(data["tokens"]), dtype=torch.bool, device=self.device)
        first = {name: value[:1] for name, value in data.items()}
        return self.context(data, none_B, none_B), self.context(first, none_B[:1], ~none_B[:1])

    def context(self, data: dict[str, Tensor], label_B: Tensor, no_text_B: Tensor) -> Tensor:
        """The cross-attention context (B, T, D); the bare action alone where `label_B`."""
        tokens = torch.where(label_B[:, None], data["label_tokens"], data["tokens"])
        tokens = torch.where(no_text_B[:, None], self.empty_tokens.to(self.device), tokens)
        text_BTD = self.networks["text_encoder"](tokens).last_hidden_state
        if "conditioner" not in self.networks:
            return text_BTD
        with torch.no_grad():
            seen_BID = self.projector(data["image_states"].float())
        said_BTD = data["text_embeds"].float() * ~label_B[:, None, None]
        return self.networks["conditioner"](text_BTD, seen_BID, said_BTD, ~no_text_B)


def change_weight(before_BCHW: Tensor, action_BCHW: Tensor, scale: float, most: float) -> Tensor:
    """Weights (B, 1, H, W) of latents: 1 where nothing changes, 1 + `most` where much does."""
    change = (action_BCHW - before_BCHW).abs().mean(1, keepdim=True) / scale
    return 1 + most * change.clamp(max=1.0)
