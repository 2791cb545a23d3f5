"""Files that are given for a key log or for the server's private key, and are something else."""

from __future__ import annotations

from lab.protocols.tls.keylog import has_lines
from lab.protocols.tls.reasons import Reason
from lab.protocols.tls.rsa import load_server_key
from lab.text import Text

_NO_LINE = Text("is no key log: no line is a label, a random, a secret", "不是密钥日志：没有一行是标签、随机数和密钥")
_KEY = Text("is a private key: --server-key takes it", "是私钥：请用 --server-key")
_LOG = Text("is a key log: --keylog takes it", "是密钥日志：请用 --keylog")
_UNUSABLE = Text("can't be used: {0}", "无法使用：{0}")


def refuses(keylog: bytes, server_key: bytes) -> Text | None:
    """Returns why a key log, or else a server's key, is none, in words that go on behind its name; None where it is."""
    if keylog and not has_lines(keylog):
        return _NO_LINE if isinstance(load_server_key(keylog), Reason) else _KEY
    if server_key:
        key = load_server_key(server_key)
        if isinstance(key, Reason):
            unusable = Text(_UNUSABLE.en.format(key.text.en), _UNUSABLE.zh.format(key.text.zh))
            return _LOG if has_lines(server_key) else unusable
    return None
