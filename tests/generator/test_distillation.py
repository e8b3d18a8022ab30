"""The paths against their closed forms, and a tiny distillation that comes to what its teacher
draws."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, LCMScheduler

import egoframe
from egoframe.enhancer.model import Enhancer
from egoframe.errors import UserError
from egoframe.generator.assembly import write_pipeline
from egoframe.generator.distillation import (
    ConsistencyObjective,
    DistillationConfig,
    distil,
)
from egoframe.generator.planning import plan_distillation
from egoframe.generator.trajectories import (
    DiffusionTrajectory,
    FlowTrajectory,
    Trajectory,
    lcm_scheduler,
    trajectory_of,
)
from egoframe.pairs import open_pairs
from egoframe.training import LoopConfig
from egoframe.training.randomness import key_of, step_batches
from tests.generator.tiny import tiny_pipeline
from tests.little_dataset import photo, write_dataset
from tests.training.test_processes import apart, python


def latents(count: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    both = torch.randn(2, count, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    return both[0], both[1]


STARTS = torch.tensor([0])


def test_a_network_that_is_right_keeps_the_flow_on_its_line():
    clean, noise = latents()
    way = FlowTrajectory(torch.tensor([1.0, 0.7, 0.2]), STARTS)
    places = torch.tensor([0, 1, 2])
    for further in (places + 1, torch.tensor([2, 2, 3])):
        moved = way.step(way.mix(clean, noise, places), clean, places, further)
        torch.testing.assert_close(moved, way.mix(clean, noise, further))


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
def test_a_step_of_diffusion_is_that_of_diffusers_ddim(kind):
    clean, noise = latents()
    ddim = DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False,
        prediction_type=kind, timestep_spacing="trailing", set_alpha_to_one=True,
    )  # fmt: skip
    ddim.set_timesteps(50)
    way = DiffusionTrajectory(ddim.timesteps, STARTS, ddim)
    places = torch.tensor([0, 20, 49])
    noisy = way.mix(clean, noise, places)
    alpha = ddim.alphas_cumprod[ddim.timesteps[places]].view(-1, 1, 1, 1)
    torch.testing.assert_close(noisy, alpha.sqrt() * clean + (1 - alpha).sqrt() * noise)
    out = torch.randn(noisy.shape, generator=torch.Generator().manual_seed(1))
    stepped = way.step(noisy, out, places, places + 1)
    for row, t in enumerate(ddim.timesteps[places]):
        expected = ddim.step(out[row], t, noisy[row]).prev_sample
        torch.testing.assert_close(stepped[row], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("flow", [True, False])
def test_an_error_is_told_in_clean_latents(flow):
    """What divides it is the jump's derivative by the clean latent, here by autograd."""
    x, out = latents()
    ddim = DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    way: Trajectory = FlowTrajectory(torch.tensor([1.0, 0.7, 0.2]), STARTS)
    if not flow:
        way = DiffusionTrajectory(torch.tensor([999, 600, 40]), STARTS, ddim)
    place, end = torch.tensor([0, 0, 1]), torch.tensor([1, 2, 3])
    given = out.requires_grad_()
    jump, clean = way.step(x, given, place, end), way.clean(x, given, place)
    by_jump, by_clean = (torch.autograd.grad(y.sum(), given)[0] for y in (jump, clean))
    expected = (by_jump / by_clean).detach()
    found = way.gain(place, end, x).expand_as(expected)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)


def test_what_is_learnt_is_what_diffusers_sampler_of_such_models_takes():
    clean, noise = latents(1)
    lcm = LCMScheduler(beta_start=0.00085, beta_end=0.012, original_inference_steps=50)
    lcm.set_timesteps(4)
    way = DiffusionTrajectory(lcm.timesteps, STARTS, lcm)
    for place, t in enumerate(lcm.timesteps):
        at = torch.tensor([place])
        noisy, out = way.mix(clean, noise, at), noise * 0.9
        lcm._step_index = None
        expected = lcm.step(out, t, noisy).denoised
        torch.testing.assert_close(way.clean(noisy, out, at), expected, rtol=1e-4, atol=1e-4)


def test_phases_begin_at_the_times_that_the_student_will_draw_at():
    flow, paper = tiny_pipeline(), tiny_pipeline(paper=True)
    for steps, teacher_steps in ((3, 3), (3, 4), (3, 6), (4, 50)):
        flow.scheduler.set_timesteps(steps)
        way = trajectory_of(flow, teacher_steps, steps)
        assert way.steps == teacher_steps
        assert (way.t.diff() < 0).all()
        starts = torch.cat((torch.tensor([0]), way.ends.unique()[:-1]))
        assert torch.equal(way.t[starts], flow.scheduler.sigmas[:-1])
    way = trajectory_of(paper, 10, 4)
    assert way.times(torch.arange(10)).tolist() == list(range(999, 0, -100))
    student = lcm_scheduler(paper.scheduler, 10)
    student.set_timesteps(4)
    starts = torch.cat((torch.tensor([0]), way.ends.unique()[:-1]))
    assert torch.equal(way.t[starts], student.timesteps)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory) -> Path:
    """A folder with a dataset and a tiny untrained teacher of each kind."""
    folder = tmp_path_factory.mktemp("teacher")
    dataset = open_pairs(write_dataset(folder / "pairs"), "train")
    for name, paper in (("flow", False), ("paper", True)):
        write_pipeline(tiny_pipeline(paper), dataset, folder / name)
    return folder


def config(teacher: Path, name: str, out: Path, **changes) -> DistillationConfig:
    loop = LoopConfig(steps=3, batch_size=4, lr=1e-3, warmup=0, log_every=1, trackers=())
    return DistillationConfig(
        dataset=teacher / "pairs", out=out, model=str(teacher / name), written_by="dataset",
        mirror="none", loop=replace(loop, **changes.pop("loop", {})), **changes,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["flow", "paper"])
def test_a_student_that_is_right_has_no_loss(teacher, tmp_path, name):
    """Its target at the end of a phase is the teacher's own; so a teacher without guidance, asked
    at such a place, is a student without loss."""
    pipe = egoframe.load(teacher / name)
    settings = config(
        teacher, name, tmp_path, text_guidance=1.0, image_guidance=1.0, teacher_steps=20
    )
    projector = Enhancer(pipe.enhancer, pipe.processor).projector
    objective = ConsistencyObjective(pipe.unet, pipe, projector, settings, "cpu")
    way = objective.trajectory
    keys = [key_of(str(k)) for k in range(4)]
    (batch,) = step_batches(0, 4, keys, 0, 0.0)
    data = {
        "input_latents": torch.randn(4, 4, 8, 8), "action_latents": torch.randn(4, 4, 8, 8),
        "tokens": torch.zeros(4, 77, dtype=torch.long), "text_embeds": torch.randn(4, 77, 64),
        "label_tokens": torch.zeros(4, 77, dtype=torch.long),
        "image_states": torch.randn(4, 64, 48),
    }  # fmt: skip

    def loss(place: int) -> torch.Tensor:
        object.__setattr__(batch, "data", data)
        object.__setattr__(batch, "integers", lambda limit: torch.full((4,), place))
        with torch.no_grad():
            return objective(batch)

    last = (way.ends.unique() - 1).tolist()
    assert len(last) == 4
    for place in last:
        assert loss(place).max() < (1e-6 if name == "flow" else 1e-3)
    assert loss(0).min() > 1e-5
    with torch.autocast("cpu", torch.bfloat16):
        assert loss(0).isfinite().all()


@pytest.mark.slow
@pytest.mark.parametrize("lora_rank", [None, 4])
def test_the_student_draws_in_four_steps_without_guidance(teacher, tmp_path, lora_rank):
    for name in ("flow", "paper"):
        out = tmp_path / name
        distil(config(teacher, name, out, lora_rank=lora_rank))
        first, second = (egoframe.load(folder) for folder in (teacher / name, out / "pipeline"))
        told = second.config
        assert (told.steps, told.text_guidance, told.image_guidance) == (4, 1.0, 1.0)
        pictures = [pipe(photo("red"), "take mug").images[0] for pipe in (first, second)]
        assert np.abs(np.subtract(*(np.asarray(p, int) for p in pictures))).max() > 0
        kept, moved = (
            (first.unet.state_dict()[key] - second.unet.state_dict()[key]).abs().max()
            for key in ("conv_norm_out.weight", "mid_block.resnets.0.conv1.weight")
        )
        assert moved > 0
        assert (kept == 0) == (lora_rank is not None)  # adapters leave norms as they were
        assert (out / "lora").exists() == (lora_rank is not None)


def test_a_dry_run_counts_student_and_teacher_and_writes_nothing(teacher, tmp_path):
    for name, rank in (("flow", None), ("paper", 4)):
        told = plan_distillation(config(teacher, name, tmp_path / "out", lora_rank=rank))
        pipe = egoframe.load(teacher / name)
        sizes = {
            part: sum(p.numel() for p in getattr(pipe, part).parameters())
            for part in ("unet", "text_encoder", "conditioner")
        }
        assert told["pairs"] == 40
        if rank is None:
            assert told["parameters_learnt"] == sizes["unet"]
            assert told["parameters"] == sizes["unet"] + sum(sizes.values())
        else:
            assert 0 < told["parameters_learnt"] < sizes["unet"]
        assert told["memory"].startswith("needs about 0.")
    assert not (tmp_path / "out").exists()
    with pytest.raises(UserError, match="nowhere: no such model"):
        plan_distillation(config(teacher, "nowhere", tmp_path / "out"))


@pytest.mark.slow
def test_two_processes_put_a_sharded_student_together(teacher, tmp_path):
    settings = tmp_path / "settings.yaml"
    settings.write_text(
        f"dataset: {teacher}/pairs\nmodel: {teacher}/flow\nwritten_by: dataset\nmirror: none\n"
        "loop: {steps: 2, batch_size: 4, lr: 1.0e-3, warmup: 0, trackers: [], shard: true}\n"
    )
    command = ("-m", "egoframe", "train", "distill", settings, f"out={tmp_path / 'out'}")
    python("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *command)
    python(*command, f"out={tmp_path / 'alone'}", "loop.shard=false")
    begun, one, two = (
        egoframe.load(folder).unet.state_dict()
        for folder in (teacher / "flow", tmp_path / "alone/pipeline", tmp_path / "out/pipeline")
    )
    assert apart(one, two) < 0.05 * apart(one, begun)


def test_what_cannot_be_distilled_is_said(teacher, tmp_path):
    pipe = tiny_pipeline(paper=True)
    pipe.scheduler.register_to_config(prediction_type="sample")
    with pytest.raises(UserError, match="a model that predicts sample cannot be distilled"):
        trajectory_of(pipe, 50, 4)
    with pytest.raises(UserError, match="nowhere: no such model"):
        distil(config(teacher, "nowhere", tmp_path / "out"))
