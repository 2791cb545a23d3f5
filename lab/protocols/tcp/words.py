"""What TCP's labels say in words, for those that need some; the label itself stays English everywhere."""

from __future__ import annotations

from lab.text import Text

LABELS = {
    "retransmission": Text("sent again", "重传"),
    "out-of-order": Text("out of order", "乱序"),
    "previous-segment-not-captured": Text("a segment before it was not captured", "之前有报文段未被捕获"),
    "duplicate-ack": Text("duplicate ACK", "重复确认"),
    "keep-alive": Text("keep-alive", "保活探测"),
    "window-update": Text("window update", "窗口更新"),
    "zero-window": Text("zero window", "零窗口"),
    "bad-checksum": Text("bad checksum", "校验和错误"),
    "unfinished-checksum": Text("checksum left to the network card", "校验和留待网卡计算"),
    "larger-than-mss": Text("larger than the MSS", "大于 MSS"),
    "not-tcp": Text("not TCP", "不是 TCP"),
    "no-flags": Text("no flags", "没有任何标志"),
}

# What these words mean is told once, at the first packet that needs it; every packet keeps the label.
EXPLAINED = {
    "unfinished-checksum": Text(
        "checksum left to the network card: the kernel leaves the last sum to hardware, and between containers on a "
        "bridge, or on lo, no hardware comes. Not an error; the same holds below.",
        "校验和留待网卡计算：内核把最后的求和留给硬件，而网桥上的容器之间或 lo 上并没有硬件。"
        "这不是错误；以下各包同此。",
    ),
    "larger-than-mss": Text(
        "larger than the MSS: the kernel hands one large segment to the network card to be cut up (TSO); a bridge "
        "passes it on whole. On a real cable these would be several segments; the same holds below.",
        "大于 MSS：内核把一个大报文段交给网卡切分（TSO），网桥则原样转发。在真实线路上这会是多个报文段；以下同此。",
    ),
}
