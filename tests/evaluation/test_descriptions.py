from egoframe.evaluation.descriptions import DescriptionScore, score_descriptions
from egoframe.scenes import describe
from tests.kitchen.made_up import records


def test_facts_are_counted_by_kind_and_together():
    record = {**records(1)[0], "hands": ["left"], "motion": "towards"}
    texts = ["The left hand pulls it towards the body.", "The right hand pulls it to the left."]
    assert score_descriptions(texts, [record, record]) == {
        "hand": DescriptionScore(told=2, right=1),
        "direction": DescriptionScore(told=2, right=1),
        "all": DescriptionScore(told=4, right=2),
    }


def test_true_descriptions_score_one_and_those_of_other_actions_less():
    known = records(120)
    texts = [describe(record) for record in known]
    assert score_descriptions(texts, known)["all"].accuracy == 1.0
    assert score_descriptions(texts[1:] + texts[:1], known)["all"].accuracy < 0.6


def test_nothing_told_is_nothing_wrong():
    assert score_descriptions([""], records(1))["all"].accuracy == 1.0
