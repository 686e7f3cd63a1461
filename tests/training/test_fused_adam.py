import numpy as np

from pipeline.networks.backend import keras, make_repeatable, tf
from pipeline.training.fused_adam import FusedAdam


def test_takes_the_steps_of_the_stock_optimizer() -> None:
    """Variables agree to a ten-thousandth of a step, whatever the learning rate does."""
    make_repeatable(7)
    shapes = ((3, 4), (4,))
    found = []
    for kind in (keras.optimizers.Adam, FusedAdam):
        variables = [keras.Variable(tf.ones(shape)) for shape in shapes]
        optimizer = kind(0.1)
        optimizer.build(variables)
        for number, rate in enumerate((0.1, 0.2, 0.05, 0.0)):
            optimizer.learning_rate = rate
            gradients = [tf.random.stateless_normal(shape, (number, 1)) for shape in shapes]
            optimizer.apply(gradients, variables)
        found.append([each.numpy() for each in (*variables, *optimizer.variables)])
    for stock, fused in zip(*found, strict=True):
        np.testing.assert_allclose(fused, stock, rtol=1e-5, atol=1e-5)
    assert np.abs(found[0][0] - 1).min() > 0.01
