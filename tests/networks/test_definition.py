import pytest

from pipeline.errors import ParamsError
from pipeline.networks.definition import check_network
from pipeline.params import Network


@pytest.mark.parametrize(
    ("network", "problem"),
    [
        (Network(architecture="wide_view", preprocessing=[[]]), "unknown architecture 'wide_view'"),
        (
            Network(architecture="pooled_cnn", preprocessing=[[], ["thicken"]]),
            "unknown transform 'thicken'",
        ),
    ],
)
def test_file_that_a_copy_lacks_is_named_with_the_cure(network: Network, problem: str) -> None:
    with pytest.raises(ParamsError) as refusal:
        check_network("wide", network)
    assert f"networks.wide: {problem}" in str(refusal.value)
    assert "a new file must be known to Git: git add" in str(refusal.value)
