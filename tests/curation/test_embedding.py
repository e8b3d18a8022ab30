import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from scipy import ndimage

from egoframe.curation.embedding import BATCH, ClipEmbedding, PixelEmbedding, open_embedding
from egoframe.errors import UserError


def picture(seed: int, size: tuple[int, int] = (64, 64)) -> np.ndarray:
    noise = np.random.default_rng(seed).uniform(0, 255, (*size, 3))
    return ndimage.gaussian_filter(noise, (2, 2, 0), mode="wrap").astype(np.uint8)


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory):
    """A tiny random CLIP, as transformers saves it, text model included."""
    import torch
    from transformers import CLIPConfig, CLIPModel
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    torch.manual_seed(0)
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2,
             "num_attention_heads": 2}  # fmt: skip
    config = CLIPConfig(
        text_config={**small, "vocab_size": 20, "max_position_embeddings": 8},
        vision_config={**small, "image_size": 32, "patch_size": 8},
        projection_dim=12,
    )
    folder = tmp_path_factory.mktemp("clip")
    CLIPModel(config).save_pretrained(folder)
    CLIPImageProcessorPil(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
    ).save_pretrained(folder)
    return folder


def reference(folder, pictures) -> np.ndarray:
    """What CLIP itself makes of pictures, one at a time."""
    import torch
    from PIL import Image
    from transformers import CLIPModel
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    model = CLIPModel.from_pretrained(folder).eval()
    processor = CLIPImageProcessorPil.from_pretrained(folder)
    vectors = []
    with torch.no_grad():
        for one in pictures:
            pixels = processor(Image.fromarray(one), return_tensors="pt")["pixel_values"]
            hidden = model.vision_model(pixel_values=pixels).pooler_output
            vectors.append(model.visual_projection(hidden)[0].double().numpy())
    return np.array([v / np.linalg.norm(v) for v in vectors])


def test_pixels_agree_with_numpys_correlation():
    a, b = picture(0)[:48, :48], picture(1)[:48, :48]

    def small(p: np.ndarray) -> np.ndarray:
        blocks = p.reshape(24, 2, 24, 2, 3).astype(float).mean((1, 3))
        return (blocks - blocks.mean((0, 1))).ravel()

    expected = np.corrcoef(small(a), small(b))[0, 1]
    equal, other = PixelEmbedding().similarity([a, a], [a, b])
    assert equal == pytest.approx(1)
    assert other == pytest.approx(expected, abs=0.01)


def test_two_plain_pictures_are_alike():
    plain = np.full((32, 32, 3), 90, np.uint8)
    assert PixelEmbedding().similarity([plain], [plain]) == [1.0]


def test_clip_says_what_transformers_own_model_says(clip_folder):
    first = [picture(k) for k in range(5)]
    second = [picture(k + 100, (48, 80)) for k in range(5)]
    expected = (reference(clip_folder, first) * reference(clip_folder, second)).sum(-1)
    clip = ClipEmbedding(str(clip_folder))
    assert clip.width == 12
    np.testing.assert_allclose(clip.similarity(first, second), expected, atol=1e-5)
    assert clip.band == (0.81, 0.97)


def test_clips_answer_does_not_depend_on_the_batch(clip_folder):
    clip = ClipEmbedding(str(clip_folder))
    pictures = [picture(k) for k in range(BATCH + 3)]
    alone = np.concatenate([clip.embed([one]) for one in pictures])
    np.testing.assert_allclose(clip.embed(pictures), alone, atol=1e-5)
    assert clip.similarity([], []) == []


def test_names():
    assert isinstance(open_embedding(None), PixelEmbedding)
    assert isinstance(open_embedding("pixels"), PixelEmbedding)


def test_what_is_no_clip_is_said(tmp_path, clip_folder):
    with pytest.raises(UserError, match="absent: no CLIP model"):
        open_embedding(str(tmp_path / "absent"))
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(UserError, match="no CLIP model, but a bert"):
        open_embedding(str(tmp_path))
    for name in ("config.json", "preprocessor_config.json"):
        (tmp_path / name).write_bytes((clip_folder / name).read_bytes())
    with pytest.raises(UserError, match="no CLIP model"):
        open_embedding(str(tmp_path))
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(b"not weights")
    with pytest.raises(UserError, match="no CLIP model"):
        open_embedding(str(tmp_path))
    tensors = load_file(clip_folder / weights.name)
    del tensors["visual_projection.weight"]
    save_file(tensors, weights, {"format": "pt"})
    with pytest.raises(UserError, match=r"lacks visual_projection\.weight"):
        open_embedding(str(tmp_path))
