"""What is learnt from does not depend on how the work is split."""

import torch

from egoframe.training.randomness import key_of, step_batches, step_samples

KEYS = [key_of(f"pair {k}") for k in range(50)]


def drawn(batches) -> dict[tuple[int, int], tuple[torch.Tensor, ...]]:
    """The noise of every visited sample; a sample may come twice, in two epochs."""
    found = {}
    for batch in batches:
        normal, uniform, whole = batch.normal(3), batch.uniform(), batch.integers(1000)
        for row, index in enumerate(batch.indices.tolist()):
            key = (index, sum(index == seen for seen, _ in found))
            found[key] = (normal[row], uniform[row], whole[row])
    return found


def test_an_epoch_visits_every_sample_once():
    parts = [step_samples(step, 8, 50, seed=3) for step in range(25)]
    seen, epochs = (torch.cat(x) for x in zip(*parts, strict=True))
    for epoch in range(4):
        assert sorted(seen[epoch * 50 : epoch * 50 + 50].tolist()) == list(range(50))
        assert (epochs[epoch * 50 : epoch * 50 + 50] == epoch).all()
    assert seen[:50].tolist() != seen[50:100].tolist()


def test_processes_and_parts_share_what_one_process_learns_from():
    for step in (0, 6):  # the second goes over into the next epoch
        whole = drawn(step_batches(step, 8, KEYS, 5, 0.0))
        for processes, accumulate in ((2, 1), (1, 4), (2, 2), (4, 2)):
            parts = [
                batch
                for rank in range(processes)
                for batch in step_batches(step, 8, KEYS, 5, 0.0, rank, processes, accumulate)
            ]
            assert len(parts) == processes * accumulate
            split = drawn(parts)
            assert split.keys() == whole.keys()
            for key, values in split.items():
                for own, wanted in zip(values, whole[key], strict=True):
                    assert torch.equal(own, wanted)


def test_noise_follows_the_name_the_epoch_and_the_seed_alone():
    (first,) = step_batches(0, 8, KEYS, 5, 0.0)
    index = int(first.indices[0])
    noise = first.normal(4)[0]
    moved = [*KEYS[:index], *KEYS[index + 1 :], KEYS[index]]  # the same pair at another place
    for step in range(7):
        (batch,) = step_batches(step, 8, moved, 5, 0.0)
        place = (batch.indices == 49).nonzero()
        if len(place):
            assert torch.equal(batch.normal(4)[int(place[0])], noise)
            break
    else:
        raise AssertionError("the pair is in no step of the epoch")
    again = [batch for step in range(7, 13) for batch in step_batches(step, 8, KEYS, 5, 0.0)]
    later = [b.normal(4)[row] for b in again for row, k in enumerate(b.indices) if k == index]
    assert later
    assert not any(torch.equal(value, noise) for value in later)
    (other,) = step_batches(0, 8, KEYS, 6, 0.0)
    assert not torch.equal(other.normal(4), first.normal(4))


def test_the_noise_is_what_it_is_called():
    (batch,) = step_batches(0, 50, KEYS * 40, 0, 0.0)
    normal = torch.cat([step_batches(k, 50, KEYS * 40, 0, 0.0)[0].normal(20) for k in range(20)])
    assert abs(float(normal.mean())) < 0.03
    assert abs(float(normal.std()) - 1) < 0.03
    assert batch.uniform().min() >= 0
    assert set(batch.integers(3).tolist()) == {0, 1, 2}
    assert batch.chance(1.0).all()
    assert not batch.chance(0.0).any()
