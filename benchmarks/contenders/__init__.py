"""Each way of talking that is measured: a module with ``Sender`` and ``Receiver``, each run in a process of its own."""
