"""Which operations of a TensorFlow function a GPU could not run, as the installed build has it."""

from typing import Any

from tensorflow.core.framework import types_pb2
from tensorflow.python.framework import kernels

_HAVE_NONE = {"Const", "NoOp", "PartitionedCall", "Placeholder", "StatefulPartitionedCall"}
"""What stands in a graph without being run by a kernel of a type."""


def without_gpu_kernel(function: Any) -> set[str]:
    """The operations of a concrete function, with their types, that have no kernel on GPUs."""
    graph = function.graph.as_graph_def()
    nodes = [*graph.node, *(node for each in graph.library.function for node in each.node_def)]
    return {
        f"{node.op} of {_types(node)}"
        for node in nodes
        if node.op not in _HAVE_NONE and not _has_gpu_kernel(node)
    }


def _has_gpu_kernel(node: Any) -> bool:
    return any(
        all(
            node.attr[limit.name].type in limit.allowed_values.list.type
            for limit in kernel.constraint
            if limit.allowed_values.list.type
        )
        for kernel in kernels.get_registered_kernels_for_op(node.op).kernel
        if kernel.device_type in ("GPU", "DEFAULT")
    )


def _types(node: Any) -> str:
    return ", ".join(
        f"{name} {types_pb2.DataType.Name(value.type)}"
        for name, value in sorted(node.attr.items())
        if value.type
    )
