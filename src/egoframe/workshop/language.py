"""The workshop's words: within EPIC-KITCHENS-100's classes, and in its teacher's sentences."""

from egoframe.simulator.language import Language

# Word → (class number, key). EPIC-KITCHENS-100 has 97 verb classes, 0 to 96, and 300 noun classes,
# 0 to 299. What no kitchen has is numbered on from there.
VERB_CLASSES = {
    "take": (0, "take"), "put-down": (1, "put"), "wipe": (2, "wash"), "insert": (5, "insert"),
    "remove": (12, "remove"), "squeeze": (18, "squeeze"), "turn": (23, "turn"),
    "attach": (64, "attach"), "oil": (66, "coat"), "unscrew": (71, "unscrew"),
    "screw": (78, "screw"), "pump": (97, "pump"), "deflate": (98, "deflate"),
}  # fmt: skip
NOUN_CLASSES = {
    "bottle": (15, "bottle"), "cloth": (17, "cloth"),
    # EPIC's "nut" (133) is one to eat, its "lever" (191) a handle, its "tube" (227) a roll.
    "wheel": (300, "wheel"), "tyre": (301, "tyre"), "tube": (302, "tube"), "nut": (303, "nut"),
    "wrench": (304, "wrench"), "lever": (305, "lever"), "pump": (306, "pump"),
    "frame": (307, "frame"), "chain": (308, "chain"), "pedal": (309, "pedal"),
}  # fmt: skip

SENTENCES = {
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
    "unscrew": [
        "{who} sets {tool} on {thing}{where} and turns it {motion} {hand} to loosen it.",
        "The {side} hand swings {tool} {motion} on {thing}{where}, and the nut comes out.",
    ],
    "screw": [
        "{who} sets {tool} on {thing}{where} and turns it {motion} {hand} to tighten it.",
        "The {side} hand swings {tool} {motion} on {thing}{where}, and the nut goes in.",
    ],
    "remove wheel": [
        "{who} grips {thing}{where} {hand} and draws it out of {source} towards the body.",
        "The {side} hand takes hold of {thing}{where} and pulls it towards the body, out of "
        "{source}, to lay it {goal}.",
    ],
    "attach wheel": [
        "{who} lifts {thing}{where} {hand} and pushes it into the fork, away from the body.",
        "The {side} hand takes hold of {thing}{where} on {source} and sets it into the fork, away "
        "from the body.",
    ],
    "remove tyre": [
        "{who} pries {thing}{where} off the rim with {tool} {hand} and raises it.",
        "The {side} hand pushes {tool} under {thing}{where} and raises it off the rim.",
    ],
    "attach tyre": [
        "{who} takes {thing}{where} from {source} {hand} and presses it down onto the rim.",
        "The {side} hand brings {thing}{where} from {source} and fits it round the rim, pressing "
        "it down.",
    ],
    "remove": [
        "{who} pulls {thing}{where} off the rim {hand}, raises it and lays it {goal}.",
        "The {side} hand takes hold of {thing}{where} and raises it off the rim.",
    ],
    "insert": [
        "{who} takes {thing}{where} from {source} {hand} and lays it down round the rim.",
        "The {side} hand brings {thing}{where} from {source} and lowers it round the rim.",
    ],
    "pump": [
        "{who} holds {tool} to the valve of {thing}{where} {hand} and pumps it back and forth.",
        "The {side} hand moves {tool} back and forth at the valve of {thing}{where}, which fills "
        "with air.",
    ],
    "deflate": [
        "{who} stretches the index finger of the {side} hand and presses the valve of "
        "{thing}{where} away from the body; the air goes out.",
        "The {side} hand pushes the valve of {thing}{where} away from the body with one finger, "
        "to let the air out.",
    ],
    "squeeze": [
        "{who} closes the {side} hand on {thing}{where} and squeezes it.",
        "The {side} hand takes hold of {thing}{where} and squeezes it to feel if it has air.",
    ],
    "turn wheel": [
        "{who} strikes {thing}{where} {hand}, so that it spins {motion}.",
        "The {side} hand gives {thing}{where} a push, and it spins {motion}.",
    ],
    "turn pedal": [
        "{who} takes {thing}{where} {hand} and turns it {motion}.",
        "The {side} hand holds {thing}{where} and turns the cranks {motion}.",
    ],
    "wipe": [
        "{who} rubs {tool} back and forth along {thing}{where} {hand}.",
        "The {side} hand slides {tool} back and forth on {thing}{where}.",
    ],
    "oil": [
        "{who} tilts {tool} to the {motion} above {thing}{where} {hand}, and oil runs onto it.",
        "The {side} hand tips {tool} to the {motion}, so that oil runs onto {thing}{where}.",
    ],
}

LANGUAGE = Language(
    scene="workshop",
    participant="W",
    verb_classes=VERB_CLASSES,
    noun_classes=NOUN_CLASSES,
    spots={
        "bench": "bench", "tray": "bench", "mat": "mat", "hook": "hook", "fork": "fork",
        "beside": "bench",
    },
    surfaces={"bench": "bench", "mat": "mat", "hook": "hook"},
    goals={"fork": "into the fork"},
    settings={},
    carried=frozenset({"put-down"}),
    sentences=SENTENCES,
)  # fmt: skip
