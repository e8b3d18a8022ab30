"""Tuning through TRL and PEFT: what is learnt, what is left alone, and going on after a kill."""

import importlib.util
import io
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn.functional import log_softmax

from egoframe.enhancer import tuning
from egoframe.enhancer.model import Enhancer
from egoframe.enhancer.prompts import question
from egoframe.enhancer.tuning import Lora, TuningConfig, TuningLoop, plan_tuning, tune_enhancer
from egoframe.errors import UserError
from egoframe.evaluation.descriptions import judge_tuning, summary
from egoframe.models import packaged
from egoframe.pairs import ActionPair, open_described, write_pairs
from egoframe.scenes import describe
from egoframe.storage import Folder
from egoframe.training.checkpoints import checkpoints
from egoframe.training.randomness import step_samples
from tests.cli.run import run
from tests.enhancer.families import FAMILIES
from tests.kitchen.made_up import records
from tests.little_dataset import COLORS, photo, write_dataset

ROOT = Path(__file__).resolve().parents[2]
LOOP = TuningLoop(epochs=1, batch_size=8, micro_batch=4, lr=5e-3, activation_checkpointing=False,
                  trackers=())  # fmt: skip
TRUE = [f"The person takes the {color} mug." for color in COLORS]
PHOTOS = [photo(color) for color in COLORS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty pairs, and an untrained LLaVA."""
    folder = tmp_path_factory.mktemp("tuning")
    write_dataset(folder / "pairs")
    FAMILIES["llava"]().save_pretrained(folder / "base")
    return folder


def settings(folder: Path, out: Path, **loop: object) -> TuningConfig:
    return TuningConfig(
        dataset=folder / "pairs",
        out=out,
        base=str(folder / "base"),
        lora=Lora(rank=16, alpha=32, dropout=0.0),
        loop=replace(LOOP, **loop),  # type: ignore[arg-type]
    )


def little_pair(number: int, color: str) -> ActionPair:
    """A pair like those of the little dataset."""
    frame = io.BytesIO()
    photo(color).save(frame, "PNG")
    return ActionPair(
        pair_id=str(number), source="test", split="train", video_id="v", narration="take mug",
        action="take mug", verb="take", noun="mug", description=TRUE[COLORS.index(color)],
        description_source=None, input_frame=frame.getvalue(), action_frame=frame.getvalue(),
        input_time=0.0, action_time=1.0, input_boxes=[], action_boxes=[], similarity=0.9,
        sharpness=1.0, exposure=0.5, camera_motion=0.0,
    )  # fmt: skip


def logged(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def changed(base: Path, tuned: Path) -> set[str]:
    """Names of the weights that are no longer the base's."""
    before, after = (load_file(f / "model.safetensors") for f in (base, tuned))
    assert before.keys() == after.keys()
    return {name for name in before if not torch.equal(before[name], after[name])}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_first_loss_is_that_of_plain_logits_in_every_family(family, folder, tmp_path):
    """And what is learnt is the language model's own."""
    if family == "smolvlm":
        pytest.importorskip("num2words")
    enhancer = FAMILIES[family]()
    enhancer.save_pretrained(tmp_path / "base")
    config = replace(settings(folder, tmp_path / "run", epochs=0.4), base=str(tmp_path / "base"))
    tune_enhancer(config)

    pairs = open_described(folder / "pairs", "train")
    total, count = 0.0, 0
    for number in step_samples(0, 8, len(pairs), seed=0)[0].tolist():
        pair = pairs[number]
        inputs = enhancer.inputs([pair["input_frame"]], [question(pair["action"])])
        answer = enhancer._answer_tokens(question(pair["action"]), pair["description"])
        with torch.inference_mode():
            logits = enhancer.model(**enhancer._answered(inputs, [answer])).logits[0]
        told = log_softmax(logits[-len(answer) - 1 : -1], -1)
        total, count = total - told[range(len(answer)), answer].sum().item(), count + len(answer)
    assert logged(tmp_path / "run")[0]["loss"] == pytest.approx(total / count, rel=1e-5)

    names = changed(tmp_path / "base", tmp_path / "run" / "enhancer")
    assert names
    assert all("_proj.weight" in name for name in names)
    assert all("text_model" in name or "language_model" in name or name.startswith("model.layers")
               for name in names)  # fmt: skip
    assert not any("vision" in name or "visual" in name for name in names)


@pytest.fixture(scope="module")
def tuned(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> TuningConfig:
    """Adapters that were kept."""
    out = tmp_path_factory.mktemp("tuned") / "run"
    config = replace(settings(folder, out, epochs=8), merge=False)
    assert tune_enhancer(config) == out / "adapters"
    return config


def test_adapters_learn_to_tell_what_the_picture_shows(folder, tuned):
    untuned = Enhancer.from_pretrained(folder / "base")
    assert untuned.describe(PHOTOS, ["take mug"] * 2) != TRUE
    enhancer = Enhancer.from_pretrained(tuned.out / "adapters")
    assert enhancer.describe(PHOTOS, ["take mug"] * 2) == TRUE
    losses = [record["loss"] for record in logged(tuned.out)]
    assert len(losses) == 40
    assert losses[-1] < 0.1 * losses[0]


def test_merged_they_are_the_same_and_the_base_is_untouched(folder, tuned):
    before = (folder / "base" / "model.safetensors").read_bytes()
    whole = tune_enhancer(replace(tuned, merge=True))  # the finished run is put together again
    assert (folder / "base" / "model.safetensors").read_bytes() == before
    assert whole == tuned.out / "enhancer"
    names = changed(folder / "base", whole)
    assert len(names) == 14  # two layers of seven
    assert all("language_model" in name for name in names)

    from peft import PeftModel
    from transformers import AutoModelForImageTextToText

    base = AutoModelForImageTextToText.from_pretrained(folder / "base")
    beside = PeftModel.from_pretrained(base, tuned.out / "adapters").eval()
    merged = Enhancer.from_pretrained(whole)
    inputs = merged.lesson(PHOTOS, [question("take mug")] * 2, TRUE)
    labels = inputs.pop("labels")
    with torch.inference_mode():
        logits = [model(**inputs).logits[labels != -100] for model in (beside, merged.model)]
    torch.testing.assert_close(*logits, atol=1e-4, rtol=1e-4)
    opened = Enhancer.from_pretrained(tuned.out / "adapters")
    with torch.inference_mode():
        again = opened.model(**inputs).logits[labels != -100]
    torch.testing.assert_close(again, logits[0], atol=1e-4, rtol=1e-4)


def test_all_weights_are_tuned_but_those_of_the_vision_tower(folder, tmp_path):
    for projector in (False, True):
        config = settings(folder, tmp_path / str(projector), epochs=0.4)
        config = replace(config, method="full", train_projector=projector)
        names = changed(folder / "base", tune_enhancer(config))
        assert any("embed_tokens" in name for name in names)
        assert any("lm_head" in name for name in names)
        assert any("layernorm" in name for name in names)
        assert any("multi_modal_projector" in name for name in names) == projector
        assert not any("vision_tower" in name for name in names)


def test_adapters_may_come_with_a_trained_projector(folder, tmp_path):
    config = replace(settings(folder, tmp_path / "run", epochs=0.4), train_projector=True)
    names = changed(folder / "base", tune_enhancer(config))
    assert sum("multi_modal_projector" in name for name in names) == 4
    kept = Enhancer.from_pretrained(tune_enhancer(replace(config, merge=False)))
    whole = Enhancer.from_pretrained(config.out / "enhancer")
    torch.testing.assert_close(kept.embed_images(PHOTOS), whole.embed_images(PHOTOS))


def test_adapters_learn_beside_quantised_weights(folder, tmp_path, monkeypatch):
    """On a CPU, where it is of no use but works."""
    pytest.importorskip("bitsandbytes")
    monkeypatch.setattr(tuning, "_check_settings", lambda config: None)
    config = settings(folder, tmp_path / "run", epochs=4, bf16=True)
    out = tune_enhancer(replace(config, method="qlora", merge=False))
    assert logged(config.out)[-1]["loss"] < 0.25 * logged(config.out)[0]["loss"]
    quantised = Enhancer.from_pretrained(out, torch.bfloat16, bits=4)
    assert any(type(layer).__name__ == "Linear4bit" for layer in quantised.model.modules())
    assert quantised.describe(PHOTOS, ["take mug"] * 2) == TRUE


DIES = """
import os, sys
from pathlib import Path
from egoframe.training import checkpoints
from tests.enhancer.test_tuning import resumed, tune_enhancer

count, save_file = 0, checkpoints.save_file
def save(tensors, path):
    global count
    count += 1
    if count == 8:  # the second of the third checkpoint's three files
        Path(path).write_bytes(b"half")
        os.kill(os.getpid(), 9)
    save_file(tensors, path)
checkpoints.save_file = save
tune_enhancer(resumed(Path(sys.argv[1]), Path(sys.argv[2])))
"""


def resumed(folder: Path, out: Path) -> TuningConfig:
    """Everything random is on, and every step is kept."""
    config = settings(folder, out, epochs=1.2, checkpoint_minutes=0.0)
    return replace(config, lora=Lora(rank=4, alpha=8, dropout=0.2), mirror=True)


def test_what_was_killed_while_saving_goes_on_bit_for_bit(folder, tmp_path):
    whole, killed = resumed(folder, tmp_path / "whole"), resumed(folder, tmp_path / "killed")
    tune_enhancer(whole)
    done = subprocess.run(
        [sys.executable, "-c", DIES, folder, killed.out], cwd=ROOT, capture_output=True
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert [path.name for path in checkpoints(killed.out)] == ["00000001", "00000002"]
    assert (killed.out / "checkpoints" / "writing").exists()
    tune_enhancer(killed)
    assert logged(killed.out) == logged(whole.out)
    assert len(logged(whole.out)) == 6
    assert [path.name for path in checkpoints(killed.out)] == ["00000005", "00000006"]
    for file in ("checkpoints/00000006/model.safetensors", "enhancer/model.safetensors",
                 "checkpoints/00000006/optimiser.safetensors"):  # fmt: skip
        first, second = (load_file(config.out / file) for config in (whole, killed))
        assert first.keys() == second.keys()
        assert all(torch.equal(first[name], second[name]) for name in first), file
    with pytest.raises(UserError, match=r"other settings \(loop.lr=0.005, mirror=True\)"):
        tune_enhancer(replace(killed, mirror=False, loop=replace(killed.loop, lr=1e-3)))


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_what_was_good(folder, tmp_path):
    config = settings(folder, tmp_path / "run", lr=1e30, warmup=0.0, checkpoint_minutes=0.0)
    told = (
        r"^step 2: the .* is (nan|inf); the last good .* were \d+(, \d+){7}; try a lower loop.lr$"
    )
    with pytest.raises(UserError, match=told):
        tune_enhancer(config)
    kept = load_file(checkpoints(config.out)[-1] / "model.safetensors")
    assert checkpoints(config.out)[-1].name == "00000001"
    assert all(torch.isfinite(value).all() for value in kept.values())


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"base": "nowhere/at/all"}, "nowhere/at/all: not a vision-language model"),
        ({"method": "qlora"}, "method=qlora needs a GPU: set loop.device=cuda, or method=lora"),
        ({"described_by": "gpt-curation"}, "no pair is described by gpt-curation"),
        ({"lora": Lora(targets=("query",))}, "lora.targets: query is no linear layer .* down_proj"),
        ({"loop": replace(LOOP, batch_size=6)}, "loop.batch_size=6 does not divide into 1 process"),
        ({"loop": replace(LOOP, shard=True)}, "loop.shard is for method=full"),
        ({"loop": replace(LOOP, trackers=("excel",))}, "'excel' is neither tensorboard nor wandb"),
        ({"dataset": Path("nowhere")}, "nowhere: no dataset of action pairs with a train split"),
    ],
)
def test_what_will_not_do_is_said_in_a_line_before_the_start(folder, tmp_path, changes, told):
    config = replace(settings(folder, tmp_path / "run"), **changes)
    with pytest.raises(UserError, match=told) as refusal:
        tune_enhancer(config)
    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "run").exists()


def test_pairs_without_descriptions_are_counted(folder, tmp_path):
    write_dataset(tmp_path / "pairs", described=False)
    config = replace(settings(folder, tmp_path / "run"), dataset=tmp_path / "pairs")
    with pytest.raises(UserError, match="40 of 40 pairs have no description; write them with"):
        plan_tuning(config)


@pytest.mark.parametrize("missing", ["trl", "peft"])
def test_a_missing_library_is_named_with_what_to_install(folder, tuned, missing, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == missing else found(name)
    )
    with pytest.raises(
        UserError, match=rf'tuning needs {missing}: pip install "egoframe\[train\]"'
    ):
        plan_tuning(tuned)
    if missing == "peft":
        with pytest.raises(UserError, match=r'adapters need peft: pip install "egoframe\[train\]"'):
            Enhancer.from_pretrained(tuned.out / "adapters")


@pytest.mark.parametrize(("name", "value"), [("batch_size", 0), ("epochs", 0.0), ("grad_clip", 0)])
def test_settings_out_of_range_are_named(name, value):
    with pytest.raises(UserError, match=rf"loop\.{name}={value}: "):
        replace(LOOP, **{name: value})


def test_half_of_the_adapters_is_not_opened(tuned, tmp_path):
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(UserError, match=r"no adapters: adapter_model.safetensors is missing"):
        Enhancer.from_pretrained(tmp_path)
    save_file({}, tmp_path / "adapter_model.safetensors")
    with pytest.raises(UserError, match="no adapters of a vision-language model"):
        Enhancer.from_pretrained(tmp_path)


@pytest.mark.slow
def test_tuned_descriptions_of_the_kitchen_are_truer_and_likelier(tmp_path):
    """The packaged enhancer learns which hand acts: here, the colour of the photo tells."""
    if packaged() is None:
        pytest.skip("the default model is not in this installation")
    pairs = []
    for number, record in enumerate(records(60)):
        side = record["hands"][0]
        pairs.append(
            replace(
                little_pair(number, "red" if side == "left" else "blue"),
                split="train" if number < 40 else "validation",
                action=f"{record['verb'].replace('-', ' ')} {record['noun']}",
                description=describe(record),
                facts=json.dumps(record),
            )
        )
    write_pairs(Folder(tmp_path / "pairs"), pairs)
    config = TuningConfig(
        dataset=tmp_path / "pairs",
        out=tmp_path / "run",
        method="full",
        train_projector=True,
        judged=16,
        loop=replace(LOOP, epochs=6, lr=1e-3, trackers=("tensorboard",)),
    )
    report = judge_tuning(config, tune_enhancer(config))
    assert report == json.loads((config.out / "report.json").read_text())
    assert report["pairs"] == 16
    before, after = report["untuned"], report["tuned"]
    assert after["loss"] < 0.8 * before["loss"]
    assert before["accuracy"]["hand"]["share"] < 0.8
    assert after["accuracy"]["hand"]["share"] > 0.9
    assert after["accuracy"]["all"]["share"] > before["accuracy"]["all"]["share"]
    assert f"{after['loss']:.4f}; untuned {before['loss']:.4f}" in summary(report)["held-out loss"]
    assert list((config.out / "logs").glob("events*"))


def test_what_cannot_be_judged_is_noted(tuned):
    report = judge_tuning(tuned, tuned.out / "adapters")
    assert "tuned" not in report
    assert "no dataset of action pairs with a validation split" in summary(report)["note"]


def test_without_facts_the_loss_alone_is_judged(folder, tuned, tmp_path):
    rows = [replace(little_pair(k, COLORS[k % 2]), split="validation") for k in range(4)]
    write_pairs(Folder(tmp_path / "pairs"), rows)
    report = judge_tuning(
        replace(tuned, dataset=tmp_path / "pairs", out=tmp_path), tuned.out / "adapters"
    )
    assert report["tuned"]["loss"] < 0.1 * report["untuned"]["loss"]
    assert "accuracy" not in report["tuned"]
    assert report["notes"] == ["no accuracy: the dataset does not know the facts"]


def test_a_dry_run_tells_what_it_is_going_to_be(folder, tmp_path):
    given = ("train", "enhancer", "kitchen", f"dataset={folder / 'pairs'}", f"out={tmp_path / 'o'}")
    done = run(*given, "--dry-run", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["pairs"], told["steps"]) == (40, 2)
    assert told["trained"] < told["parameters"]
    assert told["weights_gb"] == pytest.approx(told["parameters"] * 4 / 1e9, abs=1e-3)
    assert not (tmp_path / "o").exists()


PROCESSES = """
import sys
from dataclasses import replace
from pathlib import Path
from tests.enhancer.test_tuning import settings, tune_enhancer

folder, out, shard = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "shard"
tune_enhancer(replace(settings(folder, out, micro_batch=2, shard=shard), method="full"))
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["copies", "shard"])
def test_two_processes_learn_what_one_does(kind, folder, tmp_path):
    (tmp_path / "run.py").write_text(PROCESSES)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command += [str(x) for x in (tmp_path / "run.py", folder, tmp_path / "two", kind)]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    tune_enhancer(replace(settings(folder, tmp_path / "one", micro_batch=2), method="full"))
    for one, two in zip(logged(tmp_path / "one"), logged(tmp_path / "two"), strict=True):
        assert two == pytest.approx(one, rel=1e-5)
    first, second = (
        load_file(tmp_path / name / "enhancer" / "model.safetensors") for name in ("one", "two")
    )
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, atol=1e-5, rtol=1e-4)
