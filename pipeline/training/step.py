"""One training step: a batch is gathered, warped, and fitted by Adam, as one TensorFlow graph."""

import numpy as np
from numpy.typing import NDArray

from pipeline.data.dataset import IMAGE_SIZE, Images, Labels
from pipeline.networks.backend import ComputeDtype, keras, tf
from pipeline.networks.devices import Device
from pipeline.training.augmentation import apply_warps
from pipeline.training.epoch import Batch
from pipeline.training.fast_layers import divide_batch, with_fast_layers
from pipeline.training.fused_adam import FusedAdam

_VALIDATION_BATCH = 1_000


class TrainStep:
    """A model in training: compiled steps around layers that are fast rather than portable.

    The kernels of small networks divide badly among threads, images do not. So on a CPU each part
    of a batch gathers and warps its own images, on a thread of its own. A GPU waits for one kernel
    after another. So there a batch goes through the network as a whole, and only normalisation
    divides it.

    All images and labels lie on the device from the start. A step is handed the rows to show.
    XLA compiles nothing: it would do so again for each size of a batch, and sizes change with the
    epoch.

    Args:
        model: uncompiled, uint8 images ``(n, 28, 28)`` to logits ``(n, 10)``; it is not changed.
        images: uint8 ``(views, n, 28, 28)``, of which each step shows some.
        labels: uint8 ``(n,)``.
        learning_rate: of Adam.
        compute_dtype: of the layers between the images and the logits.
        batch_parts: into which a batch is divided.
        device: where all of this is done.
    """

    def __init__(
        self,
        model: keras.Model,
        images: Images,
        labels: Labels,
        learning_rate: float,
        compute_dtype: ComputeDtype,
        batch_parts: int,
        device: Device,
    ) -> None:
        self._device = device
        self._passes, normalised_parts = (1, batch_parts) if device.gpu else (batch_parts, 1)
        with tf.device(device.placement):
            self._images = tf.constant(_pack(images))
            self._labels = tf.constant(labels.astype(np.int64))
            self.model = with_fast_layers(
                model, compute_dtype, device, batch_parts=normalised_parts
            )
            adam = FusedAdam if device.gpu else keras.optimizers.Adam
            self.optimizer = adam(learning_rate)
            self.optimizer.build(self.model.trainable_variables)
        # One trace for all sizes of batches: another one could round differently after a resume.
        batch = [
            tf.TensorSpec([None, 2], tf.int64),
            tf.TensorSpec([None, 8], tf.float32),
            tf.TensorSpec([None], tf.float32),
        ]
        validation = [
            tf.TensorSpec([None, IMAGE_SIZE, IMAGE_SIZE], tf.uint8),
            tf.TensorSpec([None], tf.uint8),
        ]
        self._fit = tf.function(self._fit_batch, batch, jit_compile=False)
        self._evaluate = tf.function(self._evaluate_batch, validation, jit_compile=False)

    def reseed_dropout(self, generator: np.random.Generator) -> None:
        """Draw the dropout masks to come from ``generator``."""
        for variable in self.model.non_trainable_variables:
            if variable.path.endswith("seed_generator_state"):
                variable.assign(generator.integers(2**32, size=2, dtype=np.uint32))

    def fit(self, batch: Batch, learning_rate: float) -> tuple[tf.Tensor, tf.Tensor]:
        """Take one step; per image, the loss before it and whether the prediction was correct.

        Both stay on the device: who reads them waits for it.
        """
        with tf.device(self._device.placement):
            self.optimizer.learning_rate = learning_rate
            losses, correct = self._fit(*batch)
        return losses, correct

    def evaluate(self, images: Images, labels: Labels) -> tuple[float, float]:
        """Mean loss and accuracy, without training."""
        with tf.device(self._device.placement):
            parts = [
                self._evaluate(
                    images[start : start + _VALIDATION_BATCH], labels[start:][:_VALIDATION_BATCH]
                )
                for start in range(0, len(images), _VALIDATION_BATCH)
            ]
        losses, correct = (np.concatenate(part) for part in zip(*parts, strict=True))
        return float(losses.mean(dtype=np.float64)), float(correct.mean())

    def show(self, shown: tf.Tensor, warps: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The warped images ``(m, 28, 28)`` of a `Batch`, and their labels."""
        words = tf.gather_nd(self._images, shown)
        images = tf.reshape(tf.bitcast(words, tf.uint8), (-1, IMAGE_SIZE, IMAGE_SIZE))
        return apply_warps(images, warps), tf.gather(self._labels, shown[:, 1])

    def _fit_batch(
        self, shown: tf.Tensor, warps: tf.Tensor, weights: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            parts = []
            divided = (divide_batch(values, self._passes) for values in (shown, warps))
            for part in zip(*divided, strict=True):
                images, labels = self.show(*part)
                parts.append(self._measure(self.model(images, training=True), labels))
            losses, correct = (tf.concat(values, axis=0) for values in zip(*parts, strict=True))
            penalties = [tf.cast(penalty, tf.float32) for penalty in self.model.losses]
            loss = tf.add_n([tf.reduce_mean(losses * weights), *penalties])
        variables = self.model.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        return losses, correct

    def _evaluate_batch(self, images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return self._measure(self.model(images, training=False), labels)

    @staticmethod
    def _measure(logits: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        labels = tf.cast(labels, tf.int32)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        return losses, tf.equal(tf.argmax(logits, axis=1, output_type=tf.int32), labels)


def _pack(images: Images) -> NDArray[np.int64]:
    """Images ``(views, n, 28, 28)`` as words of eight pixels each, ``(views, n, 98)``.

    TensorFlow has no kernel that gathers bytes on a GPU.
    """
    words: NDArray[np.int64] = (
        np.ascontiguousarray(images).reshape(*images.shape[:2], -1).view(np.int64)
    )
    return words
