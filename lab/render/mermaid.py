"""A ladder as a Mermaid sequence diagram, for pages in Markdown that draw such: arrows are level there.

Whatever a capture has in it is text: what could be markup, or end a statement, is written as the number of a character.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from lab.model import Packet
from lab.render import parts, telling
from lab.render.picture import MOST_LINES
from lab.render.telling import Drawn, Telling
from lab.text import ROLES, Lang, Text, address, safe

_PLAIN = re.compile(r"[^\w ,.!?=+·，。：；、！？（）“”《》…→←▶◀⊕/-]")
_ENDS = {"arrived": "->>", "lost": "-x", "unknown": "-->>"}
_LABEL = 60  # columns


def mermaid(packets: Sequence[Packet], lang: Lang) -> str:
    """Returns packets as one diagram, with a note for each that has a step, or something to be said of it."""
    return "\n".join(["sequenceDiagram", *("    " + line for line in _lines(packets, lang))]) + "\n"


def _lines(packets: Sequence[Packet], lang: Lang) -> Iterator[str]:
    told = Telling(lang, named=False)
    drawn: dict[int, Drawn] = {}
    for packet in packets:
        which, ends = packet.conversation, packet.ends
        if which is None or ends is None or packet.held is None:
            continue
        if which not in drawn:
            for role, place in (("client", ends.client), ("server", ends.server)):
                named = ROLES[role].pick(lang) + (f" {which}" if which else "")
                yield f"participant {role}{which} as {said(named)}<br/>{said(address(*place))}"
            drawn[which] = Drawn()
            if (start := telling.start(packet, ends, drawn[which])) is not None:
                yield from _states(which, start.client, start.server)
        yield from _packet(packet, told, drawn[which])
    if not drawn:
        yield f"Note over lab: {said(Text('no packets of a connection', '没有属于连接的包').pick(lang))}"


def _packet(packet: Packet, told: Telling, drawn: Drawn) -> Iterator[str]:
    which, sender, receiver = packet.conversation, packet.sender, packet.receiver
    drawn.begun = True
    shown = telling.states(packet, drawn)
    forward = sender == "client"
    before, after = (shown.client, shown.client_new), (shown.server, shown.server_new)
    left, right = (before, after) if forward else (after, before)
    if left[1] and left[0]:
        yield f"Note over {sender}{which}: {said(left[0])}"
    arrow = _ENDS[packet.fate]
    label = said(f"{packet.number} · {parts.label(packet, _LABEL, _LABEL - 10)}")
    yield f"{sender}{which}{arrow}{receiver}{which}: {label}"
    if lines := [each.text for each in told.below(packet, drawn, shown.changed, 0)]:
        lines[MOST_LINES:] = ["…"] if len(lines) > MOST_LINES else []
        yield f"Note right of server{which}: {'<br/>'.join(map(said, lines))}"
    if right[1] and right[0]:
        yield f"Note over {receiver}{which}: {said(right[0])}"


def _states(which: int, client: str | None, server: str | None) -> Iterator[str]:
    for role, state in (("client", client), ("server", server)):
        if state:
            yield f"Note over {role}{which}: {said(state)}"


def said(text: str) -> str:
    """Returns a text that is nothing but that in a diagram, wherever it stands."""
    return _PLAIN.sub(lambda found: f"#{ord(found[0])};", safe(text)).strip() or "-"
