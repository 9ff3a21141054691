"""Every scenario, in the order of the report."""

from scenarios.drain import Drain
from scenarios.latency import Latency
from scenarios.memory import Memory
from scenarios.scaling import Scaling
from scenarios.stall import Stall
from scenarios.start_up import StartUp

SCENARIOS = [Drain(), Latency(), Stall(), Memory(), Scaling(), StartUp()]
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
