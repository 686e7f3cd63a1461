"""What makes training fast here: layers that compute as the stock ones do, but with less work.

Their variables are those of the stock layers, float32 ones, so that what is saved is a stock
model with the trained weights, whatever they were trained by. Options of a stock layer that no
faster way is known for are left to it.
"""

import math
from collections.abc import Callable
from itertools import pairwise

from pipeline.networks.backend import ComputeDtype, keras, tf
from pipeline.networks.devices import Device

Gradients = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]

_SMALL_MAP_PIXELS = 36
"""Up to here the gradient of the filters is faster as a convolution
(docs/experiments/training-speed.md)."""


def with_fast_layers(
    model: keras.Model, compute_dtype: ComputeDtype, device: Device, *, batch_parts: int = 1
) -> keras.Model:
    """A model that trains like ``model`` but faster, with the same weights in the same order.

    With bfloat16 the variables, the statistics of batch normalisation and the logits remain
    float32; losses need no scaling (Kalamkar et al. 2019, arXiv:1905.12322).

    Args:
        model: without models inside it, its last layer giving the logits.
        compute_dtype: of all layers but the last.
        device: where it trains.
        batch_parts: of each batch that it is given while it trains, normalised each by itself.
    """
    fast_layers = _FAST if device.gpu else _FAST | _FAST_ON_CPU

    def clone(layer: keras.Layer) -> keras.Layer:
        config = layer.get_config()
        is_inner = isinstance(layer, keras.Layer) and layer is not model.layers[-1]
        if compute_dtype == "bfloat16" and is_inner:  # bare operations take their inputs' type
            config["dtype"] = "mixed_bfloat16"
        kind: type[keras.layers.Layer] = fast_layers.get(type(layer), type(layer))
        cloned = kind.from_config(config)
        if isinstance(cloned, FusedBatchNormalization):
            cloned.batch_parts = batch_parts
        return cloned

    fast = keras.models.clone_model(model, clone_function=clone)
    fast.set_weights(model.get_weights())
    return fast


def divide_batch(values: tf.Tensor, parts: int) -> list[tf.Tensor]:
    """``values`` ``(n, …)`` in so many parts of all but equal size."""
    bounds = [tf.shape(values)[0] * part // parts for part in range(parts + 1)]
    return [values[start:end] for start, end in pairwise(bounds)]


class FusedBatchNormalization(keras.layers.BatchNormalization):  # type: ignore[misc]
    """Keras's layer, with TensorFlow's fused kernel while training on feature maps.

    Attributes:
        batch_parts: of the batch, each normalised by its own statistics while training.
    """

    batch_parts = 1

    def call(
        self, inputs: tf.Tensor, training: bool | None = None, mask: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Normalise ``(n, …)`` by each part of the batch, or as the stock layer does."""
        if not training or self.batch_parts == 1 or mask is not None:
            return self._normalise(inputs, training, mask)
        parts = divide_batch(inputs, self.batch_parts)
        return tf.concat([self._normalise(part, training, None) for part in parts], axis=0)

    def _normalise(
        self, inputs: tf.Tensor, training: bool | None, mask: tf.Tensor | None
    ) -> tf.Tensor:
        is_plain = self.scale and self.center and not (self.renorm or self.synchronized)
        of_maps = inputs.shape.rank == 4 and self.axis in (-1, 3) and mask is None
        if not (training and self.trainable and is_plain and of_maps):
            return super().call(inputs, training=training, mask=mask)
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs, self.gamma, self.beta, epsilon=self.epsilon, is_training=True
        )
        size = tf.cast(tf.reduce_prod(tf.shape(inputs)[:-1]), tf.float32)
        biased = variance * (size - 1) / size
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, biased)):
            moving.assign(moving * self.momentum + batch * (1 - self.momentum))
        return outputs


class ByteDropout(keras.layers.Dropout):  # type: ignore[misc]
    """Keras's layer, with a random byte per value where that draws a random float.

    The rate is therefore rounded to a multiple of 1/256. What is kept is scaled accordingly, by a
    factor that is rounded to the type of the inputs, as the stock layer's is.
    """

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Drop values of ``(n, …)``, each by itself, or give the inputs as they are."""
        dropped = round(256 * self.rate)
        if not training or self.noise_shape is not None or not 0 < dropped < 256:
            return super().call(inputs, training=training)
        shape, size = tf.shape(inputs), math.prod(inputs.shape[1:])
        words = tf.random.stateless_uniform(
            (shape[0], -(-size // 4)), self.seed_generator.next(), None, None, tf.int32
        )
        draws = tf.reshape(tf.bitcast(words, tf.uint8), (shape[0], -1))[:, :size]
        kept = tf.cast(tf.reshape(draws >= dropped, shape), inputs.dtype)
        return inputs * (kept * (256 / (256 - dropped)))


class SmallMapConv2D(keras.layers.Conv2D):  # type: ignore[misc]
    """Keras's layer, with another way to the gradient of the filters in bfloat16 on small maps.

    That gradient is itself a convolution, of the maps with what comes back, images in the place of
    channels. oneDNN's own kernel for it takes 1.7 to 5 times as long on maps of up to 6×6.
    """

    def convolution_op(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """Convolve ``(n, height, width, channels)`` as the stock layer does."""
        is_plain = (
            (self.padding, self.strides, self.dilation_rate) == ("same", (1, 1), (1, 1))
            and self.groups == 1
            and self.data_format == "channels_last"
            and all(size % 2 for size in self.kernel_size)
        )
        is_small = math.prod(inputs.shape[1:3]) <= _SMALL_MAP_PIXELS
        if is_plain and is_small and inputs.dtype == tf.bfloat16:
            return _convolve_small_maps(inputs, keras.ops.cast(kernel, inputs.dtype))
        return super().convolution_op(inputs, kernel)


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _convolve_small_maps(maps: tf.Tensor, kernel: tf.Tensor) -> tuple[tf.Tensor, Gradients]:
    def gradients(outputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        of_maps = tf.nn.conv2d_transpose(outputs, kernel, tf.shape(maps), 1, "SAME")
        around = [[0, 0], *([size // 2, size // 2] for size in kernel.shape[:2]), [0, 0]]
        of_kernel = tf.nn.conv2d(
            tf.transpose(maps, (3, 1, 2, 0)), tf.transpose(outputs, (1, 2, 0, 3)), 1, around
        )
        return of_maps, tf.transpose(of_kernel, (1, 2, 0, 3))

    return tf.nn.conv2d(maps, kernel, 1, "SAME"), gradients


_Kinds = dict[type[keras.layers.Layer], type[keras.layers.Layer]]

_FAST: _Kinds = {
    keras.layers.BatchNormalization: FusedBatchNormalization,
    keras.layers.Dropout: ByteDropout,
}
_FAST_ON_CPU: _Kinds = {keras.layers.Conv2D: SmallMapConv2D}
