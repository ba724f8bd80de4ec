"""Pictures show every environment, every agent and every step, with a legend."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import case
from numpy.typing import NDArray
from PIL import Image

import ascore
from ascore.errors import RunError
from ascore.render.canvas import APPLE, PAPER, WASTE, Canvas, agent_colour, palette, to_palette
from ascore.render.frames import Moment, frame, legend_of, moment, picture
from ascore.render.replay import moments, replay, save
from ascore.render.scenes.grid import GridScene
from ascore.render.scenes.parts import by_cell
from ascore.render.scenes.square import ExchangeScene
from ascore.render.scenes.table import scene_of
from ascore.scripted import scripts

NAMES = sorted(ascore.ENVIRONMENTS)
Act = Callable[[NDArray[Any]], NDArray[np.int32]]


def started(name: str, **params: Any) -> ascore.VecEnv:
    env = ascore.make(name, seed=4, **params)
    env.reset()
    return env


def at_random(env: ascore.VecEnv) -> Act:
    uniform = np.empty((env.num_envs, env.spec.num_agents), np.float32)

    def act(obs: NDArray[Any]) -> NDArray[np.int32]:
        env.uniforms(uniform)
        return (uniform * env.spec.num_actions).astype(np.int32)

    return act


def played(name: str, steps: int, **params: Any) -> list[Moment]:
    env = ascore.make(name, seed=4, **params)
    return list(moments(env, at_random(env), steps=steps))


def drawn(now: Moment) -> NDArray[np.uint8]:
    """The scene without title, table and legend."""
    scene = scene_of(now.env, now.params, now.state)
    canvas = Canvas(scene.width, scene.height)
    acts = None if now.action is None else [now.action_names[a] for a in now.action]
    scene.draw(canvas, 0, 0, now.state, acts)
    return np.asarray(canvas.image())


def pixels(image: NDArray[np.uint8], colour: tuple[int, int, int]) -> int:
    return int((image == np.array(colour, np.uint8)).all(axis=-1).sum())


# ---- a grid without its environment ----------------------------------------------------------

MAP = """\
@@@@@@@@@@@@
@HR SS  BBB@
@HR      BB@
@RR P   BBB@
@HH  P  BBB@
@@@@@@@@@@@@"""


def grid(
    agents: list[tuple[int, int]], orientation: list[int], *, apples: tuple[Any, ...] = ()
) -> dict[str, NDArray[Any]]:
    cells = np.array([list(row) for row in MAP.splitlines()])
    flags = {
        name: np.isin(cells, list(letters)).astype(np.uint8)
        for name, letters in (
            ("walls", "@"), ("orchard", "B"), ("waste", "H"), ("river", "HR"), ("stream", "S"),
        )
    }  # fmt: skip
    ripe = np.zeros(cells.shape, np.uint8)
    for cell in apples:
        ripe[cell] = 1
    return {
        "agents": np.array(agents, np.int32),
        "orientation": np.array(orientation, np.int32),
        "apples": ripe,
        **flags,
    }


CLEANUP_ACTIONS = (
    "left", "right", "up", "down", "stay", "turn_clockwise", "turn_counterclockwise", "clean",
)  # fmt: skip


def cleanup(
    state: dict[str, NDArray[Any]], action: list[int] | None = None, profile: str = "ssd"
) -> Moment:
    return Moment(
        env="cleanup-v1",
        params={"beam_length": 3, "profile": profile, "move_frame": "profile"},
        state=state,
        time=5,
        horizon=100,
        episode=0,
        action_names=CLEANUP_ACTIONS,
        action=None if action is None else np.array(action, np.int32),
    )


# ---- every environment -----------------------------------------------------------------------


def test_every_environment_has_a_scene() -> None:
    for record in ascore.ENVIRONMENTS.values():
        assert callable(record.load_scene())
    with pytest.raises(ValueError, match=r"chess-v1 has no scene; the .* have one are cleanup-v1"):
        scene_of("chess-v1", {}, {})


@pytest.mark.parametrize("name", NAMES)
def test_a_frame_is_a_picture_of_the_state(name: str) -> None:
    env = ascore.make(name, num_envs=2, seed=4)
    with pytest.raises(ValueError, match=f"inspect before the first reset of {name}"):
        frame(env)
    env.reset()
    first, second = frame(env), frame(env, 1)
    for image in (first, second):
        assert image.dtype == np.uint8
        assert image.ndim == 3
        assert image.shape[2] == 3
    assert first.shape == second.shape
    assert np.array_equal(first, second) == case(name).starts_alike
    assert np.array_equal(first, frame(env))
    env.step(at_random(env)(env.obs))
    assert not np.array_equal(first, frame(env))
    assert not np.array_equal(frame(env), frame(env, 1))
    with pytest.raises(IndexError, match=r"index = 2 is outside 0\.\.1"):
        frame(env, 2)


@pytest.mark.parametrize("name", NAMES)
def test_the_scene_changes_with_the_state_and_with_nothing_else(name: str) -> None:
    through = played(name, 12)
    moved = 0
    for before, after in itertools.pairwise(through):
        same_state = all(np.array_equal(before.state[k], after.state[k]) for k in before.state)
        if not same_state:
            moved += 1
            assert not np.array_equal(drawn(before), drawn(after))
        still = replace(before, action=None)
        assert np.array_equal(drawn(still), drawn(replace(still, reward=None, returns=None)))
    assert moved > 0


@pytest.mark.parametrize("name", NAMES)
def test_all_pictures_of_an_episode_are_of_one_size(name: str) -> None:
    sizes = {picture(now).size for now in played(name, 12)}
    assert len(sizes) == 1


@pytest.mark.parametrize("name", NAMES)
def test_the_picture_says_when_who_and_how_much(name: str) -> None:
    last = played(name, 3)[-1]
    assert last.action is not None
    assert last.reward is not None
    assert last.returns is not None
    shown = np.asarray(picture(last))
    changes: list[dict[str, Any]] = [
        {"time": 4},
        {"episode": 8},
        {"horizon": last.horizon + 1},
        {"note": "someone else"},
        {"reward": last.reward + 1},
        {"returns": last.returns + 1},
        {"action": (last.action + 1) % len(last.action_names)},
    ]
    for change in changes:
        assert not np.array_equal(shown, np.asarray(picture(replace(last, **change)))), change


@pytest.mark.parametrize("agents", [1, 2, 13, 64])
@pytest.mark.parametrize("name", NAMES)
def test_any_number_of_agents(name: str, agents: int) -> None:
    agents = min(max(agents, case(name).fewest), case(name).most)
    for now in played(name, 2, num_agents=agents, **case(name).roomy):
        image = drawn(now)
        for colour in {agent_colour(agent) for agent in range(agents)}:
            assert pixels(image, colour) > 0
        width, height = picture(now).size
        assert width <= 1600
        assert height <= 1400


# ---- legends ---------------------------------------------------------------------------------


def some_moments() -> list[Moment]:
    state = grid([(1, 4), (2, 5)], [0, 3])
    fruit = {k: v for k, v in state.items() if k not in ("waste", "river", "stream")}
    by_hand = [cleanup(state), replace(cleanup(fruit), env="harvest-v1")]
    return [moment(started(name)) for name in NAMES] + by_hand


@pytest.mark.parametrize("now", some_moments(), ids=lambda now: now.env)
def test_the_legend_names_every_kind_of_thing(now: Moment) -> None:
    words = legend_of(now)
    for meant in case(now.env).legend:
        assert any(word.startswith(meant) or meant in word for word in words), meant
    icons = []
    for entry in scene_of(now.env, now.params, now.state).legend():
        canvas = Canvas(30, 30)
        entry.icon(canvas, 1, 1, 28)
        icons.append(np.asarray(canvas.image()))
        assert (icons[-1] != np.array(PAPER)).any(), f"{entry.words} draws nothing"
    for one, other in itertools.combinations(icons, 2):
        assert not np.array_equal(one, other)


@pytest.mark.parametrize("now", some_moments(), ids=lambda now: now.env)
def test_the_legend_is_on_the_picture_and_nothing_is_cut(now: Moment) -> None:
    image = np.asarray(picture(now))
    ink = (image != np.array(PAPER)).any(axis=-1)
    assert ink[-40:].sum() > 200  # the last line of the legend
    for edge in (ink[0], ink[-1], ink[:, 0], ink[:, -1], ink[:, -10:].any(axis=1)):
        assert not edge.any()


def test_a_map_without_a_stream_does_not_explain_one() -> None:
    state = grid([(1, 4)], [0])
    assert "stream" in legend_of(cleanup(state))
    state["stream"][:] = 0
    assert "stream" not in legend_of(cleanup(state))


# ---- what is where ---------------------------------------------------------------------------


def test_agents_are_where_they_are_and_move() -> None:
    state = {
        "agents": np.array([[0, 0], [2, 3]], np.int32),
        "boxes": np.array([[4, 4], [3, 0]], np.int32),
        "food": np.zeros(2, np.int32),
    }
    env = started("exchange", num_agents=2)
    now = replace(moment(env), state=state)
    side = ExchangeScene(env.params, state).cells.side

    def cell(image: NDArray[np.uint8], row: int, column: int) -> NDArray[np.uint8]:
        return image[row * side : (row + 1) * side, column * side : (column + 1) * side]

    before = drawn(now)
    assert pixels(cell(before, 0, 0), agent_colour(0)) > 200
    assert pixels(cell(before, 2, 3), agent_colour(1)) > 200
    state["agents"][0] = (0, 1)
    after = drawn(now)
    assert pixels(cell(after, 0, 0), agent_colour(0)) == 0
    assert pixels(cell(after, 0, 1), agent_colour(0)) > 200
    assert np.array_equal(before[side:], after[side:])


def test_agents_on_one_cell_are_all_seen() -> None:
    crowd = np.zeros((7, 2), np.int32)
    env = started("navigation", num_agents=7)
    state = {"agents": crowd, "landmarks": env.inspect()["landmarks"]}
    state["landmarks"][:] = 4  # out of the way
    image = drawn(replace(moment(env), state=state))
    shown = [pixels(image[:100, :100], agent_colour(agent)) for agent in range(7)]
    assert min(shown) > 20
    assert by_cell(crowd) == {(0, 0): list(range(7))}


def test_boxes_differ_by_what_became_of_the_food_even_under_an_agent() -> None:
    env = started("exchange", num_agents=2)
    seen = []
    for food in (0, 1, 2):
        state = {
            "agents": np.array([[2, 2], [0, 0]], np.int32),
            "boxes": np.array([[4, 4], [2, 2]], np.int32),
            "food": np.array([0, food], np.int32),
        }
        seen.append(drawn(replace(moment(env), state=state)))
    assert pixels(seen[1], APPLE) > pixels(seen[0], APPLE) == pixels(seen[2], APPLE) == 0
    assert not np.array_equal(seen[0], seen[2])
    for image in seen:
        assert pixels(image, agent_colour(0)) > 200


def test_predators_and_prey_are_where_they_are() -> None:
    env = started("predation", num_agents=2)

    def centre(agents: list[float], colour: tuple[int, int, int]) -> float:
        state = {"agents": np.array(agents), "prey": np.array([15.0])}
        image = drawn(replace(moment(env), state=state))
        return float(np.argwhere((image == np.array(colour)).all(axis=-1))[:, 1].mean())

    left, middle, right = (centre([at, 2.0], agent_colour(0)) for at in (0.0, 15.0, 30.0))
    assert middle - left == pytest.approx(right - middle, abs=2)  # glyphs are not symmetric
    assert centre([0.0, 15.0], agent_colour(1)) == pytest.approx(middle, abs=2)


def test_orientation_shows() -> None:
    images = [drawn(cleanup(grid([(2, 5)], [facing]))) for facing in range(4)]
    for one, other in itertools.combinations(images, 2):
        assert not np.array_equal(one, other)
    # The nose is above the middle of the cell when it faces up, and below when it faces down.
    side = GridScene({}, grid([(2, 5)], [0])).cells.side
    ink = [
        np.argwhere(image[2 * side : 3 * side, 5 * side : 6 * side].sum(axis=-1) < 120)[:, 0]
        for image in images
    ]
    assert ink[0].mean() < side / 2 < ink[2].mean()


def test_waste_and_apples_show_even_under_agents() -> None:
    bare = grid([(3, 5)], [0])
    bare["waste"][:] = 0
    assert pixels(drawn(cleanup(bare)), WASTE) == pixels(drawn(cleanup(bare)), APPLE) == 0
    under = grid([(1, 1), (1, 8)], [0, 0], apples=((1, 8),))
    image = drawn(cleanup(under))
    side = GridScene({}, under).cells.side
    assert pixels(image[side : 2 * side, side : 2 * side], WASTE) > 20
    assert pixels(image[side : 2 * side, 8 * side : 9 * side], APPLE) > 20


@pytest.mark.parametrize(
    ("profile", "agents", "lit"),
    [
        # Faces left from (3, 4): three lanes of three cells, the middle one starting ahead.
        ("ssd", [(3, 4)], {(3, 3), (3, 2), (3, 1), (2, 4), (2, 3), (2, 2), (4, 4), (4, 3), (4, 2)}),
        # An agent ends a lane, and is on it.
        ("ssd", [(3, 4), (2, 3)], {(3, 3), (3, 2), (3, 1), (2, 4), (2, 3), (4, 4), (4, 3), (4, 2)}),
        # Here lanes start at the agent, are a cell longer and pass through others.
        (
            "features",
            [(3, 4), (2, 3)],
            {(row, column) for row in (2, 3, 4) for column in (1, 2, 3, 4)},
        ),
        # Walls end a lane at once.
        ("ssd", [(1, 2)], {(1, 1), (2, 2), (2, 1)}),
    ],
)
def test_clean_beams(profile: str, agents: list[tuple[int, int]], lit: set[Any]) -> None:
    state = grid(agents, [3] * len(agents))
    now = cleanup(state, [7, 4][: len(agents)], profile)
    scene = GridScene(now.params, state)
    acts = [CLEANUP_ACTIONS[a] for a in now.action] if now.action is not None else None
    assert scene._lit(state, acts, "clean") == lit
    assert scene._lit(state, acts, "fire") == set()
    shots = ["fire", "stay"][: len(agents)]
    assert scene._lit(state, shots, "fire") == lit
    assert not np.array_equal(drawn(now), drawn(replace(now, action=None)))


@pytest.mark.parametrize("name", ["cleanup", "harvest"])
def test_fire_shows_and_is_in_the_legend_where_there_is_any(name: str) -> None:
    env = ascore.make(name, fire=True, seed=2)
    env.reset()
    state = env.inspect(0)
    scene = scene_of(env.spec.name, env.params, state)
    assert "reach of fire" in [entry.words for entry in scene.legend()]
    plain = ascore.make(name)
    assert "reach of fire" not in [
        entry.words for entry in scene_of(env.spec.name, plain.params, state).legend()
    ]
    now = Moment(
        env=env.spec.name,
        params=env.params,
        state=state,
        time=0,
        horizon=100,
        episode=0,
        action_names=env.spec.action_names,
        action=np.array([env.spec.num_actions - 1, 4], np.int32),
    )
    still = replace(now, action=np.array([4, 4], np.int32))
    assert not np.array_equal(drawn(now), drawn(still))


# ---- episodes --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_the_moments_of_an_episode(name: str) -> None:
    env = ascore.make(name, seed=5, horizon=5)
    longer = ascore.make(name, seed=5, horizon=9)
    episode = list(moments(env, at_random(env)))
    longer.reset()
    total = np.zeros(env.spec.num_agents)
    for now in episode:
        assert (now.episode, now.horizon) == (0, 5)
        assert now.time == longer.time[0]
        for key, value in longer.inspect().items():
            assert np.array_equal(now.state[key], value)
        if now.time > 0:
            assert now.reward is not None
            assert np.array_equal(now.reward, longer.reward[0])
            total = total + longer.reward[0]
        else:
            assert now.reward is None
        assert now.returns is not None
        assert np.array_equal(now.returns, total)
        longer.step(at_random(longer)(longer.obs))
    assert [now.time for now in episode] == [0, 1, 2, 3, 4, 5]
    assert next(moments(env, at_random(env))).episode == 2  # the last step started number 1


def test_an_episode_that_ends_by_its_rules() -> None:
    env = ascore.make("exchange", num_agents=2, size=2, early_end=True, seed=1)
    last = list(moments(env, at_random(env)))[-1]
    assert last.time < env.spec.horizon
    assert last.state["food"].tolist() == [2, 2]


@pytest.mark.parametrize("name", NAMES)
def test_a_gif_has_every_step(name: str, tmp_path: Path) -> None:
    through = played(name, 6)
    steps = through[-1].time  # an episode may end earlier
    done: list[tuple[int, int]] = []
    result = save(
        iter(through), tmp_path / "x.gif", fps=8, total=7, report=lambda *at: done.append(at)
    )
    assert done == [(k, 7) for k in range(1, steps + 2)]
    assert (result.frames, result.steps) == (steps + 1, steps)
    assert 1 < steps <= 6
    assert through[-1].returns is not None
    assert result.team_return == through[-1].returns.sum()
    with Image.open(tmp_path / "x.gif") as gif:
        assert gif.n_frames == steps + 1
        assert gif.info["loop"] == 0
        for k, now in enumerate(through):
            gif.seek(k)
            assert gif.info["duration"] == (120 if k < steps else 2000)  # hundredths: 12.5 -> 12
            wanted = np.asarray(to_palette(picture(now)).convert("RGB"))
            assert np.array_equal(np.asarray(gif.convert("RGB")), wanted)
    assert os.listdir(tmp_path) == ["x.gif"]


@pytest.mark.parametrize("name", NAMES)
def test_a_gif_of_an_episode_is_small(name: str, tmp_path: Path) -> None:
    result = replay(name, tmp_path / "x.gif", steps=25)
    assert (tmp_path / "x.gif").stat().st_size < 10_000 * result.frames


def test_colours_of_a_gif_are_those_of_the_picture() -> None:
    """Shapes keep their colours; only mixtures at their edges may differ slightly."""
    image = picture(cleanup(grid([(1, 4), (2, 5)], [0, 3], apples=((1, 8),)), [7, 4]))
    exact, nearest = np.asarray(image).astype(int), np.asarray(to_palette(image).convert("RGB"))
    error = np.abs(exact - nearest).max(axis=-1)
    assert error.max() < 60
    assert (error > 8).mean() < 0.05
    table = palette()
    assert len(np.unique(table, axis=0)) == len(table) < 255
    for colour in table:
        flat = Image.new("RGB", (2, 2), tuple(colour.tolist()))
        assert np.array_equal(np.asarray(to_palette(flat).convert("RGB")), np.asarray(flat))


def test_png_and_folder(tmp_path: Path) -> None:
    through = played("predation", 3)
    result = save(iter(through), tmp_path / "x.PNG")
    assert (result.frames, result.steps) == (1, 3)
    with Image.open(tmp_path / "x.PNG") as image:
        assert np.array_equal(np.asarray(image), np.asarray(picture(through[-1])))
    (tmp_path / "steps").mkdir()  # an empty folder is as good as none
    result = save(iter(through), tmp_path / "steps")
    assert (result.frames, result.steps) == (4, 3)
    assert sorted(os.listdir(tmp_path / "steps")) == [f"{k:05d}.png" for k in range(4)]
    assert sorted(os.listdir(tmp_path)) == ["steps", "x.PNG"]


# ---- what goes wrong -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "options", "message"),
    [
        ("exchange", {"out": "x.mp4"}, r"out = .*x\.mp4 ends in \.mp4; use \.gif.*\.png"),
        ("exchange", {"out": "there/x.gif"}, r"cannot write .*there is no folder .*there; create"),
        ("exchange", {"out": "/proc/x.gif", "fps": 0}, r"cannot write /proc/x\.gif: No such"),
        ("exchange", {"out": "/proc/steps", "fps": 0}, r"cannot write /proc/steps: No such file"),
        ("exchange", {"out": "full"}, r"full: it exists and is not an empty folder"),
        ("exchange", {"fps": 0}, r"fps = 0 is outside 0\.1\.\.50"),
        ("exchange", {"fps": 99}, r"fps = 99 is outside 0\.1\.\.50"),
        ("exchange", {"fps": float("nan")}, r"fps = nan is outside"),
        ("exchange", {"episode": -1}, r"episode = -1 is not allowed"),
        ("exchange", {"steps": 0}, r"steps = 0 is not allowed"),
        ("exchange", {"env_params": {"horizon": 2000}}, r"2000 steps is too long.*--steps"),
        ("exchange", {"env_params": {"speed": 1}}, r"no parameter \"speed\""),
        (
            "exchange",
            {"policy": "kind"},
            r"no policy 'kind' for exchange-v1; choose from: rand",
        ),
        ("exchange", {"policy": "trained"}, r"exchange is an environment and has no trained"),
        ("exchange", {"greedy": True}, r"exchange is an environment and has no trained"),
        ("chess", {}, r"chess is neither a folder written by `ascore train` nor an environment"),
    ],
)
def test_bad_input_is_refused_and_nothing_is_written(
    tmp_path: Path, target: str, options: dict[str, Any], message: str
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "precious").write_text("kept")
    out = tmp_path / options.pop("out", "x.gif")
    with pytest.raises((ValueError, RunError), match=message):
        replay(target, out, **options)
    assert os.listdir(tmp_path) == ["full"]
    assert os.listdir(tmp_path / "full") == ["precious"]


@pytest.mark.parametrize("name", ["x.gif", "x.png", "steps"])
def test_a_write_that_fails_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(RunError, match=rf"cannot write .*{name}: No space left.*another place"):
        save(iter(played("predation", 2)), tmp_path / name)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["x.gif", "x.png", "steps"])
def test_play_that_fails_leaves_nothing_behind(tmp_path: Path, name: str) -> None:
    def failing() -> Iterator[Moment]:
        yield from played("predation", 2)
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        save(failing(), tmp_path / name)
    assert os.listdir(tmp_path) == []


def test_without_pillow_the_remedy_is_printed() -> None:
    program = (
        "import sys; sys.modules['PIL'] = None\n"
        "from ascore.cli import main\n"
        "sys.exit(main(['render', 'exchange', '--out', 'x.gif']))"
    )
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert process.returncode == 1
    assert process.stderr == "ascore: pillow is not installed; pip install 'ascore[render]'\n"


@pytest.mark.parametrize("name", sorted(ascore.ENVIRONMENTS))
def test_scripted_policies_can_be_watched(name: str, tmp_path: Path) -> None:
    returns = {}
    for label in scripts(name):
        shown = replay(name, tmp_path / "end.png", policy=label, steps=3)
        assert shown.steps == 3 or label == "cooperative"  # which may end an episode
        assert 1 <= shown.steps <= 3
        returns[label] = shown.team_return
    assert len(returns) >= 3


def test_the_page_of_replays_shows_environments() -> None:
    folder = Path(__file__).parents[2] / "docs" / "replays"
    pictures = re.findall(r"\]\((\w+)\.gif\)", (folder / "README.md").read_text())
    assert len(pictures) > 5
    assert {path.stem for path in folder.glob("*.gif")} == set(pictures)
    assert set(pictures) <= {name.partition("-")[0] for name in NAMES}
    for name in pictures:
        with Image.open(folder / f"{name}.gif") as replay:
            assert replay.n_frames > 1
