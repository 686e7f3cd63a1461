"""The train stage of one member, where ``RAY_ADDRESS`` names a cluster.

The first stage has the nodes train every member that is not current, and waits for all of them.
The other stages find their states there.
"""

from functools import partial

from pipeline.errors import end_when_interrupted

end_when_interrupted(
    partial(
        str,
        "members that came back are kept; the next run hands the others to the cluster again.",
    )
)

from pipeline import stages  # noqa: E402
from pipeline.cluster.members import main  # noqa: E402

stages.run(main)
