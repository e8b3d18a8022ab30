"""The parts of the page that need no script: sums, tables, bars and histograms, as HTML."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from egoframe.pairs import SPLITS
from egoframe.report.facts import GROUPS, Facts, Near, Values
from egoframe.report.histogram import histogram
from egoframe.report.thresholds import Threshold, switched_off

ROWS = 30  # of a table, before "show all"
NOBODY = "(not told)"
MEANING = {
    "similarity": "how alike the two frames are, 1 for equal ones",
    "sharpness": "variance of the Laplacian of the less sharp frame",
    "exposure": "mean grey of the frame further from mid-grey: 0 black, 1 white",
    "camera_motion": "how far the view moved, as a share of the picture's width",
    "hands": "annotated in the action frame",
    "aesthetic": "LAION's score of the action frame",
}


def head(facts: Facts) -> str:
    """Clips in all = kept + rejected, whether that is so, and the settings."""
    told = facts.told.report
    rejected = sum(told.rejected.values())
    terms = [(told.kept[split], f"kept, {split}", "kept") for split in SPLITS]
    terms.append((rejected, "rejected", "rejected"))
    total = sum(count for count, *_ in terms)
    sums = '<span class="op">+</span>'.join(
        f'<span class="term {kind}"><b>{count:,}</b> {name}</span>' for count, name, kind in terms
    )
    share = "".join(
        f'<i class="{kind}" style="flex-grow:{count}"></i>' for count, _, kind in terms if count
    )
    return f"""\
<p class="sum"><span class="term"><b>{told.clips:,}</b> annotated clips</span>\
<span class="op">{"=" if total == told.clips else "≠"}</span>{sums}</p>
<div class="share" aria-hidden="true">{share}</div>
{_check(facts)}
<div class="settings">{_settings(facts)}</div>
"""


def _check(facts: Facts) -> str:
    """Whether report.json adds up, and agrees with the files."""
    told = facts.told.report
    wrong = []
    if told.clips != sum(told.kept.values()) + sum(told.rejected.values()):
        wrong.append("kept and rejected do not add up to the clips")
    for split in SPLITS:
        if (held := facts.kept["split"][split]) != told.kept[split]:
            wrong.append(f"{split} holds {held:,} pairs, not {told.kept[split]:,}")
    if facts.reasons != Counter(told.rejected):
        wrong.append(
            f"rejected.parquet holds {facts.reasons.total():,} clips, or other reasons, than the "
            f"{sum(told.rejected.values()):,} that report.json has"
        )
    good = (
        f'<p class="check">✓ It adds up, and the files agree: {_plural(facts.pairs, "pair")} in '
        f"{_plural(len(facts.shards), 'shard')}, {_plural(facts.reasons.total(), 'clip')} in "
        "rejected.parquet.</p>"
    )
    lines = [] if wrong else [good]
    wrong += [_doubt(near) for near in facts.near if near.doubtful]
    lines += [f'<p class="check bad">✗ {escape(words)}.</p>' for words in wrong]
    return "".join(lines)


def _doubt(near: Near) -> str:
    """How a threshold contradicts what was kept and rejected."""
    rule, kept, rejected = near.threshold, near.worst_kept, near.best_rejected
    down, up = ("down", "up") if rule.least else ("up", "down")
    found = []
    if kept is not None:
        found.append(f"kept pairs go {down} to {kept:.4g}")
    if rejected is not None:
        found.append(f"clips rejected as “{rule.reason}” go {up} to {rejected:.4g}")
    return f"filters.{rule.setting} was not {rule.bound:g}: {', '.join(found)}"


def _settings(facts: Facts) -> str:
    settings = facts.told.report.settings
    groups: dict[str, dict[str, Any]] = {"frames": {}}
    for name, value in settings.items():
        if isinstance(value, dict):
            groups[name] = value
        else:
            groups["frames"][name] = value
    parts = []
    for group, values in groups.items():
        rows = "".join(
            f"<div><dt>{escape(name)}</dt><dd>{_setting(name, value)}</dd></div>"
            for name, value in values.items()
        )
        parts.append(f"<section><h3>{escape(group)}</h3><dl>{rows}</dl></section>")
    return "".join(parts)


def _setting(name: str, value: Any) -> str:
    if name == "clip" and value is None:
        return "pixels"
    words = {None: "off", True: "yes", False: "no"}
    return escape(str(words[value] if value is None or isinstance(value, bool) else value))


def counts(facts: Facts) -> str:
    """Bars by split, source, verb and noun, and the descriptions."""
    tables = [_bars(group, facts.kept[group], facts.rejected[group]) for group in GROUPS]
    return f'<div class="columns">{"".join([*tables, _descriptions(facts)])}</div>'


def _bars(group: str, kept: Counter[str], rejected: Counter[str]) -> str:
    """A table of how many clips of each kind were kept and rejected, most kept first."""
    names = sorted(set(kept) | set(rejected), key=lambda name: (-kept[name], -rejected[name], name))
    most = max((kept[name] + rejected[name] for name in names), default=1)
    rows = [
        f'<tr><th scope="row">{_text(name)}</th><td class="bar"><span>'
        f'<i class="kept" style="width:{100 * kept[name] / most:.2f}%"></i>'
        f'<i class="rejected" style="width:{100 * rejected[name] / most:.2f}%"></i></span></td>'
        f"<td>{kept[name]:,}</td><td>{_dropped(rejected[name])}</td></tr>"
        for name in names
    ]
    title = f"{group.capitalize()}s" + (f" ({len(names):,})" if group in ("verb", "noun") else "")
    return _table(title, (group, "", "kept", "rejected"), rows, f"bars {group}")


def _dropped(count: int) -> str:
    return f"{count:,}" if count else '<span class="quiet">0</span>'


def _descriptions(facts: Facts) -> str:
    rows = [
        f'<tr><th scope="row">{_text(writer)}</th><td>{count:,}</td>'
        f"<td>{facts.flagged[writer]:,}</td></tr>"
        for writer, count in facts.described.most_common()
    ]
    bare = facts.pairs - facts.described.total()
    rows.append(f'<tr class="quiet"><th scope="row">none yet</th><td>{bare:,}</td><td></td></tr>')
    table = _table("Descriptions", ("written by", "pairs", "flagged"), rows, "described")
    invented = [
        f'<tr><th scope="row">{_text(thing)}</th><td>{count:,}</td></tr>'
        for thing, count in facts.invented.most_common()
    ]
    if not invented:
        return table
    return table + _table(
        "Flagged: named, but not annotated", ("thing", "pairs"), invented, "invented"
    )


def dropped(facts: Facts) -> str:
    """Why clips were dropped; bad files, anomalies and notes."""
    told = facts.told.report
    rules = {rule.reason: rule for rule in facts.thresholds}
    most = max(told.rejected.values(), default=1)
    rows = [
        f'<tr><th scope="row">{_text(reason)}</th>'
        f'<td class="rule">{_broken(rules.get(reason))}</td>'
        f'<td class="bar"><span><i class="rejected" style="width:{100 * count / most:.2f}%"></i>'
        f"</span></td><td>{count:,}</td><td>{_share(count, told.clips)}</td></tr>"
        for reason, count in told.rejected.items()
    ]
    parts = [
        _table("Reasons", ("reason", "kept where", "", "clips", "share"), rows, "reasons")
        if rows
        else '<p class="none">No clip was dropped.</p>'
    ]
    for title, columns, table, kind, none in (
        ("Bad files", ("file", "why"), told.bad_files, "files", "No file was found to be bad."),
        ("Odd files that were read", ("file", "note"), told.notes, "notes", ""),
        ("Flaws of annotations that cost no pair", ("flaw", "annotations"), told.anomalies,
         "anomalies", "The annotations have no flaw that cost no pair."),
    ):  # fmt: skip
        if table:
            rows = [
                f'<tr><th scope="row">{_text(name)}</th><td>{_text(_told(name, value))}</td></tr>'
                for name, value in table.items()
            ]
            parts.append(_table(f"{title} ({len(table):,})", columns, rows, kind))
        elif none:
            parts.append(f'<p class="none">{none}</p>')
    return "".join(parts)


def figures(facts: Facts) -> str:
    """A histogram of every figure that is known of any clip."""
    parts, absent = [], []
    for name, values in facts.values.items():
        if values.kept or values.rejected:
            own = [near for near in facts.near if near.threshold.figure == name]
            parts.append(_figure(name, values, own))
        else:
            absent.append(name.replace("_", " "))
    body = f'<div class="charts">{"".join(parts)}</div>'
    if absent:
        body += f'<p class="none">Unknown for every clip: {", ".join(absent)}.</p>'
    return body


def _figure(name: str, values: Values, rules: Sequence[Near]) -> str:
    scale = ", logarithmic axis" if name == "sharpness" else ""
    rows = "".join(
        f'<tr><th scope="row">{kind}</th>{_quantiles(known)}<td>{unknown:,}</td></tr>'
        for kind, known, unknown in (
            ("kept", values.kept, values.unknown_kept),
            ("rejected", values.rejected, values.unknown_rejected),
        )
    )
    return f"""\
<figure data-figure="{name}"><figcaption><b>{name.replace("_", " ").capitalize()}</b> \
<span class="quiet">{MEANING[name]}{scale}</span></figcaption>
{histogram(name, values, rules)}
<table class="quantiles"><thead><tr><td></td><th scope="col">least</th><th scope="col">5 %</th>\
<th scope="col">median</th><th scope="col">95 %</th><th scope="col">most</th>\
<th scope="col">unknown</th></tr></thead><tbody>{rows}</tbody></table></figure>
"""


def _quantiles(values: Sequence[float]) -> str:
    if not values:
        return "<td>–</td>" * 5
    return "".join(f"<td>{_figured(q)}</td>" for q in np.percentile(values, (0, 5, 50, 95, 100)))


def _figured(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def near(facts: Facts, pairs: Mapping[str, int], clips: Mapping[str, int]) -> str:
    """The clips nearest to each threshold, on either side."""
    parts = []
    for found in facts.near:
        rule = found.threshold
        values = facts.values[rule.figure]
        count = facts.told.report.rejected.get(rule.reason, 0)
        unknown = values.unknown_kept + values.unknown_rejected
        many = _plural(count, "clip") if count else "No clip"
        notes = [f"{many} rejected as “{rule.reason}”"]
        if found.doubtful:
            notes.append("not the bound that the dataset was built with, see the overview")
        if unknown:
            notes.append(f"{unknown:,} of unknown {rule.figure.replace('_', ' ')}: never rejected")
        parts.append(
            f'<section class="near"><h3>Kept where {rule.rule} '
            f'<span class="quiet">filters.{rule.setting}</span></h3>'
            f'<p class="quiet">{escape("; ".join(notes))}.</p>'
            '<div class="sides">'
            f"{_side('Kept', [pairs[k] for k in found.kept], rule.figure)}"
            f"{_side('Rejected', [clips[k] for k in found.rejected], rule.figure)}</div></section>"
        )
    if off := switched_off(facts.told):
        parts.append(f'<p class="none">Off: {", ".join(f"filters.{name}" for name in off)}.</p>')
    return "".join(parts)


def gallery(facts: Facts, clips: Mapping[str, int]) -> str:
    """Some rejected clips of each reason."""
    blamed = {rule.reason: rule.figure for rule in facts.thresholds}
    parts = []
    for reason, found in facts.gallery.items():
        shown = [clips[k] for k in found.pictured]
        count = facts.reasons[reason]
        some = f", {len(shown):,} shown" if len(shown) < count and shown else ""
        parts.append(
            f'<section class="reason"><h3>{_text(reason)} '
            f'<span class="quiet">{_plural(count, "clip")}{some}</span></h3>'
        )
        if shown:
            parts.append(_cards(shown, blamed.get(reason, "")))
        names = [
            f"<li><b>{_text(row['clip_id'])}</b> {escape(row['narration'] or '')} "
            f'<span class="quiet">{escape(row["detail"] or "")}</span></li>'
            for row in found.named
        ]
        if names:
            some = (
                f", {len(names):,} of {found.unpictured:,}" if len(names) < found.unpictured else ""
            )
            parts.append(f'<p class="quiet">Without frames{some}:</p><ul>{"".join(names)}</ul>')
        parts.append("</section>")
    return "".join(parts) or '<p class="none">No clip was dropped.</p>'


def _side(title: str, indices: Sequence[int], figure: str) -> str:
    """One side of a threshold, if there is anything on it."""
    if not indices:
        return ""
    return f"<div><h4>{title}, nearest first</h4>{_cards(indices, figure)}</div>"


def _cards(indices: Iterable[int], figure: str) -> str:
    """Where the page's script puts examples, with one figure of each."""
    listed = " ".join(map(str, indices))
    return f'<div class="cards small" data-items="{listed}" data-figure="{figure}"></div>'


def _table(title: str, columns: Sequence[str], rows: Sequence[str], kind: str) -> str:
    """A table; what goes beyond its first rows opens on demand."""
    names = "".join(f'<th scope="col">{name}</th>' if name else "<td></td>" for name in columns)
    start = f'<table class="{kind}"><thead><tr>{names}</tr></thead><tbody>'
    end = "</tbody></table>"
    body = f"{start}{''.join(rows[:ROWS])}{end}"
    if len(rows) > ROWS:
        body += (
            f"<details><summary>show all {len(rows):,}</summary>"
            f"{start}{''.join(rows[ROWS:])}{end}</details>"
        )
    return f'<section class="table {kind}"><h3>{title}</h3>{body}</section>'


def _broken(rule: Threshold | None) -> str:
    return escape(rule.rule) if rule else ""


def _text(words: str) -> str:
    return escape(words) if words else f'<span class="quiet">{NOBODY}</span>'


def _told(name: str, value: str | int) -> str:
    """A count, or what is said of a file, without its name once more."""
    return f"{value:,}" if isinstance(value, int) else value.removeprefix(f"{name}: ")


def _share(count: int, total: int) -> str:
    return f"{100 * count / total:.1f} %" if total else "–"


def _plural(count: int, name: str) -> str:
    return f"{count:,} {name}{'' if count == 1 else 's'}"
