"""Calls that newcomers made: each is answered in one sentence that helps, or simply works."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import ascore
from ascore.cli import main
from ascore.errors import RunError
from ascore.runs.lock import LOCK

SHORT = ascore.Config.preset(
    "predation", episodes=40, num_envs=4, actor_hidden=(4,), critic_hidden=(4,), checkpoint_every=1
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what `train --compare` leaves, `pair`."""
    folder = tmp_path_factory.mktemp("calls")
    for name in ("as", "ippo"):
        ascore.train(SHORT.replace(algorithm=name), folder / "pair" / name)
    return folder


@pytest.fixture
def here(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(trained / "pair", tmp_path / "pair")
    (tmp_path / "mine.toml").write_text('env = "exchange"\npenalty_wieght = 3\n')
    (tmp_path / "strange.toml").write_text('env = "nowhere:Farm"\n')
    (tmp_path / "damaged.toml").write_text("env = \n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files(folder: Path) -> list[Path]:
    """All files but locks."""
    return sorted(path for path in folder.rglob("*") if path.name != LOCK)


TWO_RUNS = "pair holds 2 runs: as, ippo; choose one, as in pair/as"

# By kind: the exit status, and calls with what they say.
CALLS: dict[str, tuple[int, list[tuple[str, str]]]] = {
    "something is missing": (
        2,
        [
            ("train", "train needs an environment, as in: ascore train exchange"),
            ("plot", "plot needs a run folder, as in: ascore plot runs/exchange-as-s0"),
            ("sweep", "sweep needs an environment, as in: ascore sweep exchange --set"),
            ("evaluate", "evaluate needs a run folder, as in: ascore evaluate"),
            ("resume", "resume needs a run folder"),
            ("render", "render needs a run folder or an environment, as in: ascore render"),
            ("reproduce", "reproduce needs a figure, as in: ascore reproduce fig2"),
            (
                "reproduce fig2 --seeds 10001",
                "--seeds 10001 is not allowed; it must be in 1..10,000",
            ),
            ("reproduce fig2 --seeds 0", "--seeds 0 is not allowed; it must be in 1..10,000"),
            ("plot a\0b", "RUN 'a\\x00b' is not possible; leave out the NUL"),
            ("train predation --out a\0b", "--out 'a\\x00b' is not possible; leave out the NUL"),
            ("check-env", "check-env needs a Python environment"),
            ("export pair/as", "export needs --out FILE, as in: ascore export"),
            ("completion", "completion needs a shell, as in: ascore completion bash"),
            ("train exchange --seed", "--seed needs a value, as in: --seed N"),
            ("report", "report needs a run folder, as in: ascore report runs/exchange-as-s0"),
            ("watch", "watch needs a run folder, as in: ascore watch runs/exchange-as-s0"),
            ("party", "party needs one of run, host, status and audit, as in: ascore party run"),
            ("party status", "party status needs the folders of parties, as in: ascore party st"),
            ("party audit pair", "audit needs the logs of two parties, as in: ascore party audit"),
            ("certs", "certs needs new, a folder and names, as in: ascore certs new certs host"),
            ("certs new here", "certs needs the names of parties, as in: ascore certs new certs"),
        ],
    ),
    "there is no such command or option": (
        2,
        [
            ("trian", "unknown command 'trian'; did you mean 'train'? choose from: train, "),
            ("help trian", "did you mean 'train'?"),
            ("harvest", "unknown command 'harvest'; choose from: "),
            ("train exchange --gama 1", "train has no option --gama; did you mean '--gamma'?"),
            ("plot pair --outt x", "plot has no option --outt; did you mean '--out'?"),
            ("bench --quik", "did you mean '--quick'?"),
            ("doctor --jsno", "did you mean '--json'?"),
            ("export pair/as --format onnx --outt x", "did you mean '--out'?"),
            ("evaluate pair/as pair/ippo", "evaluate has no use for 'pair/ippo'"),
        ],
    ),
    "a value has the wrong form": (
        2,
        [
            ("train exchange --seed x", "--seed 'x' is not a whole number"),
            ("train exchange --gamma x", "--gamma 'x' is not a number"),
            ("train exchange --lr-decay linaer", "did you mean 'linear'? choose from: none, "),
            ("export pair/as --out x --format onx", "did you mean 'onnx'? choose from: safe"),
            ("bench --group twins", "did you mean 'twin'? choose from: twin, bound"),
            ("train exchange --env-param speed", "--env-param 'speed' is not NAME=VALUE"),
            ("sweep exchange --set foo", "--set 'foo' is not KEY=VALUE,VALUE"),
            ("evaluate pair/as --out=", "--out has an empty name"),
            ("export pair/as --out x --agent 0", "--agent and --masks need --format onnx"),
            ("bench --json --markdown", "--json and --markdown exclude each other; choose one"),
        ],
    ),
    "there is nothing of that name": (
        1,
        [
            ("train predatoin", "unknown environment 'predatoin'; did you mean 'predation'?"),
            ("train predatoin --help", "unknown environment 'predatoin'; did you mean"),
            ("envs harvst", "did you mean 'harvest'?"),
            ("train exchange --algorithm ppo", "unknown algorithm 'ppo'; did you mean 'ippo'?"),
            ("train exchange --preset best", "no preset 'best' for exchange-v1; choose from"),
            ("train exchange --env-param speed=3", 'no parameter "speed"'),
            ("sweep exchange --set foo=1", "unknown key 'foo'; `ascore train --help` explains"),
            ("sweep exchange --set penalty=1", "unknown key 'penalty'; did you mean 'penalty_"),
            ("resume pair/as --set sed=1", "sed"),
            ("train --config mine.toml", "unknown key 'penalty_wieght' in mine.toml; did you"),
            ("train --config none.toml", "none.toml cannot be read"),
            ("train --config damaged.toml", "damaged.toml cannot be read"),
            ("train --config strange.toml", "would import the module nowhere and run its code"),
            ("evaluate nowhere", "nowhere is not a run folder; give the folder printed by"),
            (
                "render predation --episode 999999999999999999999",
                "episode = 999999999999999999999 is not allowed",
            ),
            ("evaluate pair/as --checkpoint 7", "holds no checkpoint 7; choose from: 0000"),
            ("resume pair/as --checkpoint 7", "holds no checkpoint 7; choose from: 0000"),
            ("export pair/as --out x --checkpoint 7", "holds no checkpoint 7; choose from: 0000"),
            ("render nowhere", "nowhere is neither a folder written by `ascore train` nor an"),
            ("reproduce fig9", "fig9"),
            ("report nowhere", "nowhere holds no run; give a folder written by `ascore train`"),
            ("watch nowhere", "nowhere holds no run; give a folder written by `ascore train`"),
            ("party run --config none.toml", "none.toml cannot be read: No such file"),
            ("party status nowhere", "nowhere/status.json cannot be read: No such file"),
        ],
    ),
    "a folder holds two runs": (
        1,
        [
            ("evaluate pair", TWO_RUNS),
            ("resume pair", TWO_RUNS),
            ("render pair", TWO_RUNS),
            ("export pair --out x", TWO_RUNS),
            ("evaluate .", ". holds 2 runs: pair/as, pair/ippo; choose one, as in pair/as"),
        ],
    ),
}
ROWS = [(line, status, text) for status, calls in CALLS.values() for line, text in calls]


@pytest.mark.parametrize(("line", "status", "text"), ROWS, ids=[line for line, *_ in ROWS])
def test_one_sentence_that_helps(
    line: str, status: int, text: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files(here)
    assert main(line.split()) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert text in err
    assert err.startswith("ascore: ")
    assert err.count("\n") == 1
    assert len(err) < 400
    assert "[Errno" not in err
    assert files(here) == before


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("help", "usage: ascore COMMAND"),
        ("help train", "usage: ascore train ENV"),
        ("help train exchange", "exchange-v1, preset tuned"),
        ("train exchange --help", "exchange-v1, preset tuned"),
        ("version", f"ascore {ascore.__version__}\n"),
        ("-V", f"ascore {ascore.__version__}\n"),
        ("--version", f"ascore {ascore.__version__}\n"),
        ("envs", "harvest-v1"),
        ("envs harvest", "regrowth_1 = 0.005"),
        ("envs harvest --json", '"harvest-v1"'),
        ("doctor", "pillow"),
        ("completion fish", "complete -c ascore"),
        ("evaluate pair/as --episodes 2", "team return"),
        ("evaluate pair/as --episodes 2 --checkpoint 10", "team return"),
        ("plot pair --out x.png", "picture written to x.png"),
    ],
)
def test_what_newcomers_tried_works(
    line: str, text: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(line.split()) == 0
    out, err = capsys.readouterr()
    assert text in out
    assert all(line.startswith("ascore: loading") for line in err.splitlines())


def test_a_folder_in_the_way_of_a_picture_is_named(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files(here)
    assert main(["plot", "pair", "--out", "pair"]) == 1
    assert "cannot write pair: Is a directory; a folder lies in its way" in capsys.readouterr().err
    assert files(here) == before


def test_run_open_names_the_runs_of_a_folder(here: Path) -> None:
    with pytest.raises(RunError, match=r"pair holds 2 runs: as, ippo; choose one, as in pair/as"):
        ascore.Run.open("pair")


def test_a_sweep_trains_nothing_twice(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = "sweep exchange --algorithm as ippo --set penalty_weight=1,3 --seeds 0 --slurm"
    assert main(line.split()) == 0
    out, err = capsys.readouterr()
    assert out.startswith("3 cells; ")
    assert "when the jobs are done, for the tables and pictures: ascore sweep --out" in out
    assert "3 runs for 4 combinations: the others differ only in keys" in err
    line = "sweep exchange --set graph=complete,nearest --set graph_degree=1,2 --seeds 0 --slurm"
    assert main([*line.split(), "--out", "degrees"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("3 cells; ")
    assert "changes nothing:" not in err  # in some of the cells it does
    cells = Path("degrees/cells.json").read_text()
    names = ["graph=complete", "graph=nearest/graph_degree=1", "graph=nearest/graph_degree=2"]
    assert all(f'"as/{name}/s0"' in cells for name in names)


def test_keys_that_no_algorithm_reads_are_warned_about(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = "sweep exchange --algorithm ippo --set penalty_weight=3,5 --seeds 0 --slurm"
    assert main(line.split()) == 0
    assert "ascore: penalty_weight = 3.0 changes nothing: ippo does not" in capsys.readouterr().err


@pytest.mark.filterwarnings("always::ascore.AscoreWarning")
@pytest.mark.parametrize("weight", ["10", "7"])  # 10 is what the preset sets
@pytest.mark.parametrize("algorithms", ["--algorithm ippo", "--algorithm ippo --compare team"])
def test_a_typed_key_that_is_not_read_is_warned_about_once(
    weight: str, algorithms: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = f"train predation {algorithms} --penalty-weight {weight} --evaluate 0 --out new"
    assert main(f"{line} --num-agents 2 --episodes 8 --num-envs 4".split()) == 0
    err = capsys.readouterr().err
    assert err.count(f"ascore: penalty_weight = {weight}.0 changes nothing: ippo ") == 1
    assert err.count("changes nothing") == 1


def test_a_configuration_from_a_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Options come before the file, and the file before the preset."""
    file = here / "short.toml"
    file.write_text(
        'env = "predation"\nalgorithm = "ippo"\nepisodes = 8\nnum_envs = 4\nactor_hidden = [4]\n'
        "env_params = { num_agents = 2, horizon = 5 }\n"
    )
    line = "train --config short.toml --num-envs 2 --env-param horizon=6 --evaluate 2 --out new"
    assert main(line.split()) == 0
    config = ascore.Run.open("new").config
    wanted = ascore.Config.preset(
        "predation", algorithm="ippo", episodes=8, num_envs=2, actor_hidden=(4,),
        env_params={"num_agents": 2, "horizon": 6},
    )  # fmt: skip
    assert config == wanted
    assert main(["train", "--config", "new/config.toml", "--evaluate", "0", "--out", "again"]) == 0
    assert ascore.Run.open("again").config == config
    a, b = (ascore.Run.open(name).summary for name in ("new", "again"))
    assert a["team_return"] == b["team_return"]
    capsys.readouterr()


def test_resume_ends_as_train_does(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["resume", "pair/ippo", "--episodes", "48", "--evaluate", "5"]) == 0
    out, err = capsys.readouterr()
    assert "anchors: random -480, selfish -720, cooperative -240" in out
    assert "over 5 episodes" in out
    assert "ippo: update 12 of 12, team return" in err


def test_resume_says_when_nothing_is_left_to_train(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = ascore.Run.open("pair/as").summary
    total, episodes = before["updates"], ascore.Run.open("pair/as").config.episodes
    nothing = (
        f"ascore: all {total} updates of pair/as were done already, and nothing was trained; "
        f"to train on, give --episodes N above {episodes}"
    )
    for same in ([], ["--episodes", str(episodes)]):
        assert main(["resume", "pair/as", *same, "--evaluate", "0"]) == 0
        out, err = capsys.readouterr()
        assert nothing in err.splitlines()
        assert f"({before['episodes']} episodes, {total} updates" in out
        assert ascore.Run.open("pair/as").summary == before
    config = Path("pair/as/config.toml").read_text()
    assert main(["resume", "pair/as", "--episodes", "3"]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"ascore: episodes = 3 ends with update 1, but pair/as has done {total}; give more, or go "
        "back to an older checkpoint"
    )
    assert ascore.Run.open("pair/as").summary == before
    assert Path("pair/as/config.toml").read_text() == config
    more = ["--episodes", str(episodes + 4), "--evaluate", "0"]
    assert main(["resume", "pair/as", *more]) == 0
    assert "nothing was trained" not in capsys.readouterr().err


def test_statuses_are_documented() -> None:
    page = (Path(__file__).parent.parent.parent / "docs" / "reliability.md").read_text("utf-8")
    for kind in CALLS:
        assert kind in " ".join(page.split()), kind


@pytest.mark.parametrize(
    ("words", "about"),
    [
        (["train", "predation", "--graph"], "choose from: complete"),
        (["train"], "unknown environment"),
        (["resume"], ""),
        (["render"], ""),
    ],
)
def test_a_value_of_any_length_leaves_the_rest_of_the_line_readable(
    words: list[str], about: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "01" * 50_000]) in (1, 2)
    line = capsys.readouterr().err.splitlines()[-1]
    for part in ("...", "(100,0", about):
        assert part in line
    assert "[Errno" not in line
    assert len(line) < 1_000
