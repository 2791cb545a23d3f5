"""What TCP's labels say in words, for those that need some; the label itself stays English everywhere."""

from __future__ import annotations

from lab.text import Text

LABELS = {
    "retransmission": Text("sent again", "重传"),
    "captured-twice": Text("captured before: one segment, seen twice", "先前已抓到：同一个报文段被看到两次"),
    "out-of-order": Text("out of order", "乱序"),
    "previous-segment-not-captured": Text(
        "ahead of order: a segment before it is missing here", "提前出现：此处尚缺它前面的报文段"
    ),
    "duplicate-ack": Text("duplicate ACK", "重复 ACK"),
    "conflicting-data": Text("other bytes under numbers that were sent before", "序号与先前相同，内容却不同"),
    "challenge-ack": Text("challenge ACK", "挑战 ACK"),
    "refuted": Text(
        "its sender goes on as if it had not sent it: forged, or by a box in between",
        "所谓的发送方照常继续：是伪造的，或由中间设备发出",
    ),
    "disregarded": Text("does not count: its receiver goes on without it", "不起作用：接收方没有采用它"),
    "outside-window": Text(
        "outside of all that its receiver can have offered: thrown away", "在接收方可能提供的窗口之外：被丢弃"
    ),
    "discarded": Text(
        "not what its receiver has read: the same numbers come again with other bytes",
        "接收方读到的不是它：同样的序号随后带着不同的内容再次出现",
    ),
    "keep-alive": Text("keep-alive or window probe", "保活或零窗口探测"),
    "window-update": Text("window update", "窗口更新"),
    "zero-window": Text("zero window", "零窗口"),
    "bad-checksum": Text("bad checksum", "校验和错误"),
    "unfinished-checksum": Text("checksum left to the network card", "校验和留待网卡计算"),
    "larger-than-mss": Text("larger than the MSS", "大于 MSS"),
    "not-tcp": Text("not TCP", "不是 TCP"),
    "icmp-error": Text("ICMP error", "ICMP 差错报文"),
    "no-flags": Text("no flags", "没有任何标志"),
    "ecn-offered": Text("offers ECN", "提议使用 ECN"),
    "accecn-offered": Text("offers accurate ECN (AccECN)", "提议使用精确 ECN（AccECN）"),
    "ecn-accepted": Text("accepts ECN", "同意使用 ECN"),
    "accecn-accepted": Text("accepts accurate ECN (AccECN)", "同意使用精确 ECN（AccECN）"),
    "ecn-declined": Text("does not accept ECN", "不同意使用 ECN"),
    "ecn-given-up": Text("offers ECN no more", "不再提议使用 ECN"),
    "ecn-echo": Text("echoes a congestion mark", "回报拥塞标记"),
    "cwr": Text("has reduced its congestion window", "已减小拥塞窗口"),
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
    "ecn-offered": Text(
        "offers ECN (RFC 3168 section 6.1.1): ECE and CWR in a SYN ask the other end whether routers may mark packets "
        "of this connection instead of dropping them. Nothing is congested.",
        "提议使用 ECN（RFC 3168 第 6.1.1 节）：SYN 中的 ECE 和 CWR 是在问对方，"
        "路由器可否给这个连接的包打上标记而不丢弃。此时并没有拥塞。",
    ),
    "accecn-offered": Text(
        "offers accurate ECN (AccECN, RFC 9768 section 3.1.1): AE, CWR and ECE in a SYN. An end that knows only ECN "
        "takes it for an offer of that.",
        "提议使用精确 ECN（AccECN，RFC 9768 第 3.1.1 节）：SYN 中的 AE、CWR 和 ECE。只认识 ECN 的一端会当作 ECN 提议。",
    ),
    "ecn-accepted": Text(
        "accepts ECN: ECE without CWR in the SYN-ACK. From now on data may be marked on the way.",
        "同意使用 ECN：SYN+ACK 中有 ECE 而无 CWR。此后的数据可以在途中被打上标记。",
    ),
    "accecn-accepted": Text(
        "accepts accurate ECN (AccECN): AE, CWR and ECE say how the SYN's IP header arrived; from now on the three are "
        "a counter of marked packets.",
        "同意使用精确 ECN（AccECN）：AE、CWR、ECE 说明 SYN 的 IP 首部到达时的情形；此后这三位是被标记的包的计数。",
    ),
    "ecn-declined": Text(
        "does not accept ECN: the connection goes on without.",
        "不同意使用 ECN：连接照常进行，只是不用 ECN。",
    ),
    "ecn-given-up": Text(
        "offers ECN no more: an earlier SYN did. Some boxes on the way drop a SYN for that, so one without follows it "
        "(RFC 3168 section 6.1.1.1).",
        "不再提议使用 ECN，而先前的 SYN 提议过：途中有些设备会因此丢弃 SYN，所以改发一个不带提议的"
        "（RFC 3168 第 6.1.1.1 节）。",
    ),
    "ecn-echo": Text(
        "echoes a congestion mark (ECE): it says that a packet of the other end has arrived marked by a router, and "
        "goes on saying so until it gets CWR.",
        "回报拥塞标记（ECE）：对方有包到达时已被路由器打上标记；收到 CWR 之前一直如此回报。",
    ),
    "cwr": Text(
        "has reduced its congestion window (CWR), for a mark or for a loss: a mark need not be echoed any longer.",
        "已因标记或丢包减小拥塞窗口（CWR）：不必再回报标记。",
    ),
}

# What the table's events are of, where that is no flag's name alone.
EVENTS = {
    "ACK of SYN": Text("ACK of SYN", "对 SYN 的 ACK"),
    "ACK of FIN": Text("ACK of FIN", "对 FIN 的 ACK"),
    "data": Text("data", "数据"),
    "RST (active)": Text("RST (active)", "RST（主动打开）"),
}
