"""`ascore watch`: on this machine alone, nothing but the page, and news while runs go on."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pages
import pytest

from ascore.cli import main
from ascore.report import server as served
from ascore.report.server import Server, Watched

MADE = {"command": "ascore watch x", "machine": {}}


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    pages.write_sweep(tmp_path / "sweep", 2, done=lambda index: index % 2 == 0)
    return tmp_path / "sweep"


@pytest.fixture
def server(sweep: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(served, "FRESH", 0.0)
    with Server(Watched([sweep], MADE)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(server: Server, target: str = "/", method: str = "GET", **headers: str) -> tuple[Any, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.putrequest(method, target, skip_host=True)
    headers = {"Host": f"127.0.0.1:{server.port}", **headers}
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer, text


def news(server: Server, version: str = "") -> Any:
    answer, text = ask(server, f"/data.json?version={version}")
    assert answer.status == 200
    return json.loads(text)


def test_the_page_is_served_and_may_ask_for_news(server: Server) -> None:
    answer, text = ask(server)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "connect-src &#x27;self&#x27;" in text
    assert "4 runs of 2 settings, 2 finished, 2 unfinished." in text
    head, nothing = ask(server, method="HEAD")
    assert (head.status, nothing) == (200, "")
    assert int(head.headers["Content-Length"]) == len(text.encode())
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "Python" not in answer.headers["Server"]


def test_it_listens_on_the_loopback_address_alone(server: Server) -> None:
    assert server.socket.getsockname()[0] == "127.0.0.1"


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "", "0.0.0.0:{port}"],
)
def test_other_names_for_this_machine_are_refused(server: Server, host: str) -> None:
    for target in ("/", "/data.json"):
        answer, text = ask(server, target, Host=host.format(port=server.port))
        assert answer.status == 403
        assert text == f"Forbidden: open {server.url} instead\n"


def test_a_request_needs_exactly_one_host(server: Server) -> None:
    for lines in ([], [f"Host: 127.0.0.1:{server.port}"] * 2):
        with socket.create_connection(("127.0.0.1", server.port)) as plain:
            plain.sendall("\r\n".join(["GET / HTTP/1.1", *lines, "", ""]).encode())
            assert plain.recv(100).startswith(b"HTTP/1.0 403")


def test_localhost_is_a_name_that_is_allowed(server: Server) -> None:
    assert ask(server, Host=f"localhost:{server.port}")[0].status == 200


def test_other_pages_may_not_ask(server: Server) -> None:
    assert ask(server, "/data.json", Sec_Fetch_Site="cross-site")[0].status == 403
    assert ask(server, "/data.json", Sec_Fetch_Site="same-origin")[0].status == 200


@pytest.mark.parametrize(
    "target",
    [
        "/config.toml", "/runs/as/s0/metrics.jsonl", "/../cells.json", "/data.json/",
        "/%2e%2e/cells.json", "/etc/passwd", "/favicon.ico", "/?x/../../etc/passwd/../nothing",
    ],
)  # fmt: skip
def test_nothing_else_is_served(server: Server, target: str) -> None:
    answer, text = ask(server, target)
    if target.startswith("/?"):
        assert text.startswith("<!doctype html>")
    else:
        assert answer.status == 404
        assert text == f"Not Found: there is nothing here but {server.url}\n"


def test_only_reading_is_possible(server: Server) -> None:
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert ask(server, method=method)[0].status == 501


def test_news_come_when_files_change(server: Server, sweep: Path) -> None:
    first = news(server)
    assert set(news(server, first["version"])) == {"version", "time"}
    for seed in range(2):
        file = sweep / f"runs/ippo/s{seed}/metrics.jsonl"
        lines = pages.records(100, 1, -175.0)[:80]
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    second = news(server, first["version"])
    assert second["version"] != first["version"]
    assert second["shape"] == first["shape"]
    assert second["parts"]["summary-0"] != first["parts"]["summary-0"] or (
        second["parts"]["runs-0"] != first["parts"]["runs-0"]
    )
    assert second["charts"] != first["charts"]
    assert ">80<" in second["parts"]["runs-0"]


def test_half_a_record_at_the_end_is_not_read_yet(server: Server, sweep: Path) -> None:
    first = news(server)
    with open(sweep / "runs/ippo/s0/metrics.jsonl", "a") as file:
        file.write('{"update": 51, "team_ret')
    assert "problem" not in news(server)
    assert ">50<" in news(server)["parts"]["runs-0"]
    assert first["shape"] == news(server)["shape"]


def test_a_folder_that_goes_is_said_on_the_page_and_may_come_back(
    server: Server, sweep: Path
) -> None:
    os.rename(sweep, sweep.with_name("away"))
    remedy = "give a folder written by `ascore train` or `ascore sweep`"
    assert news(server) == {"problem": f"{sweep} holds no run; {remedy}"}
    answer, _ = ask(server)
    assert answer.status == 503
    os.rename(sweep.with_name("away"), sweep)
    assert news(server)["title"].startswith("predation-v1")


def test_a_client_that_hangs_up_leaves_no_trace(server: Server, capfd: Any) -> None:
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", server.port)) as plain:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            plain.sendall(b"GET / HTTP/1.1\r\n")
    assert ask(server)[0].status == 200
    assert capfd.readouterr() == ("", "")


def test_bad_input_is_one_sentence(sweep: Path, server: Server, capsys: Any) -> None:
    for argv, words in [
        ([str(sweep / "x")], "holds no run; give a folder"),
        ([str(sweep), "--port", str(server.port)], f"cannot listen on port {server.port}: "),
        ([str(sweep), "--port", "70000"], "port = 70000 is outside 0..65535"),
    ]:
        assert main(["watch", *argv]) == 1
        err = capsys.readouterr().err
        assert words in err
        assert err.count("\n") == 1


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_it_ends_when_it_is_interrupted(sweep: Path, number: signal.Signals, status: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "ascore", "watch", str(sweep)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    line = process.stdout.readline()
    match = re.fullmatch(r"open http://127\.0\.0\.1:(\d+)/; Ctrl-C ends\n", line)
    assert match is not None
    with socket.create_connection(("127.0.0.1", int(match[1]))):
        process.send_signal(number)
        _, err = process.communicate()
    assert process.returncode == status
    assert err == ""
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", int(match[1])))
