"""Models on the hub: pushed, described, and opened again by egoframe and by diffusers alone."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

import egoframe
from egoframe.enhancer.model import Enhancer
from egoframe.errors import UserError
from egoframe.generator import familiarity
from egoframe.generator.assembly import write_pipeline
from egoframe.generator.sharing import push_model
from egoframe.pairs import open_pairs
from tests.cli.run import refused, run
from tests.generator.tiny import tiny_pipeline
from tests.hub_server import Hub
from tests.hub_uploads import environment, upload_hub, visit
from tests.little_dataset import photo, write_dataset

REPO = "me/model"


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A run's folder, as a training leaves it."""
    run = tmp_path_factory.mktemp("run")
    told = {"dataset": "/home/me/pairs", "out": "run", "loop.steps": 7, "network.heads": 4,
            "start_from": None}  # fmt: skip
    (run / "settings.json").write_text(json.dumps(told))
    dataset = open_pairs(write_dataset(run / "pairs"), "train")
    write_pipeline(tiny_pipeline(paper=True), dataset, run / "pipeline")
    return run / "pipeline"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub of this process and of those that it starts."""
    with upload_hub("hf_me") as served:
        for name, value in environment(served, tmp_path / "home").items():
            monkeypatch.setenv(name, value)
        visit(served, monkeypatch, tmp_path / "home")
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
        yield served


def content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def held(hub: Hub) -> dict[str, bytes]:
    return {path: file for path, file in hub.repos[REPO].items() if path != ".gitattributes"}


def front_matter(card: bytes) -> dict:
    return yaml.safe_load(card.decode().split("---\n")[1])


def drawn(pipe) -> np.ndarray:
    words = "the hand takes the mug"
    return np.asarray(pipe(photo("red"), "take mug", description=words).images[0], int)


def test_what_is_pushed_opens_and_draws_the_same(hub, trained):
    (trained / "log.jsonl").write_text("not of the model")
    done = run("push", trained, REPO, "--private", "--json")

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    expected = content(trained)
    del expected["log.jsonl"]
    part = "conditioner/egoframe.generator.conditioner.py"
    assert held(hub).pop(part) == (
        b"from egoframe.generator.conditioner import Conditioner  # noqa: F401\n"
    )
    expected[part] = held(hub)[part]
    assert held(hub) == expected
    assert (told["url"], told["private"], told["files"]) == (
        f"{hub.url}/{REPO}",
        True,
        len(expected),
    )
    opened = egoframe.load(REPO, "cpu")
    assert opened.familiarity.words == familiarity.load(trained).words == {"take", "mug"}
    assert (drawn(opened) == drawn(egoframe.load(trained, "cpu"))).all()


def test_the_same_push_again_sends_nothing(hub, trained):
    first = push_model(trained, REPO)
    hub.asked.clear()
    again = push_model(trained, REPO)
    assert (first.changed, again.changed) == (True, False)
    assert not any(line.startswith("PUT") or "/commit/" in line for line in hub.asked)


def test_a_push_that_was_refused_midway_goes_on(hub, trained):
    hub.refuse["/lfs/"] = 403
    with pytest.raises(
        UserError, match=r"me/model: not pushed \(status 403 .*same command goes on"
    ):
        push_model(trained, REPO)
    hub.refuse.clear()
    push_model(trained, REPO)
    assert "unet/diffusion_pytorch_model.safetensors" in held(hub)


def test_a_pipeline_pushes_itself_as_in_diffusers(hub, tmp_path):
    pipe = tiny_pipeline()
    seen = [Image.new("RGB", (64, 64), (k, 40, 200 - k)) for k in range(200)]
    embed = Enhancer(pipe.enhancer, pipe.processor).embed_images
    pipe.familiarity = familiarity.fit(seen, ["take mug"], embed)

    assert pipe.push_to_hub(REPO, private=True) == f"{hub.url}/{REPO}"

    assert hub.created[REPO]["visibility"] == "private"
    assert {"familiarity.json", "pipeline.py", "README.md"} <= held(hub).keys()
    assert b'egoframe.load("me/model")' in held(hub)["README.md"]
    assert egoframe.load(REPO, "cpu").familiarity.words == {"take", "mug"}
    pipe.save_pretrained(tmp_path / "model", push_to_hub=True, repo_id="me/again", token="hf_me")
    assert hub.repos["me/again"].keys() == hub.repos[REPO].keys()


def test_a_card_that_somebody_wrote_stays(hub, trained, tmp_path):
    pipe = tiny_pipeline()
    pipe.save_pretrained(tmp_path / "model")
    pipe.push_to_hub(REPO)
    hub.repos[REPO]["README.md"] = b"written on the hub"
    pipe.push_to_hub(REPO)
    assert held(hub)["README.md"] == b"written on the hub"
    (tmp_path / "model/README.md").write_text("---\nlicense: mit\n---\nwritten here")
    opened = egoframe.load(tmp_path / "model", "cpu")
    opened.push_to_hub("me/opened")  # what came with it stays with it
    assert hub.repos["me/opened"]["README.md"].endswith(b"written here")
    write_pipeline(pipe, open_pairs(trained.parent / "pairs", "train"), tmp_path / "model")
    assert (tmp_path / "model/README.md").read_text().endswith("written here")


def test_the_card_of_a_training_says_what_the_model_learnt_from(trained):
    card = (trained / "README.md").read_text()
    front = front_matter(card.encode())
    assert (front["library_name"], front["pipeline_tag"], front["license"]) == (
        "egoframe", "image-to-image", "other",
    )  # fmt: skip
    assert "| test | 40 |" in card
    assert "loop.steps: 7" in card
    assert "/home/me" not in card
    assert "learnt these 2 words, and no others: mug, take" in card
    assert "@inproceedings{lai2024lego" in card
    opened = egoframe.load(trained, "cpu")
    size = sum(weight.numel() for weight in opened.unet.state_dict().values())
    assert f"| `unet` | `UNet2DConditionModel` | {size:,} |" in card


def test_a_card_of_the_kitchens_pairs_knows_their_licence(tmp_path):
    from egoframe.generator.card import Learnt

    assert Learnt({"kitchen": 3}).licence == "apache-2.0"
    assert Learnt({"kitchen": 3, "epic-kitchens-100": 1}).licence == "other"
    assert Learnt({"kitchen": 3}, {"start_from": "a folder"}).licence == "other"


def test_a_converted_model_names_the_files_that_it_was_made_from(tmp_path):
    from egoframe.generator.card import model_card

    tiny_pipeline().save_pretrained(tmp_path)
    record = {"checkpoint": {"repo": "a/b", "revision": "0f", "sha256": {"w.ckpt": "1e"}},
              "clip": {"repo": None, "revision": None, "sha256": {"c": "2d"}}}  # fmt: skip
    (tmp_path / "source.json").write_text(json.dumps(record))
    card = model_card(tmp_path)
    assert "- checkpoint: a/b at 0f\n- clip: files at hand\n" in card


def test_the_default_models_card_can_be_pushed():
    from egoframe.models import packaged

    folder = packaged()
    assert folder is not None
    front = front_matter((folder / "README.md").read_bytes())
    assert (front["license"], front["pipeline_tag"]) == ("apache-2.0", "image-to-image")


def test_what_cannot_be_pushed_is_one_line(hub, trained, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "empty: no model_index.json here" in refused(run("push", tmp_path / "empty", REPO))
    assert "nowhere: no such model" in refused(run("push", "nowhere", REPO))
    assert "me/mo del: not pushed" in refused(run("push", trained, "me/mo del"))
    hub.repos[REPO] = {}
    assert "is public already" in refused(run("push", trained, REPO, "--private"))
    hub.secret = "hf_other"
    assert "hf auth login" in refused(run("push", trained, "me/other"))


DIFFUSERS = """
import sys, warnings
warnings.simplefilter("ignore")
import numpy as np, torch
from diffusers import DDIMScheduler, DiffusionPipeline
from PIL import Image

model, photo, out = sys.argv[1:]
assert "egoframe" not in sys.modules
pipe = DiffusionPipeline.from_pretrained(
    model, custom_pipeline=model, trust_remote_code=True, dtype=torch.float32)
assert type(pipe).__name__ == "ActionFramePipeline"
image = Image.open(photo)
given = {"action": "take mug", "description": "the hand takes the mug"}
np.save(f"{out}/first.npy", np.asarray(pipe(image, **given).images[0]))
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)
np.save(f"{out}/ddim.npy", np.asarray(pipe(image, **given, sampler="scheduler").images[0]))
pipe.save_pretrained(f"{out}/saved")
again = DiffusionPipeline.from_pretrained(
    f"{out}/saved", custom_pipeline=f"{out}/saved", trust_remote_code=True, dtype=torch.float32)
assert isinstance(again.scheduler, DDIMScheduler)
np.save(f"{out}/again.npy", np.asarray(again(image, **given, sampler="scheduler").images[0]))
again.enable_model_cpu_offload(device="cpu")  # the hooks are those of a GPU
assert again.unet._hf_hook is not None
np.save(f"{out}/offloaded.npy", np.asarray(again(image, **given, sampler="scheduler").images[0]))
try:
    DiffusionPipeline.from_pretrained(model, custom_pipeline=model)
except ValueError as error:
    print(error)
"""


@pytest.mark.parametrize("where", ["folder", "hub"])
def test_diffusers_opens_it_without_ours_being_imported(hub, trained, tmp_path, where):
    """In a process that never imports egoframe itself."""
    push_model(trained, REPO)
    photo("red").save(tmp_path / "photo.png")
    model = trained if where == "folder" else REPO
    script = [
        sys.executable,
        "-c",
        DIFFUSERS,
        str(model),
        str(tmp_path / "photo.png"),
        str(tmp_path),
    ]

    done = subprocess.run(script, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert "trust_remote_code=True" in done.stdout
    first, ddim, again = (np.load(tmp_path / f"{n}.npy") for n in ("first", "ddim", "again"))
    expected = drawn(egoframe.load(trained, "cpu", dtype=None))
    assert np.abs(first.astype(int) - expected).max() <= 1
    (cache,) = (
        (tmp_path / "home/hub").glob("models--me--model/snapshots/*")
        if where == "hub"
        else [trained]
    )
    assert (cache / "conditioner/egoframe.generator.conditioner.py").exists() == (where == "hub")
    assert (
        drawn(egoframe.load(cache, "cpu")) == expected
    ).all()  # runs none of the files beside it
    assert (ddim == again).all()
    assert (np.load(tmp_path / "offloaded.npy") == again).all()
    assert (ddim != first).any()
