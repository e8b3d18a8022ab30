"""A recogniser of actions: which action turns this input frame into that frame?

Trained only on true pairs, it judges drawn frames: if it names the asked action, the picture
shows it. It sees the input frame too, for a half-open drawer alone cannot tell opening from
closing.

Shape suffixes: B pictures, C channels, H height, W width, K actions.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

from egoframe.errors import UserError
from egoframe.evaluation.batch import Batch, to_bytes
from egoframe.frames import to_signed

PACKAGED = Path(str(files("egoframe"))) / "weights" / "recogniser"


class Block(nn.Module):
    """A pre-activation residual block of two 3×3 convolutions (He et al., 2016)."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels_in)
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
        self.skip = nn.Sequential(
            nn.AvgPool2d(stride) if stride > 1 else nn.Identity(),
            nn.Conv2d(channels_in, channels_out, 1, bias=False),
        )

    def forward(self, x_BCHW: Tensor) -> Tensor:
        hidden_BCHW = self.conv1(torch.relu(self.norm1(x_BCHW)))
        hidden_BCHW = self.conv2(torch.relu(self.norm2(hidden_BCHW)))
        return self.skip(x_BCHW) + hidden_BCHW


class ActionRecogniser(ModelMixin, ConfigMixin):
    """A small residual network over an input frame and a candidate action frame.

    Arguments:
        actions: the names it tells apart, such as "open drawer".
        widths: channels of each stage; the first works at a quarter of the pictures' size.
    """

    @register_to_config
    def __init__(self, actions: tuple[str, ...], widths: tuple[int, ...] = (48, 96, 192, 256)):
        super().__init__()
        stem = nn.Conv2d(9, widths[0], 4, 4)
        stages = [
            Block(width_in, width, 1 if index == 0 else 2)
            for index, (width_in, width) in enumerate(
                zip((widths[0], *widths), widths, strict=False)
            )
        ]
        self.actions = tuple(actions)
        self.features = nn.Sequential(stem, *stages, nn.BatchNorm2d(widths[-1]), nn.ReLU())
        self.dropout = nn.Dropout(0.2)
        self.classify = nn.Linear(widths[-1], len(actions))

    def forward(self, input_BCHW: Tensor, frame_BCHW: Tensor) -> Tensor:
        """The logits (B, K) of the actions; frames are RGB in −1..1."""
        change_BCHW = frame_BCHW - input_BCHW
        stacked = torch.cat((input_BCHW, frame_BCHW, change_BCHW), dim=1)
        return self.classify(self.dropout(self.features(stacked).mean((2, 3))))

    @torch.no_grad()
    def recognise(self, inputs: Tensor, frames: Tensor, batch_size: int = 64) -> list[str]:
        """The most likely action of each pair of uint8 RGB pictures (B, H, W, 3)."""
        names: list[str] = []
        for start in range(0, len(inputs), batch_size):
            part = slice(start, start + batch_size)
            pair = (to_signed(x[part].permute(0, 3, 1, 2)) for x in (inputs, frames))
            names += [self.actions[i] for i in self.eval()(*pair).argmax(1).tolist()]
        return names


def load_recogniser(folder: str | Path = PACKAGED) -> ActionRecogniser:
    """Open a trained recogniser: that of the built-in kitchen, at 128², or another's folder.

    Raises:
        UserError: the folder holds none.
    """
    try:
        return ActionRecogniser.from_pretrained(
            folder, torch_dtype=torch.float32, use_safetensors=True
        ).eval()
    except (OSError, ValueError) as error:
        raise UserError(
            f"{folder}: no action recogniser here ({str(error).splitlines()[0]}); "
            "train one with `egoframe train recogniser CONFIG`"
        ) from None


class RecognisedAction:
    """Whether an action recogniser names the action that was asked for; nan for an action that it
    does not know."""

    def __init__(self, folder: Path) -> None:
        self.recogniser = load_recogniser(folder)

    def __call__(self, batch: Batch) -> dict[str, np.ndarray]:
        before, drawn = (torch.from_numpy(to_bytes(x)) for x in (batch.before, batch.fitted))
        named = self.recogniser.recognise(before, drawn)
        right = [
            float(name == action) if action in self.recogniser.actions else np.nan
            for name, action in zip(named, batch.actions, strict=True)
        ]
        return {"recognised": np.array(right)}
