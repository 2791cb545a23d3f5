"""The command line: parse, call, print, exit. Everything heavier than parsing is imported by the command that needs it."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

from lab import text
from lab.errors import InputError, LabError, MachineError, UsageError
from lab.system import files, signals, streams
from lab.text import Lang, Text

LANG: Lang = text.choose(sys.argv[1:])

with signals.quiet_until_ready():
    import typer  # its own words are chosen when it is imported
    from typer.core import TyperCommand, TyperGroup

    from lab.show import Format

if TYPE_CHECKING:
    from lab.live import Play, Session


def _(en: str, zh: str) -> str:
    return zh if LANG == "zh" else en


# What the parser itself says, for help in Chinese: English left, Chinese right.
_PARSER = {
    "Usage: ": "用法：",
    "\nOptions:": "\n选项：",
    "\nCommands:": "\n命令：",
    "\nArguments:": "\n参数：",
    "[OPTIONS]": "[选项]",
    "COMMAND [ARGS]...": "命令 [参数]...",
    "Show this message and exit.": "显示本帮助。",
    "[required]": "[必需]",
    "[default: ": "[默认：",
}


class _Group(TyperGroup):
    def get_help(self, ctx: Any) -> str:
        return _in_our_words(super().get_help(ctx))


class _Command(TyperCommand):
    def get_help(self, ctx: Any) -> str:
        return _in_our_words(super().get_help(ctx))


def _in_our_words(help_text: str) -> str:
    if LANG == "zh":
        for english, chinese in _PARSER.items():
            help_text = help_text.replace(english, chinese)
    return help_text


app = typer.Typer(
    cls=_Group, rich_markup_mode=None, add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False,
    help=_(
        "The handshake lab: watch two real computers agree to talk, packet by packet, explained and proved.",
        "握手实验室：亲眼看两台真实的计算机如何达成通信，逐包讲解，并给出证据。",
    ),
)  # fmt: skip


class Language(StrEnum):
    EN = "en"
    ZH = "zh"


class Testbed(StrEnum):
    AUTO = "auto"
    NETNS = "netns"
    DOCKER = "docker"


class Version(StrEnum):
    TLS_1_2 = "1.2"
    TLS_1_3 = "1.3"


class KeyExchange(StrEnum):
    RSA = "rsa"
    ECDHE = "ecdhe"


_MOST_SECRET = 64 << 20  # bytes of a file of secrets
LANGUAGE = Language(LANG)
LangOption = Annotated[
    Language, typer.Option("--lang", help=_("en or zh; default: the locale's", "en 或 zh；默认取自系统区域设置"))
]
FormatOption = Annotated[Format, typer.Option("--format", help=_("How to write the trace.", "以何种格式输出。"))]
JsonOption = Annotated[bool, typer.Option("--json", help=_("The same as --format json.", "等同于 --format json。"))]
Ipv6Option = Annotated[bool, typer.Option("--ipv6", help=_("IPv6 instead of IPv4.", "用 IPv6 代替 IPv4。"))]
WireOption = Annotated[
    list[str],
    typer.Option(
        "--wire",
        help=_("A rule for the wire: 'drop client SYN #1', 'delay server FIN 200ms'.", "线路规则，如 'drop client SYN #1'、'delay server FIN 200ms'。"),
    ),
]  # fmt: skip
TestbedOption = Annotated[Testbed, typer.Option("--testbed", help=_("Where to run it.", "在哪种测试床上运行。"))]
OutOption = Annotated[Path | None, typer.Option("-o", help=_("Save the capture here.", "抓包文件保存到此处。"))]
RenderedOption = Annotated[Path | None, typer.Option("-o", help=_("Write the output here.", "输出写到此处。"))]
VersionOption = Annotated[Version, typer.Option("--version", help=_("Of TLS.", "TLS 版本。"))]
KeyExchangeOption = Annotated[
    KeyExchange | None,
    typer.Option(
        "--key-exchange",
        help=_("rsa, the notes' and history, or ecdhe; default: rsa in TLS 1.2.", "rsa（讲义所述，已成历史）或 ecdhe；TLS 1.2 默认为 rsa。"),
    ),
]  # fmt: skip
SecureOption = Annotated[bool, typer.Option("--tls", help=_("Over TLS 1.3: wss.", "在 TLS 1.3 之上：wss。"))]
_PROTOCOL = _("The protocol.", "协议。")


class Shown(StrEnum):
    KEYS = "keys"


KeylogOption = Annotated[
    Path | None,
    typer.Option("--keylog", help=_("A TLS key log (SSLKEYLOGFILE) to decrypt with.", "用于解密的 TLS 密钥日志（SSLKEYLOGFILE）。")),
]  # fmt: skip
ServerKeyOption = Annotated[
    Path | None,
    typer.Option("--server-key", help=_("The server's private key (PEM): opens RSA key exchange.", "服务器私钥（PEM）：可解开 RSA 密钥交换。")),
]  # fmt: skip
ShowOption = Annotated[
    Shown | None,
    typer.Option("--show", help=_("keys: how the TLS keys, and a WebSocket's accept value, come about, line by line.", "keys：逐行展示 TLS 密钥和 WebSocket accept 值的由来。")),
]  # fmt: skip


@app.callback()
def lab(lang: LangOption = LANGUAGE) -> None:
    """The language is chosen before anything is parsed (lab.text.choose): the option is here to be allowed and shown."""


@app.command(
    cls=_Command, help=_("Run the notes' TCP connection on real hosts.", "在真实主机上运行讲义中的 TCP 连接。")
)
def tcp(
    format: FormatOption = Format.LADDER, json: JsonOption = False, ipv6: Ipv6Option = False, wire: WireOption = [],
    testbed: TestbedOption = Testbed.AUTO, out: OutOption = None, lang: LangOption = LANGUAGE,
) -> None:  # fmt: skip
    file = out or Path("captures/out/tcp.pcapng")
    _run("tcp/connection", Format.JSON if json else format, ipv6, wire, file, testbed)


@app.command(cls=_Command, help=_("Run the notes' TLS handshake on real hosts.", "在真实主机上运行讲义中的 TLS 握手。"))
def tls(
    version: VersionOption = Version.TLS_1_2, key_exchange: KeyExchangeOption = None,
    format: FormatOption = Format.LADDER, json: JsonOption = False, ipv6: Ipv6Option = False, wire: WireOption = [],
    testbed: TestbedOption = Testbed.AUTO, out: OutOption = None, lang: LangOption = LANGUAGE,
) -> None:  # fmt: skip
    if version is Version.TLS_1_2:
        scenario = f"tls/1.2-{key_exchange or KeyExchange.RSA}"
    elif key_exchange is KeyExchange.RSA:
        raise UsageError(
            Text("TLS 1.3 has no RSA key exchange: only ephemeral ones", "TLS 1.3 没有 RSA 密钥交换，只有临时密钥交换"),
            Text(
                "lab tls --version 1.2 --key-exchange rsa shows it",
                "用 lab tls --version 1.2 --key-exchange rsa 可以看到它",
            ),
        )
    else:
        scenario = "tls/1.3"
    file = out or Path("captures/out/tls.pcapng")
    _run(scenario, Format.JSON if json else format, ipv6, wire, file, testbed)


@app.command(cls=_Command, help=_("Run a WebSocket connection on real hosts.", "在真实主机上运行 WebSocket 连接。"))
def ws(
    tls: SecureOption = False,
    format: FormatOption = Format.LADDER, json: JsonOption = False, ipv6: Ipv6Option = False, wire: WireOption = [],
    testbed: TestbedOption = Testbed.AUTO, out: OutOption = None, lang: LangOption = LANGUAGE,
) -> None:  # fmt: skip
    file = out or Path("captures/out/ws.pcapng")
    scenario = "websocket/tls" if tls else "websocket/connection"
    _run(scenario, Format.JSON if json else format, ipv6, wire, file, testbed)


@app.command(cls=_Command, help=_("Run any scenario by its name.", "按名称运行任意场景。"))
def run(
    scenario: Annotated[str, typer.Argument(help=_("As lab scenarios lists it: tcp/syn-lost.", "lab scenarios 所列的名称，如 tcp/syn-lost。"))],
    format: FormatOption = Format.LADDER, json: JsonOption = False, ipv6: Ipv6Option = False, wire: WireOption = [],
    testbed: TestbedOption = Testbed.AUTO, out: OutOption = None, lang: LangOption = LANGUAGE,
) -> None:  # fmt: skip
    name = scenario.replace("/", "-")
    file = out or Path(f"captures/out/{name}.pcapng")
    _run(scenario, Format.JSON if json else format, ipv6, wire, file, testbed)


@app.command(cls=_Command, help=_("List the scenarios, and what each teaches.", "列出所有场景及其教学要点。"))
def scenarios(lang: LangOption = LANGUAGE) -> None:
    from lab.render.notes import catalogue

    catalogue(sys.stdout, LANG)


@app.command("annotate", cls=_Command, help=_("Explain a capture, packet by packet.", "逐包解读一个抓包文件。"))
def annotate_(
    file: Annotated[str, typer.Argument(help=_("A pcap or pcapng file; - for standard input.", "pcap 或 pcapng 文件；- 表示标准输入。"))],
    format: FormatOption = Format.LADDER, json: JsonOption = False, keylog: KeylogOption = None,
    server_key: ServerKeyOption = None, show_: ShowOption = None, out: RenderedOption = None, lang: LangOption = LANGUAGE,
    explain: Annotated[int | None, typer.Option("--explain", metavar="N", help=_("Tell one packet in words, by its number.", "按包号讲解一个包。"))] = None,
    conversation: Annotated[int | None, typer.Option("--conversation", metavar="N", help=_("Only this conversation, by its id.", "只看这个编号的连接。"))] = None,
    filter_: Annotated[str | None, typer.Option("--filter", help=_("Whole conversations, by host, net, port: 'host 192.0.2.2 and not port 22'.", "按 host、net、port 选整个连接，如 'host 192.0.2.2 and not port 22'。"))] = None,
) -> None:  # fmt: skip
    from lab.app.annotate import Asked, annotate

    form = Format.JSON if json else format
    secrets = _secret(keylog), _secret(server_key)
    annotate(Asked(file, form, *secrets, show_ is Shown.KEYS, out, explain, conversation, filter_), LANG)


def _secret(path: Path | None) -> bytes:
    """Returns a file of secrets. Raises InputError where it can't be read."""
    if path is None:
        return b""
    try:
        with path.open("rb") as file:
            secret = file.read(_MOST_SECRET + 1)
    except OSError as error:
        raise InputError(
            Text(f"{path} can't be read: {error.strerror}", f"无法读取 {path}：{error.strerror}"),
            Text("give a file of secrets that you may read", "请给出一个可读取的密钥文件"),
        ) from error
    if not 0 < len(secret) <= _MOST_SECRET:
        most = _MOST_SECRET >> 20
        why = Text("is larger than {0} MB", "超过 {0} MB").format(most) if secret else Text("is empty", "是空的")
        raise InputError(
            Text(f"{path} {why.en}", f"{path} {why.zh}"),
            Text("give a key log or a private key, or leave the option out", "请给出密钥日志或私钥，或去掉该选项"),
        )
    return secret


class DiffFormat(StrEnum):
    TEXT = "text"
    JSON = "json"


@app.command("diff", cls=_Command, help=_("Compare two captures by meaning, side by side.", "按含义并排比较两个抓包。"))
def diff_(
    a: Annotated[str, typer.Argument(metavar="A", help=_("A capture.", "一个抓包文件。"))],
    b: Annotated[str, typer.Argument(metavar="B", help=_("Another.", "另一个。"))],
    format: Annotated[DiffFormat, typer.Option("--format", help=_("How to write it.", "以何种格式输出。"))] = DiffFormat.TEXT,
    json: JsonOption = False,
    conversation: Annotated[str, typer.Option("--conversation", help=_("Which, by id: N for both, or A's,B's.", "按编号选择连接：N 用于两者，或 A 的,B 的。"))] = "0",
    keylog: KeylogOption = None, server_key: ServerKeyOption = None, out: RenderedOption = None, lang: LangOption = LANGUAGE,
) -> None:  # fmt: skip
    from lab.app import diff

    found = diff.compared(a, b, conversation, _secret(keylog), _secret(server_key))
    diff.diff(found, json or format is DiffFormat.JSON, out, LANG)


@app.command(cls=_Command, help=_("Show the notes' steps and the table of states.", "显示讲义的步骤和状态表。"))
def notes(
    protocol: Annotated[str, typer.Argument(help=_PROTOCOL)] = "tcp",
    out: RenderedOption = None,
    lang: LangOption = LANGUAGE,
) -> None:
    from lab.render.notes import lecture

    with files.rendered(out) as stream:
        lecture(protocol, stream, LANG)


@app.command(cls=_Command, help=_("Say what this machine can do, and how to mend what it can't.", "检查这台机器能做什么，以及如何修复做不到的。"))  # fmt: skip
def doctor(lang: LangOption = LANGUAGE) -> None:
    from lab.app.doctor import examine
    from lab.render.checks import report

    raise typer.Exit(report(examine(), sys.stdout, LANG))


def _run(name: str, form: Format, ipv6: bool, wire: list[str], file: Path, testbed: Testbed) -> None:
    from lab import protocols
    from lab.live import Session
    from lab.render.notes import introduction
    from lab.show import show
    from lab.testbed.rules import parse

    scenario = protocols.scenario(name)
    session = Session(scenario, (*parse(wire), *parse(scenario.rules)), ipv6, file, _play(testbed))
    if form is Format.LADDER:
        introduction(name, [*wire, *scenario.rules], sys.stdout, LANG)
    try:
        with contextlib.closing(session.rungs()) as rungs:  # whatever ends it here, the capture is saved here too
            if form is Format.PCAPNG:
                for _rung in rungs:
                    pass
                sys.stdout.buffer.write(file.read_bytes())
            else:
                show(session, rungs, form, session.about, sys.stdout, LANG)
    finally:
        _tell_the_end(session, sys.stdout if form is Format.LADDER else sys.stderr)
    if session.early is not None and not wire:
        raise LabError(
            session.early,
            Text("the capture shows how far it came", "抓包里可以看到进行到了哪一步"),
        )


def _play(testbed: Testbed) -> Play:
    """Returns what plays scenarios there; `auto` is network namespaces where they work, else Docker."""
    if testbed is Testbed.AUTO:
        from lab.testbed.auto import play
    elif testbed is Testbed.NETNS:
        from lab.testbed.netns import play
    else:
        from lab.testbed.docker import play
    return play


def _tell_the_end(session: Session, out: TextIO) -> None:
    from lab.live import ending

    with contextlib.suppress(OSError):  # a closed pipe, a terminal that has hung up
        for line in ending(session):
            print(line.pick(LANG), file=out)


def main() -> None:
    """Runs the command line and exits with the status of design section 2."""
    os._exit(guarded(_command))  # all is written and closed; to free what was annotated one by one takes long


def _command() -> object:
    """Parses and calls; not by app(), which has answers of its own to signals and closed pipes."""
    command = typer.main.get_command(app)
    with command.make_context("lab", sys.argv[1:] or ["--help"]) as context:
        return command.invoke(context)


def guarded(command: Callable[[], Any]) -> int:
    """Runs a command and returns its exit status; whatever goes wrong is said in two lines, never as a traceback."""
    streams.take_streams()
    signals.stop_cleanly_on_signals()
    try:
        status = command()
        sys.stdout.flush()
        return status if isinstance(status, int) else 0
    except LabError as error:
        streams.complain(error, LANG)
        return error.status
    except signals.Stopped as stopped:
        return 128 + stopped.number
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except (BrokenPipeError, SystemExit):  # SystemExit is what rich makes of a closed pipe (Console.on_broken_pipe)
        return 0
    except typer.Exit as exit_:
        return exit_.exit_code
    except typer.TyperException as error:
        streams.complain(_usage(error), LANG)
        return 2
    except Exception as error:
        if os.environ.get("LAB_DEBUG"):
            raise
        number = signals.asked_by()
        if number is not None:
            return 128 + number
        told = _refused(error) if isinstance(error, OSError) else _bug(error)
        streams.complain(told, LANG)
        return told.status
    finally:
        signals.nothing_stops_any_more()
        streams.leave_streams()


def _usage(error: typer.TyperException) -> UsageError:
    """Returns the parser's complaint as one of ours."""
    from lab.app.usage import told

    said = getattr(error, "format_message", lambda: str(error))()
    first = said.strip().splitlines()[0] if said.strip() else "usage"
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "lab"
    return UsageError(
        told(first),
        Text(f"{command} --help shows what there is", f"{command} --help 会显示可用的命令和选项"),
    )


def _refused(error: OSError) -> MachineError:
    """Returns what the system refused, where nothing nearer to it knew better: standard output, mostly."""
    words = f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error)
    return MachineError(
        Text(f"the system refused to go on: {words}", f"系统拒绝继续：{words}"),
        Text("is the disk full, or what the output goes to? LAB_DEBUG=1 shows where it was", "磁盘或输出目标是否已满？LAB_DEBUG=1 会显示出错位置"),
    )  # fmt: skip


def _bug(error: Exception) -> LabError:
    return LabError(
        Text(f"this should not happen: {type(error).__name__}: {error}", f"程序内部错误：{type(error).__name__}: {error}"),
        Text("please report it with what LAB_DEBUG=1 shows", "请设置 LAB_DEBUG=1 重现，并附上输出进行报告"),
    )  # fmt: skip
