"""A checkpoint of the release's full size, with weights from the golden values' formula, converted.

    python -m benchmarks.full_size runs/full-size --out docs/results/full-size.json

Writes 7.9 GB to FOLDER (once), converts them by the command line in a process of its own, and
compares the U-Net's output with an independent forward pass straight from the checkpoint's tensors.
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel

from egoframe.convert.checkpoint import open_checkpoint
from tests.convert.ldm_layout import checkpoint_shapes
from tests.convert.ldm_reference import unet_forward
from tests.convert.lego_release import write_clip
from tests.golden import fill, noise

UNET = "model.diffusion_model."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, help="JSON of what was measured")
    chosen = parser.parse_args()
    folder: Path = chosen.folder
    checkpoint, model = folder / "lego.ckpt", folder / "model"
    folder.mkdir(parents=True, exist_ok=True)
    if not checkpoint.exists():
        state = {key: fill(key, shape) for key, shape in checkpoint_shapes().items()}
        torch.save({"state_dict": state, "global_step": 0}, checkpoint)
        del state
    write_clip(folder / "clip", 49408, 768, feed_forward=3072, layers=12, heads=12)
    shutil.rmtree(model, ignore_errors=True)
    command = [sys.executable, "-c", "from egoframe.cli import main; main()"]
    start = time.perf_counter()
    subprocess.run(
        [*command, "convert", "lego", checkpoint, model, "--clip", folder / "clip"], check=True
    )
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    told = {
        "checkpoint_gb": round(checkpoint.stat().st_size / 1e9, 2),
        "model_gb": round(sum(p.stat().st_size for p in model.rglob("*") if p.is_file()) / 1e9, 2),
        "seconds": round(seconds, 1),
        "peak_gib": round(peak, 2),
        "unet_relative_error": compare(checkpoint, model),
    }
    print(json.dumps(told, indent=1))
    if chosen.out:
        chosen.out.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


@torch.inference_mode()
def compare(checkpoint: Path, model: Path) -> float:
    """The largest difference to the independent pass, relative to its largest value."""
    state = open_checkpoint(checkpoint)
    names = [key.removeprefix(UNET) for key in state if key.startswith(UNET)]
    averages = {name: state[f"model_ema.diffusion_model{name.replace('.', '')}"] for name in names}
    x, context = noise("x", (1, 8, 32, 32)), noise("context", (1, 410, 768))
    t = torch.tensor([501.25])
    wanted = unet_forward(averages, x, t, context)
    unet = UNet2DConditionModel.from_pretrained(model / "unet", use_safetensors=True)
    found = unet(x, t, encoder_hidden_states=context).sample
    return float((found - wanted).abs().max() / wanted.abs().max())


if __name__ == "__main__":
    main()
