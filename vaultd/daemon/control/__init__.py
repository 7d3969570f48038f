"""Commands beside a running daemon: they ask it for a turn on the state, and it waits for them.

Nothing but the turn goes over the socket: a command does its own work with its own rights, and
the daemon holds the state lock again as soon as the command has hung up, however it ended.
"""

from vaultd.daemon.control.client import turn
from vaultd.daemon.control.server import ControlServer
from vaultd.daemon.control.turns import Turns

__all__ = ["ControlServer", "Turns", "turn"]
