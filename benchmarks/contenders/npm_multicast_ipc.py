"""The npm package multicast-ipc 1.0.5: waits one after the other, fed by Node's dgram, for its own send is slower."""

from . import _node


class Sender(_node.Sender):
    script = _node.SEND_DGRAM


class Receiver(_node.Receiver):
    script = _node.RECEIVE_MULTICAST_IPC
