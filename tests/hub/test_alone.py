"""The hub imports neither torch nor muybridge, and checks the version of its database."""

import subprocess
import sys

import pytest
from sqlalchemy import update

from muybridge_hub.database import Database, DatabaseError, properties

EVERY_MODULE = """
import importlib, pkgutil, sys, muybridge_hub
for module in pkgutil.walk_packages(muybridge_hub.__path__, "muybridge_hub."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
print(*sorted({"torch", "transformers", "muybridge", "av", "numpy"} & set(sys.modules)))
"""


def test_the_hub_imports_neither_torch_nor_muybridge():
    done = subprocess.run([sys.executable, "-c", EVERY_MODULE], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_a_database_of_another_version_is_refused(tmp_path):
    url = f"sqlite:///{tmp_path}/hub.sqlite"
    database = Database(url)
    with database.write() as connection:
        connection.execute(update(properties).where(properties.c.name == "version").values(value="7"))
    database.close()
    with pytest.raises(DatabaseError, match="version 7; this server knows version 1"):
        Database(url)
