"""What is said of labels that a classifier never gives."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nabi.models import Report

__all__ = ["never_given"]

_NAMED, _LONGEST = 5, 40


def never_given(report: "Report", *, balanced: bool) -> str:
    """Say which labels were given to no row, and what helps; empty if there are none.

    Args:
        report: of a classifier.
        balanced: whether rare labels counted as much as frequent ones in training.
    """
    found = report.never_given
    if not found:
        return ""
    names = [
        f"{one.label if len(one.label) <= _LONGEST else one.label[: _LONGEST - 1] + '…'}" for one in found
    ]
    listed = ", ".join(
        f"{name} ({one.rows:,} row{'' if one.rows == 1 else 's'})"
        for name, one in zip(names[:_NAMED], found, strict=False)
    )
    more = f" and {len(found) - _NAMED:,} more" if len(found) > _NAMED else ""
    helps = "more rows of them help most"
    if not balanced:
        helps = f"--balanced counts rare labels as much as frequent ones in training; {helps}"
    some = f"{len(found):,} of {len(report.by_label):,} labels"
    return f"{some} given to none of these rows: {listed}{more}; {helps}"


def _short(label: str) -> str:
    return label if len(label) <= _LONGEST else label[: _LONGEST - 1] + "…"
