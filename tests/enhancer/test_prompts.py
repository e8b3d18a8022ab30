from egoframe.enhancer.prompts import mirrored, prompt, question


def test_the_question_is_the_papers():
    expected = "How does the person properly open drawer that is displayed in the video frame?"
    assert question("open drawer") == expected
    assert expected in prompt(question("open drawer"))


def test_mirroring_swaps_sides_and_turns_and_nothing_else():
    text = "the left hand turns the knob clockwise, leftover on the right"
    swapped = "the right hand turns the knob anticlockwise, leftover on the left"
    assert mirrored(text) == swapped
    assert mirrored(swapped) == text
