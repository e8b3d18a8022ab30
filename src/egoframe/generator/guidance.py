"""Classifier-free guidance over text and photo, with the context's keys and values kept.

Shape suffixes: B pictures, G guidance branches, C channels, H height, W width, T tokens, D width.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention


class GuidedUNet:
    """A U-Net with the pictures it draws from: (noisy latents, t) → its guided output.

    InstructPix2Pix, eq. 3: out(∅, ∅) + s_image (out(image, ∅) − out(∅, ∅)) + s_text (out(image,
    text) − out(image, ∅)). A branch without weight is not computed; the others run as one batch.

    As a context manager: within it, cross-attention works out keys and values of the contexts,
    the same in every step, once; those of dropped text serve all pictures and branches.

    Arguments:
        full_BTD, empty_1TD: contexts of the text, and of dropped text.
        input_BCHW: latents of the input frames.
        text_guidance, image_guidance: s_text, s_image.
        interval: the share of the training's times, 0..1, within which there is guidance; beyond
            it the first branch alone is computed (Kynkäänniemi et al., 2024).
        train_timesteps: of the noise schedule.
    """

    def __init__(
        self,
        unet: Any,
        full_BTD: Tensor,
        empty_1TD: Tensor,
        input_BCHW: Tensor,
        text_guidance: float,
        image_guidance: float,
        interval: tuple[float, float] = (0.0, 1.0),
        train_timesteps: int = 1000,
    ) -> None:
        branches = [
            (text_guidance, full_BTD, input_BCHW),
            (image_guidance - text_guidance, empty_1TD, input_BCHW),
            (1 - image_guidance, empty_1TD, torch.zeros_like(input_BCHW)),
        ]
        branches = [branch for branch in branches if branch[0] != 0]
        self.weights_G = [weight for weight, _, _ in branches]
        self.contexts = [context for _, context, _ in branches]
        self.condition = torch.cat([condition for _, _, condition in branches])
        self.unet = unet
        self.low, self.high = (train_timesteps * share for share in interval)

    def __enter__(self) -> GuidedUNet:
        self.processors = dict(self.unet.attn_processors)
        rows = len(self.condition) // len(self.contexts)
        kept = {
            name: KeptContexts(self.contexts, rows) if name.endswith("attn2.processor") else own
            for name, own in self.processors.items()
        }
        self.unet.set_attn_processor(kept)
        return self

    def __exit__(self, *_: Any) -> None:
        self.unet.set_attn_processor(self.processors)

    def __call__(self, noisy_BCHW: Tensor, t: Tensor) -> Tensor:
        """The guided output (B, C, H, W) at a time 0..train_timesteps."""
        weights_G = self.weights_G if self.low <= float(t) <= self.high else [1.0]
        noisy = noisy_BCHW.repeat(len(weights_G), 1, 1, 1)
        out = self.unet(
            torch.cat((noisy, self.condition[: len(noisy)]), 1),
            t,
            encoder_hidden_states=self.contexts[0],
            return_dict=False,
        )[0]
        branches = zip(weights_G, out.chunk(len(weights_G)), strict=True)
        return torch.stack([weight * branch for weight, branch in branches]).sum(0)


class KeptContexts:
    """A cross-attention of diffusers that works out keys and values of its contexts once.

    Arguments:
        contexts: of each branch: (B, T, D), or (1, T, D) where all pictures share it.
        rows: B; a call holds those of all branches, or of the first one alone.
    """

    def __init__(self, contexts: list[Tensor], rows: int) -> None:
        self.contexts, self.rows = contexts, rows
        self.kept: dict[int, tuple[Tensor, Tensor, Tensor | None]] = {}

    def __call__(self, attn: Any, hidden_states: Tensor, *_: Any, **__: Any) -> Tensor:
        query = _heads(attn.to_q(hidden_states), attn.heads)
        outs = []
        for context, own in zip(self.contexts, query.split(self.rows), strict=False):
            if id(context) not in self.kept:
                tokens, log_counts = merge_equal_tokens(context)
                key, value = (_heads(to(tokens), attn.heads) for to in (attn.to_k, attn.to_v))
                self.kept[id(context)] = key, value, log_counts
            key, value, log_counts = self.kept[id(context)]
            key, value = (x.expand(len(own), -1, -1, -1) for x in (key, value))
            outs.append(scaled_dot_product_attention(own, key, value, log_counts))
        return attn.to_out[0](torch.cat(outs).transpose(1, 2).flatten(2))


def _heads(x: Tensor, heads: int) -> Tensor:
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def merge_equal_tokens(context_BTD: Tensor) -> tuple[Tensor, Tensor | None]:
    """A context with each run of equal tokens made one, and the logarithms of their counts (1, T').

    Attention with these added to its scores is the same, and shorter: dropped text is mostly zeros,
    and what pads the text embeddings comes out of the mixer alike. Only on a CPU, for the fast
    attention of GPUs adds nothing to its scores.
    """
    new = (context_BTD[:, 1:] != context_BTD[:, :-1]).any(-1).any(0)
    if context_BTD.device.type != "cpu" or bool(new.all()):
        return context_BTD, None
    starts = torch.cat((torch.tensor([0]), new.nonzero().flatten() + 1))
    counts = torch.cat((starts, torch.tensor([context_BTD.shape[1]]))).diff()
    return context_BTD[:, starts], counts.log().to(context_BTD.dtype)[None]
