"""Starts a party or the host of a run from its file; nothing starts that is not whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from ascore.config import Config
from ascore.envs.adapters.locate import find
from ascore.errors import PartyError
from ascore.parties.agreed import agreed
from ascore.parties.archive import (
    Archive,
    FolderArchive,
    counted_start,
    create,
    require_own,
)
from ascore.parties.audit import AuditLog
from ascore.parties.certificates import Credentials
from ascore.parties.host import Host
from ascore.parties.letters import Letters, Tell, on_stderr
from ascore.parties.network import Network
from ascore.parties.party import Party
from ascore.parties.reward import RewardFn
from ascore.parties.settings import PartySettings
from ascore.runs.lock import alone
from ascore.runs.trust import require_trust

Stop = Callable[[], bool]


def run_party(
    settings: PartySettings,
    *,
    insecure: bool = False,
    trust: bool = False,
    stop: Stop = lambda: False,
    tell: Tell = on_stderr,
) -> int:
    """Trains one agent; returns the updates done.

    Args:
        settings: of the party.
        insecure: plaintext and no certificates, on loopback alone.
        trust: whether what the files name may be imported.
        stop: tells whether to save and end.
        tell: called with one line about whatever is new.

    Raises:
        PartyError: something is missing or does not fit; nothing was sent to anybody.
    """
    if settings.is_host:
        message = f"{settings.file} is the host's; run it with `ascore party host`"
        raise PartyError(message)
    config = settings.config()
    require_trust({"algorithm": config.algorithm, "reward": settings.reward}, settings.file, trust)
    reward = _reward(settings.reward)
    create(settings.folder)
    with alone(settings.folder):
        archive = FolderArchive(settings.folder, settings.name, config, settings.run)
        try:
            with _letters(
                settings, config, archive, insecure=insecure, tell=tell, stop=stop
            ) as letters:
                return Party(
                    config,
                    letters,
                    list(settings.agents),
                    settings.host[0],
                    settings.deadline,
                    archive,
                    reward=reward,
                    own_seed=settings.own_seed,
                    stop=stop,
                ).run()
        finally:
            archive.close()


def run_host(
    settings: PartySettings,
    *,
    insecure: bool = False,
    trust: bool = False,
    stop: Stop = lambda: False,
    tell: Tell = on_stderr,
    progress: Callable[[int, int, object], None] = lambda done, total, members: None,
) -> int:
    """Plays the environment; returns the updates done.

    Args:
        settings: of the host.
        insecure: as in `run_party`.
        trust: as in `run_party`.
        stop: as in `run_party`.
        tell: as in `run_party`.
        progress: called after every update with updates done, of how many, names of the members.

    Raises:
        PartyError: as in `run_party`.
    """
    if not settings.is_host:
        message = f"{settings.file} is of an agent; run it with `ascore party run`"
        raise PartyError(message)
    config = settings.config()
    require_trust({"env": config.env, "algorithm": config.algorithm}, settings.file, trust)
    create(settings.folder)
    with alone(settings.folder):
        require_own(settings.folder, settings.name)
        archive = Archive()
        archive.starts = counted_start(settings.folder)
        with _letters(
            settings, config, archive, insecure=insecure, tell=tell, stop=stop
        ) as letters:
            return Host(
                config,
                letters,
                list(settings.agents),
                settings.deadline,
                rewards=settings.rewards == "host",
                start=settings.start or float("inf"),
                stop=stop,
                progress=progress,
            ).run()


@contextmanager
def _letters(
    settings: PartySettings,
    config: Config,
    archive: Archive,
    *,
    insecure: bool,
    tell: Tell,
    stop: Stop,
) -> Iterator[Letters]:
    """The party's door: open while the block runs."""
    with ExitStack() as opened:
        credentials = None
        if not insecure:
            credentials = _credentials(settings, tell)
        log = AuditLog(settings.audit, settings.name)
        opened.callback(log.close)
        log.write("run", run=settings.run, config=agreed(config, list(settings.agents)).hex())
        network = Network(
            settings.name, settings.address, settings.peers(config), credentials, log, tell
        )
        letters = Letters(
            network,
            settings.run,
            agreed(config, list(settings.agents)),
            log,
            archive.starts,
            tell,
            stop,
        )
        try:
            yield letters
        finally:
            letters.close()


def _credentials(settings: PartySettings, tell: Tell) -> Credentials:
    folder, name = settings.certificates, settings.name
    if folder is None:
        message = (
            f"{settings.file} names no certificates, and without them nothing starts; make some "
            "with `ascore certs new`"
        )
        raise PartyError(message)
    files = folder / "authority.pem", folder / f"{name}.pem", folder / f"{name}.key"
    return Credentials(*files, name, tell)


def _reward(name: str) -> RewardFn | None:
    if not name:
        return None
    function: RewardFn = find(name, "my_module:reward")
    return function
