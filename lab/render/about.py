"""What a capture of ours says of itself: its scenario, how its comments are read, where it was captured."""

from __future__ import annotations

from collections.abc import Sequence

from lab.protocols.notes import notes
from lab.protocols.registry import TRANSPORT, UPPERS
from lab.render.comments import MARKS
from lab.text import Text

_HOW_TO_READ = Text(
    "Each packet's comments say which step of the lecture notes it is and which states it leads from and to: "
    f"{MARKS.en.strip()} in English, {MARKS.zh.strip()} in Chinese. A line that begins with lab1 holds what was "
    "measured, for programs. Where the packets are encrypted and the hosts have told their secrets, these are in the "
    "file, and so are the hosts' names: Wireshark needs no set-up. What each part means: docs/capture.md.",
    f"每个包的注释说明它是讲义中的哪一步、从哪个状态到哪个状态：{MARKS.zh.strip()} 是中文，{MARKS.en.strip()} 是英文。"
    "以 lab1 开头的一行是测量结果，供程序读取。若数据已加密而主机交出了密钥，密钥就在文件里，主机名也在："
    "Wireshark 无需任何设置。各部分的含义见 docs/capture.md。",
)
_ON_THE_WIRE = Text(
    "Captured on the cable between the two hosts by the program that passes on every frame. No packet has a direction "
    "here: seen from the cable all of them come in. Source and destination tell who sent it.",
    "在两台主机之间的线路上抓取，每一帧都由抓包的程序转发。这里的包没有方向：从线路来看，所有的包都是进来的。"
    "发送方请看源地址和目的地址。",
)
_AT_THE_SERVER = Text(
    "Captured on the server's interface: inbound is what came to the server, outbound what it sent. Segments that are "
    "larger than the MTU and unfinished checksums are as the kernel hands them over.",
    "在服务器的接口上抓取：inbound 是到达服务器的包，outbound 是它发出的包。"
    "大于 MTU 的段和未算完的校验和，都是内核交出来的样子。",
)
WIRE = "client – server, 客户端—服务器"
SERVER = "server, 服务器"


def of_scenario(name: str, rules: Sequence[str] = ()) -> list[str]:
    """Returns the comments of a capture in which a scenario was played, by these rules of the wire.

    Of a scenario that is not in the notes, somebody's own, only the rules are told.
    """
    protocol = name.partition("/")[0]
    of_ours = protocol in {each.name for each in (TRANSPORT, *UPPERS)}
    note = notes(protocol).scenarios.get(name) if of_ours else None
    by = Text("".join(f" The wire's rule: {each}." for each in rules), "".join(f"线路规则：{each}。" for each in rules))
    if note is None:
        return _marked(Text(f"{name}.{by.en}\n{_HOW_TO_READ.en}", f"{name}。{by.zh}\n{_HOW_TO_READ.zh}"))
    return _marked(
        Text(
            f"{name}: {note.title.en}. {note.teaches.en}{by.en}\n{_HOW_TO_READ.en} The notes: lab notes {protocol}.",
            f"{name}：{note.title.zh}。{note.teaches.zh}{by.zh}\n{_HOW_TO_READ.zh}讲义：lab notes {protocol}。",
        )
    )


def of_any() -> list[str]:
    """Returns the comments of a capture that somebody else has made, and we have written notes into."""
    return _marked(
        Text(
            f"With the notes of the handshake lab. {_HOW_TO_READ.en}",
            f"附有握手实验室的讲解。{_HOW_TO_READ.zh}",
        )
    )


def of_interface(wire: bool) -> list[str]:
    """Returns the comments of the interface: the wire, or the server's."""
    return _marked(_ON_THE_WIRE if wire else _AT_THE_SERVER)


def _marked(text: Text) -> list[str]:
    return [MARKS.en + text.en, MARKS.zh + text.zh]
