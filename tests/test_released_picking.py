"""The files of a part are found wherever a repository keeps them."""

import pytest

from egoframe.released import pick


@pytest.mark.parametrize(
    ("paths", "picked"),
    [
        (["a/b.ckpt", "Model.ckpt", "z/model.ckpt"], ["Model.ckpt"]),
        (["z/y/Model.ckpt", "a/other.ckpt"], ["z/y/Model.ckpt"]),
        (["model.ckpt.md", "my-model.ckpt"], []),
    ],
)
def test_a_file_is_picked_wherever_it_lies(paths: list[str], picked: list[str]):
    assert pick("model.ckpt", paths) == picked


@pytest.mark.parametrize(
    ("paths", "picked"),
    [
        (["vllm/config.json", "vllm/w.bin"], ["vllm/config.json", "vllm/w.bin"]),
        (["VLLM/x/config.json", "VLLM/x/w.bin", "VLLM/y.bin"],
         ["VLLM/x/config.json", "VLLM/x/w.bin"]),
        (["vllm/config.json", "vllm.zip"], ["vllm/config.json"]),
        (["a/vllm/tokenizer.model", "a/VLLM.zip"], ["a/VLLM.zip"]),
        (["vllm/config.json", "vllm/w.bin", "vllm/w.safetensors"],
         ["vllm/config.json", "vllm/w.safetensors"]),
        (["vllm/config.json", "vllm/log.py", "vllm/training_args.bin"], ["vllm/config.json"]),
        (["my-vllm/config.json"], []),
    ],
)  # fmt: skip
def test_a_folder_is_picked_wherever_it_lies(paths: list[str], picked: list[str]):
    assert pick("vllm", paths) == picked
