"""The command line: parse, call, print, exit. Everything heavier than parsing is imported by the command that needs it."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from copy import copy
from enum import StrEnum
from inspect import Parameter, Signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from lab import text
from lab.errors import LabError, MachineError, UsageError
from lab.system import files, signals, streams
from lab.text import Lang, Text
from lab.version import __version__

LANG: Lang = text.choose(sys.argv[1:], os.environ)

_collecting = gc.isenabled()
gc.disable()  # nothing that is imported is thrown away: to look for what could be takes a tenth of the time
with signals.quiet_until_ready():
    import typer  # its own words are chosen when it is imported
    from typer.core import TyperCommand, TyperGroup

    from lab.app.formats import DiagramForm, Format, FormOfMarks
    from lab.app.values import plainly
    from lab.protocols.registry import PROTOCOLS, TRANSPORT
if _collecting:
    gc.enable()

if TYPE_CHECKING:
    from lab.engine.protocol import Choice, Command


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
    def get_params(self, ctx: Any) -> list[Any]:
        return plainly(super().get_params(ctx))

    def get_help(self, ctx: Any) -> str:
        return _in_our_words(super().get_help(ctx))


class _Command(TyperCommand):
    def get_params(self, ctx: Any) -> list[Any]:
        return plainly(super().get_params(ctx))

    def get_help(self, ctx: Any) -> str:
        return _in_our_words(super().get_help(ctx))


def _in_our_words(help_text: str) -> str:
    if LANG == "zh":
        for english, chinese in _PARSER.items():
            help_text = help_text.replace(english, chinese)
    return help_text


app = typer.Typer(
    cls=_Group, context_settings={"help_option_names": ["-h", "--help"]}, rich_markup_mode=None, add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False,
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


NoLimitOption = Annotated[
    bool,
    typer.Option("--no-limit", help=_("Read what is compressed however large it becomes.", "压缩文件无论展开多大都读完。")),
]  # fmt: skip


PortOption = Annotated[int, typer.Option("--port", min=0, max=65535, help=_("Of the page; the system chooses one.", "网页的端口；默认由系统选择。"))]  # fmt: skip
NoOpenOption = Annotated[bool, typer.Option("--no-open", help=_("Do not open a browser.", "不打开浏览器。"))]


class Shown(StrEnum):
    KEYS = "keys"


KeylogOption = Annotated[
    Path | None,
    typer.Option("--keylog", help=_("A key log to decrypt with (SSLKEYLOGFILE).", "用于解密的密钥日志（SSLKEYLOGFILE）。")),
]  # fmt: skip
ServerKeyOption = Annotated[
    Path | None,
    typer.Option("--server-key", help=_("The server's private key (PEM): opens RSA key exchange.", "服务器私钥（PEM）：可解开 RSA 密钥交换。")),
]  # fmt: skip
ShowOption = Annotated[
    Shown | None,
    typer.Option("--show", help=_("keys: how the keys, and other values of a handshake, come about, line by line.", "keys：逐行展示密钥以及握手中其他值的由来。")),
]  # fmt: skip


def _version(asked: bool) -> None:
    if asked:
        sys.stdout.write(f"handshake-lab {__version__}\n")
        raise typer.Exit


VersionOption = Annotated[
    bool,
    typer.Option("--version", callback=_version, is_eager=True, help=_("Show the version and exit.", "显示版本。")),
]


@app.callback()
def lab(lang: LangOption = LANGUAGE, version: VersionOption = False) -> None:
    """The language is chosen before anything is parsed (lab.text.choose): the option is here to be allowed and shown."""


def _alias(command: Command) -> None:
    """Adds a protocol's own command: its choices become options, in front of those that every run has."""
    parameters = [*map(_parameter, command.choices), *(_keyword(*each) for each in _EVERY_RUN)]
    chosen = [each.name for each in parameters[: len(command.choices)]]

    def called(**given: Any) -> None:
        scenario = command.pick(*(given[name] for name in chosen))
        file = given["out"] or Path(f"captures/out/{command.name}.pcapng")
        _run(scenario, given["format"], given["json"], given["ipv6"], given["wire"], given["testbed"], file)

    called.__signature__ = Signature(parameters)  # type: ignore[attr-defined]  # typer reads it
    called.__annotations__ = {each.name: each.annotation for each in parameters}
    app.command(command.name, cls=_Command, help=_(*command.help))(called)


def _parameter(choice: Choice) -> Parameter:
    option = typer.Option(choice.option, help=_(*choice.help))
    name = choice.option.strip("-").replace("-", "_")
    if not choice.values:
        return _keyword(name, Annotated[bool, option], False)
    values: Any = StrEnum("Choice", {value: value for value in choice.values})  # type: ignore[misc]  # made of data
    return _keyword(name, Annotated[values if choice.default else values | None, option], choice.default)


def _keyword(name: str, annotation: Any, default: Any) -> Parameter:
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


_EVERY_RUN: tuple[tuple[str, Any, Any], ...] = (
    ("format", FormatOption, Format.LADDER), ("json", JsonOption, False), ("ipv6", Ipv6Option, False),
    ("wire", WireOption, []), ("testbed", TestbedOption, Testbed.AUTO), ("out", OutOption, None),
    ("lang", LangOption, LANGUAGE),
)  # fmt: skip
for _protocol in PROTOCOLS:
    for _command_ in _protocol.commands:
        _alias(_command_)


@app.command(cls=_Command, help=_("Run any scenario by its name.", "按名称运行任意场景。"))
def run(
    scenario: Annotated[str | None, typer.Argument(help=_("As lab scenarios lists it: tcp/syn-lost.", "lab scenarios 所列的名称，如 tcp/syn-lost。"))] = None,
    variant: Annotated[Path | None, typer.Option("--variant", metavar="FOLDER", help=_("Your own capture for an assignment, into the folder that came with it.", "为作业生成你自己的抓包，存入随作业发放的文件夹。"))] = None,
    again: Annotated[bool, typer.Option("--again", help=_("With --variant: in place of the capture that is there.", "配合 --variant：替换已有的抓包。"))] = False,
    format: FormatOption = Format.LADDER, json: JsonOption = False, ipv6: Ipv6Option = False, wire: WireOption = [],
    slow: Annotated[str, typer.Option("--slow", metavar="TIME", help=_("Hold each packet so long, for everybody to see: 2s, 500ms.", "每个包在线路上停留这么久，便于演示：2s、500ms。"))] = "",
    testbed: TestbedOption = Testbed.AUTO, out: OutOption = None, lang: LangOption = LANGUAGE,
) -> None:  # fmt: skip
    if variant is not None:
        from lab.app.variant import play

        if slow or scenario or out or json or ipv6 or format is not Format.LADDER:
            raise UsageError(
                Text(
                    "--variant goes with --wire, --testbed and --again alone",
                    "--variant 只能与 --wire、--testbed、--again 同用",
                ),
                Text("what is played and where it is saved, the variant says", "运行什么、存到哪里，由变体决定"),
            )
        play(variant, wire, testbed, again, LANG)
        return
    if scenario is None or again:
        raise UsageError(
            Text(
                "the scenario to run is not said" if scenario is None else "--again goes with --variant",
                "没有说明要运行的场景" if scenario is None else "--again 须与 --variant 同用",
            ),
            Text(
                "lab scenarios lists them; --variant FOLDER plays an assignment's",
                "lab scenarios 会列出全部场景；--variant 文件夹 运行作业的变体",
            ),
        )
    name = scenario.replace("/", "-")
    file = out or Path(f"captures/out/{name}.pcapng")
    _run(scenario, format, json, ipv6, wire, testbed, file, slow)


@app.command(cls=_Command, help=_("Step through a connection: hold each packet, let it arrive, lose it, change it.", "逐包调试一个连接：扣住每个包，放行、丢弃或修改它。"))  # fmt: skip
def step(
    what: Annotated[str | None, typer.Argument(metavar="SCENARIO|FILE", help=_("A scenario, on real hosts; or a capture, to and fro.", "场景（真实主机），或抓包文件（可前后走动）。"))] = None,
    variant: Annotated[Path | None, typer.Option("--variant", metavar="FOLDER", help=_("Your own capture for an assignment, with your predictions in it.", "为作业生成你自己的抓包，其中含有你的预测。"))] = None,
    again: Annotated[bool, typer.Option("--again", help=_("With --variant: in place of the capture that is there.", "配合 --variant：替换已有的抓包。"))] = False,
    script: Annotated[str | None, typer.Option("--script", metavar="FILE", help=_("Commands, one a line; - for standard input.", "命令文件，每行一条；- 表示标准输入。"))] = None,
    json: Annotated[bool, typer.Option("--json", help=_("By lines, the events themselves as JSON.", "行模式，直接输出 JSON 事件。"))] = False,
    page: Annotated[bool, typer.Option("--page", help=_("In the browser.", "在浏览器中进行。"))] = False,
    port: PortOption = 0, no_open: NoOpenOption = False,
    conversation: Annotated[int | None, typer.Option("--conversation", metavar="N", help=_("Of a capture only this conversation, by its id.", "抓包中只看这个编号的连接。"))] = None,
    keylog: KeylogOption = None, server_key: ServerKeyOption = None,
    ipv6: Ipv6Option = False, wire: WireOption = [], testbed: TestbedOption = Testbed.AUTO, out: OutOption = None,
    lang: LangOption = LANGUAGE,
) -> None:  # fmt: skip
    from lab.app.step import Wanted
    from lab.app.step import step as stepped

    if page and (script is not None or json):
        raise UsageError(
            Text("--page goes neither with --script nor with --json", "--page 不能与 --script、--json 同用"),
            Text("leave --page or the others out", "请去掉 --page 或其他选项"),
        )
    serving = None
    if not page:
        from lab.app.beside import refuse_without_a_page

        refuse_without_a_page({"--port": port != 0, "--no-open": no_open})
    else:
        from lab.app.view import Serving

        serving = Serving(port, not no_open)
    if (what is None) == (variant is None) or (variant is not None and (ipv6 or out)) or (again and variant is None):
        raise UsageError(
            Text("either a scenario, or a capture, or --variant", "请给出场景、抓包文件或 --variant 三者之一"),
            Text(
                "lab step SCENARIO; lab step --variant FOLDER goes with --wire, --testbed and --again",
                "lab step 场景；lab step --variant 文件夹 只能与 --wire、--testbed、--again 同用",
            ),
        )
    log, key = _secrets(keylog, server_key)
    wanted = Wanted(what or "", script, json, ipv6, wire, testbed, out, conversation, log, key, variant, again, serving)
    raise typer.Exit(stepped(wanted, LANG))


@app.command(cls=_Command, help=_("List the scenarios, and what each teaches.", "列出所有场景及其教学要点。"))
def scenarios(lang: LangOption = LANGUAGE) -> None:
    from lab.render.notes import catalogue

    catalogue(sys.stdout, LANG)


@app.command("annotate", cls=_Command, help=_("Explain a capture, packet by packet.", "逐包解读一个抓包文件。"))
def annotate_(
    file: Annotated[str, typer.Argument(help=_("A pcap or pcapng file; - for standard input.", "pcap 或 pcapng 文件；- 表示标准输入。"))],
    format: FormatOption = Format.LADDER, json: JsonOption = False, keylog: KeylogOption = None,
    server_key: ServerKeyOption = None, show_: ShowOption = None, out: RenderedOption = None, lang: LangOption = LANGUAGE,
    explain: Annotated[str | None, typer.Option("--explain", metavar="N", help=_("Tell a packet in words, by its number, or several: 3-5.", "按编号讲解一个包，或几个包：3-5。"))] = None,
    conversation: Annotated[int | None, typer.Option("--conversation", metavar="N", help=_("Only this conversation, by its id.", "只看这个编号的连接。"))] = None,
    filter_: Annotated[str | None, typer.Option("--filter", help=_("Whole conversations, by host, net, port: 'host 192.0.2.2 and not port 22'.", "按 host、net、port 选整个连接，如 'host 192.0.2.2 and not port 22'。"))] = None,
    summary: Annotated[bool, typer.Option("--summary", help=_("A line a conversation, worst first: what is wrong, round trips, who closed.", "每个连接一行，最差的在前：有何异常、往返时间、由谁关闭。"))] = False,
    with_keys: Annotated[bool, typer.Option("--with-keys", help=_("Put the keys into the page too, and how they come about: whoever has it can decrypt.", "把密钥及其推导也写入网页：得到网页的人即可解密。"))] = False,
    no_limit: NoLimitOption = False,
) -> None:  # fmt: skip
    from lab.app.annotate import Asked, annotate, in_place, refuse_beside

    form = Format.JSON if json else format
    if summary:
        from lab.app.summary import summarise

        mine = refuse_beside(form, show_ is not None, explain, conversation, filter_)
        files.require_other(out, file, keylog, server_key)
        summarise(file, *_secrets(keylog, server_key), mine, form is Format.JSON, out, not no_limit, LANG)
        return
    files.require_other(
        out, *([] if out and in_place(form, explain, conversation, filter_) else [file]), keylog, server_key
    )
    annotate(
        Asked(
            file,
            form,
            *_secrets(keylog, server_key),
            show_ is Shown.KEYS,
            out,
            explain,
            conversation,
            filter_,
            not no_limit,
            with_keys,
        ),
        LANG,
    )


def _secrets(keylog: Path | None, server_key: Path | None) -> tuple[bytes, bytes]:
    from lab.runs.secrets import secrets

    return secrets(keylog, server_key)


class DiffFormat(StrEnum):
    TEXT = "text"
    JSON = "json"
    HTML = "html"


@app.command("view", cls=_Command, help=_("Show a capture, or a scenario live, as a page in the browser.", "在浏览器中以网页查看抓包或实时场景。"))  # fmt: skip
def view_(
    what: Annotated[str, typer.Argument(metavar="FILE|SCENARIO", help=_("A capture, or a scenario as lab scenarios lists it.", "抓包文件，或 lab scenarios 所列的场景。"))],
    port: PortOption = 0, no_open: NoOpenOption = False,
    slow: Annotated[str, typer.Option("--slow", metavar="TIME", help=_("Of a scenario, hold each packet so long: 2s.", "场景中每个包扣住这么久：2s。"))] = "",
    conversation: Annotated[int | None, typer.Option("--conversation", metavar="N", help=_("Of a capture only this conversation, by its id.", "抓包中只看这个编号的连接。"))] = None,
    filter_: Annotated[str | None, typer.Option("--filter", help=_("Whole conversations, by host, net, port: 'host 192.0.2.2 and not port 22'.", "按 host、net、port 选整个连接，如 'host 192.0.2.2 and not port 22'。"))] = None,
    keylog: KeylogOption = None, server_key: ServerKeyOption = None,
    ipv6: Ipv6Option = False, wire: WireOption = [], testbed: TestbedOption = Testbed.AUTO, out: OutOption = None,
    lang: LangOption = LANGUAGE,
) -> None:  # fmt: skip
    from lab.app.view import Asked, Serving, view

    secrets = _secrets(keylog, server_key)
    serving = Serving(port, not no_open)
    view(Asked(what, serving, ipv6, wire, testbed, out, slow, conversation, filter_, *secrets), LANG)


@app.command("diff", cls=_Command, help=_("Compare two captures by meaning, side by side.", "按含义并排比较两个抓包。"))
def diff_(
    a: Annotated[str, typer.Argument(metavar="A", help=_("A capture.", "一个抓包文件。"))],
    b: Annotated[str, typer.Argument(metavar="B", help=_("Another.", "另一个。"))],
    format: Annotated[DiffFormat, typer.Option("--format", help=_("How to write it.", "以何种格式输出。"))] = DiffFormat.TEXT,
    json: JsonOption = False,
    conversation: Annotated[str, typer.Option("--conversation", help=_("Which, by id: N for both, or A's,B's.", "按编号选择连接：N 用于两者，或 A 的,B 的。"))] = "0",
    keylog: KeylogOption = None, server_key: ServerKeyOption = None, out: RenderedOption = None, lang: LangOption = LANGUAGE,
    no_limit: NoLimitOption = False,
) -> None:  # fmt: skip
    from lab.app import diff

    files.require_other(out, a, b, keylog, server_key)
    if out:
        files.require_writable(out)
    if format is DiffFormat.HTML and not json:
        diff.as_page(a, b, conversation, out, LANG, *_secrets(keylog, server_key), not no_limit)
        return
    found = diff.compared(a, b, conversation, *_secrets(keylog, server_key), not no_limit)
    diff.diff(found, json or format is DiffFormat.JSON, out, LANG)


@app.command(
    "verify",
    cls=_Command,
    help=_(
        "Hold a capture against Wireshark, the kernels in it, and what you expect.",
        "与 Wireshark、文件中的内核状态以及你的预期核对抓包。",
    ),
)
def verify_(
    file: Annotated[str, typer.Argument(help=_("A pcap or pcapng file.", "pcap 或 pcapng 文件。"))],
    expect: Annotated[list[str], typer.Option("--expect", metavar="CONDITION", help=_("What you expect, as a condition on the facts: close=fin, 2:retransmissions=0, any:RST>=1.", "对各项结果的预期，写成条件：close=fin、2:retransmissions=0、any:RST>=1。"))] = [],
    packet: Annotated[int | None, typer.Option("--packet", metavar="N", help=_("One packet: every field of it, by the lab and by Wireshark (needs pyshark).", "只看一个包：并列实验室与 Wireshark 解析出的每个字段（需要 pyshark）。"))] = None,
    json: JsonOption = False, keylog: KeylogOption = None, server_key: ServerKeyOption = None, out: RenderedOption = None,
    lang: LangOption = LANGUAGE, no_limit: NoLimitOption = False,
) -> None:  # fmt: skip
    from lab.app import verify

    files.require_other(out, file, keylog, server_key)
    if out:
        files.require_writable(out)
    secrets = _secrets(keylog, server_key)
    if packet is not None:
        verify.one(file, packet, expect, *secrets, json, out, not no_limit, LANG)
    else:
        raise typer.Exit(verify.verify(file, expect, *secrets, json, out, not no_limit, LANG))


class GridFormat(StrEnum):
    TEXT = "text"
    HTML = "html"
    JSON = "json"
    SVG = "svg"


@app.command(
    "explore",
    cls=_Command,
    help=_(
        "What a real kernel does with a segment in a state, beside what RFC 9293 says; without arguments the whole grid.",
        "真实内核在某个状态下收到某个报文段会怎么做，并与 RFC 9293 对照；不带参数时给出整张表。",
    ),
)
def explore_(
    state: Annotated[str | None, typer.Argument(help=_("A state, or one of the ways into it: FIN-WAIT-2, FIN-WAIT-2/close.", "状态，或进入它的某种途径：FIN-WAIT-2、FIN-WAIT-2/close。"))] = None,
    segment: Annotated[str | None, typer.Argument(help=_("A segment of the grid: rst, syn-ack, data-old.", "表中的一种报文段：rst、syn-ack、data-old。"))] = None,
    format: Annotated[GridFormat, typer.Option("--format", help=_("How to write it.", "以何种格式输出。"))] = GridFormat.TEXT,
    json: JsonOption = False, ipv6: Ipv6Option = False,
    timestamps: Annotated[bool, typer.Option("--timestamps", help=_("Both ends send timestamps (RFC 7323).", "双方都使用时间戳（RFC 7323）。"))] = False,
    isn: Annotated[bool, typer.Option("--isn", help=_("Initial sequence numbers over 1,000 connections, and why they are so; --format svg draws them.", "1,000 个连接的初始序号，以及为什么如此；--format svg 画成图。"))] = False,
    rfc1337: Annotated[bool, typer.Option("--rfc1337", help=_("TIME-WAIT ignores RST (RFC 1337).", "TIME-WAIT 忽略 RST（RFC 1337）。"))] = False,
    testbed: TestbedOption = Testbed.AUTO, out: RenderedOption = None, lang: LangOption = LANGUAGE,
) -> None:  # fmt: skip
    from lab.app.explore import As, explore
    from lab.protocols.exploration import Options

    form = GridFormat.JSON if json else format
    if form is (GridFormat.HTML if isn else GridFormat.SVG) or (isn and (state is not None or timestamps or rfc1337)):
        raise UsageError(
            Text(
                "--isn goes with --format text, svg or json, --ipv6 and --testbed",
                "--isn 只能与 --format text、svg、json 以及 --ipv6、--testbed 同用",
            ),
            Text("the others are for cells: lab explore --format html", "其余用于表中的格：lab explore --format html"),
        )
    if isn:
        from lab.app import isns

        isns.show(Options(ipv6), isns.As(form.value), testbed, out, LANG)
        return
    explore(state, segment, Options(ipv6, timestamps, rfc1337), As(form.value), testbed, out, LANG)


@app.command(cls=_Command, help=_("Show the notes' steps and the table of states.", "显示讲义的步骤和状态表。"))
def notes(
    subject: Annotated[list[str] | None, typer.Argument(metavar="PROTOCOL|STATE|STEP", help=_(f"What about: {TRANSPORT.name} (default), FIN-WAIT-2, close 3.", f"查什么：{TRANSPORT.name}（默认）、FIN-WAIT-2、挥手 3。"))] = None,
    coverage: Annotated[bool, typer.Option("--coverage", help=_("What of the state diagram real kernels have walked.", "真实内核走过状态图的哪些部分。"))] = False,
    diagram: Annotated[DiagramForm | None, typer.Option("--diagram", help=_("The state diagram as a picture.", "把状态图画成一张图。"))] = None,
    path: Annotated[str | None, typer.Option("--path", metavar="FILE", help=_("With --diagram: light the path that a connection of this capture took.", "配合 --diagram：标出这个抓包中一个连接所走的路径。"))] = None,
    conversation: Annotated[int | None, typer.Option("--conversation", metavar="N", help=_("With --path: which one, by its id.", "配合 --path：按编号选择连接。"))] = None,
    json: Annotated[bool, typer.Option("--json", help=_("With --coverage: as JSON.", "配合 --coverage：输出 JSON。"))] = False,
    out: RenderedOption = None, lang: LangOption = LANGUAGE,
) -> None:  # fmt: skip
    from lab.protocols.subject import subjects
    from lab.render.notes import told

    found = subjects(subject or [])
    if json and (not coverage or diagram is not None):
        raise UsageError(
            Text("--json goes with --coverage alone", "--json 只能与 --coverage 同用"),
            Text(
                f"run: lab notes {TRANSPORT.name} --coverage --json",
                f"运行：lab notes {TRANSPORT.name} --coverage --json",
            ),
        )
    if diagram is not None or path is not None or conversation is not None:
        from lab.app.notes import Drawing, draw

        draw(found, Drawing(diagram, path, conversation, coverage), out, LANG)
        return
    if coverage:
        from lab.app.coverage import cover

        if [each.name for each in found] != [TRANSPORT.name]:
            raise UsageError(
                Text(f"the coverage is known of {TRANSPORT.title} alone", f"只有 {TRANSPORT.title} 有覆盖情况"),
                Text(f"lab notes {TRANSPORT.name} --coverage shows it", f"运行 lab notes {TRANSPORT.name} --coverage"),
            )
        cover(json, out, LANG)
        return
    with files.rendered(out) as stream:
        told(found, stream, LANG)


class FormOfBank(StrEnum):
    MOODLE = "moodle"
    QTI = "qti"


class DegreeOfFeedback(StrEnum):
    NONE = "none"
    POINTS = "points"
    REASON = "reason"
    FULL = "full"


@app.command(
    cls=_Command,
    help=_(
        "Assignments: list them, prove one, make each student's variant.", "作业：列出、验证，并为每个学生生成变体。"
    ),
)
def assign(
    assignment: Annotated[str | None, typer.Argument(help=_("A name of --list, or a TOML file.", "--list 所列的名称，或一个 TOML 文件。"))] = None,
    check: Annotated[bool, typer.Option("--check", help=_("Prove it against real captures.", "用真实抓包验证。"))] = False,
    capture: Annotated[list[Path], typer.Option("--capture", help=_("Prove it against this capture, too.", "同时用此抓包验证。"))] = [],
    variants: Annotated[int, typer.Option("--variants", min=0, max=200, help=_("Play so many random variants, and prove it against them, too.", "运行这么多份随机变体，并用它们一同验证。"))] = 0,
    list_: Annotated[bool, typer.Option("--list", help=_("List the assignments that come with the lab.", "列出自带的作业。"))] = False,
    schema: Annotated[bool, typer.Option("--schema", help=_("Print the JSON Schema of an assignment.", "输出作业格式的 JSON Schema。"))] = False,
    student: Annotated[str, typer.Option("--student", metavar="ID", help=_("Make this student's variant.", "为该学生生成变体。"))] = "",
    roster: Annotated[Path | None, typer.Option("--roster", metavar="CSV", help=_("Make a whole class's, a folder each.", "为全班生成，每人一个文件夹。"))] = None,
    key: Annotated[Path | None, typer.Option("--key", metavar="FILE", help=_("The course's key; without it: to practise with.", "课程密钥；不给则仅供练习。"))] = None,
    new_key: Annotated[Path | None, typer.Option("--new-key", metavar="FILE", help=_("Make a course's key.", "生成课程密钥。"))] = None,
    both: Annotated[bool, typer.Option("--both", help=_("Write the handout in both languages.", "用两种语言写作业说明。"))] = False,
    bank: Annotated[FormOfBank | None, typer.Option("--bank", help=_("Make a question bank, an item for each --capture: Moodle XML, or QTI 1.2 for Canvas.", "生成题库，每份 --capture 一道题：Moodle XML，或供 Canvas 使用的 QTI 1.2。"))] = None,
    gradescope: Annotated[Path | None, typer.Option("--gradescope", metavar="ZIP", help=_("Make an autograder for Gradescope.", "生成 Gradescope 的自动评分程序。"))] = None,
    feedback: Annotated[DegreeOfFeedback, typer.Option("--feedback", help=_("How much the autograder tells students.", "自动评分程序给学生的反馈的详细程度。"))] = DegreeOfFeedback.REASON,
    wheels: Annotated[Path | None, typer.Option("--wheels", metavar="FOLDER", help=_("Wheels to put into the autograder: it downloads nothing then.", "放入自动评分程序的 wheel 文件：这样无需下载。"))] = None,
    out: Annotated[Path | None, typer.Option("-o", metavar="FOLDER", help=_("The folder to make.", "要生成的文件夹。"))] = None,
    lang: LangOption = LANGUAGE,
) -> None:  # fmt: skip
    from lab.app import assign

    if bank is not None:
        if assignment is None or out is None:
            raise UsageError(
                Text("a bank takes an assignment and a file", "题库需要作业和输出文件"),
                Text("lab assign NAME --bank moodle -o bank.xml", "lab assign 名称 --bank moodle -o bank.xml"),
            )
        assign.make_bank(assignment, bank.value, capture, out, LANG)
    elif assignment is not None and gradescope is not None:
        assign.make_autograder(assignment, feedback.value, wheels, gradescope, LANG)
    elif new_key is not None:
        assign.make_key(new_key, LANG)
    elif assignment is not None and out is not None:
        assign.hand_out(assignment, student, roster, key, both, out, LANG)
    elif student or roster or key or both or out is not None:
        raise UsageError(
            Text("what to assign and where to are not both said", "没有同时说明作业名称和输出文件夹"),
            Text(
                "lab assign NAME --student ID --key FILE -o FOLDER",
                "lab assign 名称 --student 学号 --key 文件 -o 文件夹",
            ),
        )
    elif schema:
        assign.print_schema(sys.stdout)
    elif assignment is None or list_:
        assign.listed(sys.stdout, LANG)
    elif check:
        raise typer.Exit(assign.check(assignment, capture, variants, LANG))
    else:
        raise UsageError(
            Text("what is to be done with the assignment is not said", "没有说明要对作业做什么"),
            Text(f"lab assign {assignment} --check proves it", f"lab assign {assignment} --check 进行验证"),
        )


@app.command(
    cls=_Command,
    help=_(
        "Check your folder before you hand it in: all there, readable, yours.", "提交前自查：是否齐全、可读、属于你。"
    ),
)
def check(
    folder: Annotated[Path, typer.Argument(help=_("The folder that came with the assignment.", "随作业发放的文件夹。"))],
    assignment: Annotated[str, typer.Option("--assignment", help=_("A TOML file; default: the one of the variant, if it comes with the lab.", "TOML 文件；默认为变体所属的、实验室自带的作业。"))] = "",
    lang: LangOption = LANGUAGE,
) -> None:  # fmt: skip
    from lab.app.check import check

    raise typer.Exit(check(folder, assignment, LANG))


@app.command(
    cls=_Command,
    help=_(
        "Mark a submission (answers.toml and capture.pcapng) or a class of them: a folder, a zip, a bulk download.",
        "评阅一份提交物（answers.toml 与 capture.pcapng）或整个班级：文件夹、zip 或批量下载包。",
    ),
)
def grade(
    path: Annotated[Path, typer.Argument(help=_("A folder or a zip: of one submission, or of a class.", "文件夹或 zip：一份提交物，或整个班级。"))],
    assignment: Annotated[str, typer.Option("--assignment", help=_("A name of lab assign --list, or a TOML file; default: what the sheet names.", "lab assign --list 所列的名称，或 TOML 文件；默认为答题纸所写。"))] = "",
    feedback: Annotated[DegreeOfFeedback | None, typer.Option("--feedback", help=_("How much students are told; default: what release.toml in the folder of --to says, else full, and on platforms reason.", "告诉学生多少；默认按 --to 文件夹中的 release.toml，没有则为 full，用于平台时为 reason。"), show_default=False)] = None,
    to: Annotated[Path | None, typer.Option("--to", metavar="FOLDER", help=_("Keep the marks here: what was marked is not marked again.", "把评阅结果保存到此处：已评阅的不再重评。"))] = None,
    key: Annotated[Path | None, typer.Option("--key", metavar="FILE", help=_("The course's key: whose capture is of another variant is found.", "课程密钥：可发现不属于本人变体的抓包。"))] = None,
    scheduler: Annotated[str, typer.Option("--scheduler", metavar="ADDRESS", help=_("A Dask cluster's, whose workers mark: HOST:8786.", "Dask 集群的调度器，由其工作进程评阅：主机:8786。"))] = "",
    format: Annotated[FormOfMarks, typer.Option("--format", help=_("How to write the marks.", "以何种格式输出评阅结果。"))] = FormOfMarks.TABLE,
    fill: Annotated[Path | None, typer.Option("--fill", metavar="CSV", help=_("A gradebook's export (Canvas, Moodle's worksheet): written again with the points in it.", "成绩系统导出的文件（Canvas、Moodle 评分表）：填入得分后输出。"))] = None,
    column: Annotated[str, typer.Option("--column", metavar="NAME", help=_("Canvas's column for it; default: the assignment's title.", "Canvas 中对应的列；默认为作业标题。"))] = "",
    metadata: Annotated[Path | None, typer.Option("--metadata", metavar="FILE", help=_("Gradescope's submission_metadata.json: whose account it is.", "Gradescope 的 submission_metadata.json：提交者的账号。"))] = None,
    json: JsonOption = False, out: RenderedOption = None, lang: LangOption = LANGUAGE,
) -> None:  # fmt: skip
    from lab.app.grade import grade
    from lab.app.marks import Asked

    form = FormOfMarks.JSON if json else format
    asked = Asked(path, assignment, None, form, out, to, key, fill, column, metadata, scheduler)
    grade(asked if feedback is None else asked._replace(degree=feedback.value), LANG)


@app.command(cls=_Command, help=_("Say what this machine can do, and how to mend what it can't.", "检查这台机器能做什么，以及如何修复做不到的。"))  # fmt: skip
def doctor(lang: LangOption = LANGUAGE) -> None:
    from lab.app.doctor import examine
    from lab.render.checks import report

    raise typer.Exit(report(examine(), sys.stdout, LANG))


@app.command("wireshark", cls=_Command, help=_("Open a capture, or a scenario live, in Wireshark with the lab's columns, colours and buttons.", "用 Wireshark 打开抓包或实时场景，带有实验室的列、颜色和按钮。"))  # fmt: skip
def wireshark_(
    what: Annotated[str | None, typer.Argument(metavar="FILE|SCENARIO", help=_("A capture (- for standard input), or a scenario as lab scenarios lists it.", "抓包文件（- 表示标准输入），或 lab scenarios 所列的场景。"))] = None,
    install: Annotated[bool, typer.Option("--install", help=_("Put profile, fields and scenarios into Wireshark's own folders.", "把配置、字段和场景装入 Wireshark 自己的目录。"))] = False,
    uninstall: Annotated[bool, typer.Option("--uninstall", help=_("Take out what --install has put in.", "移除 --install 装入的内容。"))] = False,
    print_dir: Annotated[bool, typer.Option("--print-dir", help=_("Print the folder that profile and fields are in.", "显示配置和字段所在的目录。"))] = False,
    zip_: Annotated[Path | None, typer.Option("--zip", metavar="FILE", help=_("Write the profile as a zip, for Wireshark to import.", "把配置写成 zip，供 Wireshark 导入。"))] = None,
    ipv6: Ipv6Option = False, wire: WireOption = [], testbed: TestbedOption = Testbed.AUTO, out: OutOption = None,
    lang: LangOption = LANGUAGE,
) -> None:  # fmt: skip
    from lab.app import wireshark

    if sum((what is not None, install, uninstall, print_dir, zip_ is not None)) > 1:
        raise UsageError(
            Text("only one of these can be done at once", "这些操作一次只能选一个"),
            Text("lab wireshark --help shows what there is", "lab wireshark --help 会显示可用的选项"),
        )
    if install or uninstall:
        (wireshark.install if install else wireshark.uninstall)(LANG)
    elif print_dir:
        wireshark.print_folder()
    elif zip_ is not None:
        wireshark.write_archive(zip_, LANG)
    else:
        wireshark.show(what, ipv6, wire, testbed, out, LANG)


def _run(
    name: str, format: Format, json: bool, ipv6: bool, wire: list[str], testbed: Testbed, file: Path, slow: str = ""
) -> None:
    from lab.app.run import play

    play(name, Format.JSON if json else format, ipv6, wire, file, testbed, LANG, slow)


def main() -> None:
    """Runs the command line and exits with the status of design section 2."""
    gc.disable()  # next to nothing that a command makes is part of a cycle, and to look for them takes long
    os._exit(guarded(_command))  # all is written and closed; to free what was annotated one by one takes long


def _command() -> object:
    """Parses and calls; not by app(), which has answers of its own to signals and closed pipes."""
    app.registered_commands = [_known(each) for each in app.registered_commands]
    command = typer.main.get_command(app)
    with command.make_context("lab", sys.argv[1:] or ["--help"]) as context:
        return command.invoke(context)


def _known(command: Any) -> Any:
    """Returns what the parser needs to know of a command: of one that is not on the command line, its name and help."""
    name = command.name or command.callback.__name__
    if name in sys.argv[1:]:
        return command
    bare = copy(command)
    bare.name, bare.callback = name, _nothing
    return bare


def _nothing() -> None:
    """Is what a command would do that nobody calls."""


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
