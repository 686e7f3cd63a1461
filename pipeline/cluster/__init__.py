"""Members that the machines of a Ray cluster train: ``RAY_ADDRESS=… dvc repro`` (docs/cluster.md).

The train stage becomes ``python -m pipeline.cluster`` where that variable is set
(`pipeline.stages`). Like the helper processes of one machine, a cluster trains members ahead and
leaves finished states, which the members' own stages take over.
"""
