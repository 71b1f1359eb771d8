"""The card of a model as text for people."""

from typing import Any

from gracile.recipe import Recipe

LEARNED_FROM = "learned_from"
"""Under this a card has the checksums of the images that it was trained on, by `gracile.data.image_checksum`."""

GATE_PROMISES = "gate_promises"
"""Under this a card tells what each gate's threshold is good for, by `gracile.trust.Calibration`."""

GATE_SCORES = "gate_scores"
"""Under this a card has what each gate said of the people it was calibrated on, by `gracile.trust.GateScores`."""

CALIBRATED_ON = "calibrated_on"
"""Under this a card has the checksums of the images that a site calibrated it on; as `LEARNED_FROM`."""

UNLIKE = "unlike"
"""Under this a card has what the images look like that it was trained on, by `gracile.trust.Unlike`."""

QUALITY = "quality"
"""Under this a card has how good answers are predicted to be, by `gracile.trust.QualityMap`, or why it cannot be."""

_FOR_MACHINES = (LEARNED_FROM, GATE_SCORES, CALIBRATED_ON)


def card_text(recipe: Recipe, card: dict[str, Any]) -> str:
    """The model card as Markdown, for people."""
    lines = [f"# {recipe.title}", "", recipe.summary, ""]
    for heading, content in card.items():
        if heading in _FOR_MACHINES:
            continue
        if heading in (UNLIKE, QUALITY) and isinstance(content, dict):
            told = content | content.get("learned", {})
            content = {name: value for name, value in told.items() if not isinstance(value, dict)}  # for people
        lines += [f"## {heading.replace('_', ' ').capitalize()}", ""]
        if isinstance(content, dict) and content and all(isinstance(row, dict) for row in content.values()):
            lines += _table(content)
        elif isinstance(content, dict):
            lines += [f"- {key.replace('_', ' ')}: {_words(value)}" for key, value in content.items()]
        elif isinstance(content, list):
            lines += [f"- {item}" for item in content]
        else:
            lines.append(str(content))
        lines.append("")
    return "\n".join(lines)


def _table(rows: dict[str, dict[str, Any]]) -> list[str]:
    """A Markdown table with a row for each entry; what an entry lacks stays empty."""
    columns = list(dict.fromkeys(name for row in rows.values() for name in row))
    lines = [f"| | {' | '.join(name.replace('_', ' ') for name in columns)} |", "|---" * (len(columns) + 1) + "|"]
    return lines + [
        f"| {name} | {' | '.join(_words(row[c]) if c in row else '' for c in columns)} |" for name, row in rows.items()
    ]


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name.replace('_', ' ')} {_words(part)}" for name, part in value.items())
    return "nothing" if value is None else str(value)
