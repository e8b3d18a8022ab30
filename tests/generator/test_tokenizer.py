import subprocess
import sys

from egoframe.generator.tokenizer import LENGTH, new_tokenizer

TEXTS = ["the right hand opens the red drawer", "take mug", "cut bread", "the naïve café"] * 9
CODE = f"""
from egoframe.generator.tokenizer import new_tokenizer
print(sorted(new_tokenizer({TEXTS!r}, 330).get_vocab().items()))
"""


def test_the_same_texts_give_the_same_tokenizer_in_any_process():
    told = {
        subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True).stdout
        for _ in range(3)
    }
    assert told == {f"{sorted(new_tokenizer(TEXTS, 330).get_vocab().items())}\n"}


def test_words_come_back_out():
    tokenizer = new_tokenizer(TEXTS, 330)
    ids = tokenizer("The right hand cuts a café!", padding="max_length", max_length=LENGTH)
    assert len(ids["input_ids"]) == LENGTH
    text = tokenizer.decode(ids["input_ids"], skip_special_tokens=True)
    assert text == "the right hand cuts a café !"
