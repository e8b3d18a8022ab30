import io
import warnings

import numpy as np
import pytest
import torch
from accelerate.hooks import CpuOffload, add_hook_to_module, remove_hook_from_module
from diffusers import PNDMScheduler
from PIL import Image

import egoframe
from egoframe.enhancer.model import Enhancement, Enhancer
from egoframe.errors import UserError
from egoframe.frames import to_pictures, to_tensor
from egoframe.generator import autoencoder, familiarity
from egoframe.generator.familiarity import UnfamiliarWarning
from egoframe.generator.pipeline import ActionFramePipeline
from egoframe.images import open_photo
from tests.generator.tiny import tiny_pipeline

SEEN = Enhancement(
    ["a", "b"], torch.zeros(2, 4, 8), torch.zeros(2, 77, 8), torch.ones(2, 77).bool()
)


@pytest.fixture(scope="module", params=[False, True], ids=["kitchen", "paper"])
def pipe(request) -> ActionFramePipeline:
    return tiny_pipeline(paper=request.param)


def photo(seed: int = 0, size: tuple[int, int] = (64, 64)) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(values)


def apart(a: Image.Image, b: Image.Image) -> int:
    return int(np.abs(np.asarray(a, int) - np.asarray(b, int)).max())


def test_one_seed_draws_one_picture(pipe):
    first, again, other = (pipe(photo(), "open drawer", seed=s).images[0] for s in (1, 1, 2))
    assert apart(first, again) == 0
    assert apart(first, other) > 0


def test_eight_together_equal_eight_alone(pipe):
    photos, actions = [photo(k) for k in range(8)], ["open drawer", "take mug"] * 4
    names = [f"pair {k}" for k in range(8)]
    together = pipe(photos, actions, actions, pair_ids=names).images
    for k in range(8):
        alone = pipe(photos[k], actions[k], actions[k], pair_ids=[names[k]]).images[0]
        assert apart(alone, together[k]) <= 1


def test_eight_together_equal_eight_alone_where_the_enhancer_writes(pipe):
    photos = [photo(k) for k in range(8)]
    actions = ["open drawer", "take mug", "cut bread", "open drawer now"] * 2
    names = [f"pair {k}" for k in range(8)]
    together = pipe(photos, actions, pair_ids=names)
    for k in range(8):
        alone = pipe(photos[k], actions[k], pair_ids=[names[k]])
        assert alone.descriptions == together.descriptions[k : k + 1]
        assert apart(alone.images[0], together.images[k]) <= 1


def test_several_pictures_of_one_photo_differ_and_keep_their_noise(pipe):
    three = pipe(photo(), "open drawer", "open drawer", num_images=3).images
    assert len(three) == 3
    assert apart(three[0], three[1]) > 0
    assert apart(three[0], pipe(photo(), "open drawer", "open drawer").images[0]) <= 1


def test_photos_keep_their_aspect(pipe):
    photos = [photo(0, (300, 200)), photo(1, (90, 160)), photo(2, (50, 50))]
    drawn = pipe(photos, "open drawer", ["open drawer"] * 3).images
    for before, after in zip(photos, drawn, strict=True):
        assert after.width / after.height == pytest.approx(before.width / before.height, rel=0.02)


def test_a_photo_from_a_phone_comes_out_upright(pipe):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by a quarter, clockwise
    lying = photo(0, (96, 64))
    file = io.BytesIO()
    lying.save(file, "PNG", exif=exif)
    turned = lying.transpose(Image.Transpose.ROTATE_270)
    drawn, expected = (
        pipe(picture, "open drawer").images[0] for picture in (Image.open(file), turned)
    )
    assert drawn.size == expected.size
    assert apart(drawn, expected) == 0


def test_one_action_and_one_description_serve_all_photos(pipe):
    out = pipe([photo(0), photo(1)], "open drawer", "the right hand opens the red drawer")
    assert out.descriptions == ["the right hand opens the red drawer"] * 2


def test_an_action_is_normalised(pipe):
    first, second = (
        pipe(photo(), action).images[0] for action in ("Open the drawer.", "open drawer")
    )
    assert apart(first, second) == 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"action": ["open drawer"] * 3}, "3 actions for 1 photos"),
        ({"description": ["a", "b"]}, "2 descriptions for 1 photos"),
        ({"pair_ids": ["a", "b"]}, "2 pair_ids for 1 photos"),
        ({"description": "so", "enhance": False}, "one of the two"),
        ({"description": "so", "enhancement": SEEN}, "has its description"),
        ({"enhancement": SEEN}, "2 rows of an enhancement for 1 photos"),
        ({"description": "so <image>"}, "is a mark of the model"),
        ({"action": " "}, "the action is empty"),
        ({"image": photo(0, (500, 20))}, "500×20 is too long and narrow"),
        ({"steps": 0}, "steps 0: at least 1"),
        ({"num_images": 0}, "num_images 0: at least 1"),
        ({"text_guidance": float("nan")}, "text_guidance nan"),
    ],
)
def test_what_cannot_be_drawn_from_is_named(pipe, changes, words):
    with pytest.raises(UserError, match=words):
        pipe(**{"image": photo(), "action": "open drawer", **changes})


def test_a_sampler_that_takes_no_generator_serves(pipe):
    other = ActionFramePipeline(
        **{**pipe.components, "scheduler": PNDMScheduler(skip_prk_steps=True)},
        predict=pipe.config.predict, sample_size=64, steps=2,
    )  # fmt: skip
    assert other(photo(), "open drawer").images[0].size == (64, 64)


def test_strange_photos_and_words_are_warned_of(pipe):
    embed = Enhancer(pipe.enhancer, pipe.processor).embed_images
    pipe.familiarity = familiarity.fit([photo(k) for k in range(60)], ["open drawer"], embed)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UnfamiliarWarning)
            pipe(photo(7), "open the drawer", steps=1)
        with pytest.warns(UnfamiliarWarning, match="real photos need real weights"):
            pipe(Image.new("RGB", (64, 64), "red"), "open drawer", steps=1)
        with pytest.warns(UnfamiliarWarning, match="ouvre, le, tiroir"):
            pipe(photo(7), "ouvre le tiroir", steps=1)
    finally:
        pipe.familiarity = None


def test_a_saved_pipeline_draws_the_same(pipe, tmp_path):
    pipe.save_pretrained(tmp_path)
    assert {p.suffix for p in tmp_path.rglob("*") if p.is_file()} <= {
        ".json", ".safetensors", ".txt", ".jinja", ".py"
    }  # fmt: skip
    again, twice = (ActionFramePipeline.from_pretrained(tmp_path) for _ in range(2))
    picture, same, equal = (p(photo(), "open drawer").images[0] for p in (pipe, again, twice))
    assert apart(same, equal) == 0
    assert apart(picture, same) <= 1  # memory that is aligned otherwise is summed up otherwise
    assert again.config.predict == pipe.config.predict


def test_the_callback_counts_the_steps(pipe):
    steps = []
    pipe(photo(), "cut bread", steps=4, callback=lambda step, total: steps.append((step, total)))
    assert steps == [(k, 4) for k in range(1, 5)]


def test_one_step_draws_too(pipe):
    assert apart(pipe(photo(), "cut bread", steps=1).images[0], photo()) > 0


def test_without_enhancing_the_action_is_the_description(pipe):
    assert pipe(photo(), "cut bread", enhance=False).descriptions == ["cut bread"]


def test_models_that_are_none_are_named(tmp_path):
    with pytest.raises(UserError, match="no such model"):
        egoframe.load(tmp_path / "absent")
    (tmp_path / "model_index.json").write_text("{}", encoding="utf-8")
    with pytest.raises(UserError, match="cannot be opened"):
        egoframe.load(tmp_path)


def test_the_action_is_named_before_its_description(pipe):
    read = []
    tokenize = pipe.tokenizer

    def spy(texts, **settings):
        read.append(texts)
        return tokenize(texts, **settings)

    named = ActionFramePipeline(**pipe.components, **{**_settings(pipe), "name_action": True})
    named.tokenizer = spy
    named(photo(), "cut bread", "the right hand cuts", steps=1)
    named(photo(), "cut bread", enhance=False, steps=1)
    assert [texts[0] for texts in read[::2]] == ["cut bread. the right hand cuts", "cut bread"]


def _settings(pipe) -> dict:
    names = ("predict", "change_scale", "prediction", "sample_size", "steps", "text_guidance")
    return {name: pipe.config[name] for name in names}


def test_both_protocols_draw_and_differ(pipe):
    ours, theirs = (
        pipe(photo(), "cut bread", protocol=p).images[0] for p in ("corrected", "paper")
    )
    assert apart(ours, theirs) > 0
    with pytest.raises(UserError, match="protocol 'own'"):
        pipe(photo(), "cut bread", protocol="own")


def test_a_model_that_squeezes_draws_squares_and_gives_the_aspect_back(pipe):
    model = ActionFramePipeline(**pipe.components, **{**_settings(pipe), "squeeze": True})
    drawn = []
    sample = model.sample_latents
    model.sample_latents = lambda latents, *rest: (
        drawn.append(latents.shape) or sample(latents, *rest)
    )
    out = model(photo(0, (300, 200)), "cut bread", steps=1).images[0]
    assert [tuple(shape[-2:]) for shape in drawn] == [(8, 8)]
    assert out.width / out.height == pytest.approx(1.5, rel=0.02)


def test_the_enhancer_may_see_the_whole_photo(pipe):
    """Two photos whose frames are the same to the U-Net, but not to the enhancer."""
    model = ActionFramePipeline(**pipe.components, **{**_settings(pipe), "enhancer_sees": "photo"})
    seen = []
    enhance = model._enhance
    model._enhance = lambda images, *rest: seen.append(images[0].size) or enhance(images, *rest)
    model(photo(0, (300, 200)), "cut bread", steps=1)
    assert seen == [(300, 200)]


def test_a_model_without_conditioner_needs_no_enhancer(pipe):
    parts = {**pipe.components, "conditioner": None, "enhancer": None, "processor": None}
    model = ActionFramePipeline(**parts, **_settings(pipe))
    out = model(photo(), "cut bread", steps=1)
    assert out.descriptions == ["cut bread"]
    assert out.images[0].size == (64, 64)


def test_what_the_enhancer_saw_and_said_may_be_kept(pipe):
    seen = Enhancer(pipe.enhancer, pipe.processor)([photo()], ["cut bread"])
    out, again = pipe(photo(), "cut bread"), pipe(photo(), "cut bread", enhancement=seen)
    assert out.descriptions == again.descriptions
    assert apart(out.images[0], again.images[0]) <= 1


@pytest.mark.parametrize("sampler", ["ddim", "dpm++2m", "unipc", "euler_ancestral"])
def test_samplers_go_by_their_names(pipe, sampler):
    if pipe.config.prediction == "sample":
        with pytest.raises(UserError, match="by its own scheduler alone"):
            pipe(photo(), "cut bread", sampler=sampler)
    else:
        assert pipe(photo(), "cut bread", sampler=sampler, steps=4).images[0].size == (64, 64)
    with pytest.raises(UserError, match="give one of scheduler, euler_ancestral"):
        pipe(photo(), "cut bread", sampler="heun")


def test_parts_that_wait_elsewhere_come_when_they_are_needed(pipe):
    """accelerate's hooks bring a part when it is called; some parts are used without a call."""
    expected = pipe(photo(), "cut bread", steps=2).images[0]
    came, parts = [], ("enhancer", "text_encoder", "conditioner", "unet", "vae")

    class Waits(CpuOffload):
        def __init__(self, name: str) -> None:
            super().__init__("cpu")
            self.name = name

        def pre_forward(self, module, *args, **kwargs):
            came.append(self.name)
            return super().pre_forward(module, *args, **kwargs)

    for name in parts:
        add_hook_to_module(getattr(pipe, name), Waits(name))
    try:
        drawn = pipe(photo(), "cut bread", steps=2).images[0]
    finally:
        for name in parts:
            remove_hook_from_module(getattr(pipe, name))
    assert apart(drawn, expected) == 0
    first = {name: came.index(name) for name in parts}
    assert first["enhancer"] == 0
    assert first["vae"] < first["text_encoder"] < first["conditioner"] < first["unet"]
    assert came[-1] == "vae"


def test_offloading_without_a_gpu_is_refused(pipe, tmp_path):
    pipe.save_pretrained(tmp_path)
    with pytest.raises(UserError, match="offloading takes a GPU"):
        egoframe.load(tmp_path, "cpu", offload=True)


def test_a_quantised_enhancer_still_draws(pipe, tmp_path):
    pytest.importorskip("bitsandbytes")
    pipe.save_pretrained(tmp_path)
    quantised = egoframe.load(tmp_path, "cpu", bits=8)
    assert quantised.enhancer.is_loaded_in_8bit
    assert quantised(photo(), "cut bread", steps=1).images[0].size == (64, 64)


def test_one_may_describe_first_and_draw_later(pipe, tmp_path):
    """For GPUs that hold one of the two alone."""
    pipe.save_pretrained(tmp_path)
    seen = Enhancer.from_pretrained(tmp_path, pipe.dtype)([photo()], ["cut bread"])
    alone = ActionFramePipeline.from_pretrained(tmp_path, enhancer=None, processor=None)
    assert alone.enhancer is None
    drawn, expected = alone(photo(), "cut bread", enhancement=seen), pipe(photo(), "cut bread")
    assert drawn.descriptions == expected.descriptions
    assert apart(drawn.images[0], expected.images[0]) <= 1


def test_a_change_of_nothing_gives_the_photo_again(pipe):
    """Whatever the scale of the autoencoder's latents."""
    model = ActionFramePipeline(**pipe.components, **{**_settings(pipe), "predict": "change"})
    model.register_to_config(change_scale=0.0)
    frames = to_tensor([photo()])
    with torch.inference_mode():
        shown = autoencoder.decode(
            model.vae, model.encode_frames(frames) * autoencoder.latent_scale(model.vae), frames
        )
    drawn = model(photo(), "cut bread", enhance=False, steps=1).images[0]
    assert apart(drawn, to_pictures(shown)[0]) <= 1


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_draws_nearly_the_same(pipe, dtype, tmp_path):
    pipe.save_pretrained(tmp_path)
    half = egoframe.load(tmp_path, "cpu", dtype)
    assert {part.dtype for part in (half.unet, half.vae, half.conditioner)} == {dtype}
    whole, drawn = (
        p(photo(), "cut bread", "the right hand", steps=2).images[0] for p in (pipe, half)
    )
    apart_by = np.abs(np.asarray(whole, float) - np.asarray(drawn, float))
    assert apart_by.mean() < 6


def test_each_photo_may_have_a_seed_of_its_own(pipe):
    photos = [photo(0), photo(1)]
    both = pipe(photos, "cut bread", seed=[3, 4], pair_ids=["0", "0"], steps=2).images
    for one, seed, picture in zip(photos, (3, 4), both, strict=True):
        assert apart(picture, pipe(one, "cut bread", seed=seed, steps=2).images[0]) <= 1
    with pytest.raises(UserError, match="one seed"):
        pipe(photos, "cut bread", seed=[3, 4], protocol="paper")
    with pytest.raises(UserError, match="3 seeds for 2 photos"):
        pipe(photos, "cut bread", seed=[1, 2, 3])


def test_previews_show_the_picture_forming_and_change_nothing():
    model, events = egoframe.load(), []
    kitchen = open_photo("examples/kitchen.png")
    drawn = model(
        kitchen,
        "open the microwave",
        callback=lambda step, steps: events.append((step, steps)),
        preview=lambda numbers, pictures: events.append((numbers, pictures)),
    ).images[0]
    assert apart(drawn, model(kitchen, "open the microwave").images[0]) == 0
    assert [e[0] for e in events] == [[0], 1, [0], 2, [0], 3, 4]
    seen = [e[1][0] for e in events if e[0] == [0]]
    assert all(picture.size == drawn.size for picture in seen)
    far = [np.abs(np.asarray(p, int) - np.asarray(drawn, int)).mean() for p in seen]
    assert 0 < far[-1] < far[0] < 20
