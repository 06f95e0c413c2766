"""What all tests share: servers, and where the machines of a test have their datastore."""

from __future__ import annotations

import os

pytest_plugins = ["tests.places.fixtures", "tests.servers.fixtures"]

# Nobody's credentials, and no machine asked for some.
for name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[name]
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
