"""keras.src.testing: the checks of Keras' TestCase, written anew for layers that are torch modules."""

import json

import numpy as np
import torch
from absl.testing import parameterized

from nabi import layers


def tensorflow_uses_gpu():
    return False


def _array(x):
    return x.detach().cpu().numpy() if isinstance(x, torch.Tensor) else np.asarray(x)


def _seed_generators(layer):
    found = {}
    for module in layer.modules():
        for value in vars(module).values():
            if isinstance(value, layers.SeedGenerator):
                found[id(value)] = value
    return list(found.values())


class TestCase(parameterized.TestCase):
    def setUp(self):
        layers.reset_names()

    def assertAllClose(self, actual, desired, atol=1e-6, rtol=1e-6, tpu_atol=None, tpu_rtol=None, msg=""):
        np.testing.assert_allclose(_array(actual), _array(desired), atol=atol, rtol=rtol, err_msg=msg or "")

    def assertLen(self, container, expected_len, msg=None):
        assert len(container) == expected_len, msg

    def run_class_serialization_test(self, instance, custom_objects=None):
        """A layer comes back the same from its config and, through JSON, from its serialized form."""
        config = json.dumps(instance.get_config(), sort_keys=True)
        attributes = set(dir(instance))
        revived = type(instance).from_config(instance.get_config())
        assert json.dumps(revived.get_config(), sort_keys=True) == config
        assert set(dir(revived)) == attributes
        revived = layers.deserialize(json.loads(json.dumps(layers.serialize(instance))), custom_objects)
        assert type(revived) is type(instance)
        assert json.dumps(revived.get_config(), sort_keys=True) == config
        assert set(dir(revived)) == attributes
        return revived

    def run_layer_test(
        self,
        layer_cls,
        init_kwargs,
        input_shape,
        call_kwargs=None,
        expected_output_shape=None,
        expected_num_trainable_weights=None,
        expected_num_non_trainable_weights=None,
        expected_num_non_trainable_variables=None,
        expected_num_seed_generators=None,
        expected_num_losses=None,
        supports_masking=None,
        custom_objects=None,
        run_mixed_precision_check=True,  # Keras' own does not run it on torch's CPU either
    ):
        """Serialization, building, shapes, counts, losses, masking, and one step of training."""
        call_kwargs = call_kwargs or {}

        def check_built(layer):
            assert layer.built
            for expected, found in (
                (expected_num_trainable_weights, layer.trainable_weights),
                (expected_num_non_trainable_weights, layer.non_trainable_weights),
                # Keras counts the state of every seed generator; nabi that of those with a seed.
                (expected_num_non_trainable_variables, layer.non_trainable_weights + _seed_generators(layer)),
                (expected_num_seed_generators, _seed_generators(layer)),
            ):
                if expected is not None:
                    self.assertLen(found, expected)
            assert layer.count_params() == sum(array.size for array in layer.get_weights())

        layer = layer_cls(**init_kwargs)
        self.run_class_serialization_test(layer, custom_objects)
        if supports_masking is not None:
            assert layer.supports_masking == supports_masking

        layer = layer_cls(**init_kwargs)
        assert layer.compute_output_shape(input_shape) == expected_output_shape
        layer.build(input_shape)
        check_built(layer)

        layer = layer_cls(**init_kwargs)
        inputs = torch.rand(input_shape) * 3
        output = layer(inputs, **call_kwargs)
        check_built(layer)
        assert tuple(output.shape) == expected_output_shape
        assert torch.isfinite(output).all()
        if expected_num_losses is not None:
            self.assertLen(layer.losses, expected_num_losses)

        # The tests' own cells have constant weights, so that only a step tells that they are trained.
        before = layer.get_weights()
        optimizer = torch.optim.SGD(layer.parameters(), lr=0.01)
        loss = layer(inputs, **call_kwargs).sum()
        penalty = layer.regularization_loss()
        (loss if penalty is None else loss + penalty).backward()
        optimizer.step()
        changed = [bool((a != b).any()) for a, b in zip(before, layer.get_weights(), strict=True)]
        assert any(changed), "one training step changed no weight"
        for weight in layer.trainable_weights:
            assert weight.grad is not None
