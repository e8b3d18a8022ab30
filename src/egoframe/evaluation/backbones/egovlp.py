"""EgoVLP's two towers (Lin et al., 2022), which embed clips and texts in one space; keys as in the
published `egovlp.pth` and `epic_mir_plus.pth`.

The video tower is a ViT-B/16 with divided space-time attention, as in Frozen in Time (Bain et al.,
2021), the text tower a DistilBERT.

Shape suffixes: B clips or texts, T frames, P patches of a frame, N tokens (of clips 1 + T·P),
D width, H heads.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import DistilBertConfig, DistilBertModel

SIDE, PATCH, WIDTH, HEADS, DEPTH, OUT = 224, 16, 768, 12, 12, 256


class DividedAttention(nn.Module):
    """Attention of each token to those of its group; the class token sees all, and is in each."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x_BND: Tensor, frames: int, over: str) -> Tensor:
        """Over "time", a group is one patch in all frames; over "space", all patches of one."""
        clips, tokens = x_BND.shape[:2]
        patches = (tokens - 1) // frames
        qkv = self.qkv(x_BND).view(clips, tokens, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        first = F.scaled_dot_product_attention(qkv[0, :, :, :1], qkv[1], qkv[2])
        rest = qkv[..., 1:, :].unflatten(3, (frames, patches))
        if over == "time":
            rest = rest.transpose(3, 4)
        shared = qkv[..., :1, :].unsqueeze(3).expand(*rest.shape[:4], 1, -1)
        q, k, v = torch.cat((shared, rest), 4)
        found = F.scaled_dot_product_attention(q[..., 1:, :], k, v)
        if over == "time":
            found = found.transpose(2, 3)
        joined = torch.cat((first, found.flatten(2, 3)), 2)
        return self.proj(joined.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Attention over time, then over space, then the network of each token."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(WIDTH, eps=1e-6) for _ in range(3))
        self.attn, self.timeattn = DividedAttention(), DividedAttention()
        self.mlp = nn.ModuleDict(
            {"fc1": nn.Linear(WIDTH, 4 * WIDTH), "fc2": nn.Linear(4 * WIDTH, WIDTH)}
        )

    def forward(self, x_BND: Tensor, frames: int) -> Tensor:
        timed = x_BND + self.timeattn(self.norm3(x_BND), frames, "time")
        x_BND = x_BND + self.attn(self.norm1(timed), frames, "space")  # not `timed`: as released
        return x_BND + self.mlp["fc2"](F.gelu(self.mlp["fc1"](self.norm2(x_BND))))


class VideoTower(nn.Module):
    """A clip's class token."""

    def __init__(self, frames: int) -> None:
        super().__init__()
        patches = (SIDE // PATCH) ** 2
        self.cls_token = nn.Parameter(torch.zeros(1, 1, WIDTH))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + patches, WIDTH))
        self.temporal_embed = nn.Parameter(torch.zeros(1, frames, WIDTH))
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, WIDTH, PATCH, PATCH)})
        self.blocks = nn.ModuleList(Block() for _ in range(DEPTH))
        self.norm = nn.LayerNorm(WIDTH, eps=1e-6)

    def forward(self, clips_BT3HW: Tensor) -> Tensor:
        clips, frames = clips_BT3HW.shape[:2]
        patches = self.patch_embed["proj"](clips_BT3HW.flatten(0, 1)).flatten(2).transpose(1, 2)
        placed = patches.unflatten(0, (clips, frames)) + self.pos_embed[:, None, 1:]
        placed = placed + self.temporal_embed[:, :frames, None]
        first = (self.cls_token + self.pos_embed[:, :1]).expand(clips, 1, -1)
        x_BND = torch.cat((first, placed.flatten(1, 2)), 1)
        for block in self.blocks:
            x_BND = block(x_BND, frames)
        return self.norm(x_BND)[:, 0]


class EgoVLP(nn.Module):
    """A clip's embedding (B, 256).

    Arguments:
        frames: of a clip, at most: 4 in `egovlp.pth`, 16 in `epic_mir_plus.pth`.
    """

    def __init__(self, frames: int) -> None:
        super().__init__()
        self.frames = frames
        self.video_model = VideoTower(frames)
        self.vid_proj = nn.Sequential(nn.Linear(WIDTH, OUT))

    def forward(self, clips_BT3HW: Tensor) -> Tensor:
        """Arguments:
        clips_BT3HW: RGB 224², normalised by ImageNet's mean and deviation.
        """
        return self.vid_proj(self.video_model(clips_BT3HW))


class TextTower(nn.Module):
    """A text's embedding (B, 256), from its first token."""

    def __init__(self) -> None:
        super().__init__()
        self.text_model = DistilBertModel(DistilBertConfig())
        self.txt_proj = nn.Sequential(nn.ReLU(), nn.Linear(WIDTH, OUT))

    def forward(self, tokens_BN: Tensor, mask_BN: Tensor) -> Tensor:
        """Arguments:
        tokens_BN: as `distilbert-base-uncased` counts them, padded.
        mask_BN: 1 for tokens, 0 for padding.
        """
        hidden_BND = self.text_model(tokens_BN, attention_mask=mask_BN).last_hidden_state
        return self.txt_proj(hidden_BND[:, 0])
