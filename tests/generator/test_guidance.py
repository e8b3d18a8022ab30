import copy

import pytest
import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor2_0
from torch._dynamo.testing import CompileCounter

from egoframe.generator.guidance import GuidedUNet, KeptContexts, merge_equal_tokens

SHAPE = (2, 4, 8, 8)


@pytest.fixture(scope="module")
def unet() -> UNet2DConditionModel:
    torch.manual_seed(0)
    return UNet2DConditionModel(
        in_channels=8, out_channels=4, block_out_channels=(16, 32), layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), norm_num_groups=8,
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), cross_attention_dim=24,
        attention_head_dim=4,
    ).eval()  # fmt: skip


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


FULL, EMPTY, INPUT = drawn(2, 7, 24), drawn(1, 7, 24, seed=1), drawn(*SHAPE, seed=2)
EMPTY[:, 3:] = 0  # as in dropped text


def branch(unet, x, t, context, condition):
    inputs = torch.cat((x, condition), 1)
    return unet(inputs, t, encoder_hidden_states=context.expand(2, -1, -1)).sample


@torch.no_grad()
@pytest.mark.parametrize(("s_text", "s_image"), [(7.5, 1.5), (3.0, 1.0), (1.0, 1.0), (1.5, 1.5)])
def test_it_is_instruct_pix2pix_equation_3_at_every_step(unet, s_text, s_image):
    with GuidedUNet(unet, FULL, EMPTY, INPUT, s_text, s_image) as guided:
        steps = [(drawn(*SHAPE, seed=k), torch.tensor(float(t))) for k, t in ((3, 900), (4, 20.5))]
        found = [guided(x, t) for x, t in steps]
    for (x, t), out in zip(steps, found, strict=True):
        none = branch(unet, x, t, EMPTY, torch.zeros(SHAPE))
        image, both = (branch(unet, x, t, context, INPUT) for context in (EMPTY, FULL))
        expected = none + s_image * (image - none) + s_text * (both - image)
        torch.testing.assert_close(out, expected, rtol=1e-3, atol=1e-4)


@torch.no_grad()
def test_beyond_the_interval_the_text_alone_is_computed(unet):
    batches = []
    watch = unet.conv_in.register_forward_hook(lambda _, inputs, __: batches.append(len(inputs[0])))
    x = drawn(*SHAPE, seed=5)
    with GuidedUNet(unet, FULL, EMPTY, INPUT, 7.5, 1.5, interval=(0.2, 0.8)) as guided:
        outs = [guided(x, torch.tensor(t)) for t in (900.0, 500.0, 100.0)]
    watch.remove()
    assert batches == [2, 6, 2]
    for t, out in ((900.0, outs[0]), (100.0, outs[2])):
        expected = branch(unet, x, torch.tensor(t), FULL, INPUT)
        torch.testing.assert_close(out, expected, rtol=1e-3, atol=1e-4)


@torch.no_grad()
def test_keys_and_values_are_worked_out_once_and_forgotten_after(unet):
    before = branch(unet, drawn(*SHAPE), torch.tensor(500.0), FULL, INPUT)
    counted = []
    layers = [module.to_k for name, module in unet.named_modules() if name.endswith("attn2")]
    watched = [layer.register_forward_hook(lambda *_: counted.append(1)) for layer in layers]
    with GuidedUNet(unet, FULL, EMPTY, INPUT, 7.5, 1.5) as guided:
        for t in (900.0, 500.0, 100.0):
            guided(drawn(*SHAPE), torch.tensor(t))
    for hook in watched:
        hook.remove()
    assert len(counted) == 2 * len(layers) > 0  # of the text, and of dropped text
    x, t = drawn(*SHAPE), torch.tensor(500.0)
    assert torch.equal(branch(unet, x, t, FULL, INPUT), before)
    assert not any(isinstance(p, KeptContexts) for p in unet.attn_processors.values())


def test_equal_tokens_are_one_that_counts_more():
    context = drawn(2, 9, 8)
    context[:, 4:7] = context[:, 3:4]
    context[:, 8] = context[:, 7]
    tokens, log_counts = merge_equal_tokens(context)
    assert tokens.shape == (2, 5, 8)
    assert log_counts.exp().round().tolist() == [[1, 1, 1, 4, 2]]
    query = drawn(2, 3, 8, seed=1)
    attend = torch.nn.functional.scaled_dot_product_attention
    expected, found = attend(query, context, context), attend(query, tokens, tokens, log_counts)
    torch.testing.assert_close(found, expected)
    assert merge_equal_tokens(drawn(2, 9, 8))[1] is None


@torch.no_grad()
def test_a_compiled_unet_is_compiled_once_for_all_pictures(unet):
    count, counts = CompileCounter(), []
    compiled = copy.deepcopy(unet)
    compiled.compile(backend=count)
    for seed in (1, 2, 3):
        full, condition = drawn(2, 7, 24, seed=seed), drawn(*SHAPE, seed=seed)
        full[:, seed:] = 0  # descriptions of different lengths
        x, t = drawn(*SHAPE, seed=9), torch.tensor(500.0)
        with GuidedUNet(compiled, full, EMPTY, condition, 7.5, 1.5) as guided:
            found = guided(x, t)
        with GuidedUNet(unet, full, EMPTY, condition, 7.5, 1.5) as guided:
            torch.testing.assert_close(found, guided(x, t), rtol=1e-4, atol=1e-5)
        counts.append(count.frame_count)
    assert counts[0] == counts[2] > 0


class Doubled(AttnProcessor2_0):
    """Somebody's own cross-attention."""

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, **kwargs):
        return 2 * super().__call__(attn, hidden_states, encoder_hidden_states, **kwargs)


@torch.no_grad()
def test_somebodys_own_attention_is_used(unet):
    name = next(name for name in unet.attn_processors if name.endswith("attn2.processor"))
    before = dict(unet.attn_processors)
    unet.set_attn_processor({**before, name: Doubled()})
    try:
        x, t = drawn(*SHAPE), torch.tensor(500.0)
        with GuidedUNet(unet, FULL, EMPTY, INPUT, 3.0, 1.0) as guided:
            found = guided(x, t)
        image, both = (branch(unet, x, t, context, INPUT) for context in (EMPTY, FULL))
        torch.testing.assert_close(found, image + 3.0 * (both - image), rtol=1e-3, atol=1e-4)
    finally:
        unet.set_attn_processor(before)


@torch.no_grad()
def test_a_failure_at_the_start_leaves_the_unet_as_it_was(unet):
    before = dict(unet.attn_processors)
    last = [module for name, module in unet.named_modules() if name.endswith("attn2")][-1]

    def fail(*_):
        raise RuntimeError("out of memory")

    hook = last.to_k.register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError), GuidedUNet(unet, FULL, EMPTY, INPUT, 3.0, 1.0):
        pass
    hook.remove()
    assert unet.attn_processors == before


@torch.no_grad()
def test_beyond_the_interval_the_text_counts_even_without_text_guidance(unet):
    x, t = drawn(*SHAPE, seed=5), torch.tensor(900.0)
    with GuidedUNet(unet, FULL, EMPTY, INPUT, 0.0, 1.5, interval=(0.2, 0.8)) as guided:
        found = guided(x, t)
    expected = branch(unet, x, t, FULL, INPUT)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)
