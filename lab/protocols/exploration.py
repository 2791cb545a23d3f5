"""What there is to explore of the one transport: for those that play it and show it, and call no protocol by its name.

When there is a second one, this is where they are told apart.
"""

from __future__ import annotations

from lab.protocols.tcp.arrives import BRANCHES, Branch, Outcome, Sent
from lab.protocols.tcp.asked import stimulus, ways
from lab.protocols.tcp.cells import Cell, Options, Path, Seen, Shown, by_the_rules, cell, explained_by
from lab.protocols.tcp.coverage import Tried, Walk, tried, walks
from lab.protocols.tcp.differences import DIFFERENCES, Difference, explained
from lab.protocols.tcp.isns import SPACE, Isns, Opened, isns
from lab.protocols.tcp.peer import Made, Peer
from lab.protocols.tcp.recorded import Change, Line, as_json, changes, grid, line, read
from lab.protocols.tcp.segment import Segment, segment
from lab.protocols.tcp.stimuli import KINDS, STIMULI, Stimulus
from lab.protocols.tcp.ways import CALLS, WAYS, Way
from lab.protocols.transport import NUMBER

__all__ = [
    "BRANCHES", "CALLS", "DIFFERENCES", "KINDS", "NUMBER", "SPACE", "STIMULI", "WAYS", "Branch", "Cell", "Change",
    "Difference", "Isns", "Line", "Made", "Opened", "Options", "Outcome", "Path", "Peer", "Seen", "Segment", "Sent",
    "Shown", "Stimulus", "Tried", "Walk", "Way", "as_json", "by_the_rules", "cell", "changes", "explained",
    "explained_by", "grid", "isns", "line", "read", "segment", "stimulus", "tried", "walks", "ways",
]  # fmt: skip
