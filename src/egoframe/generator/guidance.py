"""Classifier-free guidance over text and photo, with the context's keys and values kept.

Shape suffixes: B pictures, G guidance branches, C channels, H height, W width, T tokens, D width.
"""

from __future__ import annotations

from typing import Any

import torch
from diffusers.models.attention_processor import AttnProcessor, AttnProcessor2_0
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention


class GuidedUNet:
    """A U-Net with the pictures it draws from: (noisy latents, t) → its guided output.

    InstructPix2Pix, eq. 3: out(∅, ∅) + s_image (out(image, ∅) − out(∅, ∅)) + s_text (out(image,
    text) − out(image, ∅)). A branch without weight is not computed; the others run as one batch.

    As a context manager: within it, cross-attention reads keys and values of the contexts that were
    worked out at its start, for they are the same in every step; those of dropped text serve all
    pictures and branches.

    Two threads must not do so with one U-Net at once.

    Arguments:
        unet: of diffusers.
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
        self.always = interval == (0.0, 1.0)
        branches = [  # beyond an interval the first one is needed, whatever its weight
            branch
            for k, branch in enumerate(branches)
            if branch[0] != 0 or (k == 0 and not self.always)
        ]
        self.weights_G = [weight for weight, _, _ in branches]
        self.contexts = [context for _, context, _ in branches]
        self.condition = torch.cat([condition for _, _, condition in branches]).to(unet.dtype)
        self.unet = unet
        self.changed: list[tuple[Any, Any]] = []  # attentions that read what is kept
        self.attentions = 1
        self.low, self.high = (train_timesteps * share for share in interval)

    def __enter__(self) -> GuidedUNet:
        onload(self.unet)
        compiled = getattr(self.unet, "_compiled_call_impl", None) is not None
        merged = {
            id(context): (context, None) if compiled else merge_equal_tokens(context)
            for context in self.contexts
        }
        ready: list[tuple[Any, Any, list[Any]]] = []
        self.attentions, self.changed = 0, []
        for name, module in self.unet.named_modules():
            own: Any = getattr(module, "processor", None)
            if not name.endswith("attn2"):
                continue
            self.attentions += 1
            if type(own) not in (AttnProcessor, AttnProcessor2_0, KeptContexts):
                continue  # somebody's own attention reads the contexts itself
            kept = {
                place: tuple(_heads(to(tokens), module.heads) for to in (module.to_k, module.to_v))
                + (log_counts,)
                for place, (tokens, log_counts) in merged.items()
            }
            ready.append((module, own, [kept[id(context)] for context in self.contexts]))
        for module, own, contexts in ready:
            processor = own if isinstance(own, KeptContexts) else KeptContexts(own)
            processor.rows = len(self.condition) // len(self.contexts)
            processor.kept = contexts
            module.processor = processor
            self.changed.append((module, processor if compiled else processor.own))
        return self

    def __exit__(self, *_: Any) -> None:
        for module, processor in self.changed:
            module.processor.kept = []
            module.processor = processor

    def __call__(self, noisy_BCHW: Tensor, t: Tensor) -> Tensor:
        """The guided output (B, C, H, W) in float32, at a time 0..train_timesteps, or at one for
        each picture (B,)."""
        guided = self.always or self.low <= float(t) <= self.high
        weights_G = self.weights_G if guided else [1.0]
        noisy = noisy_BCHW.to(self.condition.dtype).repeat(len(weights_G), 1, 1, 1)
        out = self.unet(
            torch.cat((noisy, self.condition[: len(noisy)]), 1),
            t.repeat(len(weights_G)) if t.ndim else t,
            encoder_hidden_states=self._context(len(noisy)),
            return_dict=False,
        )[0]
        branches = zip(weights_G, out.float().chunk(len(weights_G)), strict=True)
        return torch.stack([weight * branch for weight, branch in branches]).sum(0)

    def _context(self, rows: int) -> Tensor:
        """What attentions that keep nothing read (rows, T, D)."""
        if len(self.changed) == self.attentions:
            return self.contexts[0]
        count = len(self.condition) // len(self.contexts)
        return torch.cat([context.expand(count, -1, -1) for context in self.contexts])[:rows]


def onload(model: Any) -> None:
    """Bring a model that waits in main memory to its device, before a part of it is used.

    accelerate's hooks do so by themselves where the whole model is called.
    """
    if hasattr(model, "_hf_hook"):
        model._hf_hook.pre_forward(model)


class KeptContexts:
    """A cross-attention of diffusers that reads keys and values worked out before.

    It stays on a compiled U-Net, which is compiled again for another size or number of pictures,
    but not for every picture.

    Attributes:
        kept: for each branch, keys and values (B, heads, T, D), or (1, heads, T, D) where all
            pictures share them, and what to add to the scores of their tokens; where empty, the
            U-Net's own attention is used.
        rows: B; a call holds those of all branches, or of the first one alone.
    """

    def __init__(self, own: Any) -> None:
        self.own, self.rows = own, 0
        self.kept: list[tuple[Tensor, Tensor, Tensor | None]] = []

    def __call__(self, attn: Any, hidden_states: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if not self.kept:
            return self.own(attn, hidden_states, *args, **kwargs)
        query = _heads(attn.to_q(hidden_states), attn.heads)
        outs = []
        for own, kept in zip(query.split(self.rows), self.kept, strict=False):
            key, value = (x.expand(len(own), -1, -1, -1) for x in kept[:2])
            outs.append(scaled_dot_product_attention(own, key, value, kept[2]))
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
