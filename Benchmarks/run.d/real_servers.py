"""What the harness' tests on real servers begin with."""

import os
import tempfile
import unittest
from pathlib import Path

from contenders.contender import Place
from servers import Servers


class RealServers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.servers = Servers()
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.place = Place(cls.servers, os.environ["BENCHMARK_CDCD"], Path(cls.folder.name))
