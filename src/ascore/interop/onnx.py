"""Writes policies as ONNX graphs, for runtimes and languages that read those.

B states, V views, N agents, O observation entries, A actions, J joint actions.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, checker, helper, numpy_helper

from ascore._core import __version__
from ascore.envs.legal import ILLEGAL
from ascore.runs.files import write_out
from ascore.runs.policy import Policy, load_policy

IR_VERSION, OPSET = 8, 17
"""Of the format and its operators: what every runtime since 2022 reads."""


def export_onnx(
    policy: Policy | str | Path, out: str | Path, agent: int | None = None, masks: bool = False
) -> Path:
    """Writes a policy as one ONNX graph.

    The input is `obs` f32 [B, V, O], as the environment gives it, not scaled; the output is
    `log_probs` f32 [B, N, A], computed in single precision. The graph of one agent has V = N = 1; a
    central policy gives [B, 1, J].

    Args:
        policy: a policy, or a run folder, of which the newest checkpoint is exported.
        out: path of the file; its folder is created.
        agent: only this agent's policy, 0..N-1; None = those of all agents.
        masks: a second input `legal`, bool like the output: True where an action is legal.

    Raises:
        CheckpointError: as `load_policy`.
        ValueError: there is no such agent.
        RunError: the file cannot be written.
    """
    if not isinstance(policy, Policy):
        policy = load_policy(policy)
    return write_out(out, onnx_model(policy, agent, masks).SerializeToString())


def onnx_model(policy: Policy, agent: int | None = None, masks: bool = False) -> ModelProto:
    """The graph that `export_onnx` writes.

    Raises:
        ValueError: there is no such agent.
    """
    layers = policy.layers
    if agent is not None:
        if policy.centralised or not 0 <= agent < policy.num_agents:
            message = f"agent = {agent} is none of the policy's: it has "
            message += "one for all agents" if policy.centralised else f"0..{policy.num_agents - 1}"
            raise ValueError(message)
        layers = [(weight[agent : agent + 1], bias[agent : agent + 1]) for weight, bias in layers]
    networks, width = layers[-1][1].shape
    size = layers[0][0].shape[1]
    constants: dict[str, Any] = {
        "scale": np.float32(policy.obs_scale),
    }
    nodes: list[Any] = []
    hidden = "obs"
    if policy.centralised:  # the network sees all views, one after the other
        constants["joined"] = np.array([0, 1, -1], dtype=np.int64)
        nodes.append(helper.make_node("Reshape", [hidden, "joined"], ["whole"]))
        hidden = "whole"
    nodes.append(helper.make_node("Mul", [hidden, "scale"], ["scaled"]))
    nodes.append(helper.make_node("Transpose", ["scaled"], ["x0"], perm=[1, 0, 2]))
    hidden = "x0"
    for index, (weight, bias) in enumerate(layers):
        constants[f"weight{index}"] = np.ascontiguousarray(weight)
        constants[f"bias{index}"] = np.ascontiguousarray(bias[:, None, :])
        product, summed = f"product{index}", f"sum{index}"
        nodes.append(helper.make_node("MatMul", [hidden, f"weight{index}"], [product]))
        nodes.append(helper.make_node("Add", [product, f"bias{index}"], [summed]))
        hidden = summed
        if index + 1 < len(layers):
            hidden = f"x{index + 1}"
            nodes.append(helper.make_node("Relu", [summed], [hidden]))
    nodes.append(helper.make_node("Transpose", [hidden], ["logits"], perm=[1, 0, 2]))
    entries = "entries" if policy.centralised else size
    shape = ["batch", networks, width]
    inputs = [
        helper.make_tensor_value_info("obs", TensorProto.FLOAT, ["batch", "views", entries]),
    ]
    hidden = "logits"
    if masks:
        constants["illegal"] = np.float32(ILLEGAL)
        inputs.append(helper.make_tensor_value_info("legal", TensorProto.BOOL, shape))
        nodes.append(helper.make_node("Where", ["legal", "logits", "illegal"], ["masked"]))
        hidden = "masked"
    nodes.append(helper.make_node("LogSoftmax", [hidden], ["log_probs"], axis=-1))
    graph = helper.make_graph(
        nodes,
        "policy",
        inputs,
        [helper.make_tensor_value_info("log_probs", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(
        graph,
        producer_name="ascore",
        producer_version=__version__,
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
    )
    about = {"env": policy.env, "num_agents": policy.num_agents, "num_actions": policy.num_actions}
    if agent is not None:
        about["agent"] = agent
    helper.set_model_props(model, {key: str(value) for key, value in about.items()})
    checker.check_model(model)
    return model
