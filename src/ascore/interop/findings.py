"""What a check of an environment finds, and how that is reported."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from ascore.envs.adapters.foreign import FAILURES, crash
from ascore.envs.parameters import as_options
from ascore.errors import EnvError

Verdict = Literal["good", "advice", "problem"]

WHERE_IT_HELPS = (
    "AS maximises the sum of all rewards: it helps where agents gain by cooperating and are not "
    "paid for it, and not where they compete (--algorithm ippo)"
)


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        topic: loading, turns, API, agents, actions, observations, memory, rewards, interests,
            horizon, speed, determinism, pickling.
        verdict: problem = prevents training; advice = training works, with a reservation.
        found: what was observed.
        remedy: what to do; empty when good.
    """

    topic: str
    verdict: Verdict
    found: str
    remedy: str = ""

    def __str__(self) -> str:
        line = f"  {self.verdict:<8} {self.topic:<13} {self.found}"
        return f"{line}\n  {'':<8} {'':<13} -> {self.remedy}" if self.remedy else line


@dataclass
class Report:
    """All findings about one environment, created with the keyword arguments `env_params`.

    Attributes:
        env: MODULE:CALLABLE.
        env_params: keyword arguments of the callable.
        horizon: steps after which episodes are truncated, given or learned; 0 = as the environment
            says.
        action_bins: values that each entry of a continuous action can have; 0 = none.
        findings: in the order of the checks.
        costs: of training with the defaults: steps_per_second of one copy, if measured
            steps_per_second_of_workers together, bytes_per_update, seconds_per_update and
            seconds_per_run, learning not counted; empty if unknown.
    """

    env: str
    env_params: dict[str, Any] = field(default_factory=dict)
    horizon: int = 0
    action_bins: int = 0
    findings: list[Finding] = field(default_factory=list)
    costs: dict[str, float] = field(default_factory=dict)
    on_finding: Callable[[Finding], None] = field(default=lambda finding: None, repr=False)

    @property
    def trainable(self) -> bool:
        """Whether no problem prevents training."""
        return all(finding.verdict != "problem" for finding in self.findings)

    @property
    def conclusion(self) -> str:
        """Whether it can be trained on, and by which command."""
        if not self.trainable:
            return "cannot be trained on until the problems are fixed"
        keys = {"horizon": self.horizon, "action-bins": self.action_bins}
        more = "".join(f" --{key} {value}" for key, value in keys.items() if value)
        command = f"ascore train {shlex.quote(self.env)}{as_options(self.env_params)}{more}"
        return f"{WHERE_IT_HELPS}\ncan be trained on: {command}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "env": self.env,
            "env_params": self.env_params,
            "horizon": self.horizon,
            "action_bins": self.action_bins,
            "findings": [asdict(finding) for finding in self.findings],
            "costs": self.costs,
            "trainable": self.trainable,
        }

    def add(self, topic: str, verdict: Verdict, text: str, remedy: str = "") -> None:
        """Adds a finding."""
        finding = Finding(topic, verdict, text, remedy)
        self.findings.append(finding)
        self.on_finding(finding)

    @contextlib.contextmanager
    def asking(self) -> Iterator[None]:
        """Turns an EnvError, and whatever their code raises, into a problem."""
        try:
            yield
        except EnvError as error:
            self.add(error.topic, "problem", error.found, error.remedy)
        except FAILURES as error:
            self.add("API", "problem", f"its code fails: {crash(error)}", "fix it")


def report(result: Report) -> str:
    """Formats the findings as text."""
    return "\n".join([result.env, *map(str, result.findings), result.conclusion])
