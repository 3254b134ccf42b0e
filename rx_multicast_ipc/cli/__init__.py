"""The command line: ``rx-multicast-ipc …`` and ``python -m rx_multicast_ipc …``.

Each command is a module of its own here, imported when it is asked for: ``configure(parser)`` says what it takes, and
``run(options, output)`` does it and returns an exit code. :mod:`.main` finds the module and turns what it raises into
one line; :mod:`.shared_arguments` has the arguments that commands share, :mod:`.output` prints.
"""

from typing import Final

PROGRAM: Final = "rx-multicast-ipc"
