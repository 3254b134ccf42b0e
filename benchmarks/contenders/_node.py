"""Node processes behind the same face; NODE_PATH says where multicast-ipc is installed."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from typing import ClassVar

GROUP = "224.0.2.9"

SEND_DGRAM = """
const socket = require('dgram').createSocket({type: 'udp4', reuseAddr: true});
const [group, port] = [process.argv[1], +process.argv[2]];
socket.bind(0, '127.0.0.1', () => {
  socket.setMulticastInterface('127.0.0.1'); socket.setMulticastTTL(0);
  require('readline').createInterface({input: process.stdin}).on('line', line => {
    const {size, count, rate} = JSON.parse(line), payload = Buffer.alloc(size), started = process.hrtime.bigint();
    const elapsed = () => Number(process.hrtime.bigint() - started) / 1e9;
    let sent = 0, pending = 0;
    const turn = () => {
      const allowed = rate === null ? sent + 64 - pending : Math.floor(elapsed() * rate) + 1;
      const due = Math.min(count, allowed);
      for (; sent < due; sent++) { pending++; socket.send(payload, port, group, () => { pending--; }); }
      if (sent < count || pending) setImmediate(turn); else console.log(JSON.stringify({seconds: elapsed()}));
    };
    turn();
  }).on('close', () => process.exit());
  console.log('{"ready": true}');
});
"""

RECEIVE_DGRAM = """
const socket = require('dgram').createSocket({type: 'udp4', reuseAddr: true});
const [group, port] = [process.argv[1], +process.argv[2]];
let count = 0;
socket.on('message', () => { count++; });
socket.bind(port, () => {
  socket.addMembership(group, '127.0.0.1');
  try { socket.setRecvBufferSize(4 << 20); } catch (error) {}
  console.log('{"ready": true}');
  setInterval(() => console.log(JSON.stringify({count})), 2);
});
"""

RECEIVE_MULTICAST_IPC = """
const ipc = require('multicast-ipc');
let count = 0;
ipc.withSocket(+process.argv[2], process.argv[1], api => {
  console.log('{"ready": true}');
  setInterval(() => console.log(JSON.stringify({count})), 2);
  return api.repeatWhile(() => true, () => api.waitForMessage().then(() => { count++; }), 0);
});
"""


def start(script: str, port: int) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        ["node", "-e", script, GROUP, str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    if "ready" not in process.stdout.readline():
        raise RuntimeError("node, or its package, is missing")
    return process


class Sender:
    script: ClassVar[str]

    def __init__(self, port: int) -> None:
        self._process = start(self.script, port)

    def send(self, payload: bytes, count: int, rate: float | None) -> float:
        assert self._process.stdin is not None and self._process.stdout is not None  # noqa: PT018
        self._process.stdin.write(json.dumps({"size": len(payload), "count": count, "rate": rate}) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())["seconds"]

    def close(self) -> None:
        self._process.kill()


class Receiver:
    script: ClassVar[str]

    def __init__(self, port: int) -> None:
        self._process = start(self.script, port)
        self._base = self._seen = 0
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._seen = json.loads(line)["count"]

    @property
    def count(self) -> int:
        return self._seen - self._base

    @count.setter
    def count(self, value: int) -> None:
        time.sleep(0.01)
        self._base = self._seen - value

    def close(self) -> None:
        self._process.kill()
