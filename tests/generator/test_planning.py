import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from egoframe.config import load_config
from egoframe.errors import UserError
from egoframe.generator.features import Recipe, make, make_features, pack, unpack
from egoframe.generator.generator_training import GeneratorConfig, open_tokenizer, train_generator
from egoframe.generator.planning import plan_generator
from egoframe.pairs import open_pairs
from tests.cli.run import refused, run
from tests.little_dataset import write_dataset
from tests.training.generator_run import config, prepare


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    prepare(folder)
    return folder


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


def test_a_dry_run_tells_what_it_takes_and_writes_nothing(made):
    before = files(made)
    done = run("train", "generator", made / "settings.yaml", "--dry-run", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["pairs"], told["epochs"]) == (40, 1.2)
    assert told["memory"].startswith("needs about 0.")
    assert told["parameters_learnt"] == told["parameters"] > 100_000
    assert files(made) == before


def test_what_stops_a_training_stops_the_dry_run(made, tmp_path):
    for change, words in (
        (f"dataset={tmp_path}", "no dataset of action pairs"),
        (f"vae={tmp_path}", str(tmp_path)),
        (f"start_from={tmp_path}", "no trained pipeline here"),
        ("loop.device=nowhere", "loop.device: 'nowhere' is not one of cpu, cuda"),
        ("objective.drop_text=0.95", "shares, together at most 1"),
        ("objective.min_snr=5", "above 0, of noise or velocity"),
        ("loop.trackers=[abacus]", "'abacus' is neither tensorboard nor wandb"),
        ("objective.kind=magic", "objective.kind: 'magic' is not one of flow, noise, velocity"),
    ):
        with pytest.raises(UserError, match=words):
            plan_generator(load_config(GeneratorConfig, made / "settings.yaml", [change]))
    command = ("train", "generator", made / "settings.yaml", "loop.batch_size=0", "--dry-run")
    assert refused(run(*command)) == "egoframe: loop.batch_size=0: at least 1"


def test_pairs_of_several_sizes_are_named(made, tmp_path):
    from egoframe.pairs import ActionPair, write_pairs
    from egoframe.storage import Folder

    dataset = open_pairs(made / "pairs", "train")
    rows = []
    for k, row in enumerate(dataset.to_list()):
        frame = io.BytesIO()
        Image.new("RGB", (96, 64) if k == 7 else (64, 64)).save(frame, "PNG")
        own = {name: row[name] for name in ActionPair.__dataclass_fields__ if name in row}
        rows.append(
            ActionPair(**own | {"input_frame": frame.getvalue(), "action_frame": frame.getvalue()})
        )
    write_pairs(Folder(tmp_path / "mixed"), rows)
    mixed = replace(config(made, tmp_path / "out"), dataset=tmp_path / "mixed")
    with pytest.raises(UserError, match="pair 7 has a frame of 96×64 in a dataset of 64×64"):
        plan_generator(mixed)
    with pytest.raises(UserError, match=r"pair 7 .*96×64"):
        train_generator(mixed)


def test_words_that_lack_are_named(made, tmp_path):
    write_dataset(tmp_path / "bare", described=False)
    bare = replace(config(made, tmp_path / "out"), dataset=tmp_path / "bare")
    for settings in (bare, replace(bare, written_by="dataset")):
        with pytest.raises(UserError, match="40 of 40 pairs have no description"):
            plan_generator(settings)
        with pytest.raises(UserError, match="40 of 40 pairs have no description"):
            train_generator(settings)


def test_mirrored_frames_have_mirrored_actions(made):
    recipe = recipe_of(made, mirror="all")
    pairs = open_pairs(recipe.dataset, "train")[:2]
    pairs["action"] = ["take mug with left hand", "take mug with right hand"]
    tokens = make(recipe, pairs)["label_tokens"]
    assert torch.equal(tokens[0], tokens[3])
    assert torch.equal(tokens[1], tokens[2])
    assert not torch.equal(tokens[0], tokens[1])
    assert recipe.mirror == "all"


def recipe_of(made: Path, **changes) -> Recipe:
    own = config(made, made)
    tokenizer = open_tokenizer(own, open_pairs(own.dataset, "train"))
    given = {"mirror": "none", "written_by": "dataset", **changes}
    return Recipe(own.dataset, own.vae, own.enhancer, tokenizer, **given)


def test_a_damaged_feature_is_noticed_and_made_anew(made, tmp_path):
    recipe = recipe_of(made)
    whole = make_features(tmp_path, recipe).rows([3], [False])
    (path,) = tmp_path.glob("*.safetensors")
    good = path.read_bytes()
    flipped = bytearray(good)
    flipped[-1000] ^= 1
    for bad in (bytes(flipped), good[: len(good) // 2], b""):
        path.unlink()  # what is open keeps the old file
        path.write_bytes(bad)
        with pytest.raises(UserError, match=f"{path.name}: is damaged .* delete it"):
            make_features(tmp_path, recipe)
    path.unlink()
    again = make_features(tmp_path, recipe).rows([3], [False])
    assert all(torch.equal(whole[name], again[name]) for name in whole)


def test_features_of_a_changed_enhancer_are_refused(made, tmp_path):
    recipe = recipe_of(made)
    make_features(tmp_path / "features", recipe)
    changed = tmp_path / "enhancer"
    changed.mkdir()
    for file in recipe.enhancer.iterdir():
        (changed / file.name).write_bytes(file.read_bytes())
    weights = load_file(changed / "model.safetensors")
    key = sorted(weights)[0]
    weights[key] = weights[key] + 1e-3
    save_file(weights, changed / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match="features of another enhancer"):
        make_features(tmp_path / "features", replace(recipe, enhancer=changed))


def test_int8_halves_the_room_and_errs_by_half_a_step_at_most():
    embeds = torch.randn(4, 9, 256, generator=torch.Generator().manual_seed(0)) * 3
    embeds[0, 0] = 0
    kept = pack("text_embeds", embeds, "int8")
    back = unpack(kept)["text_embeds"]
    step = embeds.abs().amax(-1, keepdim=True) / 127
    assert ((back - embeds).abs() <= 0.501 * step).all()
    assert set(unpack(kept)) == {"text_embeds"}
    half = pack("text_embeds", embeds, "float16")
    room, less = (sum(v.nbytes for v in x.values()) for x in (half, kept))
    assert less < 0.52 * room
