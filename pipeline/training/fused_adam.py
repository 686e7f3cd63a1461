"""Adam for GPUs, where a step of a small network is as long as the kernels are many."""

from collections.abc import Sequence

from pipeline.networks.backend import keras, tf


class FusedAdam(keras.optimizers.Adam):  # type: ignore[misc]
    """Keras's optimizer, with TensorFlow's kernel for all that a variable needs.

    The variables are those of the stock optimizer, and so is the update, but for its rounding.
    Options other than the learning rate and the betas are not for this one.
    """

    def apply(
        self, grads: Sequence[tf.Tensor], trainable_variables: Sequence[keras.Variable]
    ) -> None:
        """Take one step along ``grads``, one for each variable."""
        step = tf.cast(self.iterations + 1, tf.float32)
        self._powers = tf.pow(self.beta_1, step), tf.pow(self.beta_2, step)
        super().apply(grads, trainable_variables)

    def update_step(
        self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: tf.Tensor
    ) -> None:
        """Update a variable of float32 and what is known of its gradients."""
        index = self._get_variable_index(variable)
        beta_1_power, beta_2_power = self._powers
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=beta_1_power,
            beta2_power=beta_2_power,
            lr=learning_rate,
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )
