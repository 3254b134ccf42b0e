"""Node's dgram: a send loop, and a socket that counts."""

from . import _node


class Sender(_node.Sender):
    script = _node.SEND_DGRAM


class Receiver(_node.Receiver):
    script = _node.RECEIVE_DGRAM
