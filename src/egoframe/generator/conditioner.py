"""What the U-Net attends to: the description, and how the enhancer saw and said it.

LEGO section 3.3: context = CLIP text ⊕ projection_img(VLLM image tokens) ⊕
self_attn_mix(projection_txt(VLLM text hidden states)).

Shape suffixes: B pictures, T tokens, I image tokens, D the enhancer's width, C context width.
"""

from __future__ import annotations

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn


class Conditioner(ModelMixin, ConfigMixin):
    """Builds the cross-attention context.

    Arguments:
        context_dim: width C of the context and of the CLIP text states (768 in the paper).
        image_embed_dim: width of the enhancer's image embeddings (5120 in the paper).
        text_embed_dim: width of the enhancer's text embeddings (5120 in the paper).
        text_length: tokens that text embeddings are padded to with zeros (77).
        num_heads, feed_forward_dim, dropout: of the two layers that mix the text embeddings.
        use_image_embeds, use_text_embeds: the paper's ablation; what is not used is left out.
    Raises:
        ValueError: neither is used; such a model has no conditioner.
    """

    @register_to_config
    def __init__(
        self,
        context_dim: int = 768,
        image_embed_dim: int = 5120,
        text_embed_dim: int = 5120,
        text_length: int = 77,
        num_heads: int = 8,
        feed_forward_dim: int = 2048,
        dropout: float = 0.1,
        use_image_embeds: bool = True,
        use_text_embeds: bool = True,
    ) -> None:
        super().__init__()
        if not (use_image_embeds or use_text_embeds):
            raise ValueError("a conditioner uses image embeddings, text embeddings, or both")
        self.text_length = text_length
        self.projection_img = nn.Linear(image_embed_dim, context_dim) if use_image_embeds else None
        self.projection_txt = nn.Linear(text_embed_dim, context_dim) if use_text_embeds else None
        layer = nn.TransformerEncoderLayer(
            context_dim, num_heads, feed_forward_dim, dropout, norm_first=True, batch_first=True
        )
        self.self_attn_mix = (
            nn.TransformerEncoder(layer, 2, enable_nested_tensor=False) if use_text_embeds else None
        )

    def forward(
        self,
        text_BTC: Tensor,
        image_embeds_BID: Tensor | None = None,
        text_embeds_BTD: Tensor | None = None,
        text_kept_B: Tensor | None = None,
    ) -> Tensor:
        """The context (B, T + I + 77, C), or less where a part is not used.

        Arguments:
            text_BTC: last hidden states of the CLIP text model; those of "" where text is dropped.
            image_embeds_BID: the enhancer's image embeddings, right after its projector.
            text_embeds_BTD: the enhancer's text embeddings, at most 77 tokens.
            text_kept_B: bool; where False, both parts of the enhancer are zeros after projection:
                the dropped text of classifier-free guidance.
        Raises:
            ValueError: embeddings that this conditioner uses are not given.
        """
        parts = [text_BTC]
        if self.projection_img is not None:
            if image_embeds_BID is None:
                raise ValueError("this conditioner needs the enhancer's image embeddings")
            parts.append(self._kept(self.projection_img(image_embeds_BID), text_kept_B))
        if self.projection_txt is not None and self.self_attn_mix is not None:
            if text_embeds_BTD is None:
                raise ValueError("this conditioner needs the enhancer's text embeddings")
            missing = self.text_length - text_embeds_BTD.shape[1]
            padded_BTD = nn.functional.pad(text_embeds_BTD, (0, 0, 0, missing))
            mixed_BTC = self.self_attn_mix(self.projection_txt(padded_BTD))
            parts.append(self._kept(mixed_BTC, text_kept_B))
        return torch.cat(parts, dim=1)

    @staticmethod
    def _kept(part_BTC: Tensor, text_kept_B: Tensor | None) -> Tensor:
        if text_kept_B is None:
            return part_BTC
        return torch.where(text_kept_B[:, None, None], part_BTC, torch.zeros_like(part_BTC))
