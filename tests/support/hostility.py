"""What is done to runs in the harness of hostility, and what must be left afterwards.

Every attack runs in a forked child, so that a crash, a hang or a leak of the code under attack is
seen from outside. `tests/runs/test_hostility.py` does a little of each, `python -m tests.hostile`
as much as one asks for.
"""

from __future__ import annotations

import contextlib
import faulthandler
import hashlib
import itertools
import json
import os
import random
import resource
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ascore
import ascore.learning.backends.loops  # once, instead of in every child
import ascore.runs.session
from ascore.errors import AscoreError

MEMORY = 1 << 30  # bytes beyond what the parent has that an attack may make the code ask for
PATIENCE = 900  # seconds after which a child hangs, also where twenty others share its core
REFUSED = 3  # exit status of a child that was told no in one line

ALGORITHMS = ("as", "ippo", "vs", "vps", "ps")
BACKENDS = ("engine", "kernel", "torch")
ENVIRONMENTS: dict[str, dict[str, Any]] = {
    "predation-v1": {"num_agents": 3, "horizon": 10},
    "exchange-v1": {"horizon": 10},
    "harvest-v1": {"horizon": 10},
}


@dataclass
class Tally:
    """How many attacks of a kind there were, and what became of them."""

    kind: str
    tried: int = 0
    survived: int = 0
    refused: int = 0
    lost: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """One line for people."""
        counts = f"{self.tried:,} tried, {self.survived:,} survived, {self.refused:,} refused"
        return "\n  ".join([f"{self.kind}: {counts}, {len(self.lost)} lost", *self.lost[:20]])


def config_of(rng: random.Random, updates: int = 8) -> ascore.Config:
    """A small run of some environment, algorithm and backend; a checkpoint after every update."""
    env = rng.choice(sorted(ENVIRONMENTS))
    return ascore.Config(
        env=env,
        env_params=ENVIRONMENTS[env],
        algorithm=rng.choice(ALGORITHMS),
        backend=rng.choice(BACKENDS),
        seed=rng.randrange(1000),
        num_envs=2,
        num_threads=1,
        episodes=2 * updates,
        minibatches=2,
        iterations=2,
        actor_lr=1e-3,
        actor_hidden=(8,),
        critic_hidden=(8,),
        checkpoint_every=1,
    )


def digest(run: Path) -> str:
    """SHA-256 of what training has made: parameters, optimiser and environments of the end."""
    newest = max(p for p in (run / "checkpoints").iterdir() if p.name.isdigit())
    metrics = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    content = hashlib.sha256((newest / "state.safetensors").read_bytes())
    for record in metrics:
        record.pop("seconds")
    content.update(json.dumps(metrics).encode())
    return content.hexdigest()


# ---- children --------------------------------------------------------------------------------


def forked(call: Callable[[], object], prepare: Callable[[], object] = lambda: None) -> int:
    """Runs a call in a child; returns the child's process number."""
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        os.setsid()
        faulthandler.register(signal.SIGUSR1)
        with open(os.devnull, "wb") as nothing:
            os.dup2(nothing.fileno(), 1)
        prepare()
        call()
        status = 0
    except AscoreError:
        status = REFUSED
    except (ValueError, OSError, MemoryError):
        traceback.print_exc()
        status = 4
    except BaseException:
        traceback.print_exc()
        status = 5
    finally:
        os._exit(status)


def ended(child: int, patience: float = PATIENCE) -> int:
    """Waits for a child: its exit status, minus the signal that ended it, or -999 if it hung.

    One that hangs says on standard error where.
    """
    end = time.monotonic() + patience
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(child, signal.SIGUSR1)
    time.sleep(1)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return -999


def killed_after(child: int, seconds: float) -> bool:
    """Kills a child and all it started; False if it had ended before."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, _ = os.waitpid(child, os.WNOHANG)
        if done:
            return False
        time.sleep(0.001)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def little_memory() -> None:
    """Limits a child to a little more address space than it has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def go_on(run: Path, config: ascore.Config) -> None:
    """What a user does after a crash: resume, or train where nothing was begun."""
    if (run / "config.toml").exists():
        ascore.resume(run)
    else:
        ascore.train(config, run)


def begin(config: ascore.Config, run: Path, updates: int) -> None:
    """Trains a run for some updates and stops it."""
    done = itertools.count(1)
    assert ended(forked(lambda: ascore.train(config, run, stop=lambda: next(done) == updates))) == 0


# ---- attacks ---------------------------------------------------------------------------------


def kills(count: int, folder: Path, seed: int = 0) -> Tally:
    """Kill -9 at random moments, several times per run; then the same bits as undisturbed."""
    rng, tally = random.Random(seed), Tally("kill -9")
    for number in itertools.count():
        if tally.tried >= count:
            return tally
        config = config_of(rng)
        calm, run = folder / f"calm-{number}", folder / f"killed-{number}"
        start = time.monotonic()
        status = ended(forked(lambda c=config, out=calm: ascore.train(c, out)))
        assert status == 0, f"an undisturbed run ended with {status}"
        usual = time.monotonic() - start
        blows = 0
        while blows < 6:
            child = forked(lambda c=config, out=run: go_on(out, c))
            if not killed_after(child, rng.uniform(0.0, 0.8 * usual)):
                break
            blows += 1
        tally.tried += blows
        status = ended(forked(lambda c=config, out=run: go_on(out, c)))
        if status == 0 and digest(run) == digest(calm):
            tally.survived += blows
        else:
            tally.lost.append(f"{config.env} {config.algorithm} {config.backend}: ended {status}")
        shutil.rmtree(calm)
        shutil.rmtree(run)


def full_disks(count: int, folder: Path, seed: int = 0) -> Tally:
    """No file may grow beyond a random size; with space again, the same bits as undisturbed."""
    rng, tally = random.Random(seed), Tally("full disk")

    def limited(size: int) -> Callable[[], None]:
        def limit() -> None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

        return limit

    for number in range(count):
        config = config_of(rng, updates=4)
        calm, run = folder / f"calm-{number}", folder / f"full-{number}"
        assert ended(forked(lambda c=config, out=calm: ascore.train(c, out))) == 0
        largest = max(p.stat().st_size for p in calm.rglob("*") if p.is_file())
        size = rng.randrange(largest)
        first = ended(forked(lambda c=config, out=run: ascore.train(c, out), limited(size)))
        tally.tried += 1
        tally.refused += first == REFUSED
        last = ended(forked(lambda c=config, out=run: go_on(out, c)))
        if first in (0, REFUSED) and last == 0 and digest(run) == digest(calm):
            tally.survived += 1
        else:
            tally.lost.append(f"{size} of {largest} bytes: ended {first}, then {last}")
        shutil.rmtree(calm)
        shutil.rmtree(run, ignore_errors=True)
    return tally


def two_writers(count: int, folder: Path, seed: int = 0) -> Tally:
    """Two processes resume one run at once: one is told who holds it, and nothing is torn."""
    rng, tally = random.Random(seed), Tally("two writers")
    for number in range(count):
        config = config_of(rng, updates=6)
        calm, run = folder / f"calm-{number}", folder / f"twice-{number}"
        assert ended(forked(lambda c=config, out=calm: ascore.train(c, out))) == 0
        begin(config, run, updates=2)
        children = [forked(lambda out=run: ascore.resume(out)) for _ in range(2)]
        statuses = sorted(ended(child) for child in children)
        tally.tried += 1
        tally.refused += REFUSED in statuses
        # A late second one finds a finished run, which resumes to what it is.
        if statuses in ([0, 0], [0, REFUSED]) and digest(run) == digest(calm):
            tally.survived += 1
        else:
            tally.lost.append(f"{config.algorithm} {config.backend}: ended {statuses}")
        shutil.rmtree(calm)
        shutil.rmtree(run)
    return tally


Damage = Callable[[random.Random, Path], str]


def _flip(rng: random.Random, path: Path) -> str:
    data = bytearray(path.read_bytes())
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)
    return "a bit flipped"


def _cut(rng: random.Random, path: Path) -> str:
    data = path.read_bytes()
    path.write_bytes(data[: rng.randrange(len(data) + 1)])
    return "cut"


def _zeros(rng: random.Random, path: Path) -> str:
    data = bytearray(path.read_bytes())
    start = rng.randrange(len(data) + 1)
    data[start:] = bytes(len(data) - start)
    path.write_bytes(data)
    return "zeros"


def _noise(rng: random.Random, path: Path) -> str:
    data = bytearray(path.read_bytes())
    for _ in range(rng.randrange(1, 40)):
        if data:
            data[rng.randrange(len(data))] = rng.randrange(256)
    path.write_bytes(data)
    return "noise"


def _longer(rng: random.Random, path: Path) -> str:
    path.write_bytes(path.read_bytes() + rng.randbytes(rng.randrange(1, 200)))
    return "longer"


def _gone(rng: random.Random, path: Path) -> str:
    path.unlink()
    return "gone"


def _folder(rng: random.Random, path: Path) -> str:
    path.unlink()
    path.mkdir()
    return "a folder"


def _pipe(rng: random.Random, path: Path) -> str:
    path.unlink()
    os.mkfifo(path)
    return "a pipe"


def _endless(rng: random.Random, path: Path) -> str:
    path.unlink()
    path.symlink_to("/dev/zero")
    return "a link to /dev/zero"


def _repeated(rng: random.Random, path: Path) -> str:
    path.write_bytes(path.read_bytes() * 2)
    return "twice"


def _deep(rng: random.Random, path: Path) -> str:
    path.write_bytes(b"[" * 100_000)
    return "deep nesting"


DAMAGES: tuple[Damage, ...] = (
    _flip, _flip, _flip, _cut, _cut, _zeros, _noise, _longer, _gone, _folder, _pipe, _endless,
    _repeated, _deep,
)  # fmt: skip


def damaged_folders(count: int, folder: Path, seed: int = 0) -> Tally:
    """One file of a run is damaged: the run goes on to the same bits, or refuses in one line.

    What a log says of the past is not compared after its file was damaged: a flipped digit cannot
    be told from another return.
    """
    rng, tally = random.Random(seed), Tally("damaged folders")
    config = config_of(rng, updates=6)
    calm, begun = folder / "calm", folder / "begun"
    assert ended(forked(lambda: ascore.train(config, calm))) == 0
    begin(config, begun, updates=3)
    best, states = digest(calm), _state(calm)
    for number in range(count):
        run = folder / f"damaged-{number}"
        shutil.copytree(begun, run)
        files = sorted(p for p in run.rglob("*") if p.is_file())
        path = rng.choice(files)
        what = f"{path.relative_to(run)}: {rng.choice(DAMAGES)(rng, path)}"
        tally.tried += 1
        looks = [
            lambda out=run: ascore.load_policy(out),
            lambda out=run: ascore.evaluate(out, episodes=2),
            lambda out=run: ascore.resume(out),
        ]
        statuses = [ended(forked(look, little_memory)) for look in looks]
        tally.refused += REFUSED in statuses
        same = statuses[2] != 0 or _state(run) == states
        exact = statuses[2] != 0 or "metrics" in what or digest(run) == best
        if set(statuses) <= {0, REFUSED} and same and exact:
            tally.survived += 1
        else:
            tally.lost.append(f"{what}: ended {statuses}{'' if same else ', other bits'}")
        shutil.rmtree(run)
    return tally


def _state(run: Path) -> str:
    newest = max(p for p in (run / "checkpoints").iterdir() if p.name.isdigit())
    return hashlib.sha256((newest / "state.safetensors").read_bytes()).hexdigest()


def mutated_policies(count: int, folder: Path, seed: int = 0, batch: int = 2_000) -> Tally:
    """Exported policies with mutations: a policy that acts on finite numbers, or one line."""
    rng, tally = random.Random(seed), Tally("mutated policies")
    config = config_of(rng, updates=1)
    assert ended(forked(lambda: ascore.train(config, folder / "run"))) == 0
    ascore.export_policy(folder / "run", folder / "whole.safetensors")
    whole = (folder / "whole.safetensors").read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    env = ascore.make(config.env, 2, **config.env_params)
    obs, _ = env.reset()
    path, counts = folder / "mutated.safetensors", folder / "counts.json"

    def attack(draw: random.Random, number: int) -> None:
        refused = 0
        for _ in range(number):
            data = bytearray(whole)
            for _ in range(draw.choice((1, 1, 2, 5))):
                # Most of the ways to go wrong lie in the header.
                end = header if draw.random() < 0.8 else len(data)
                data[draw.randrange(end)] = draw.choice((draw.randrange(256), 0x5D, 0x22, 0x39, 0))
            if draw.random() < 0.05:
                data = data[: draw.randrange(len(data))]
            path.write_bytes(data)
            try:
                policy = ascore.load_policy(path)
            except AscoreError:
                refused += 1
                continue
            with contextlib.suppress(ValueError):  # another environment's sizes
                policy.act(obs)
        counts.write_text(json.dumps(refused))

    while tally.tried < count:
        number, state = min(batch, count - tally.tried), rng.randrange(1 << 30)
        status = ended(forked(lambda s=state, n=number: attack(random.Random(s), n), little_memory))
        tally.tried += number
        if status == 0:
            tally.survived += number
            tally.refused += json.loads(counts.read_text())
        else:
            tally.lost.append(f"a batch of {number} from seed {state}: ended {status}")
    return tally


def leaks(count: int, folder: Path, seed: int = 0) -> Tally:
    """Many runs in one process leave no memory, descriptors, threads or processes behind."""
    rng, tally = random.Random(seed), Tally("runs in one process")
    configs = [config_of(rng, updates=2) for _ in range(4)]

    def once(number: int) -> None:
        run = ascore.train(configs[number % len(configs)], folder / f"run-{number}")
        ascore.evaluate(run, episodes=4)
        shutil.rmtree(run.path)

    def attack() -> None:
        for number in range(8):  # what is loaded once, such as compiled losses
            once(number)
        before = _held()
        for number in range(count):
            once(number)
        after = _held()
        allowed = {"kilobytes": 20_000, "descriptors": 0, "threads": 0, "children": 0}
        for what, most in allowed.items():
            if after[what] - before[what] > most:
                message = f"{what} grew from {before[what]} to {after[what]} in {count} runs"
                raise AssertionError(message)

    status = ended(forked(attack), 4 * PATIENCE)
    tally.tried = count
    if status == 0:
        tally.survived = count
    else:
        tally.lost.append(f"ended {status}")
    return tally


def _held() -> dict[str, int]:
    """What this process holds."""
    lines = dict(_status_lines())
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return {
        "kilobytes": int(lines["VmRSS"].split()[0]),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "threads": int(lines["Threads"]),
        "children": len(children),
    }


def _status_lines() -> Iterator[tuple[str, str]]:
    for line in Path("/proc/self/status").read_text().splitlines():
        key, _, text = line.partition(":")
        yield key, text.strip()
