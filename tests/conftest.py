"""Picks the backend, and gives TensorFlow four virtual CPU devices before it starts."""

import gc
import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import pytest
from browser import chromium as chromium
from browser import open_page as open_page

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

    device = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(device, [tf.config.LogicalDeviceConfiguration()] * 4)


# Collections take a tenth of the time without what the imports made.
gc.collect()
gc.freeze()


def pytest_collection_modifyitems(items):
    if keras.backend.backend() == "tensorflow":
        return
    for item in items:
        if item.get_closest_marker("tensorflow"):
            item.add_marker(pytest.mark.skip(reason="TensorFlow is the subject"))


@pytest.fixture(autouse=True)
def _clean_keras():
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy("float32")
    keras.utils.clear_session(free_memory=False)


@pytest.fixture(autouse=True, scope="module")
def _free_memory():
    """A collection after each test would take half of the time of all tests."""
    yield
    gc.collect()
