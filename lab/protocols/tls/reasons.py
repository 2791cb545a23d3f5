"""Why something can't be decrypted: a code for programs, a sentence for people. Nothing here is raised."""

from __future__ import annotations

from typing import NamedTuple

from lab.text import ROLES, Text


class Reason(NamedTuple):
    """Why not. `code` is stable, `text` may change."""

    code: str
    text: Text

    def format(self, *args: object) -> Reason:
        return Reason(self.code, self.text.format(*args))


# The server's key.
KEY_UNREADABLE = Reason(
    "key-unreadable", Text("this is no private key in PEM or DER form", "这不是 PEM 或 DER 格式的私钥")
)
KEY_ENCRYPTED = Reason(
    "key-encrypted",
    Text("the private key is protected by a password: take it off first", "私钥受口令保护：请先去掉口令"),
)
KEY_TOO_LARGE = Reason(
    "key-too-large", Text("an RSA key of {0} bits: the lab stops at {1}", "RSA 密钥有 {0} 位：实验室最多处理 {1} 位")
)
KEY_NOT_RSA = Reason(
    "key-not-rsa",
    Text(
        "the server's key is not an RSA key: it signs, and nothing can be decrypted with it",
        "服务器的密钥不是 RSA 密钥：它只能签名，不能用来解密",
    ),
)
WRONG_SERVER_KEY = Reason(
    "wrong-server-key",
    Text(
        "this private key does not belong to the server's certificate",
        "这个私钥与服务器证书不匹配",
    ),
)

# The pre-master secret (RFC 5246 section 7.4.7.1).
PREMASTER_SIZE = Reason(
    "premaster-size",
    Text(
        "the encrypted pre-master secret has {0} bytes, the RSA key's modulus has {1}",
        "加密的预主密钥有 {0} 字节，而 RSA 密钥的模数有 {1} 字节",
    ),
)
PREMASTER_PADDING = Reason(
    "premaster-padding",
    Text(
        "decrypted with this key, the pre-master secret is not padded as PKCS #1 asks: it was encrypted for another",
        "用这个私钥解密后，预主密钥没有 PKCS #1 规定的填充：它是为另一把密钥加密的",
    ),
)
PREMASTER_LENGTH = Reason(
    "premaster-length",
    Text(
        "the decrypted pre-master secret has {0} bytes instead of 48", "解密得到的预主密钥有 {0} 字节，而不是 48 字节"
    ),
)
PREMASTER_VERSION = Reason(
    "premaster-version",
    Text(
        "the pre-master secret begins with version {0:04x}, the ClientHello said {1:04x}: a server must refuse it",
        "预主密钥以版本 {0:04x} 开头，而 ClientHello 中是 {1:04x}：服务器必须拒绝",
    ),
)
NO_PREMASTER = Reason(
    "no-premaster",
    Text(
        "there is no ClientKeyExchange: the connection resumes an earlier session, or its beginning was not captured",
        "没有 ClientKeyExchange：这个连接恢复了先前的会话，或者开头没有捕获到",
    ),
)
SESSION_UNKNOWN = Reason(
    "session-unknown",
    Text(
        "a session is resumed, and the handshake that it comes from is not among the packets read, or stayed closed",
        "恢复的是先前的会话，而建立该会话的握手不在读取的包中，或者未能解开",
    ),
)

# Ways in.
NO_SECRETS = Reason(
    "no-secrets",
    Text(
        "neither the server's private key nor a key log was given",
        "既没有给出服务器私钥，也没有给出密钥日志",
    ),
)
NO_KEY_LOG = Reason(
    "no-key-log",
    Text(
        "no key log was given; with {0} the server's private key would not help (forward secrecy)",
        "没有给出密钥日志；使用 {0} 时，服务器私钥也帮不上忙（前向保密）",
    ),
)
HELLOS_MISSING = Reason(
    "hellos-missing",
    Text(
        "its hellos are not in the capture: without both ends' random numbers no key can be found for it",
        "抓包中没有它的 hello 消息：没有双方的随机数，就找不到它的密钥",
    ),
)
HELLO_MISSING = {
    role: Reason(
        "hello-missing",
        Text(
            f"the {who.en}'s hello is not in the capture: without both ends' random numbers no key can be found for it",
            f"抓包中没有{who.zh}的 hello 消息：没有双方的随机数，就找不到它的密钥",
        ),
    )
    for role, who in ROLES.items()
}
HELLOS_CUT = Reason(
    "hello-cut",
    Text(
        "both hellos are cut short in the capture: what is left of them is not enough to find keys with",
        "双方的 hello 消息在抓包中都被截短：剩下的部分不足以找到密钥",
    ),
)
HELLO_CUT = {
    role: Reason(
        "hello-cut",
        Text(
            f"the {who.en}'s hello is cut short in the capture: what is left of it is not enough to find keys with",
            f"{who.zh}的 hello 消息在抓包中被截短：剩下的部分不足以找到密钥",
        ),
    )
    for role, who in ROLES.items()
}
FORWARD_SECRECY = Reason(
    "forward-secrecy",
    Text(
        "with {0} the server's private key only signs: the secret never crossed the wire, and the key can't bring it "
        "back (forward secrecy); only a key log written by an end can",
        "使用 {0} 时，服务器私钥只用来签名：密钥从未在线路上传输，私钥无法还原它（前向保密）；"
        "只有端点写下的密钥日志可以",
    ),
)
OTHER_KEY_EXCHANGE = Reason(
    "other-key-exchange",
    Text(
        "the lab does not work out a {0} key exchange by hand: give a key log",
        "实验室不手工推导 {0} 密钥交换：请提供密钥日志",
    ),
)
NOT_IN_KEY_LOG = Reason(
    "not-in-key-log",
    Text(
        "the key log has no secret for this connection: it knows {0} connections, none with this client random",
        "密钥日志中没有这个连接的密钥：其中有 {0} 个连接，但都不是这个客户端随机数",
    ),
)
KEY_LOG_INCOMPLETE = Reason(
    "key-log-incomplete",
    Text("the key log knows this connection, but lacks {0}", "密钥日志中有这个连接，但缺少 {0}"),
)
UNSUPPORTED_SUITE = Reason(
    "unsupported-suite",
    Text("the lab does not decrypt {0}", "实验室不能解密 {0}"),
)
UNSUPPORTED_VERSION = Reason(
    "unsupported-version",
    Text("the lab does not decrypt version {0:04x}", "实验室不能解密版本 {0:04x}"),
)
NO_LIBRARY = Reason(
    "no-library",
    Text(
        "the Python library that decrypts, cryptography, is not here: open the capture with the lab on your machine",
        "这里没有用来解密的 Python 库 cryptography：请在自己的机器上用实验室打开这份抓包",
    ),
)

EARLY_REJECTED = Reason(
    "early-data-rejected",
    Text("the server has rejected it, and skips it unread", "服务器已拒绝，不读取、直接跳过"),
)
EARLY_TOO_MUCH = Reason(
    "early-data-too-much",
    Text(
        "more than the lab keeps until the server has said whether it takes it",
        "在服务器表明是否接受之前，数据量超过了实验室能保留的上限",
    ),
)
EARLY_UNDECIDED = Reason(
    "early-data-undecided",
    Text(
        "the capture does not show whether the server takes it",
        "抓包中看不到服务器是否接受",
    ),
)

# A compressed certificate (RFC 8879).
COMPRESSION_UNKNOWN = Reason(
    "compression-unknown", Text("it is compressed in a way the lab does not know: {0}", "压缩方式 {0} 未知，无法解压")
)
COMPRESSION_LIBRARY = Reason(
    "compression-library",
    Text("the Python library for {0} is not installed: it can't be opened", "没有安装 {0} 的 Python 库，无法解压"),
)
COMPRESSION_TOO_LONG = Reason(
    "compression-too-long",
    Text("it says it is of {0} bytes: the lab opens at most {1}", "声称解压后有 {0} 字节：实验室最多解压 {1} 字节"),
)
COMPRESSION_DAMAGED = Reason(
    "compression-damaged",
    Text("it does not open to the {0} bytes that it announces: damaged", "解压不出它声称的 {0} 字节：已损坏"),
)

# A record.
RECORD_LENGTH = Reason(
    "record-length",
    Text("a record of {0} bytes can't have been made with {1}", "用 {1} 不可能产生 {0} 字节的记录"),
)
BAD_TAG = Reason(
    "bad-tag",
    Text(
        "the authentication tag of record {0} does not fit: other keys, a byte changed, or a record is missing",
        "第 {0} 条记录的认证标签不符：密钥不对、某个字节被改动，或缺少记录",
    ),
)
BAD_MAC = Reason(
    "bad-mac",
    Text(
        "the MAC of record {0} does not fit: other keys, a byte changed, or a record is missing",
        "第 {0} 条记录的 MAC 不符：密钥不对、某个字节被改动，或缺少记录",
    ),
)
RECORDS_MISSING = Reason(
    "records-missing",
    Text(
        "records before it are missing in the capture, and it opens with none of the numbers that it may have",
        "抓包中缺少它之前的记录，而用它可能的各个序号都解不开",
    ),
)
NO_CONTENT_TYPE = Reason(
    "no-content-type",
    Text("record {0} holds nothing but zeros: it names no content type", "第 {0} 条记录只有零：没有内容类型"),
)
FINISHED_DIFFERS = {
    role: Reason(
        "finished-differs",
        Text(
            f"the {who.en}'s Finished does not confirm this handshake: its verify_data is not what the keys give",
            f"{who.zh}的 Finished 没有确认这次握手：verify_data 与用密钥算出的不同",
        ),
    )
    for role, who in ROLES.items()
}
