"""TensorFlow: a function compiled by XLA, with variables that it updates."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from contenders import Step
from workloads import Words, Workload


def _dense(x: Any, weight: Any, bias: Any) -> Any:
    return x @ weight if bias is None else x @ weight + bias


def _cross_entropy(logits: Any, labels: Any) -> Any:
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits))


def _mse(prediction: Any, target: Any) -> Any:
    return tf.reduce_mean(tf.square(prediction - target))


WORDS = Words(_dense, tf.nn.relu, tf.tanh, tf.sigmoid, _cross_entropy, _mse)


def call(workload: Workload, threads: int = 0) -> Step:
    """threads: 0 for TensorFlow's own default."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    arrays, values = workload.inputs(), workload.params()
    inputs = [tf.constant(array) for array in arrays.values()]
    params = [tf.Variable(array) for array in values.values()]

    def train(*inputs: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = workload.loss(WORDS, dict(zip(arrays, inputs)), dict(zip(values, params)))
        for param, gradient in zip(params, tape.gradient(loss, params)):
            param.assign_sub(workload.lr * gradient)
        return loss

    fast = tf.function(train, jit_compile=True)

    def step() -> float:
        return float(fast(*inputs))

    return step
