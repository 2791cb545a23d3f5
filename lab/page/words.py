"""The page's own words, in both languages: what a script asks for by its key."""

from __future__ import annotations

from lab.stepping.words import KERNEL, TIMERS
from lab.text import Text

# What a page that is served says before it has anything to show, or where it never has.
BEFORE: dict[str, Text] = {
    "wait": Text("Connecting to the lab …", "正在连接实验室……"),
    "refused": Text(
        "The lab does not know this address. Open the one that it shows on the terminal.",
        "实验室不认识此地址。请打开终端上显示的地址。",
    ),
    "gone": Text("The lab has ended, or does not answer.", "实验室已结束，或没有应答。"),
}

WORDS: dict[str, Text] = {
    # the head
    "ladder": Text("Ladder", "时序图"),
    "packets": Text("packets", "个包"),
    "language": Text("Language", "语言"),
    "theme": Text("Light or dark", "明暗"),
    "search": Text("Search", "搜索"),
    "search-hint": Text("such as FIN-WAIT-1, seq=15", "如 FIN-WAIT-1、seq=15"),
    "found": Text("found", "处匹配"),
    "help": Text("Keys", "按键"),
    "close": Text("Close", "关闭"),
    # what is shown of the ladder
    "show": Text("Show", "显示"),
    "real-time": Text("real time", "真实时间"),
    "bare": Text("bare ACKs", "纯 ACK"),
    "decrypted": Text("decrypted", "解密后"),
    "raw": Text("raw numbers", "原始序号"),
    "conversation": Text("Conversation", "连接"),
    "all-packets": Text("all packets", "所有的包"),
    "as-table": Text("Table", "表格"),
    # a rung
    "packet": Text("Packet", "包"),
    "time": Text("Time", "时间"),
    "sender": Text("From", "发送方"),
    "what": Text("What", "内容"),
    "says": Text("What it means", "含义"),
    "nothing-chosen": Text("Choose a packet.", "请选择一个包。"),
    "lost": Text("lost", "丢失"),
    "unknown": Text("fate unknown", "去向未知"),
    "held": Text("held on the wire", "停在线路上"),
    "under-way": Text("under way", "在途"),
    "arrived": Text("arrived", "已送达"),
    "forged": Text("forged on the wire", "线路伪造"),
    "copies": Text("delivered twice", "送达两次"),
    "notes": Text("notes", "讲义"),
    # the panels
    "both-ends": Text("Both ends", "两端状态"),
    "when-sent": Text("when sent", "发出时"),
    "on-arrival": Text("on arrival", "送达后"),
    "kernel-says": Text("the kernel", "内核"),
    "agree": Text("Both kernels say the same.", "两端内核所说相同。"),
    "disagree": Text("A kernel says otherwise.", "内核所说不同。"),
    "kernels": Text("What both kernels say", "两端内核所说"),
    "moved": Text("counters that have moved", "有变化的计数器"),
    "numbers": Text("Its numbers", "各个数值"),
    "bytes": Text("Layers and bytes", "分层与字节"),
    "more-bytes": Text("more bytes, not shown", "字节未显示"),
    "space": Text("Sequence space", "序号空间"),
    "space-hint": Text("SYN and FIN take a number each, as a byte does.", "SYN 与 FIN 各占一个序号，如同一个字节。"),
    "fired": Text("Rows of the table that fired", "触发的状态表行"),
    "keys": Text("How the keys come about", "密钥的推导"),
    "outcome": Text("The notes' steps", "讲义的步骤"),
    "not-seen": Text("not seen", "未见"),
    "diagram": Text("State diagram", "状态图"),
    "enlarge": Text("Large or small", "放大或缩小"),
    # what comes next?
    "quiz": Text("What comes next?", "接下来是什么？"),
    "quiz-who": Text("Who sends it?", "谁发送？"),
    "quiz-what": Text("What is it?", "是什么？"),
    "quiz-state": Text("In which state is this end once it has arrived?", "送达之后，这一端处于什么状态？"),
    "quiz-show": Text("Show it", "揭晓"),
    "quiz-next": Text("The next one", "下一个"),
    "quiz-score": Text("Right so far", "目前答对"),
    "quiz-over": Text("That was the last packet.", "这是最后一个包。"),
    # the projector
    "slides": Text("Slides", "演示"),
    # two captures
    "compare": Text("Two captures", "两个抓包"),
    "in-short": Text("In short", "概要"),
    "same": Text("same", "相同"),
    "changed": Text("differs", "不同"),
    "only-a": Text("only in A", "仅 A 有"),
    "only-b": Text("only in B", "仅 B 有"),
    "as-a-whole": Text("As a whole", "整体"),
    # keys
    "key-next": Text("the next packet", "下一个包"),
    "key-before": Text("the one before", "上一个包"),
    "key-first": Text("the first", "第一个包"),
    "key-last": Text("the last", "最后一个包"),
    "key-search": Text("search", "搜索"),
    "key-language": Text("Chinese or English", "中文或英文"),
    "key-theme": Text("light or dark", "明暗切换"),
    "key-real": Text("equal steps or real time", "等距或真实时间"),
    "key-bare": Text("bare ACKs shown or not", "显示或隐藏纯 ACK"),
    "key-raw": Text("raw or relative numbers", "原始或相对序号"),
    "key-decrypted": Text("encrypted or decrypted", "加密或解密后"),
    "key-slides": Text("slides, for the projector", "演示模式（投影）"),
    "key-diagram": Text("the state diagram, large", "放大状态图"),
    "key-quiz": Text("say what comes next", "预测下一个包"),
    "key-table": Text("as a table", "显示为表格"),
    "key-help": Text("this list", "此列表"),
    "key-close": Text("closes what is open", "关闭打开的内容"),
}

# What only a page needs that is served.
LIVE: dict[str, Text] = {
    "now": Text("Both kernels now", "两端内核此刻"),
    "lab-gone": Text(
        "The lab does not answer any more: it has ended. What it has told stays here.",
        "实验室不再应答：它已结束。已显示的内容仍保留在此。",
    ),
    "line": Text("Command", "命令"),
    "do": Text("Do it", "执行"),
    "held-now": Text("held", "扣住"),
    "looking-back": Text("looking back", "回看"),
    "goes": Text("runs", "运行中"),
    "predicted": Text("predicted right", "预测正确"),
    "nothing-held": Text("no packet is held now", "现在没有扣住任何包"),
    "waiting": Text("waiting for the first packet", "等待第一个包"),
    "is-over": Text("it is over: nothing more will come", "已结束：不会再有包了"),
    "quit": Text("end it", "结束"),
    "quiz-on": Text("a prediction before each packet", "每个包之前都要求预测"),
    "key-other": Text("of several held packets, the next", "扣住多个包时选下一个"),
    "key-quiz": Text("ask for a prediction before each packet", "每个包之前都要求预测"),
}

__all__ = ["BEFORE", "KERNEL", "LIVE", "TIMERS", "WORDS"]
