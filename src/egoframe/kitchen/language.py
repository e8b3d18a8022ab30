"""The kitchen's words: within EPIC-KITCHENS-100's classes, and in its teacher's sentences."""

from egoframe.simulator.language import Language

# The words of the kitchen within EPIC-KITCHENS-100's classes: word → (class number, key).
VERB_CLASSES = {
    "take": (0, "take"), "put-down": (1, "put"), "wash": (2, "wash"), "open": (3, "open"),
    "close": (4, "close"), "turn-on": (6, "turn-on"), "cut": (7, "cut"),
    "turn-off": (8, "turn-off"), "pour": (9, "pour"), "stir": (10, "mix"), "press": (21, "press"),
    "wipe": (2, "wash"),
}  # fmt: skip
NOUN_CLASSES = {
    "tap": (0, "tap"), "spoon": (1, "spoon"), "plate": (2, "plate"), "cupboard": (3, "cupboard"),
    "knife": (4, "knife"), "pan": (5, "pan"), "bowl": (7, "bowl"), "drawer": (8, "drawer"),
    "sponge": (9, "sponge"), "glass": (10, "glass"), "mug": (13, "cup"), "bottle": (15, "bottle"),
    "cloth": (17, "cloth"), "spatula": (20, "spatula"), "hob": (24, "hob"), "water": (27, "water"),
    "pot": (29, "pot"), "oil": (31, "oil"), "bread": (33, "bread"), "jar": (40, "jar"),
    "carrot": (41, "carrot"), "counter": (42, "top"), "tomato": (43, "tomato"),
    "kettle": (44, "kettle"), "oven": (46, "oven"), "microwave": (90, "microwave"),
    "button": (92, "button"),
}  # fmt: skip

# What is said of each verb, or of one action of it, in several grammatical shapes.
SENTENCES: dict[str, list[str]] = {
    "open drawer": [
        "{who} hooks the fingers of the {side} hand over the handle of {thing}{where} and pulls "
        "it out towards the body.",
        "{who} takes hold of the handle of {thing}{where} {hand} and pulls it towards the body.",
        "The {side} hand reaches for the handle of {thing}{where} and pulls it towards the body.",
    ],
    "close drawer": [
        "{who} lays the fingers of the {side} hand on the handle of {thing}{where} and pushes it "
        "in, away from the body.",
        "{who} takes the handle of {thing}{where} {hand} and pushes it away from the body.",
        "The {side} hand reaches for {thing}{where} and pushes it shut, away from the body.",
    ],
    "open": [
        "{who} grips the handle of {thing}{where} {hand} and swings the door {swing} to open it.",
        "The {side} hand takes the handle of {thing}{where} and swings the door {swing} to open "
        "it.",
    ],
    "close": [
        "{who} grips the handle of {thing}{where} {hand} and swings the door {swing} to close it.",
        "The {side} hand takes the handle of {thing}{where} and swings the door {swing} to close "
        "it.",
    ],
    "turn-on tap": [
        "{who} grasps the lever of {thing}{where} {hand} and pulls it towards the body, and water "
        "starts to run into the sink.",
        "The {side} hand takes the lever of {thing}{where} and pulls it towards the body; water "
        "begins to flow.",
    ],
    "turn-off tap": [
        "{who} grasps the lever of {thing}{where} {hand} and pushes it away from the body, and "
        "the water stops running.",
        "The {side} hand takes the lever of {thing}{where} and pushes it away from the body; the "
        "water stops.",
    ],
    "turn-on": [
        "{who} turns the knob of {thing}{where} {motion} {hand}, and the ring begins to glow.",
        "The {side} hand pinches the knob of {thing}{where} and turns it {motion}; the ring "
        "begins to glow.",
    ],
    "turn-off": [
        "{who} turns the knob of {thing}{where} {motion} {hand}, and the ring stops glowing.",
        "The {side} hand pinches the knob of {thing}{where} and turns it {motion}; the ring "
        "stops glowing.",
    ],
    "press": [
        "{who} stretches the index finger of the {side} hand and presses {thing} of the "
        "microwave{where}; the display lights up.",
        "The {side} hand reaches out and pushes in {thing} of the microwave{where} with one "
        "finger; the display lights up.",
    ],
    "take": [
        "{who} closes the {side} hand on {thing}{where} and lifts it up from {source}.",
        "The {side} hand reaches for {thing}{where}, grasps it and raises it from {source}.",
        "{who} picks up {thing}{where} from {source} {hand}.",
    ],
    "put-down": [
        "{who} lowers {thing} {goal}{where} {hand}.",
        "The {side} hand, holding {thing}, moves down and sets it {goal}{where}.",
        "{who} puts {thing} down {goal}{where} {hand}.",
    ],
    "pour": [
        "{who} tilts {tool} to the {motion} {hand} and pours {liquid} from it into {thing}{where}.",
        "The {side} hand holds {tool} above {thing}{where} and tips it to the {motion}, so that "
        "{liquid} runs into it.",
    ],
    "cut": [
        "{who} presses {tool} down through {thing}{where} {hand}.",
        "The {side} hand, holding {tool}, saws down into {thing}{where}.",
    ],
    "stir": [
        "{who} dips {tool} into {thing}{where} and stirs in circles {hand}.",
        "The {side} hand moves {tool} round in circles inside {thing}{where}.",
    ],
    "wipe": [
        "{who} presses {tool} flat on the worktop{where} {hand} and wipes back and forth.",
        "The {side} hand slides {tool} back and forth over the worktop{where}, leaving it wet.",
    ],
    "wash": [
        "{who} holds {thing} under the running water{where} {hand} and moves it back and forth.",
        "The {side} hand turns {thing} back and forth under the running tap{where}.",
    ],
}

LANGUAGE = Language(
    scene="kitchen",
    participant="P",
    verb_classes=VERB_CLASSES,
    noun_classes=NOUN_CLASSES,
    spots={
        "worktop": "worktop", "ledge": "worktop", "board": "board", "hob": "hob", "sink": "sink",
        "beside": "board",  # a knife lies there beside the food
    },
    surfaces={"worktop": "worktop", "hob": "hob", "sink": "sink", "chopping board": "board"},
    goals={"sink": "into the sink"},
    settings={"counter": frozenset({"worktop"}), "tap": frozenset({"sink"})},
    carried=frozenset({"put-down", "wipe", "wash"}),
    sentences=SENTENCES,
)  # fmt: skip
