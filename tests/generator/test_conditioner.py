import pytest
import torch
from safetensors.torch import load_file

from egoframe.generator.conditioner import Conditioner
from tests.golden import GOLDEN, fill, needs_golden, noise


def small(**kwargs) -> Conditioner:
    torch.manual_seed(0)
    sizes = {"context_dim": 16, "image_embed_dim": 12, "text_embed_dim": 20, "text_length": 7}
    return Conditioner(**sizes, num_heads=2, feed_forward_dim=24, **kwargs).eval()


def embeds() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    sizes = ((2, 5, 16), (2, 9, 12), (2, 4, 20))
    return tuple(torch.randn(size, generator=generator) for size in sizes)  # type: ignore[return-value]


@needs_golden
@torch.no_grad()
def test_it_computes_what_the_released_code_computes():
    model = Conditioner().eval()
    weights = {key: fill(key, tuple(value.shape)) for key, value in model.state_dict().items()}
    model.load_state_dict(weights)
    vllm_text = noise("vllm_text", (2, 77, 5120))
    vllm_text[:, 50:] = 0
    text = torch.zeros(2, 3, 768)
    context = model(text, noise("vllm_image", (2, 256, 5120)), vllm_text[:, :50])
    golden = load_file(GOLDEN / "lego_mini_outputs.safetensors")
    torch.testing.assert_close(context[:, :3], text)
    torch.testing.assert_close(context[:, 3:259], golden["image_tokens"], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(context[:, 259:], golden["text_tokens"], rtol=1e-4, atol=1e-4)


def test_the_context_is_text_then_image_then_text_embeddings():
    text, image, said = embeds()
    model = small()
    context = model(text, image, said)
    assert context.shape == (2, 5 + 9 + 7, 16)
    torch.testing.assert_close(context[:, :5], text)
    torch.testing.assert_close(context[:, 5:14], model.projection_img(image))


def test_dropped_text_is_zeros_after_projection_for_that_picture_alone():
    text, image, said = embeds()
    model = small()
    context = model(text, image, said, torch.tensor([True, False]))
    assert (context[1, 5:] == 0).all()
    torch.testing.assert_close(context[0], model(text, image, said)[0])


@pytest.mark.parametrize(
    ("parts", "length"),
    [({"use_image_embeds": False}, 5 + 7), ({"use_text_embeds": False}, 5 + 9)],
)
def test_the_ablation_leaves_parts_out(parts, length):
    assert small(**parts)(*embeds()).shape[1] == length


def test_a_conditioner_of_nothing_is_refused():
    with pytest.raises(ValueError, match="uses image embeddings"):
        small(use_image_embeds=False, use_text_embeds=False)


def test_embeddings_it_needs_and_does_not_get_are_named():
    with pytest.raises(ValueError, match="image embeddings"):
        small()(embeds()[0])


@torch.no_grad()
def test_a_saved_conditioner_computes_the_same(tmp_path):
    model = small()
    model.save_pretrained(tmp_path)
    again = Conditioner.from_pretrained(tmp_path).eval()
    torch.testing.assert_close(again(*embeds()), model(*embeds()), rtol=0, atol=0)
