"""Verbs of everyday work, in families: those that hands do in much the same way."""

from __future__ import annotations

FAMILIES = """
take pick pick-up grab get fetch collect gather lift hold catch take-out pull-out take-from choose
put put-down place set lay return drop leave rest hang stack store arrange rearrange put-away
open unlock uncover unseal unpack unwrap unzip
close shut lock seal cover zip
turn-on switch-on start light ignite
turn-off switch-off stop extinguish
press push-down click touch tap-on type dial
cut chop slice dice carve trim saw mince prune mow divide separate break crack split tear snap
peel skin scrape shave shell husk strip
grate grind crush mash pound blend
pour fill drain empty spill tip drizzle water pour-in pour-into
sprinkle season add salt sow dust
stir mix whisk beat combine
knead roll flatten stretch shape mould form
shake swirl tilt
wash rinse clean scrub lather soak dip submerge scour
wipe dry sweep dust-off polish mop brush brush-off vacuum
move slide push pull drag shift adjust straighten carry bring pass swing
insert plug attach connect fit load put-in put-into put-inside push-into join fix install stick
remove detach unplug disconnect unload take-off remove-from extract
screw unscrew tighten loosen turn rotate twist wind flip
throw throw-away discard dispose toss-away scatter
fold bend wrap wrap-up crumple crease roll-up unfold
scoop spoon serve ladle dig shovel spoon-into
spread apply butter paint coat grease smear glue plaster spread-on
squeeze squirt spray pump wring
eat drink taste bite sip smell feed
check look read examine inspect search look-for feel count
measure weigh mark draw write sketch trace
drill hammer nail hit knock chisel strike punch stab
sand file smooth level
tie untie sew knit crochet stitch thread weave braid
"""
FAMILY = {verb: number for number, line in enumerate(FAMILIES.split("\n")) for verb in line.split()}


def family(verb: str) -> int | str:
    """The number of a verb's family; a verb of none is its own.

    "put-in" and "put in" are the same, and a verb that is in no family goes with its first word.
    """
    whole = "-".join(verb.lower().replace("-", " ").split())
    first = whole.partition("-")[0]
    return FAMILY.get(whole, FAMILY.get(first, first))
