import os
from dataclasses import replace

import pytest
import torch
from diffusers import UNet2DConditionModel
from torch import nn

from egoframe.generator.memory import Memory, Work, activations_of, advice, memory_of, saved_bytes
from egoframe.training import LoopConfig
from egoframe.training.loop import new_optimiser

WORK = Work((4, 8, 8), 20)
LOOP = LoopConfig(batch_size=8)


def small_unet() -> UNet2DConditionModel:
    return UNet2DConditionModel(
        in_channels=8, out_channels=4, block_out_channels=(32, 64),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=32, norm_num_groups=16, attention_head_dim=4,
    )  # fmt: skip


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_activations_are_those_of_a_real_pass(bf16, checkpointing):
    unet = small_unet()
    if checkpointing:
        unet.enable_gradient_checkpointing()

    def kept(count: int) -> int:
        inputs, context = torch.randn(count, 8, 8, 8), torch.randn(count, 20, 32)

        def run() -> None:
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                unet(inputs, torch.zeros(count), encoder_hidden_states=context)

        return saved_bytes(run, unet.parameters())

    measured = kept(7) - kept(3)
    assert 4 * activations_of(unet, WORK, bf16) == pytest.approx(measured, rel=0.02)


def test_what_stays_is_what_really_lies_in_memory():
    networks = nn.ModuleDict({"unet": small_unet(), "text_encoder": nn.Linear(100, 100)})
    networks["text_encoder"].requires_grad_(False)
    learnt = [p for p in networks.parameters() if p.requires_grad]
    optimiser = new_optimiser(learnt, LOOP)
    sum(p.sum() for p in learnt).backward()
    optimiser.step()
    told = memory_of(networks, LOOP, WORK)
    assert told.weights == told.averages == sum(p.nbytes for p in networks.parameters())
    assert told.gradients == sum(p.grad.nbytes for p in learnt)
    moments = [v for s in optimiser.state.values() for v in s.values() if v.ndim]
    assert told.optimiser == sum(v.nbytes for v in moments)


def test_processes_parts_and_eight_bits_take_less():
    networks = nn.ModuleDict({"unet": small_unet()})
    whole = memory_of(networks, LOOP, WORK)
    two = memory_of(networks, replace(LOOP, shard=True), WORK, processes=2)
    assert two.weights == whole.weights / 2
    assert two.activations == whole.activations / 2
    assert memory_of(networks, LOOP, WORK, processes=2).weights == whole.weights
    parts = memory_of(networks, replace(LOOP, accumulate=4), WORK)
    assert parts.activations == whole.activations / 4
    light = memory_of(networks, replace(LOOP, optimiser="adamw8bit"), WORK)
    assert light.optimiser == whole.optimiser / 4


def test_too_small_a_machine_gets_advice(monkeypatch):
    networks, cpu = nn.ModuleDict({"unet": small_unet()}), torch.device("cpu")
    memory, fits, line = advice(networks, LOOP, WORK, cpu, 1)
    assert fits
    assert line.startswith(f"needs about {memory.total / 1e9:.3g} GB; this machine has ")
    monkeypatch.setattr(os, "sysconf", lambda name: 1000)
    _, fits, line = advice(networks, LOOP, WORK, cpu, 1)
    assert not fits
    less = memory_of(networks, replace(LOOP, accumulate=2), WORK).total / 1e9
    assert f"has 0.001: try loop.accumulate=2 ({less:.3g} GB), or loop.optimiser=adamw8bit" in line
    assert line.endswith("or gradient_checkpointing=true, or a smaller model")
    assert Memory(1e9, 2e9, 3e9, 4e9, 5e9, 6e9).total == 21e9
