"""Parties over gRPC: a stream per direction of a link, TLS 1.3 and a certificate on both sides.

Every party serves, and opens one stream to each peer that it writes to. The server takes a stream
from a peer of its list alone, whose certificate names it; the client speaks to nobody whose
certificate does not name whom it wants.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

# gRPC reads both when it is loaded. It has no option for the version of TLS: with no cipher for
# TLS 1.2 but one that needs a secret agreed beforehand, 1.3 is what remains; `tls12_refused` tries.
os.environ["GRPC_SSL_CIPHER_SUITES"] = "ECDHE-PSK-AES128-CBC-SHA"
os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # refusals are told in our own words

import grpc

from ascore.errors import PartyError
from ascore.parties.audit import AuditLog, digest
from ascore.parties.certificates import Credentials, Shown
from ascore.parties.tls import is_loopback, tls12_refused
from ascore.parties.transport import Mailbox, Transport

SERVICE, METHOD = "ascore.parties.Parties", "Post"
WHO = "ascore-party"
"""Metadata with the sender's name, believed only without TLS, on one machine."""
LARGEST = 64 * 2**20
"""Bytes of a message."""
UNSENT = 32
"""Messages to one peer that wait while it cannot be reached; the oldest are dropped."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0
"""Seconds between attempts to reach a peer."""
HANDSHAKE = 5.0
"""Seconds that somebody may take to identify itself."""
MENTIONED = 300
"""Characters of what somebody says of itself that are logged."""

Tell = Callable[[str], None]

_OPTIONS = [
    ("grpc.max_receive_message_length", LARGEST),
    ("grpc.max_send_message_length", LARGEST),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
]
_SERVER = [
    *_OPTIONS,
    ("grpc.so_reuseport", 0),
    ("grpc.max_concurrent_streams", 4),
    ("grpc.server_handshake_timeout_ms", int(HANDSHAKE * 1000)),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
]


class Network(Transport):
    """The connections of one party.

    Args:
        name: of this party.
        listen: HOST:PORT to serve at; port 0 = a free one.
        peers: addresses of the others, by name; these are all that may connect.
        credentials: what this party shows and whom it trusts; None = plaintext, on loopback alone.
        log: of connections and refusals.
        tell: called with one line about whatever is new.

    Attributes:
        port: at which it serves.

    Raises:
        PartyError: the address is in use, TLS 1.2 would be spoken, or plaintext would leave this
            machine.
    """

    def __init__(
        self,
        name: str,
        listen: str,
        peers: Mapping[str, str],
        credentials: Credentials | None,
        log: AuditLog,
        tell: Tell,
    ) -> None:
        self.name, self.peers, self.addresses = name, tuple(peers), dict(peers)
        self.credentials, self.log, self.tell = credentials, log, tell
        if credentials is None:
            for address in (listen, *peers.values()):
                if not is_loopback(address):
                    message = (
                        f"{address} is not on this machine, and --insecure sends plaintext; "
                        "use certificates"
                    )
                    raise PartyError(message)
        self._boxes = {peer: Mailbox() for peer in peers}
        self._stream = dict.fromkeys(peers, 0)
        self._pending: deque[float] = deque()  # connections that have not identified themselves
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._server = self._serving(listen)
        own = credentials.files[1:] if credentials is not None else None
        if own is not None and not tls12_refused(listen, self.port, *own):
            self._server.stop(None)
            message = (
                "gRPC speaks TLS 1.2 here, perhaps because it was loaded before; "
                "run the party in a process of its own"
            )
            raise PartyError(message)
        self._pending.clear()  # that was our own attempt
        self._senders = {peer: _Sender(self, peer) for peer in peers}
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def _serving(self, listen: str) -> grpc.Server:
        threads = ThreadPoolExecutor(max_workers=2 * len(self.peers) + 2)
        server = grpc.server(
            threads, options=_SERVER, maximum_concurrent_rpcs=2 * len(self.peers) + 2
        )
        handler = grpc.stream_unary_rpc_method_handler(self._post)
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(SERVICE, {METHOD: handler}),)
        )
        try:
            if self.credentials is None:
                self.port: int = server.add_insecure_port(listen)
            else:
                self._shown = self.credentials.current()
                secure = grpc.dynamic_ssl_server_credentials(
                    _certificates(self._shown), self._fetch, require_client_authentication=True
                )
                self.port = server.add_secure_port(listen, secure)
        except RuntimeError as error:
            message = f"{listen} cannot be listened at; it is in use, or not of this machine"
            raise PartyError(message) from error
        server.start()
        return server

    # ------------------------------------------------------------------ who connects

    def _fetch(self) -> Any:
        """Called by gRPC for every connection; gives certificates that were replaced."""
        with self._lock:
            self._pending.append(time.monotonic())
        if self.credentials is None:
            return None
        shown = self.credentials.current()
        if shown is self._shown:
            return None
        self._shown = shown
        return _certificates(shown)

    def _post(self, messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        """Puts the messages of a stream into its sender's box."""
        with self._lock:
            if self._pending:
                self._pending.popleft()
        peer, facts, reason = self._identify(context)
        if reason:
            self._refuse(peer, reason)
            context.abort(grpc.StatusCode.PERMISSION_DENIED, reason)
        with self._lock:
            self._stream[peer] += 1
            mine = self._stream[peer]
        context.send_initial_metadata(())
        self.log.note("connected", peer=peer, direction="in", **facts)
        end = "ended"
        try:
            for content in messages:
                # A peer that comes anew has lost its old stream, whether that knows it or not.
                if mine != self._stream[peer] or not self._boxes[peer].put(content):
                    break
        except Exception as error:  # gRPC raises it bare, for a connection that broke too
            end = _reason(error)
        if not self._closing.is_set():
            self.log.note("disconnected", peer=peer, direction="in", reason=end)
        return b""

    def _identify(self, context: grpc.ServicerContext) -> tuple[str, dict[str, Any], str]:
        """Name of the peer, facts for the log, and why it is refused ("" = it is not)."""
        if self.credentials is None:
            metadata = dict(context.invocation_metadata())
            peer = str(metadata.get(WHO, ""))
            known = peer in self.addresses
            return peer, {"tls": "none"}, "" if known else "nobody of this name has a link"
        facts = context.auth_context()
        names = [name.decode(errors="replace") for name in facts.get(_SAN, ())]
        peer = names[0] if len(names) == 1 else ""
        version = b"".join(facts.get("ssl_tls_version", ())).decode()
        pem = b"".join(facts.get("x509_pem_cert", ()))
        shown = {"tls": version or "TLSv1.3", "certificate": digest(pem)}
        if version not in ("", "TLSv1.3"):
            return peer, shown, f"it speaks {version}"
        if peer not in self.addresses:
            named = ", ".join(names) or "nobody"
            return named, shown, f"its certificate names {named}, who has no link to {self.name}"
        return peer, shown, ""

    def _refuse(self, peer: str, reason: str) -> None:
        # Names come from whoever connects: no line of the log may grow by them.
        peer, reason = (
            "".join(c if c.isprintable() else "?" for c in text[:MENTIONED])
            for text in (peer, reason)
        )
        self.log.note("refused", peer=peer, reason=reason, bytes=0)
        self.tell(f"refused a connection: {reason}")

    def _watch(self) -> None:
        """Tells of connections that have not identified themselves."""
        while not self._closing.wait(HANDSHAKE / 5):
            late = 0
            with self._lock:
                while self._pending and time.monotonic() - self._pending[0] > HANDSHAKE + 1:
                    self._pending.popleft()
                    late += 1
            for _ in range(late):
                self._refuse(
                    "",
                    "it showed no valid certificate of the authority over TLS 1.3 "
                    "(none, of another authority, expired, plaintext, or older TLS)",
                )

    # ------------------------------------------------------------------ Transport

    def send(self, peer: str, content: bytes) -> None:
        """Hands it to the thread of this peer."""
        self._senders[peer].put(content)

    def receive(self, peer: str, deadline: float) -> bytes | None:
        """Takes it from the box."""
        return self._boxes[peer].take(deadline)

    def close(self) -> None:
        """Sends what waits, to those who can be reached, and ends all streams."""
        for sender in self._senders.values():
            sender.finish()
        for sender in self._senders.values():
            sender.thread.join(timeout=HANDSHAKE)
        self._closing.set()
        for box in self._boxes.values():
            box.close()
        self._server.stop(1.0).wait()
        self._watcher.join()

    def channel(self, peer: str) -> grpc.Channel:
        """A new connection to a peer, with the newest certificates."""
        options = [
            *_OPTIONS,
            ("grpc.enable_retries", 0),
            ("grpc.use_local_subchannel_pool", 1),  # so that nothing old is used again
        ]
        address = self.addresses[peer]
        if self.credentials is None:
            return grpc.insecure_channel(address, options)
        shown = self.credentials.current()
        secure = grpc.ssl_channel_credentials(shown.authority, shown.key, shown.certificate)
        return grpc.secure_channel(
            address, secure, [*options, ("grpc.ssl_target_name_override", peer)]
        )


_SAN = "x509_subject_alternative_name"


class _Sender:
    """Writes to one peer, and connects to it again whenever that is lost."""

    def __init__(self, network: Network, peer: str) -> None:
        self.network, self.peer = network, peer
        self._unsent: deque[bytes] = deque(maxlen=UNSENT)
        self._changed = threading.Condition()
        self._finishing = False
        self._mentioned = ""
        self.thread = threading.Thread(target=self._work, daemon=True)
        self.thread.start()

    def put(self, content: bytes) -> None:
        with self._changed:
            self._unsent.append(content)
            self._changed.notify_all()

    def finish(self) -> None:
        with self._changed:
            self._finishing = True
            self._changed.notify_all()

    def _work(self) -> None:
        pause = FIRST_PAUSE
        while True:
            with self._changed:
                while not self._unsent and not self._finishing:
                    self._changed.wait()
                if not self._unsent:
                    return
            began = time.monotonic()
            self._stream()
            with self._changed:
                if self._finishing:
                    return
                pause = (
                    FIRST_PAUSE if time.monotonic() - began > 10 else min(2 * pause, LONGEST_PAUSE)
                )
                self._changed.wait_for(lambda: self._finishing, pause)

    def _stream(self) -> None:
        """One connection, from its beginning to its end."""
        network, peer = self.network, self.peer
        taken, ended = threading.Event(), threading.Event()

        def mark(event: threading.Event) -> None:
            with self._changed:
                event.set()
                self._changed.notify_all()

        channel = network.channel(peer)
        try:
            post = channel.stream_unary(f"/{SERVICE}/{METHOD}")
            call = post.future(self._messages(taken, ended), metadata=((WHO, network.name),))
            call.add_done_callback(lambda _: mark(ended))
            call.initial_metadata()  # comes when the peer has taken the stream, or never
            if not call.done():
                mark(taken)
                tls = "none" if network.credentials is None else "TLSv1.3"
                network.log.note("connected", peer=peer, direction="out", tls=tls)
                self._mentioned = ""
            call.result()
        except grpc.RpcError as error:
            reason = _reason(error)
            if reason != self._mentioned:
                self._mentioned = reason
                network.log.note("disconnected", peer=peer, direction="out", reason=reason)
                network.tell(f"no connection to {peer} at {network.addresses[peer]}: {reason}")
        finally:
            mark(ended)
            channel.close()

    def _messages(self, taken: threading.Event, ended: threading.Event) -> Iterator[bytes]:
        """What waits, as it comes, until the stream ends or the party does.

        Nothing is taken out before the peer has taken the stream: it would be lost with a
        connection that never was.
        """
        while True:
            with self._changed:
                while not ended.is_set() and not (
                    taken.is_set() and (self._unsent or self._finishing)
                ):
                    self._changed.wait()
                if ended.is_set() or not self._unsent:
                    return
                content = self._unsent.popleft()
            yield content


def _certificates(shown: Shown) -> Any:
    return grpc.ssl_server_certificate_configuration(
        [(shown.key, shown.certificate)], shown.authority
    )


def _reason(error: Exception) -> str:
    """What gRPC says of a failure, without addresses and codes of libraries."""
    text = str(error.details() if isinstance(error, grpc.Call) else error) or "it broke"
    for mark, meaning in _MEANINGS.items():
        if mark in text:
            return meaning
    return " ".join(text.split())[:160]


_MEANINGS = {
    "Hostname Verification": "its certificate names somebody else",
    "CERTIFICATE_VERIFY_FAILED": "its certificate is not a valid one of the authority",
    "HANDSHAKE_FAILURE": "it does not speak TLS 1.3",
    "PROTOCOL_VERSION": "it does not speak TLS 1.3",
    "WRONG_VERSION_NUMBER": "it speaks plaintext",
    "Connection refused": "nobody listens there",
    "larger than max": f"a message has more than {LARGEST} bytes",
    "Cancelling all calls": "it has ended",
    "Socket closed": "it closed the connection",
    "Connection reset": "it closed the connection",
    "Broken pipe": "it closed the connection",
    "No route": "there is no way there",
    "unreachable": "there is no way there",
    "Timeout": "it does not answer",
    "timed out": "it does not answer",
}
