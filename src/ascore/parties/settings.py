"""What a party's TOML file says: who it is, whom it speaks to, and where its things lie."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ascore.config import Config
from ascore.errors import PartyError
from ascore.parties.audit import AUDIT
from ascore.parties.certificates import AUTHORITY, require_name
from ascore.reading import TOML_LIMIT, read_regular, toml, unreadable

SECONDS = 30.0
LONGEST = 86_400.0


@dataclass(frozen=True)
class PartySettings:
    """The keys of a party's file. Relative paths start from the folder that the file is in."""

    run: str
    """Name of the run, the same for all parties."""
    name: str
    """Of this party: one of [agents], or that of [host]."""
    training: Path
    """Configuration of the training, a TOML file as `ascore train --config` reads; the same for
    all parties but for keys of their own machines."""
    folder: Path
    """Where this party keeps checkpoints, metrics and the audit log."""
    agents: Mapping[str, str]
    """Addresses HOST:PORT by name, in the order of the environment's agents."""
    host: tuple[str, str]
    """Name and address of the environment's process."""
    certificates: Path | None = None
    """Folder with authority.pem, NAME.pem and NAME.key of this party."""
    listen: str = ""
    """HOST:PORT to serve at; "" = this party's address."""
    deadline: float = SECONDS
    """Seconds to wait for a party in a round."""
    start: float = 0.0
    """Of the host: seconds to wait for all at the beginning; 0 = as long as it takes."""
    reward: str = ""
    """MODULE:CALLABLE that computes this party's reward here; "" = the host tells it."""
    rewards: str = "host"
    """Of the host: host = it tells each agent its own reward; parties = they compute them."""
    own_seed: int | None = None
    """Keys initial weights and the drawing of actions; not given = the seed of the training, which
    all parties know."""
    file: Path = field(default=Path("party.toml"))
    """Where all this was read."""

    @classmethod
    def load(cls, path: str | Path) -> PartySettings:
        """Reads a party's file.

        Raises:
            PartyError: it cannot be read, or a key or value is not allowed.
        """
        path = Path(path)
        try:
            values = toml(read_regular(path, TOML_LIMIT, links=True))
        except (OSError, ValueError) as error:
            message = unreadable(path, error, "give the file of a party")
            raise PartyError(message) from error
        known = {each.name for each in fields(cls)} - {"file"}
        for key in values.keys() - known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"choose from: {', '.join(sorted(known))}"
            hint = f"did you mean {near[0]!r}?" if near else hint
            message = f"unknown key {key!r} in {path}; {hint}"
            raise PartyError(message)
        for key in ("run", "name", "training", "folder", "agents", "host"):
            if key not in values:
                message = f"{path} has no {key!r}; docs/parties.md has a whole file"
                raise PartyError(message)
        return cls._checked(path, values)

    @classmethod
    def _checked(cls, path: Path, values: dict[str, Any]) -> PartySettings:
        for key, value in values.items():
            allowed, words = _KINDS[key]
            # An empty folder would be the one that the file is in.
            empty = key in _NEVER_EMPTY and not value
            odd = isinstance(value, str) and "\0" in value
            if not isinstance(value, allowed) or isinstance(value, bool) or empty or odd:
                message = f"{path}: {key} = {value!r} must be {words}"
                raise PartyError(message)
        host = values["host"]
        if set(host) != {"name", "address"}:
            message = f"{path}: [host] has {', '.join(host) or 'nothing'}; give name and address"
            raise PartyError(message)
        for table in ("agents", "host"):
            for key, value in values[table].items():
                if not isinstance(value, str):
                    message = f"{path}: {key} = {value!r} in [{table}] must be text"
                    raise PartyError(message)
        here = path.resolve().parent
        for key in ("training", "folder", "certificates"):
            if key in values:
                values[key] = here / values[key]
        values |= {"host": (host["name"], host["address"]), "file": path}
        settings = cls(**values)
        settings._require()
        return settings

    def _require(self) -> None:
        everybody = [*self.agents, self.host[0]]
        for name in everybody:
            require_name(name)
        problem = ""
        if len(self.agents) < 2 or self.host[0] in self.agents:
            problem = "[agents] needs at least two names, and [host] one of its own"
        elif self.name not in everybody or self.name == AUTHORITY:
            problem = f"name = {self.name!r} is nobody; choose from: {', '.join(everybody)}"
        elif not 0 < self.deadline <= LONGEST or not 0 <= self.start <= LONGEST:
            problem = f"deadline and start are seconds up to {LONGEST:.0f}, and deadline above 0"
        elif self.rewards not in ("host", "parties"):
            problem = f"rewards = {self.rewards!r} is not possible; choose from: host, parties"
        elif self.reward and ":" not in self.reward:
            problem = f"reward = {self.reward!r} is not MODULE:CALLABLE"
        elif self.own_seed is not None and not 0 <= self.own_seed < 2**64:
            problem = f"own_seed = {self.own_seed} is outside 0..2**64-1"
        for address in (*self.agents.values(), self.host[1], *filter(None, [self.listen])):
            place, _, port = address.rpartition(":")
            digits = port.isascii() and port.isdecimal() and len(port) <= 5
            if not place or not digits or not 0 < int(port) < 2**16:
                problem = f"address {address[:80]!r} is not HOST:PORT, as in 10.0.0.7:7001"
        if problem:
            message = f"{self.file}: {problem}"
            raise PartyError(message)

    @property
    def is_host(self) -> bool:
        """Whether this is the environment's process."""
        return self.name == self.host[0]

    @property
    def address(self) -> str:
        """Where to serve."""
        own = self.host[1] if self.is_host else self.agents[self.name]
        return self.listen or own

    @property
    def audit(self) -> Path:
        """The audit log."""
        return self.folder / AUDIT

    def config(self) -> Config:
        """Configuration of the training."""
        return Config.load(self.training)

    def peers(self, config: Config) -> dict[str, str]:
        """Addresses of those with whom this party has a link: nobody else may connect.

        The host has one with every agent. Two agents have one if the graph lets one hear the other.
        """
        if self.is_host:
            return dict(self.agents)
        from ascore.parties.allowed import linked

        names = list(self.agents)
        chosen = linked(config, len(names), names.index(self.name))
        return {self.host[0]: self.host[1], **{names[j]: self.agents[names[j]] for j in chosen}}


_NEVER_EMPTY = ("run", "name", "training", "folder", "certificates")

_KINDS: dict[str, tuple[Any, str]] = {
    "run": (str, "text"),
    "name": (str, "text"),
    "training": (str, "a path"),
    "folder": (str, "a path"),
    "certificates": (str, "a path"),
    "agents": (dict, "a table of addresses"),
    "host": (dict, "a table with name and address"),
    "listen": (str, "HOST:PORT"),
    "deadline": ((int, float), "a number of seconds"),
    "start": ((int, float), "a number of seconds"),
    "reward": (str, "MODULE:CALLABLE"),
    "rewards": (str, "host or parties"),
    "own_seed": (int, "a whole number"),
}
