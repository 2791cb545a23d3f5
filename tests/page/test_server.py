"""The page is served on loopback, to whoever has the token: asked as a browser asks, and as a stranger would."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

import lab
from tests.left_behind import heed_signals
from tests.places import ROOT

PATIENCE = 30.0
SCHEMA = lab.schema("page")
CAPTURE = str(ROOT / "captures" / "tcp-connection.pcapng")


class Lab:
    """A lab that serves a page: where, with which token, and what stands on its terminal."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.said = ""
        found = re.search(r"http://(127\.0\.0\.1:(\d+))/#token=([\w-]+)", self.line())
        assert found, self.said + self.rest()
        self.url, self.host, self.port, self.token = found[0], found[1], int(found[2]), found[3]

    def line(self) -> str:
        """Returns the next line that it says."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        self.said += line
        return line

    def rest(self) -> str:
        """Returns what it says until it has ended."""
        assert self.process.stdout is not None
        rest = self.process.stdout.read()
        self.said += rest
        return rest

    def stop(self) -> int:
        """Presses Ctrl-C; returns the exit status."""
        self.process.send_signal(signal.SIGINT)
        self.rest()
        return self.process.wait(PATIENCE)

    def get(self, path: str, method: str = "GET", **headers: str) -> tuple[HTTPResponse, bytes]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        connection.putrequest(method, path, skip_host="Host" in headers, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer, answer.read()

    def socket(self, origin: str | None = None) -> ClientConnection:
        """Opens the live socket, with no token yet."""
        said = Origin(origin or f"http://{self.host}")
        return connect(f"ws://{self.host}/live", origin=said, proxy=None, max_size=None, open_timeout=PATIENCE)

    @contextmanager
    def page(self) -> Iterator[Page]:
        """Is a page that has its data."""
        with self.socket() as socket_:
            yield Page(socket_, self.token)


class Page:
    """What a page does: it says the token, takes what it is told, and asks."""

    def __init__(self, connection: ClientConnection, token: str) -> None:
        self._connection = connection
        self.rungs: dict[int, dict[str, Any]] = {}
        self.known: dict[str, Any] = {}
        self.said: list[dict[str, Any]] = []
        connection.send(json.dumps({"token": token}))
        self.wait(lambda it: it.known)

    def check(self) -> None:
        """What it knows is what the schema says of a page."""
        shown = {name: each for name, each in self.known.items() if name in SCHEMA["properties"]}
        jsonschema.validate(shown | {"rungs": list(self.rungs.values())}, SCHEMA)

    def ask(self, line: str) -> None:
        self._connection.send(json.dumps({"do": line}))

    def wait(self, until: Callable[[Page], Any]) -> None:
        """Takes messages until that is so."""
        while not until(self):
            told = json.loads(self._connection.recv(timeout=PATIENCE))
            self.known |= told.pop("page", {}) | {name: each for name, each in told.items() if name != "said"}
            self.said += told.get("said", [])
            self.rungs |= {each["number"]: each for each in self.known.pop("rungs", [])}
            for number in self.known.pop("gone", []):
                self.rungs.pop(number, None)

    def holds(self, number: int) -> bool:
        """Whether a packet is held, and shown so."""
        return self.held == number and self.rungs[number]["fate"] == "held"

    @property
    def held(self) -> int:
        """The packet that is held where it stands, 0 while there is none; which number it has depends on the timers."""
        view = self.known.get("view", {})
        return int(view["held"][0]) if view.get("waits") and len(view["held"]) == 1 else 0

    def meet(self, *labels: str) -> int:
        """Lets packets arrive until one with these labels is held, and returns its number; no more than these come."""
        last = 0
        for label in labels:
            if last:
                self.ask("step")
            self.wait(held_behind(last))
            last = self.held
            assert label in self.rungs[last]["labels"], self.rungs[last]["labels"]
        return last

    @property
    def ended(self) -> str:
        """What is said when the lab has ended."""
        found: str = self.known.get("ended", {}).get("en", "")
        return found


def held_behind(number: int) -> Callable[[Page], bool]:
    """Returns what says whether a page shows another packet as held."""
    return lambda page: page.held > number and page.holds(page.held)


@contextmanager
def started(*words: str) -> Iterator[Lab]:
    command = [sys.executable, "-m", "lab", *words, "--no-open", "--lang", "en"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT, preexec_fn=heed_signals,
        env={**os.environ, "LAB_DEBUG": ""},
    ) as process:  # fmt: skip
        try:
            yield Lab(process)
        finally:
            process.kill()


@pytest.fixture(scope="module")
def served() -> Iterator[Lab]:
    with started("view", CAPTURE) as found:
        yield found


def test_the_page_is_one_file_with_a_strict_policy(served: Lab) -> None:
    answer, body = served.get("/")
    assert answer.status == 200
    policy = dict(each.split(" ", 1) for each in answer.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"].startswith("'sha256-")
    assert policy["style-src"].startswith("'sha256-")
    assert policy["connect-src"] == f"ws://{served.host}/live"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert b"tcp-connection" not in body, "what is shown comes to who has the token"
    assert re.findall(r'(?:src|href)="(?!data:|#)([^"]+)"', body.decode()) == [], "there is nothing more to load"


ELSEWHERE = (
    "/../server.py", "/..%2fserver.py", "/%2e%2e/words.py", "/vendor/../../html.py", "//etc/passwd",
    "/vendor/lit-html.js", "/main.js", "/page.css", "/?", "/vendor", "*",
)  # fmt: skip


@pytest.mark.parametrize("path", ELSEWHERE)
def test_nothing_else_is_served(served: Lab, path: str) -> None:
    answer, body = served.get(path)
    assert answer.status == 404
    assert body == b"404 Not Found\n"


@pytest.mark.parametrize(
    "host", ["example.org", "example.org:{port}", "127.0.0.1", "localhost", "127.0.0.1:1", "", "[::1]:{port}"]
)
def test_a_name_that_only_leads_here_is_refused(served: Lab, host: str) -> None:
    answer, _ = served.get("/", Host=host.format(port=served.port))
    assert answer.status == 421


def test_both_of_its_own_names_are_served(served: Lab) -> None:
    for name in ("127.0.0.1", "localhost"):
        answer, _ = served.get("/", Host=f"{name}:{served.port}")
        assert answer.status == 200
        assert f"connect-src ws://{name}:{served.port}/live;" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "OPTIONS"])
def test_there_is_nothing_but_get(served: Lab, method: str) -> None:
    answer, _ = served.get("/", method)
    assert answer.status == 405
    assert answer.headers["Allow"] == "GET"


def test_what_is_no_request_gets_no_answer_and_harms_nobody(served: Lab) -> None:
    for said in (b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nabcd"):
        with socket.create_connection(("127.0.0.1", served.port), PATIENCE) as stranger:
            stranger.sendall(said)
            stranger.shutdown(socket.SHUT_WR)
            while got := stranger.recv(4096):
                assert b" 200 " not in got
    assert served.get("/")[0].status == 200


@pytest.mark.parametrize(
    "origin",
    [
        "http://example.org",
        "null",
        "https://{host}",
        "http://{host}.example.org",
        "http://localhost:{port}",
        "http://127.0.0.1",
    ],
)
def test_the_socket_is_open_to_its_own_pages_alone(served: Lab, origin: str) -> None:
    with pytest.raises(InvalidStatus) as refused, served.socket(origin.format(host=served.host, port=served.port)):
        pass
    assert refused.value.response.status_code == 403


def test_a_request_without_an_origin_opens_no_socket(served: Lab) -> None:
    assert served.get("/live")[0].status == 403
    answer, _ = served.get("/live", Origin=f"http://{served.host}")
    assert answer.status == 426, "it is to be a WebSocket"


@pytest.mark.parametrize(
    "token",
    [
        '{{"token": "{wrong}"}}',
        '{{"token": ""}}',
        '{{"token": ["{right}"]}}',
        "{right}",
        '{{"do": "quit"}}',
        "[" * 3000,
        "é",
    ],
)
def test_who_does_not_know_the_token_is_told_nothing(served: Lab, token: str) -> None:
    said = (
        token.replace("{{", "{")
        .replace("}}", "}")
        .replace("{wrong}", served.token[::-1])
        .replace("{right}", served.token)
    )
    with served.socket() as stranger:
        stranger.send(said)
        with pytest.raises(ConnectionClosed) as closed:
            stranger.recv(timeout=PATIENCE)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008


def test_a_page_says_no_more_than_it_has_to_say(served: Lab) -> None:
    with served.page(), served.socket() as stranger:
        stranger.send("x" * 50_000)
        with pytest.raises(ConnectionClosed) as closed:
            stranger.recv(timeout=PATIENCE)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009
    with served.page() as page:
        assert len(page.rungs) == 11


def test_two_pages_are_shown_the_same_capture_and_hear_that_the_lab_has_ended() -> None:
    with started("view", CAPTURE) as served, served.page() as one, served.page() as other:
        one.check()
        assert one.rungs == other.rungs
        assert [each["label"] for each in one.rungs.values()][:3] == [
            "SYN seq=0",
            "SYN-ACK seq=0 ack=1",
            "ACK seq=1 ack=1",
        ]
        assert "Ctrl-C" in served.line()
        assert served.stop() == 130
        for page in (one, other):
            page.wait(lambda it: it.ended)
            assert page.ended.startswith("The lab was ended on its terminal")


def test_a_capture_is_walked_to_and_fro() -> None:
    with started("step", CAPTURE, "--page") as served, served.page() as page:
        assert page.holds(1)
        page.check()
        assert page.rungs[1]["states"]["delivered"] is None, "it has not arrived"
        page.ask("step 2")
        page.wait(lambda it: it.holds(3))
        assert [each["id"] for each in page.rungs[3]["steps"]] == ["tcp.open.3"], "the other one it is when it arrives"
        page.ask("until FIN")
        page.wait(lambda it: it.holds(8))
        assert page.rungs[1]["states"]["delivered"] == ["SYN-SENT", "SYN-RECEIVED"]
        assert [each["id"] for each in page.rungs[3]["steps"]] == ["tcp.open.3", "tcp.open.4"]
        assert page.known["outcome"] == [], "what comes is not said before"
        page.ask("continue")
        page.wait(lambda it: it.known["outcome"])
        assert len(page.known["outcome"][0]["steps"]) == 8
        page.ask("back 5")
        page.wait(lambda it: it.holds(7))
        assert page.known["view"]["upto"] == 7
        page.ask("drop")
        page.wait(lambda it: it.said)
        assert [each["wrong"] for each in page.said] == [True, True]
        assert "needs real hosts" in page.said[0]["en"]
        page.ask("frobnicate")
        page.wait(lambda it: len(it.said) == 4)
        assert "column 1" in page.said[2]["en"]
        page.ask("\x01" * (page.known["longest"] + 1))
        page.wait(lambda it: len(it.said) == 6)
        assert "no more than 4000 characters" in page.said[4]["en"]
        with served.page() as late:
            assert late.holds(7)
            assert late.known["view"]["upto"] == 7
            assert len(late.rungs) == 11, "what stands behind the place is known, for who goes forward"
        page.ask("quit")
        page.wait(lambda it: it.ended)
        served.rest()
        assert served.process.wait(PATIENCE) == 0


def test_a_port_that_is_taken_is_said_in_two_lines() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "lab", "view", CAPTURE, "--port", str(port), "--lang", "en"], capture_output=True,
            text=True, timeout=PATIENCE * 2, cwd=ROOT, check=False,
        )  # fmt: skip
    assert done.returncode == 4
    assert done.stderr.splitlines() == [
        f"error: port {port} is taken",
        "hint: leave --port out: the system chooses a free one",
    ]


def test_what_is_neither_file_nor_scenario_is_said_at_once(tmp_path: Path) -> None:
    for words, status in (
        (["view", "tcp/nothing"], 2),
        (["view", str(tmp_path / "no.pcap")], 3),
        (["step", "tcp/connection", "--page", "--json"], 2),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "lab", *words, "--lang", "en"], capture_output=True, text=True,
            timeout=PATIENCE * 2, cwd=ROOT, check=False,
        )  # fmt: skip
        assert done.returncode == status, done.stderr
        assert [each.partition(":")[0] for each in done.stderr.splitlines()] == ["error", "hint"]
        assert done.stdout == ""


# Real hosts.


@pytest.mark.usefixtures("namespaces")
def test_a_scenario_begins_when_the_first_page_is_there(tmp_path: Path) -> None:
    out = tmp_path / "view.pcapng"
    with started("view", "tcp/connection", "--testbed", "netns", "-o", str(out)) as served:
        assert "begin when it is open" in served.line()
        assert not list(
            Path(f"/proc/{served.process.pid}/task/{served.process.pid}").joinpath("children").read_text().split()
        )
        assert served.get("/")[0].status == 200, "who has no token begins nothing"
        with served.page() as page:
            assert page.known["live"]
            page.wait(lambda it: it.known.get("over") and len(it.rungs) == 11)
            assert [each["fate"] for each in page.rungs.values()] == ["arrived"] * 11
            assert all(each["agrees"] for each in page.rungs.values())
            assert "46 of 46" in page.known["proof"]["en"]
            assert "Saved with its notes" in served.line()
            assert out.exists()
            assert served.stop() == 130
            page.wait(lambda it: it.ended)


@pytest.mark.usefixtures("namespaces")
def test_a_live_run_is_stepped_by_two_pages_with_a_drop_in_the_middle(tmp_path: Path) -> None:
    out = tmp_path / "step.pcapng"
    with started("step", "tcp/connection", "--page", "-o", str(out)) as served:
        with served.page() as one, served.page() as other:
            one.wait(held_behind(0))
            assert one.rungs[1]["kernel"]["delivered"] is None
            one.check()
            data = one.meet("SYN", "SYN-ACK", "ACK", "data")
            other.wait(held_behind(data - 1))
            assert one.known["view"]["ends"]["client"]["state"] == "ESTABLISHED"
            assert one.known["view"]["timers"][0]["role"] == "client", "what it has sent may have to be sent again"
            other.ask("drop")
            for page in (one, other):
                page.wait(held_behind(data))
                assert page.rungs[data]["fate"] == "lost"
            assert one.rungs[one.held]["space"]["seq"] == one.rungs[data]["space"]["seq"], "it is sent again"
            one.ask("continue")
            for page in (one, other):
                page.wait(lambda it: it.known.get("over"))
            assert one.rungs == other.rungs
            assert one.known["view"]["ends"]["client"]["state"] == "TIME-WAIT"
            one.check()
            assert {each["fate"] for number, each in one.rungs.items() if number != data} == {"arrived"}
            one.ask("quit")
            other.wait(lambda it: it.ended)
        served.rest()
        assert served.process.wait(PATIENCE) == 0
    assert "Saved with its notes" in served.said
    assert out.exists()


@pytest.mark.usefixtures("namespaces")
def test_a_held_packet_waits_for_another_page_when_the_first_is_closed(tmp_path: Path) -> None:
    with started("step", "tcp/connection", "--page", "-o", str(tmp_path / "step.pcapng")) as served:
        with served.page() as page:
            held = page.meet("SYN", "SYN-ACK")
        assert "begin when it is open" in served.line()
        assert served.line().startswith("No page is open. The packet that is held waits")
        with served.page() as page:
            assert page.holds(held)
            page.ask("step")
            page.wait(held_behind(held))
            page.ask("drop 99")
            page.wait(lambda it: it.said)
            assert page.said[0]["wrong"]
            assert served.stop() == 130
            page.wait(lambda it: it.ended)
        assert "Saved with its notes" in served.said


@pytest.mark.usefixtures("namespaces")
@pytest.mark.parametrize("first", [(), ("SYN",)], ids=["before it has begun", "while a packet is held"])
def test_who_quits_is_told_nothing_that_is_wrong(tmp_path: Path, first: tuple[str, ...]) -> None:
    with started("step", "tcp/connection", "--page", "-o", str(tmp_path / "step.pcapng")) as served:
        with served.page() as page:
            page.meet(*first)
            page.ask("quit")
            page.wait(lambda it: it.ended)
            assert page.ended.startswith("The lab has ended")
            assert page.said == []
        served.rest()
        assert served.process.wait(PATIENCE) == 0
    assert "stopped there" not in served.said
    assert "error" not in served.said


@pytest.mark.usefixtures("namespaces")
def test_what_is_predicted_is_judged_and_what_is_only_sent_again_is_folded(tmp_path: Path) -> None:
    out = tmp_path / "step.pcapng"
    with started("step", "tcp/connection", "--page", "-o", str(out)) as served, served.page() as page:
        page.meet("SYN")
        page.ask("predict server SYN-ACK")
        page.wait(lambda it: it.said)
        page.wait(lambda it: it.rungs[1].get("again"))  # the kernel's patience is a second
        assert list(page.rungs) == [1], "a copy that was sent since the SYN is held is no rung"
        page.ask("step")
        page.wait(held_behind(1))
        page.wait(lambda it: len(it.said) == 2)
        assert page.said[1]["en"].startswith("predicted right")
        assert page.known["view"]["score"] == [1, 1]
        page.ask(f"save {tmp_path / 'so-far.pcapng'}")
        page.wait(lambda it: len(it.said) == 3)
        assert (tmp_path / "so-far.pcapng").exists(), page.said
        page.ask("show where")
        page.wait(lambda it: len(it.said) == 4)
        assert "\n" in page.said[3]["en"]
        assert served.stop() == 130
    assert "No page is open" not in served.said


def opened(process: int) -> Iterator[set[str]]:
    """Yields what a process has open, then what its children have, and theirs."""
    folder = Path(f"/proc/{process}")
    yield {str(each.readlink()) for each in folder.joinpath("fd").iterdir()}
    for task in folder.joinpath("task").iterdir():
        for child in task.joinpath("children").read_text().split():
            yield from opened(int(child))


@pytest.mark.usefixtures("namespaces")
def test_hosts_have_nothing_open_that_is_the_pages(tmp_path: Path) -> None:
    with started("step", "tcp/connection", "--page", "-o", str(tmp_path / "step.pcapng")) as served:
        with served.page() as page:
            page.wait(held_behind(0))
            listed = Path(f"/proc/{served.process.pid}/net/tcp").read_text().splitlines()[1:]
            mine = {f"socket:[{each.split()[9]}]" for each in listed if f":{served.port:04X} " in each}
            lab_, *children = opened(served.process.pid)
            assert len(mine & lab_) == 2, "it listens, and has a page"
            assert len(children) == 3
            assert not mine & set().union(*children)
        assert served.stop() == 130


@pytest.mark.usefixtures("namespaces")
def test_a_lab_that_is_killed_leaves_nothing_and_its_page_is_closed(tmp_path: Path) -> None:
    with started("step", "tcp/connection", "--page", "-o", str(tmp_path / "step.pcapng")) as served:
        with served.page() as page:
            page.wait(held_behind(0))
            children = Path(f"/proc/{served.process.pid}/task/{served.process.pid}/children").read_text().split()
            assert children
            served.process.kill()
            with pytest.raises(ConnectionClosed):
                page.wait(lambda _: False)
        served.process.wait(PATIENCE)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", served.port), PATIENCE)
