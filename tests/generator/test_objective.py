"""What is dropped, what is learnt, and LEGO's own loss through the shipped preset."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from egoframe.config import load_config, preset
from egoframe.generator.conditioner import Conditioner
from egoframe.generator.generator_training import GeneratorConfig
from egoframe.generator.objective import GeneratorObjective, ObjectiveConfig, Scales
from egoframe.generator.sampling import paper_scheduler, scaled_linear_alphas
from egoframe.training.randomness import key_of, step_batches
from tests.convert.golden_lego import open_converted
from tests.convert.lego_release import mini_state, write_checkpoint, write_clip
from tests.golden import GOLDEN, needs_golden, noise

NEEDED = ["dataset=d", "vae=v", "enhancer=e", "out=o"]


class GoldenBatch:
    """A batch whose draws are those of the golden values, and nothing dropped."""

    progress = 0.0

    def __init__(self, data, times, drawn) -> None:
        self.data, self.times, self.drawn = data, times, drawn
        self.indices = torch.arange(len(times))

    def normal(self, *shape):
        assert self.drawn.shape[1:] == shape
        return self.drawn

    def uniform(self):
        return torch.full((len(self.times),), 0.99)

    def chance(self, probability):
        return self.uniform() < probability

    def integers(self, limit):
        assert limit == 1000
        return self.times


@needs_golden
def test_the_paper_preset_has_the_released_loss(tmp_path):
    from safetensors.torch import load_file

    config = load_config(GeneratorConfig, preset("generator", "paper"), NEEDED)
    write_checkpoint(tmp_path / "lego.ckpt", mini_state())
    write_clip(tmp_path / "clip")
    pipe = open_converted(tmp_path, tmp_path / "raw", "raw")
    golden = load_file(GOLDEN / "lego_mini_outputs.safetensors")
    said = noise("vllm_text", (2, 77, 5120))
    said[:, 50:] = 0
    ids = golden["input_ids"]
    data = {
        "input_latents": golden["input_latent"],
        "action_latents": golden["target_latent_mean"] / 0.18215,
        "tokens": ids,
        "label_tokens": ids,
        "image_states": noise("vllm_image", (2, 256, 5120)),
        "text_embeds": said,
    }
    networks = nn.ModuleDict(
        {name: getattr(pipe, name) for name in ("unet", "text_encoder", "conditioner")}
    ).eval()
    objective = GeneratorObjective(
        networks, config.objective, Scales(0.18215, 1.0, 1.0), nn.Identity(),
        torch.tensor([[1] + [2] * 76]), scaled_linear_alphas(paper_scheduler()), "cpu",
    )  # fmt: skip
    batch = GoldenBatch(data, golden["loss_t"], noise("loss_noise", (2, 4, 8, 8)))
    with torch.no_grad():
        loss = objective(batch).mean()
    assert float(loss) == pytest.approx(float(golden["loss"]), rel=1e-4)


def test_the_papers_flaws_are_those_that_corrected_mends():
    paper, corrected = (
        load_config(GeneratorConfig, preset("generator", name), NEEDED)
        for name in ("paper", "corrected")
    )
    assert (paper.train_conditioner, corrected.train_conditioner) == (False, True)
    assert (paper.mirror, corrected.mirror) == ("frames", "all")
    assert paper.loop.batch_size == corrected.loop.batch_size == 1024
    mended = replace(
        corrected, train_conditioner=False, mirror="frames", objective=paper.objective,
        loop=paper.loop,
    )  # fmt: skip
    assert mended == paper


def test_text_image_and_both_are_dropped_in_their_shares():
    config = ObjectiveConfig(drop_text=0.1, drop_image=0.2, drop_both=0.3)
    objective = GeneratorObjective(
        nn.ModuleDict(), config, Scales(1.0, 1.0, 1.0), nn.Identity(), torch.zeros(1, 77),
        torch.ones(1), "cpu",
    )  # fmt: skip
    keys = [key_of(str(k)) for k in range(4000)]
    (batch,) = step_batches(0, 4000, keys, 0, 0.0)
    no_text, no_image = objective.dropped(batch)
    for dropped, share in (
        (no_text & ~no_image, 0.1), (no_image & ~no_text, 0.2), (no_text & no_image, 0.3)
    ):  # fmt: skip
        assert float(dropped.float().mean()) == pytest.approx(share, abs=0.03)


def test_the_conditioners_gradient_is_that_of_finite_differences():
    torch.manual_seed(0)
    conditioner = Conditioner(8, 6, 6, 5, 2, 12, dropout=0.0).double()
    text, seen, said = (
        torch.randn(2, n, d, dtype=torch.double) for n, d in ((3, 8), (4, 6), (5, 6))
    )
    kept = torch.tensor([True, False])
    weights = dict(conditioner.named_parameters())
    names = list(weights)

    def out(*values: torch.Tensor) -> torch.Tensor:
        own = dict(zip(names, values[3:], strict=True))
        return torch.func.functional_call(conditioner, own, (*values[:3], kept))

    inputs = [x.requires_grad_() for x in (text, seen, said)]
    values = [w.detach().requires_grad_() for w in weights.values()]
    assert torch.autograd.gradcheck(out, (*inputs, *values), fast_mode=True)
    assert all(value.numel() for value in values)
