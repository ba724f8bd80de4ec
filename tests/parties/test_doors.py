"""Who may connect: every other peer is refused with one line, and nobody hangs."""

from __future__ import annotations

import shutil
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from companies import free_addresses
from doors import credentials, networks
from needed import grpc, trustme

from ascore.errors import PartyError
from ascore.parties import network
from ascore.parties.audit import AuditLog, read
from ascore.parties.certificates import Credentials, new
from ascore.parties.network import METHOD, SERVICE, Network

PAIR = ("firm-a", "firm-b")


class Door:
    """A party that listens, what it says, and its log."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.lines = folder, list[str]()
        self.certs = folder / "certs"
        new(self.certs, [*PAIR, "firm-c"])
        self.log = AuditLog(folder / "audit.jsonl", "firm-a")
        self.address = free_addresses(["firm-a"])["firm-a"]
        shown = credentials(self.certs, "firm-a", self.lines.append)
        self.network = Network(
            "firm-a", self.address, {"firm-b": "127.0.0.1:1"}, shown, self.log, self.lines.append
        )

    def refused(self, seconds: float = 5.0) -> list[str]:
        """Reasons in the log, once there are any."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            reasons = [e["reason"] for e in read(self.log.path) if e["event"] == "refused"]
            if reasons:
                return reasons
            time.sleep(0.02)
        return []

    def knock(
        self, authority: bytes, key: bytes | None, chain: bytes | None, name: str = "firm-a"
    ) -> grpc.StatusCode | None:
        """Tries to send a message; the status, None = it was taken."""
        return knocked(self.address, (authority, key, chain), name)


def knocked(
    address: str,
    shown: tuple[bytes, bytes | None, bytes | None],
    name: str,
    contents: Sequence[bytes] = (b"hello",),
) -> grpc.StatusCode | None:
    """Tries to send a message to a party; the status, None = it was taken."""
    secure = grpc.ssl_channel_credentials(*shown)
    options = [("grpc.ssl_target_name_override", name), ("grpc.use_local_subchannel_pool", 1)]
    with grpc.secure_channel(address, secure, options) as channel:
        post = channel.stream_unary(f"/{SERVICE}/{METHOD}")
        try:
            post(iter(contents), timeout=20)
        except grpc.RpcError as error:
            return error.code()
    return None


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    monkeypatch.setattr(network, "HANDSHAKE", 0.5)
    open_door = Door(tmp_path)
    yield open_door
    open_door.network.close()
    open_door.log.close()


def files(folder: Path, name: str) -> tuple[bytes, bytes, bytes]:
    return tuple(  # type: ignore[return-value]
        (folder / file).read_bytes() for file in ("authority.pem", f"{name}.key", f"{name}.pem")
    )


def test_the_one_with_a_link_comes_in(door: Door) -> None:
    assert door.knock(*files(door.certs, "firm-b")) is None
    assert door.network.receive("firm-b", time.monotonic() + 5) == b"hello"
    (entry,) = [e for e in read(door.log.path) if e["event"] == "connected"]
    assert (entry["peer"], entry["tls"]) == ("firm-b", "TLSv1.3")


def test_a_message_that_is_too_long_ends_its_stream(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    too_long = b"x" * (network.LARGEST + 1)
    status = knocked(door.address, files(door.certs, "firm-b"), "firm-a", [too_long])
    assert status == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert nothing_came_in(door)
    assert door.knock(*files(door.certs, "firm-b")) is None  # and it may try again
    assert door.network.receive("firm-b", time.monotonic() + 5) == b"hello"


def test_a_flood_waits_at_the_door(door: Door) -> None:
    """The sender is held back when its box is full; nobody else notices."""
    sent: list[int] = []

    def flood() -> Iterator[bytes]:
        for number in range(100_000):
            sent.append(number)
            yield b"x" * 10_000

    secure = grpc.ssl_channel_credentials(*files(door.certs, "firm-b"))
    options = [("grpc.ssl_target_name_override", "firm-a")]
    with grpc.secure_channel(door.address, secure, options) as channel:
        call = channel.stream_unary(f"/{SERVICE}/{METHOD}").future(flood())
        for _ in range(300):  # as it is read, more comes in
            assert door.network.receive("firm-b", time.monotonic() + 5) is not None
        time.sleep(0.3)
        assert len(sent) < 50_000
        call.cancel()


def nothing_came_in(door: Door) -> bool:
    return door.network.receive("firm-b", time.monotonic()) is None


def test_right_authority_wrong_name(door: Door) -> None:
    assert door.knock(*files(door.certs, "firm-c")) == grpc.StatusCode.PERMISSION_DENIED
    (reason,) = door.refused()
    assert reason == "its certificate names firm-c, who has no link to firm-a"
    assert door.lines == [f"refused a connection: {reason}"]
    assert nothing_came_in(door)


def test_a_certificate_with_two_names(door: Door) -> None:
    """One for firm-b and firm-c alike would let its owner be either."""
    authority = trustme.CA()
    both = authority.issue_cert("firm-b", "firm-c")
    shown = door.network.credentials.current()
    wide = shown.authority + authority.cert_pem.bytes()
    (door.certs / "authority.pem").write_bytes(wide)
    status = door.knock(
        shown.authority, both.private_key_pem.bytes(), both.cert_chain_pems[0].bytes()
    )
    assert status == grpc.StatusCode.PERMISSION_DENIED
    assert "names firm-b, firm-c, who has no link" in door.refused()[0]


def expired(folder: Path) -> tuple[bytes, bytes, bytes]:
    """Of the right authority and name, of yesterday."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization

    root = x509.load_pem_x509_certificate((folder / "authority.pem").read_bytes())
    secret = serialization.load_pem_private_key(
        (folder / "authority.key").read_bytes(), password=None
    )
    old = x509.load_pem_x509_certificate((folder / "firm-b.pem").read_bytes())
    now = datetime.now(timezone.utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(old.subject)
        .issuer_name(root.subject)
        .public_key(old.public_key())
        .serial_number(7)
        .not_valid_before(now - timedelta(days=9))
        .not_valid_after(now - timedelta(days=1))
    )
    for extension in old.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    pem = builder.sign(secret, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    return files(folder, "firm-b")[0], (folder / "firm-b.key").read_bytes(), pem


def test_others_do_not_get_through_the_handshake(door: Door) -> None:
    stranger = trustme.CA()
    theirs = stranger.issue_cert("firm-b")
    ours = files(door.certs, "firm-b")[0]
    theirs = stranger.issue_cert("firm-b")
    attempts = {
        "wrong authority": (
            ours,
            theirs.private_key_pem.bytes(),
            theirs.cert_chain_pems[0].bytes(),
        ),
        "no certificate": (ours, None, None),
        "expired": expired(door.certs),
    }
    for what, shown in attempts.items():
        assert door.knock(*shown) == grpc.StatusCode.UNAVAILABLE, what
    with socket.create_connection(tuple_of(door.address)) as plain:
        plain.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(door.certs / "firm-b.pem", door.certs / "firm-b.key")
    context.set_alpn_protocols(["h2"])
    with socket.create_connection(tuple_of(door.address)) as plain, pytest.raises(ssl.SSLError):
        context.wrap_socket(plain)
    until = time.monotonic() + 10
    while len(door.refused()) < len(attempts) + 2 and time.monotonic() < until:
        time.sleep(0.05)
    reasons = door.refused()
    assert len(reasons) == len(attempts) + 2
    assert {"it showed no valid certificate" in reason for reason in reasons} == {True}
    assert nothing_came_in(door)


def tuple_of(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)


def test_a_client_speaks_to_nobody_else(tmp_path: Path) -> None:
    """Who listens at firm-b's address must be firm-b, over TLS 1.3."""
    new(tmp_path / "certs", [*PAIR, "firm-c"])
    addresses = free_addresses([*PAIR])
    lines: list[str] = []
    impostor = Network(
        "firm-c",
        addresses["firm-b"],
        {"firm-a": addresses["firm-a"]},
        credentials(tmp_path / "certs", "firm-c"),
        AuditLog(None, "firm-c"),
        lines.append,
    )
    honest = Network(
        "firm-a",
        addresses["firm-a"],
        {"firm-b": addresses["firm-b"]},
        credentials(tmp_path / "certs", "firm-a"),
        AuditLog(None, "firm-a"),
        lines.append,
    )
    honest.send("firm-b", b"for firm-b alone")
    assert impostor.receive("firm-a", time.monotonic() + 1) is None
    assert lines == [
        f"no connection to firm-b at {addresses['firm-b']}: its certificate names somebody else"
    ]
    honest.close()
    impostor.close()


def test_what_is_sent_before_the_peer_is_there_arrives_when_it_is(tmp_path: Path) -> None:
    new(tmp_path / "certs", PAIR)
    addresses = free_addresses([*PAIR])

    def opened(name: str, peer: str) -> Network:
        shown = credentials(tmp_path / "certs", name)
        at = {peer: addresses[peer]}
        return Network(name, addresses[name], at, shown, AuditLog(None, name), lines.append)

    lines: list[str] = []
    early = opened("firm-a", "firm-b")
    early.send("firm-b", b"first")
    early.send("firm-b", b"second")
    while not lines:
        time.sleep(0.02)
    assert lines[0].endswith("nobody listens there")
    late = opened("firm-b", "firm-a")
    assert late.receive("firm-a", time.monotonic() + 10) == b"first"
    assert late.receive("firm-a", time.monotonic() + 10) == b"second"
    early.close()
    late.close()


def test_a_client_does_not_speak_tls_1_2(tmp_path: Path) -> None:
    new(tmp_path / "certs", PAIR)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(tmp_path / "certs/firm-b.pem", tmp_path / "certs/firm-b.key")
    context.set_alpn_protocols(["h2"])
    lines: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)
        port = server.getsockname()[1]
        client = Network(
            "firm-a",
            free_addresses(["firm-a"])["firm-a"],
            {"firm-b": f"127.0.0.1:{port}"},
            credentials(tmp_path / "certs", "firm-a"),
            AuditLog(None, "firm-a"),
            lines.append,
        )
        client.send("firm-b", b"x")
        plain, _ = server.accept()
        with plain, pytest.raises(ssl.SSLError):
            context.wrap_socket(plain, server_side=True)
        until = time.monotonic() + 5
        while not lines and time.monotonic() < until:
            time.sleep(0.02)
    client.close()
    assert lines[0].endswith("it does not speak TLS 1.3")


@pytest.mark.parametrize("missing", ["authority.pem", "firm-a.pem", "firm-a.key"])
def test_without_a_file_nothing_starts(missing: str, tmp_path: Path) -> None:
    new(tmp_path / "certs", PAIR)
    (tmp_path / "certs" / missing).unlink()
    with pytest.raises(PartyError, match=f"{missing}.*without it nothing starts"):
        credentials(tmp_path / "certs", "firm-a")


def test_files_must_belong_together(tmp_path: Path) -> None:
    certs = tmp_path / "certs"
    new(certs, PAIR)
    new(tmp_path / "others", PAIR)

    def refusal(authority: Path, certificate: Path, key: Path, name: str = "firm-a") -> str:
        with pytest.raises(PartyError) as error:
            Credentials(authority, certificate, key, name, print)
        return str(error.value)

    root, own, secret = certs / "authority.pem", certs / "firm-a.pem", certs / "firm-a.key"
    assert "is of another key" in refusal(root, own, certs / "firm-b.key")
    assert "names firm-a, not firm-b" in refusal(root, own, secret, "firm-b")
    assert "was not issued by" in refusal(tmp_path / "others/authority.pem", own, secret)
    (tmp_path / "old.pem").write_bytes(expired(certs)[2])
    assert "; have it renewed, or set this machine's clock" in refusal(
        root, tmp_path / "old.pem", certs / "firm-b.key", "firm-b"
    )
    (tmp_path / "noise.pem").write_bytes(b"noise")
    assert "restore them" in refusal(root, tmp_path / "noise.pem", secret)


def test_plaintext_stays_on_this_machine() -> None:
    for listen, peer in (("0.0.0.0:7000", "127.0.0.1:7001"), ("127.0.0.1:7000", "10.0.0.7:7001")):
        with pytest.raises(PartyError, match="is not on this machine, and --insecure"):
            Network("a", listen, {"b": peer}, None, AuditLog(None, "a"), print)


def test_an_address_in_use_is_named(door: Door) -> None:
    with pytest.raises(PartyError, match=f"{door.address} cannot be listened at"):
        Network(
            "firm-a",
            door.address,
            {"firm-b": "127.0.0.1:1"},
            credentials(door.certs, "firm-a"),
            AuditLog(None, "firm-a"),
            print,
        )


def test_without_the_setting_nothing_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If gRPC spoke TLS 1.2, the attempt before the start would notice."""
    new(tmp_path / "certs", PAIR)
    monkeypatch.setattr(network, "tls12_refused", lambda *_: False)
    address = free_addresses(["firm-a"])["firm-a"]
    shown = credentials(tmp_path / "certs", "firm-a")
    with pytest.raises(PartyError, match=r"gRPC speaks TLS 1\.2 here"):
        Network("firm-a", address, {"firm-b": address}, shown, AuditLog(None, "firm-a"), print)


def test_certificates_are_replaced_while_running(tmp_path: Path) -> None:
    lines: list[str] = []
    two = networks(tmp_path, PAIR, lines=lines)
    certs = tmp_path / "certs"
    two["firm-a"].send("firm-b", b"1")
    assert two["firm-b"].receive("firm-a", time.monotonic() + 5) == b"1"
    before = (certs / "firm-b.pem").read_bytes()
    (certs / "firm-b.pem").write_bytes(b"broken")
    assert two["firm-b"].credentials.current().certificate == before
    assert "the certificates in use stay" in lines[-1]
    two["firm-b"].send("firm-a", b"2")  # a new connection, with the last good ones
    assert two["firm-a"].receive("firm-b", time.monotonic() + 5) == b"2"
    # A new authority: from now on, the certificates of the old one mean nothing.
    (certs / "firm-b.pem").write_bytes(before)
    old = files(certs, "firm-a")
    shutil.rmtree(certs)
    new(certs, PAIR)
    address = two["firm-a"].addresses["firm-b"]
    assert knocked(address, old, "firm-b") == grpc.StatusCode.UNAVAILABLE
    assert any(line.startswith("new certificates are in use") for line in lines)
    assert knocked(address, files(certs, "firm-a"), "firm-b") is None
    for each in two.values():
        each.close()
