import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from egoframe.enhancer.answers import likeliest_answers
from egoframe.enhancer.model import Enhancer
from egoframe.enhancer.pretraining import (
    IGNORED,
    PretrainingConfig,
    label_tokens,
    pretrain_enhancer,
    token_weights,
)
from egoframe.enhancer.prompts import NEXT, plan_question
from egoframe.enhancer.small import new_processor
from egoframe.errors import UserError
from egoframe.pairs import open_pairs
from egoframe.training import LoopConfig
from tests.little_dataset import COLORS, photo, write_dataset


def config(folder: Path, steps: int) -> PretrainingConfig:
    return PretrainingConfig(
        dataset=folder / "pairs",
        out=folder / "run",
        vision_dim=48,
        text_dim=64,
        loop=LoopConfig(steps=steps, batch_size=8, lr=5e-3, warmup=5, ema=0.9),
    )


def test_it_learns_to_tell_what_the_picture_shows(tmp_path):
    write_dataset(tmp_path / "pairs")
    pretrain_enhancer(config(tmp_path, steps=70))
    enhancer = Enhancer.from_pretrained(tmp_path / "run" / "enhancer")
    said = enhancer([photo(color) for color in COLORS], ["take mug"] * 2)
    assert said.descriptions == [f"The person takes the {color} mug." for color in COLORS]
    # A text that it would say itself has the same embeddings when it is given.
    given = enhancer([photo(color) for color in COLORS], ["take mug"] * 2, said.descriptions)
    torch.testing.assert_close(given.text_embeds, said.text_embeds)
    # Each embedding is that of the position which predicted its token.
    with torch.inference_mode():
        predicted = enhancer.model.lm_head(said.text_embeds[0]).argmax(-1)[said.text_mask[0]]
    words = enhancer.processor.tokenizer.decode(predicted, skip_special_tokens=True)
    assert words.strip() == said.descriptions[0]


def test_a_trained_one_goes_on_with_new_words_beside_those_it_knows(tmp_path):
    write_dataset(tmp_path / "pairs")
    first = pretrain_enhancer(config(tmp_path, steps=70))
    rows = open_pairs(tmp_path / "pairs", "train").to_list()
    for row in rows:
        row["description"] = row["description"].replace("person", "cyclist")
    shard = tmp_path / "more" / "train" / "00000.parquet"
    shard.parent.mkdir(parents=True)
    whole = open_pairs(tmp_path / "pairs", "train")
    type(whole).from_list(rows, features=whole.features).to_parquet(shard)
    more = replace(config(tmp_path, 1), dataset=tmp_path / "more", out=tmp_path / "more-run")
    trained = tmp_path / "run" / "enhancer"
    again = pretrain_enhancer(
        replace(more, start_from=trained, loop=replace(more.loop, lr=0.0, weight_decay=0.0))
    )
    old, new = (one.processor.tokenizer.get_vocab() for one in (first, again))
    words = [one.model.get_input_embeddings().weight for one in (first, again)]
    assert "Ġcyclist" in new.keys() - old.keys()
    both = sorted(old.keys() & new.keys())
    torch.testing.assert_close(
        words[1][[new[word] for word in both]], words[0][[old[word] for word in both]]
    )
    photos = [photo(color) for color in COLORS]
    torch.testing.assert_close(again.embed_images(photos), first.embed_images(photos))
    with pytest.raises(UserError, match="has other layers or widths"):
        pretrain_enhancer(replace(more, out=tmp_path / "wide", start_from=trained, text_dim=96))


def test_what_is_next_and_the_steps_of_a_task_are_learnt_beside_descriptions(tmp_path):
    """After the mug, the spoon is taken at the red table, which turns green meanwhile; at the blue
    one, which turns yellow, the mug is washed."""
    turned = dict(zip(COLORS, ("green", "yellow"), strict=True))
    write_dataset(tmp_path / "some")
    whole = open_pairs(tmp_path / "some", "train")
    rows = whole.to_list()
    for number, row in enumerate(rows):
        step = number // 2 % 2  # the mug, and then what comes after it
        row["video_id"] = f"{number % 2} {number // 4}"
        row["input_time"], row["action_time"] = 3.0 * step, 3.0 * step + 1
        later = "take spoon" if number % 2 == 0 else "wash mug"
        row["action"] = later if step else "take mug"
        task = {"words": "set the table", "step": step + 1, "steps": 2}
        row["facts"] = json.dumps({"task": task})
        if step:
            row["input_frame"] = photo(turned[COLORS[number % 2]])
        row["action_frame"] = photo(turned[COLORS[number % 2]])
    for split in ("train", "validation"):
        shard = tmp_path / "pairs" / split / "00000.parquet"
        shard.parent.mkdir(parents=True)
        type(whole).from_list(rows, features=whole.features).to_parquet(shard)
    enhancer = pretrain_enhancer(
        replace(config(tmp_path, steps=120), anticipation=0.5, planning=0.4)
    )
    for color, later in zip(COLORS, ("take spoon", "wash mug"), strict=True):
        ask = partial(likeliest_answers, enhancer, [photo(color)], count=3, tokens=40)
        assert ask([NEXT])[0][0].text == "take mug"
        assert ask([plan_question("set the table")])[0][0].text == f"take mug, {later}"
        after = likeliest_answers(enhancer, [photo(turned[color])], [NEXT], count=3)
        assert after[0][0].text == later
        assert after[0][0].log_probability > -0.7
    assert enhancer.model.config.next_temperature < 1  # it is right more often than it says
    with pytest.raises(UserError, match="tells of no task"):
        pretrain_enhancer(
            replace(
                config(tmp_path, 1), dataset=tmp_path / "some", out=tmp_path / "no", planning=0.5
            )
        )


def test_missing_descriptions_are_named(tmp_path):
    write_dataset(tmp_path / "pairs", described=False)
    with pytest.raises(UserError, match="40 of 40 pairs have no description"):
        pretrain_enhancer(config(tmp_path, steps=1))


def test_descriptions_of_one_writer_may_be_chosen(tmp_path):
    write_dataset(tmp_path / "pairs")
    (writer,) = set(open_pairs(tmp_path / "pairs", "train")["description_source"])
    pretrain_enhancer(replace(config(tmp_path, steps=1), described_by=writer))
    told = json.loads((tmp_path / "run" / "settings.json").read_text(encoding="utf-8"))
    assert told["described_by"] == writer
    with pytest.raises(UserError, match=f"described by gpt-curation; there are those by {writer}"):
        pretrain_enhancer(replace(config(tmp_path, steps=1), described_by="gpt-curation"))


def test_only_the_emphasised_words_weigh_more():
    processor = new_processor(["The left hand holds the red mug."] * 9, vocab_size=330)
    weights = token_weights(processor.tokenizer, ("left", "red"), 3.0)
    ids = processor.tokenizer(" The left hand holds the red mug.")["input_ids"]
    heavy = processor.tokenizer.decode([i for i in ids if weights[i] == 3.0])
    assert heavy.split() == ["left", "red"]
    assert set(weights.tolist()) == {1.0, 3.0}


def test_image_tokens_take_the_label_of_the_smallest_box_around_them():
    processor = new_processor(["left right hand red mug blue plate"] * 9, vocab_size=330)
    boxes = [
        {"label": "red mug", "x0": 0.0, "y0": 0.0, "x1": 0.2, "y1": 0.2},
        {"label": "blue plate", "x0": 0.0, "y0": 0.0, "x1": 0.5, "y1": 0.5},
        {"label": "left hand", "x0": 0.80, "y0": 0.80, "x1": 0.82, "y1": 0.82},  # in no middle
    ]

    def words(flip: bool) -> list[list[str]]:
        grid = label_tokens(processor.tokenizer, boxes, flip).reshape(8, 8, 2)
        decode = processor.tokenizer.decode
        return [["" if i == IGNORED else decode(i).strip() for i in row[:, 0]] for row in grid]

    there = words(False)
    assert there[0] == ["red", "red", "blue", "blue", "", "", "", ""]
    assert there[3] == ["blue"] * 4 + [""] * 4
    assert there[4] == [""] * 8
    assert there[6] == [""] * 6 + ["left", ""]
    mirror = words(True)
    assert mirror[0] == there[0][::-1]
    assert mirror[6] == ["", "right"] + [""] * 6
