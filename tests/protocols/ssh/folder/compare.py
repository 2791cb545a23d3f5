"""What two SSH connections are compared by, and the sentences on what differs."""

from __future__ import annotations

from lab.engine.protocol import AGREED, BROKEN, Compared, Sentence, fact, same
from lab.text import Text

COMPARED = (
    Compared("ssh_versions", Text("SSH versions", "SSH 版本"), fact("ssh", "versions")),
    Compared("ssh_key_exchange", Text("SSH key exchange", "SSH 密钥交换"), fact("ssh", "key_exchange")),
    Compared("ssh_host_key", Text("SSH host key", "SSH 主机密钥"), fact("ssh", "host_key_algorithm")),
    Compared("ssh_ciphers", Text("SSH ciphers", "SSH 加密算法"), fact("ssh", "ciphers")),
    Compared("ssh_signature", Text("host's signature", "主机的签名"), fact("ssh", "signature_valid")),
    Compared("ssh_missing", Text("nothing in common", "没有共同的算法"), fact("ssh", "nothing_in_common"), last=True),
)

SENTENCES = (
    Sentence("ssh_versions", same(None), bool, Text(
        "{y} carries SSH, encrypted once both ends have said NEWKEYS; anyone on the way can read {x}.",
        "{y} 承载 SSH，双方发出 NEWKEYS 之后即加密；{x} 的内容途中任何人都能看到。"), AGREED),
    Sentence("ssh_missing", same([]), bool, Text(
        "In {y} the ends have nothing in common for {other}, so no key is ever made.",
        "{y} 的两端在 {other} 上没有共同的算法，因此从未生成密钥。"), BROKEN),
)  # fmt: skip
