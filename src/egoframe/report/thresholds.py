"""The thresholds that a dataset was filtered with, as its settings tell."""

from __future__ import annotations

from dataclasses import dataclass

from egoframe.report.told import Told

# Setting, figure, whether less is rejected (or more), reason; see `filters.reason_to_reject`.
RULES = (
    ("min_similarity", "similarity", True, "scene jump"),
    ("max_similarity", "similarity", False, "nothing happens"),
    ("min_sharpness", "sharpness", True, "blurred"),
    ("min_exposure", "exposure", True, "too dark"),
    ("max_exposure", "exposure", False, "too bright"),
    ("max_camera_motion", "camera_motion", False, "camera moves"),
    ("require_hand", "hands", True, "no hand in the action frame"),
    ("min_aesthetic", "aesthetic", True, "not pleasing"),
)


@dataclass(frozen=True)
class Threshold:
    """A bound of a figure."""

    setting: str  # of `filters`
    figure: str
    bound: float
    least: bool  # less is rejected; else more is
    reason: str  # of the clips that it rejects

    @property
    def rule(self) -> str:
        """What is kept, in words: "similarity ≥ 0.2"."""
        name = self.figure.replace("_", " ")
        return f"{name} {'≥' if self.least else '≤'} {self.bound:g}"


def thresholds(told: Told) -> list[Threshold]:
    """Those that are on, in the order in which the filters look at them."""
    found = []
    for setting, figure, least, reason in RULES:
        bound = getattr(told.filters, setting)
        if bound is not None and bound is not False:
            found.append(Threshold(setting, figure, float(bound), least, reason))
    return found


def switched_off(told: Told) -> list[str]:
    """Settings whose threshold is off."""
    on = {threshold.setting for threshold in thresholds(told)}
    return [setting for setting, *_ in RULES if setting not in on]
