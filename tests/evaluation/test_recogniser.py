import pytest
import torch

from egoframe.errors import UserError
from egoframe.evaluation.recogniser import ActionRecogniser, load_recogniser
from egoframe.frames import to_signed

ACTIONS = ("brighten", "darken", "nothing")


def pairs(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    before = torch.randint(60, 190, (count, 32, 32, 3), generator=generator)
    label = torch.randint(0, 3, (count,), generator=generator)
    step = torch.tensor([50, -50, 0])[label]
    return before.byte(), (before + step[:, None, None, None]).byte(), label


def test_it_learns_actions_that_only_the_pair_shows():
    torch.manual_seed(0)
    model = ActionRecogniser(ACTIONS, widths=(8, 16))
    optimiser = torch.optim.AdamW(model.parameters(), 1e-2)
    for step in range(60):
        before, after, label = pairs(32, step)
        frames = (to_signed(x.permute(0, 3, 1, 2)) for x in (before, after))
        loss = torch.nn.functional.cross_entropy(model(*frames), label)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    before, after, label = pairs(90, 1000)
    named = model.recognise(before, after)
    right = sum(name == ACTIONS[k] for name, k in zip(named, label.tolist(), strict=True))
    assert right >= 85


def test_what_it_names_does_not_depend_on_the_batch_size():
    model = ActionRecogniser(ACTIONS, widths=(8, 16))
    before, after, _ = pairs(10, 0)
    assert model.recognise(before, after, 3) == model.recognise(before, after, 10)


def test_a_saved_recogniser_names_the_same(tmp_path):
    model = ActionRecogniser(ACTIONS, widths=(8, 16))
    model.save_pretrained(tmp_path)
    before, after, _ = pairs(10, 0)
    assert load_recogniser(tmp_path).recognise(before, after) == model.recognise(before, after)


def test_a_folder_without_a_recogniser_is_named(tmp_path):
    with pytest.raises(UserError, match="no action recogniser"):
        load_recogniser(tmp_path / "absent")


@pytest.mark.parametrize("family", ["kitchen", "workshop"])
@pytest.mark.usefixtures("renderer_available")
def test_the_packaged_one_names_what_people_do_in_scenes_it_never_saw(family):
    import numpy as np
    from PIL import Image

    from egoframe.scenes import open_family
    from egoframe.simulator.episode import plan_episode
    from egoframe.simulator.render import Renderer
    from egoframe.simulator.world import World

    asked, drawn = [], []
    for seed in (31, 32):
        world = World(seed, "validation", family=open_family(family))
        episode = plan_episode(world, np.random.default_rng(seed), 30)
        renderer = Renderer(world, 256)
        for performed in episode.actions:
            asked.append(performed.action.narration)
            for moment in ("pre", "pnr"):
                episode.apply(performed.times[moment])
                picture = Image.fromarray(renderer.rgb())
                drawn.append(np.asarray(picture.resize((128, 128), Image.Resampling.BOX)))
        renderer.close()
    frames = torch.from_numpy(np.stack(drawn)).unflatten(0, (-1, 2))
    named = load_recogniser().recognise(frames[:, 0], frames[:, 1])
    assert np.mean([n == a for n, a in zip(named, asked, strict=True)]) >= 0.9
