"""GPUs that are not there, and devices to try the path of a GPU on."""

from pipeline.networks.devices import Device, Gpu

A100 = Gpu("NVIDIA A100-SXM4-40GB", (8, 0))
P100 = Gpu("Tesla P100-PCIE-16GB", (6, 0))
T4 = Gpu("Tesla T4", (7, 5))
V100 = Gpu("Tesla V100-SXM2-16GB", (7, 0))

LIKE_GPU = Device("/CPU:0", A100)
"""The CPU, treated as a GPU."""

VIRTUAL_GPU = Device("/CPU:1", A100)
"""The second of two logical devices that the CPU is divided into, treated as a GPU."""
