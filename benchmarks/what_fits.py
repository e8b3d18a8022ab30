"""How many bytes the paper's model needs on a GPU, worked out from its parameters; not measured.

    python -m benchmarks.what_fits

Everything is made on torch's meta device, at full size and without memory.
"""

import re

import torch
from torch import nn
from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

from egoframe.bench.untrained import networks
from egoframe.enhancer.opening import NOT_QUANTISED
from egoframe.generator.conditioner import Conditioner

ACTIVATIONS = 1.5e9  # bytes beside the weights: a guess, on the safe side
CARDS = (8, 12, 16, 24, 40)  # GB


def main() -> None:
    with torch.device("meta"):
        parts = {**networks(320), "conditioner": Conditioner(), "enhancer": llava_13b()}
    counts = {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()}
    for name, count in counts.items():
        print(f"{name:14}{count / 1e6:10.1f} M")
    drawing = 2 * sum(count for name, count in counts.items() if name != "enhancer")
    print(f"\n{'':24}{'all there':>12}{'--offload':>12}   fits in")
    for bits in (None, 8, 4):
        enhancer = enhancer_bytes(parts["enhancer"], bits)
        together = enhancer + drawing + ACTIVATIONS
        largest = max(enhancer, drawing) + ACTIVATIONS
        fits = [f"{card} GB" for card in CARDS if card * 1e9 >= together]
        apart = f"{largest / 1e9:11.1f} " if bits is None else f"{'–':>12}"
        name = "float16" if bits is None else f"float16, --bits {bits}"
        print(f"{name:24}{together / 1e9:11.1f} {apart}   {', '.join(fits) or 'none of these'}")
    print(f"{'the generator alone':24}{(drawing + ACTIVATIONS) / 1e9:11.1f}")


def llava_13b() -> LlavaForConditionalGeneration:
    """CLIP ViT-L/14 at 224, and Llama 2 of 13 billion parameters."""
    vision = CLIPVisionConfig(
        hidden_size=1024, intermediate_size=4096, num_hidden_layers=24, num_attention_heads=16,
        image_size=224, patch_size=14, projection_dim=768,
    )  # fmt: skip
    text = LlamaConfig(
        vocab_size=32002, hidden_size=5120, intermediate_size=13824, num_hidden_layers=40,
        num_attention_heads=40,
    )  # fmt: skip
    return LlavaForConditionalGeneration(LlavaConfig(vision_config=vision, text_config=text))


def enhancer_bytes(model: nn.Module, bits: int | None) -> float:
    """Its weights in float16, but for those that bitsandbytes quantises (4.5 bits with scales)."""
    total = 0.0
    for name, module in model.named_modules():
        kept = any(re.search(pattern, name) for pattern in NOT_QUANTISED)
        quantised = bits is not None and isinstance(module, nn.Linear) and not kept
        size = {8: 1.0, 4: 4.5 / 8}[bits] if quantised and bits is not None else 2.0
        total += size * sum(p.numel() for p in module.parameters(recurse=False))
    return total


if __name__ == "__main__":
    main()
