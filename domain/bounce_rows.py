"""What a row of the bounce tables is."""

from dataclasses import dataclass

from domain.bounce_causes import Cause

_LONGEST_GAP = 60  # characters that ` * ` stands for


@dataclass(frozen=True, slots=True)
class Row:
    """One wording: any of its phrases, beside one of `codes` where there are some."""

    rule: str
    cause: Cause
    source: str
    phrases: tuple[str, ...]  # looked for in the words
    hosts: tuple[str, ...]  # looked for before host names are cut out
    gaps: tuple[tuple[str, str], ...]  # what stands before and behind ` * `
    codes: frozenset[str]

    def speaks(self, words: str, whole: str) -> bool:
        """Whether one of its phrases stands in a normalised text."""
        for phrase in self.phrases:  # a plain loop: 1,400 phrases are asked about each reply
            if phrase in words:
                return True
        for phrase in self.hosts:
            if phrase in whole:
                return True
        return any(_stand_near(head, tail, whole if "." in head + tail else words) for head, tail in self.gaps)


def row(rule: str, cause: Cause, source: str, *phrases: str, codes: str = "") -> Row:
    """A row as the tables write it, codes separated by blanks."""
    plain = [phrase for phrase in phrases if " * " not in phrase]
    return Row(
        rule,
        cause,
        source,
        phrases=tuple(phrase for phrase in plain if "." not in phrase),
        hosts=tuple(phrase for phrase in plain if "." in phrase),
        gaps=tuple((head, tail) for head, star, tail in (phrase.partition(" * ") for phrase in phrases) if star),
        codes=frozenset(codes.split()),
    )


def _stand_near(head: str, tail: str, text: str) -> bool:
    at = text.find(head)
    while at >= 0:
        behind = at + len(head)
        if tail in text[behind : behind + _LONGEST_GAP + len(tail)]:
            return True
        at = text.find(head, behind)
    return False
