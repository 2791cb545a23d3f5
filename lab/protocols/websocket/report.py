"""What became of a WebSocket connection: the four steps, how they went otherwise, a summary, each message in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.engine.protocol import StepOutcome
from lab.model import NO_FACTS, Detail, Example
from lab.protocols.websocket.frames import BINARY, OPCODES, fields
from lab.text import Text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.engine.layer import Layer
    from lab.engine.record import Record
    from lab.protocols.websocket.http import Request, Response
    from lab.protocols.websocket.messages import Message, Told
    from lab.protocols.websocket.session import Said, Session

STEPS = tuple(f"websocket.{number}" for number in range(1, 5))
_PREVIEW, _FIRST = 40, 4  # bytes of a payload that are shown, and of them in hex
_GOOD = (1000, 1001, 1005)  # codes of an ending that nobody need explain (RFC 6455 section 7.4.1)
_CODES = {1002: "closed-protocol-error", 1007: "closed-bad-data", 1009: "closed-too-big"}


def opcode(said: Said) -> Mapping[str, Any]:
    """Returns what a frame's message says beside its name."""
    return NO_FACTS if said.opcode is None else {"opcode": said.opcode}


def steps(layer: Layer) -> list[StepOutcome]:
    """Returns each step with its packets and the code of how it went otherwise."""
    session: Session = layer.session
    found = []
    for step in STEPS:
        packets = tuple(sorted({seen.number for seen in layer.steps.get(step, ())}))
        found.append(StepOutcome(step, packets, _differs(session, step) if packets else _why_unseen(session, step)))
    return found


def _differs(session: Session, step: str) -> str | None:
    if step == "websocket.1" and session.request is not None:
        return next(iter(session.request.objections), None)
    if step == "websocket.2" and session.response is not None:
        return next(iter(session.response.objections), "old-draft" if session.foreign else None)
    if step == "websocket.3":
        return _broken(session)
    if step == "websocket.4":
        return _closing(session)
    return None


def _broken(session: Session) -> str | None:
    """Returns which rule of the frames was broken first."""
    for _, label in session.bad:
        return label if label in ("unmasked-frame", "masked-frame") else "bad-frame"
    return None


def _closing(session: Session) -> str | None:
    first = session.closes[0] if session.closes else None
    if first is not None and first.message.code not in _GOOD:
        return _CODES.get(first.message.code or 0, "closed-with-code")
    if len({close.sender for close in session.closes}) < 2:
        return "bytes-missing" if session.incomplete else "half-closed"
    return "server-closes" if first is not None and first.sender == "server" else None


def _why_unseen(session: Session, step: str) -> str:
    if step == "websocket.1":
        return "not-captured"
    answer = session.response
    if session.incomplete:
        return "bytes-missing"
    if answer is not None and not session.accepted:
        return "refused"
    if answer is not None and session.foreign:
        return "old-draft"
    if answer is not None and answer.objections:
        return "failed"
    if answer is not None:
        return "nothing-said" if step == "websocket.3" else "abnormal"
    return "not-answered"


def points(layer: Layer, record: Record) -> list[Text]:
    """Returns what is to be pointed out in a packet that begins to end TCP: that no Close went before it."""
    session: Session = layer.session
    ends = "RST" in record.labels or "tcp.close.1" in record.steps
    if not ends or "forged" in record.labels or session.closes or _why_unseen(session, "websocket.4") != "abnormal":
        return []
    return [
        Text(
            "No Close frame before it: abnormal closure, which programs report as 1006 (RFC 6455 section 7.1.5)",
            "此前没有 Close 帧：异常关闭，程序报告为 1006（RFC 6455 第 7.1.5 节）",
        )
    ]


def summary(layer: Layer) -> dict[str, Any]:
    """Returns the trace's `websocket` object."""
    session: Session = layer.session
    asked, answer = session.request, session.response
    accepted = session.accepted
    first = session.closes[0].message if session.closes else None
    return {
        "accepted": accepted,
        "status": answer.status if answer is not None else None,
        "key": asked.key if asked is not None else None,
        "accept": answer.accept if answer is not None else None,
        "accept_valid": answer.accept_valid if answer is not None and accepted else None,
        "subprotocol": answer.subprotocol if answer is not None and accepted else None,
        "extensions": list(session.extensions),
        "draft": (asked.draft or None) if asked is not None else None,
        "close_code": first.code if first is not None else None,
        "close_reason": first.reason if first is not None else None,
        "messages": [
            {
                "from": sender,
                "opcode": message.opcode,
                "length": message.length if message.length is not None else message.wire,
                "fragments": message.fragments,
                "masked": message.masked,
                "compressed": message.compressed,
            }
            for sender, message in session.messages
        ],
        "message_count": session.counted,
    }


def example(layer: Layer) -> Example:
    """Returns how the accept value comes about."""
    session: Session = layer.session
    return Example(Text("The accept value of conversation {0}", "连接 {0} 的 accept 值"), None, session.lines)


def words(_layer: Layer, said: Said) -> Text:
    """Returns what a message says, in a line."""
    if said.name == "bad-response":
        return Text("the answer is no HTTP response", "应答不是 HTTP 响应")
    parsed: Any = said.parsed
    if said.name == "upgrade-request":
        return _asked(parsed)
    if said.name in ("101", "refused"):
        return _answered(parsed)
    return _framed(parsed)


def details(_layer: Layer, said: Said) -> list[Detail]:
    """Returns the fields of a frame, or the lines of a request or an answer."""
    parsed: Any = said.parsed
    if hasattr(parsed, "frame"):
        return [Detail(0, part.name, part.start, part.end, part.value) for part in fields(parsed.frame)]
    if parsed is None:
        return []
    lines = [Detail(0, "start line", 0, len(parsed.head.line), parsed.head.line)]
    return lines + [Detail(0, each.name, each.start, each.end, each.value) for each in parsed.head.headers]


def _asked(asked: Request) -> Text:
    parts = [Text(f"GET {asked.target}", f"GET {asked.target}")]
    if asked.key is not None or not asked.draft:
        parts = [Text(f"GET {asked.target}, key {asked.key}", f"GET {asked.target}，密钥 {asked.key}")]
    if asked.draft:
        told = f"{asked.draft} to -12" if asked.draft == "hybi-08" else asked.draft
        parts.append(
            Text(f"by the draft {told}, before RFC 6455", f"依据 RFC 6455 之前的草案 {told.replace(' to ', ' 至 ')}")
        )
    if asked.subprotocols:
        offered = " ".join(asked.subprotocols)
        parts.append(Text(f"subprotocols offered: {offered}", f"提供子协议：{offered}"))
    if asked.extensions:
        offered = ", ".join(asked.extensions)
        parts.append(Text(f"extensions offered: {offered}", f"提供扩展：{offered}"))
    wrong = tuple(each for each in asked.objections if each != "old-draft")  # that its name says
    return _joined([*parts, *_wrongs((*wrong, *asked.head.notes))])


def _answered(answer: Response) -> Text:
    status = f"{answer.status} {answer.reason}".strip()
    parts = [Text(status, status)]
    accept = _short(answer.accept or "")
    sum_ = "base64(SHA-1(key + GUID))"
    if answer.sum_valid is not None:
        parts.append(_sum(answer.sum_valid))
    elif answer.accept_valid:
        parts = [Text(f"Sec-WebSocket-Accept {accept} is right: {sum_}", f"Sec-WebSocket-Accept {accept} 正确：{sum_}")]
    elif answer.accept_valid is False and answer.status == 101:
        parts = [Text(f"Sec-WebSocket-Accept {accept or '?'} is WRONG", f"Sec-WebSocket-Accept {accept or '?'} 不符")]
    if answer.subprotocol is not None:
        parts.append(Text(f"subprotocol {answer.subprotocol}", f"子协议 {answer.subprotocol}"))
    if answer.extensions:
        listed = ", ".join(answer.extensions)
        parts.append(Text(f"extensions: {listed}", f"扩展：{listed}"))
    wanted = answer.head.first("sec-websocket-version")
    if wanted is not None:
        parts.append(Text(f"the server speaks version {wanted}", f"服务器支持的版本：{wanted}"))
    others = tuple(each for each in answer.objections if each != "wrong-accept")
    return _joined([*parts, *_wrongs((*others, *answer.head.notes))])


def _sum(right: bool) -> Text:
    """Returns whether the 16 bytes behind an old draft's answer are what the request's keys come to."""
    if right:
        return Text("the MD5 sum behind it is right", "其后的 MD5 值正确")
    return Text("the MD5 sum behind it is WRONG", "其后的 MD5 值不符")


def _framed(told: Told) -> Text:
    frame, problems, message = told
    parts = []
    if problems:
        parts.append(Text(f"{frame.name} frame", f"{frame.name} 帧"))
        parts += _wrongs(problems)
    if frame.opcode not in OPCODES and not problems:
        parts.append(
            Text(
                f"{frame.name}, of an extension, {frame.length} bytes", f"{frame.name}，由扩展定义，{frame.length} 字节"
            )
        )
    elif message is not None and message.code is not None:
        parts += _close(message) if "bad-close-body" not in problems else []
    elif message is not None:
        parts.append(_message(message))
    elif not problems:
        number, begins = f"{frame.length}", _text(frame.payload)
        shown = f' "{begins}"' if begins and not frame.reserved else ""
        parts.append(Text(f"a fragment{shown}, {number} bytes, more follow", f"分片{shown}，{number} 字节，后面还有"))
    if frame.key is not None and frame.payload:
        parts.append(_unmasked(frame.payload, frame.key))
    return _joined(parts)


def _message(message: Message) -> Text:
    shown = _preview(message)
    notes = []
    if message.fragments > 1:
        notes.append(Text(f"from {message.fragments} fragments", f"由 {message.fragments} 个分片组成"))
    if message.compressed:
        length = message.length if message.length is not None else "?"
        notes.append(
            Text(f"{message.wire} bytes inflated to {length}", f"{message.wire} 字节，解压后 {length} 字节")
        )  # fmt: skip
    return _joined([shown, *notes])


def _preview(message: Message) -> Text:
    size = message.length if message.length is not None else message.wire
    plural = "" if size == 1 else "s"
    count = Text(f"{size} byte{plural}", f"{size} 字节")
    if message.opaque:
        return Text(
            f"{count.en}: an agreed extension has a use for its reserved bit, which is not known here",
            f"{count.zh}：保留位由已商定的扩展使用，其含义未知，内容未解读",
        )
    if message.payload is None:
        return Text(f"{count.en}, not kept", f"{count.zh}，内容未保留")
    if not size:
        return Text("empty", "内容为空")
    text = _text(message.payload) if message.opcode != BINARY else ""
    if not text:
        dots = " …" if size > 2 * _FIRST else ""
        start = message.payload[: 2 * _FIRST].hex(" ") + dots
        return Text(f"{count.en}: {start}", f"{count.zh}：{start}")
    dots = "…" if size > _PREVIEW else ""
    return Text(f'"{text}{dots}"', f'"{text}{dots}"')


def _text(payload: bytes) -> str:
    """Returns the beginning of a payload where it is text, else nothing; a character that is cut is left out."""
    text = payload[:_PREVIEW].decode("utf-8", "replace").rstrip("\ufffd")
    return text if all(char.isprintable() or char in "\r\n\t" for char in text) else ""


def _close(message: Message) -> list[Text]:
    if message.code == 1005:
        return [Text("no code (1005)", "没有关闭码（1005）")]
    meaning = _MEANINGS.get(message.code or 0, Text("", ""))
    code = f"{message.code}"
    parts = [Text(f"{code} {meaning.en}".strip(), f"{code} {meaning.zh}".strip())]
    if message.reason:
        parts.append(Text(f'"{message.reason}"', f'"{message.reason}"'))
    return parts


def _unmasked(payload: bytes, key: bytes) -> Text:
    """Returns how the first bytes were masked: byte by byte, XOR."""
    first = payload[:_FIRST]
    sent = bytes(a ^ b for a, b in zip(first, key, strict=False)).hex(" ")
    plain, secret = first.hex(" "), key[: len(first)].hex(" ")
    shown = f"{sent} ⊕ {secret} = {plain}"
    return Text(f"unmasked: {shown}", f"去掩码：{shown}")


def _wrongs(codes: tuple[str, ...]) -> list[Text]:
    return [_WRONG[code] for code in codes]


def _short(value: str) -> str:
    return value if len(value) <= 8 else value[:4] + "…"


def _joined(parts: list[Text]) -> Text:
    return Text(", ".join(each.en for each in parts), "，".join(each.zh for each in parts))


_MEANINGS = {
    1000: Text("normal closure", "正常关闭"),
    1001: Text("going away", "端点离开"),
    1002: Text("protocol error", "协议错误"),
    1003: Text("unsupported data", "不支持的数据类型"),
    1007: Text("invalid payload data", "载荷数据无效"),
    1008: Text("policy violation", "违反策略"),
    1009: Text("message too big", "消息过大"),
    1010: Text("mandatory extension", "缺少必需的扩展"),
    1011: Text("internal error", "内部错误"),
    1012: Text("service restart", "服务重启"),
    1013: Text("try again later", "请稍后重试"),
    1014: Text("bad gateway", "网关错误"),
}

_WRONG = {
    # of heads
    "bare-lf": Text("lines end in LF alone", "行尾只有 LF"),
    "obs-fold": Text("a folded header line", "有折行的首部行"),
    "bad-header": Text("a line that is no header", "有不合格式的首部行"),
    "old-draft": Text("a draft's, not the RFC's", "按草案而不是 RFC"),
    "bad-version": Text("not version 13", "版本不是 13"),
    "bad-key": Text("the key is not 16 bytes in base64", "密钥不是 16 字节的 base64"),
    "old-http": Text("not HTTP/1.1", "不是 HTTP/1.1"),
    "no-host": Text("no Host", "没有 Host"),
    "no-connection": Text("no Connection: Upgrade", "没有 Connection: Upgrade"),
    "no-upgrade": Text("no Upgrade: websocket", "没有 Upgrade: websocket"),
    "wrong-accept": Text("the accept value is wrong", "accept 值不符"),
    "subprotocol-not-offered": Text("a subprotocol that was not offered", "子协议不在客户端提供之列"),
    "extension-not-offered": Text("an extension that was not offered", "扩展不在客户端提供之列"),
    # of frames
    "reserved-bit": Text("a reserved bit is set", "保留位被置位"),
    "reserved-opcode": Text("a reserved opcode", "保留的操作码"),
    "unmasked-frame": Text("a client must mask, this is not masked", "客户端必须加掩码，此帧没有"),
    "masked-frame": Text("a server must not mask, this is masked", "服务器不得加掩码，此帧却有"),
    "fragmented-control": Text("a control frame must not be fragmented", "控制帧不得分片"),
    "long-control": Text("a control frame of more than 125 bytes", "控制帧超过 125 字节"),
    "non-minimal-length": Text("the length is not in its shortest form", "长度没有用最短形式"),
    "length-too-large": Text("a length of 2^63 or more", "长度达到或超过 2^63"),
    "unexpected-continuation": Text("a continuation of nothing", "没有可延续的消息"),
    "unfinished-message": Text("the message before it is not finished", "前一条消息尚未结束"),
    "invalid-utf8": Text("not valid UTF-8", "不是合法的 UTF-8"),
    "bad-close-code": Text("a close code that must not be sent", "不允许发送的关闭码"),
    "bad-close-body": Text(
        "malformed: its body is 1 byte, and a close code takes 2", "格式错误：帧体只有 1 字节，而关闭码占 2 字节"
    ),
    "after-close": Text("sent after its own Close", "在自己的 Close 之后发送"),
    "bad-deflate": Text("can't be inflated", "无法解压"),
}
