"""The memory that tuning is said to need, against what tiny models take, and the presets."""

from dataclasses import replace

import pytest
import torch
import transformers as tf

from egoframe.config import PRESETS, load_config, preset
from egoframe.enhancer.memory import Memory, judged, memory_of
from egoframe.enhancer.tuning import Lora, TuningConfig, TuningLoop, learning_part
from egoframe.errors import UserError
from egoframe.training.checkpoints import trained

TOKENS = 120
LOOP = TuningLoop(batch_size=4, micro_batch=4)


def model(**text: int) -> tf.LlavaForConditionalGeneration:
    """A LLaVA with the proportions of real ones."""
    shape = {"hidden_size": 256, "intermediate_size": 688, "num_hidden_layers": 6,
             "num_attention_heads": 8, "vocab_size": 500, **text}  # fmt: skip
    vision = tf.CLIPVisionConfig(
        hidden_size=64, intermediate_size=256, num_hidden_layers=2, num_attention_heads=2,
        image_size=32, patch_size=8,
    )  # fmt: skip
    return tf.LlavaForConditionalGeneration(
        tf.LlavaConfig(vision_config=vision, text_config=tf.LlamaConfig(**shape))
    )


def config(method: str, **settings: object) -> TuningConfig:
    return TuningConfig(
        dataset="", out="", method=method, lora=Lora(rank=8), loop=replace(LOOP, **settings)
    )


def size(tensors: object) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


@pytest.mark.parametrize("method", ["lora", "full"])
def test_weights_gradients_and_optimiser_are_what_they_take(method):
    settings = config(method)
    learner = learning_part(model(), settings)
    told = memory_of(learner, method, settings.loop, TOKENS)
    parameters = list(trained(learner).values())
    optimiser = torch.optim.AdamW(parameters)
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    moments = [
        value for kept in optimiser.state.values() for key, value in kept.items() if key != "step"
    ]
    assert told.weights == size(learner.parameters())
    assert told.gradients == size(parameter.grad for parameter in parameters)
    assert told.optimiser == size(moments)
    assert told.certain == told.weights + told.gradients + told.optimiser


def kept_for_backward(learner: tf.LlavaForConditionalGeneration) -> int:
    """Bytes that the language model's forward pass keeps, its own weights apart."""
    own = {parameter.untyped_storage().data_ptr() for parameter in learner.parameters()}
    kept = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    ids = torch.randint(5, 400, (LOOP.micro_batch, TOKENS))
    language = learner.model.language_model
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        out = language(input_ids=ids, use_cache=False).last_hidden_state
    assert out.requires_grad
    return sum(kept.values())


@pytest.mark.parametrize("checkpointing", [False, True])
def test_activations_are_about_what_each_layer_keeps(checkpointing):
    settings = config("full", activation_checkpointing=checkpointing)
    said, measured = [], []
    for layers in (3, 6):
        learner = learning_part(model(num_hidden_layers=layers), settings).train()
        if checkpointing:
            learner.activation_checkpointing_enable()
        said.append(memory_of(learner, "full", settings.loop, TOKENS).activations)
        measured.append(kept_for_backward(learner))
    ratio = (said[1] - said[0]) / (measured[1] - measured[0])
    assert 0.75 < ratio < 1.33, ratio


def test_sharing_over_processes_divides_what_is_certain(monkeypatch):
    settings = config("full", shard=True)
    learner = learning_part(model(), settings)
    alone = memory_of(learner, "full", settings.loop, TOKENS)
    monkeypatch.setenv("WORLD_SIZE", "4")
    shared = memory_of(learner, "full", settings.loop, TOKENS)
    assert shared.certain == alone.certain / 4
    assert shared.activations == alone.activations


def test_it_is_said_what_to_try():
    memory = Memory(weights=20e9, gradients=2e9, optimiser=4e9, activations=9e9)
    loop = replace(LOOP, activation_checkpointing=False)
    assert judged(memory, "lora", loop, 40e9) == "needs about 35 GB; this GPU has 40"
    told = judged(memory, "lora", loop, 30e9)
    assert told.startswith("needs about 35 GB; this GPU has 30: try loop.activation_checkpointing")
    assert judged(memory, "lora", LOOP, 30e9).endswith("try loop.micro_batch=2")
    with pytest.raises(UserError, match=r"this GPU has 24, and weights alone .* try method=qlora"):
        judged(memory, "lora", LOOP, 24e9)


def thirteen_billion() -> tf.LlavaForConditionalGeneration:
    """LLaVA-1.5-13B, without its weights."""
    text = {"hidden_size": 5120, "intermediate_size": 13824, "num_hidden_layers": 40,
            "num_attention_heads": 40, "vocab_size": 32064}  # fmt: skip
    vision = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24,
              "num_attention_heads": 16, "image_size": 336, "patch_size": 14}  # fmt: skip
    shape = tf.LlavaConfig(
        vision_config=tf.CLIPVisionConfig(**vision), text_config=tf.LlamaConfig(**text)
    )
    return tf.LlavaForConditionalGeneration(shape)


@pytest.mark.parametrize(("name", "gpu", "processes"), [("24gb", 24, 1), ("80gb", 80, 1),
                                                        ("paper", 80, 4)])  # fmt: skip
def test_presets_are_said_to_fit(name, gpu, processes, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", str(processes))
    settings = load_config(TuningConfig, preset("enhancer", name))
    with torch.device("meta"):
        learner = learning_part(thirteen_billion(), settings)
    memory = memory_of(learner, settings.method, settings.loop, tokens=700)
    assert gpu / 3 < memory.total / 1e9 < 0.9 * gpu
    assert settings.loop.batch_size == 128
    assert settings.described_by == "gpt-curation"


def test_the_papers_preset_is_the_papers():
    settings = load_config(TuningConfig, preset("enhancer", "paper"))
    loop = settings.loop
    assert (settings.method, settings.train_projector) == ("full", True)
    assert (loop.lr, loop.epochs, loop.warmup, loop.batch_size) == (2e-5, 3, 0.03, 128)


def test_every_preset_can_be_read():
    for path in (PRESETS / "enhancer").glob("*.yaml"):
        load_config(TuningConfig, path)
