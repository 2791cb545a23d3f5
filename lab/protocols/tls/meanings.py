"""What fields of messages are for, where their names do not say it: by name, or by the name of what they stand in."""

from __future__ import annotations

from lab.text import Text

_KEMS = {"mlkem512": ("ML-KEM-512", 800), "mlkem768": ("ML-KEM-768", 1184), "mlkem1024": ("ML-KEM-1024", 1568)}
_CURVE = Text(
    "The hybrid's other half: an ordinary Diffie-Hellman share. Both secrets go into the keys, so whoever wants those "
    "has to break both.",
    "混合组的另一半：普通的 Diffie-Hellman 份额。两个共享密钥都进入密钥推导，要得到密钥必须两种都攻破。",
)

MEANINGS: dict[str, Text] = {
    "(GREASE)": Text(
        "GREASE (RFC 8701): a number kept for meaning nothing. Clients strew such in, so that servers stay used to "
        "passing over what they do not know.",
        "GREASE（RFC 8701）：专门保留、没有任何含义的数字。客户端随意掺入，让服务器习惯于跳过不认识的内容。",
    ),
    "encrypted_client_hello": Text(
        "ECH (RFC 9849): the ClientHello that counts, with the real server's name, is encrypted in here; all that can "
        "be read is the outer one, and its name that of the front door. A client that has no key for it sends random "
        "bytes of the same shape (GREASE ECH), so that nobody on the way can tell which it is.",
        "ECH（RFC 9849）：真正起作用的 ClientHello（其中有真实的服务器名）加密在这里；能读到的只是外层，"
        "其中的名字是前端服务器的。没有对方公钥的客户端会发送同样格式的随机字节（GREASE ECH），"
        "途中谁也分辨不出是哪一种。",
    ),
    "encrypted_client_hello.type": Text(
        "outer: the hello that travels. inner: the one that was inside, which only servers see.",
        "outer：在网上传输的外层；inner：其中的内层，只有服务器才能看到。",
    ),
    "encrypted_client_hello.cipher_suite": Text(
        "With what the payload is encrypted to the server's key (HPKE, RFC 9180).",
        "用什么算法以服务器的公钥加密 payload（HPKE，RFC 9180）。",
    ),
    "encrypted_client_hello.config_id": Text(
        "Which of its keys the server needs; it has published them in DNS (RFC 9848). Random where it is GREASE.",
        "服务器该用自己的哪一把密钥；公钥发布在 DNS 中（RFC 9848）。若是 GREASE 则为随机值。",
    ),
    "encrypted_client_hello.enc": Text(
        "The client's half of the key agreement that the payload is encrypted with; empty after a HelloRetryRequest.",
        "加密 payload 所用密钥协商中客户端的公开值；HelloRetryRequest 之后为空。",
    ),
    "encrypted_client_hello.payload": Text(
        "The inner ClientHello, encrypted and padded, so that its length gives nothing away; or random bytes.",
        "加密并填充过的内层 ClientHello（填充使长度不泄露信息）；或者只是随机字节。",
    ),
    "encrypted_client_hello.confirmation": Text(
        "Whether the server has opened the inner hello: only the client can tell these 8 bytes from random ones.",
        "服务器是否打开了内层 ClientHello：只有客户端能分辨这 8 个字节与随机字节。",
    ),
    "encrypted_client_hello.retry_configs": Text(
        "The server's ECH keys of now: it could not open what it got, be it for an old key or because it was GREASE.",
        "服务器当前的 ECH 公钥：它没能打开收到的内容，可能用了旧的公钥，也可能只是 GREASE。",
    ),
    "ech_outer_extensions": Text(
        "Extensions that the inner hello takes over from the outer one instead of repeating them.",
        "内层 ClientHello 从外层沿用、不再重复的扩展。",
    ),
    **{
        f"key_exchange.{key}_encapsulation_key": Text(
            f"A public key of {name} (FIPS 203), made for this connection: to it the server encapsulates a secret. It "
            f"takes {size:,} bytes, where a share of X25519 takes 32.",
            f"{name}（FIPS 203）为本次连接生成的公钥：服务器用它封装一个密钥。"
            f"它占 {size} 字节，而 X25519 的份额只有 32 字节。",
        )
        for key, (name, size) in _KEMS.items()
    },
    **{
        f"key_exchange.{key}_ciphertext": Text(
            f"The secret that the server has encapsulated to the client's key of {name}: only the client can take it "
            "out.",
            f"服务器用客户端的 {name} 公钥封装的密钥：只有客户端能取出。",
        )
        for key, (name, _) in _KEMS.items()
    },
    **{f"key_exchange.{curve}": _CURVE for curve in ("x25519", "secp256r1", "secp384r1")},
}  # fmt: skip
