from pipeline.architectures import build
from pipeline.networks.summary import describe_layers, tabulate_layers


def test_table_accounts_for_every_parameter_and_what_lies_between_layers() -> None:
    model = build("conv4_normalized")
    table = tabulate_layers(model)
    assert table["parameters"].sum() == model.count_params()
    assert list(table["type"])[-5:] == ["Dense", "Max", "Maximum", "TrueDivide", "Dense"]
    rows = {row["layer"]: row for row in describe_layers(table)}
    assert rows["block1_conv"] == {
        "layer": "block1_conv",
        "type": "Conv2D",
        "window": "4×4",
        "output": "29×29×32",
        "parameters": "544",
        "multiply-adds": "430,592",
    }
    assert rows["block4_pool"]["window"] == "2×2"
    assert rows["dense1"]["window"] == ""
