"""What becomes of channels when processes are interrupted, end, or fork."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

import rx_multicast_ipc as ipc

from .helpers import PATIENCE, ROOT, finish, interrupt, needs_linux, python

SAYS_WHEN_DISPOSED = """
import sys
import reactivex as rx
import rx_multicast_ipc as ipc
from reactivex import operators as ops
port = int(sys.argv[1])
def listen(api):
    once_in_run = rx.timer(0).pipe(ops.flat_map(lambda _: api.broadcast("ready")))
    listening = api.messages.pipe(ops.finally_action(lambda: print("disposed", flush=True)))
    return rx.merge(listening, once_in_run)
try:
    ipc.run(ipc.with_socket(listen, port))
except KeyboardInterrupt:
    import threading
    for thread in threading.enumerate():
        if thread is not threading.current_thread():
            thread.join(60)
    print("threads", threading.active_count())
"""


def start_and_wait_until_ready(channel: ipc.Channel, code: str) -> subprocess.Popen[str]:
    process = python(code, channel.group.port)
    ipc.run(channel.wait_for_message(lambda m: m.data == b"ready", timeout=PATIENCE))
    return process


def test_ctrl_c_during_run_disposes_and_closes(channel: ipc.Channel) -> None:
    process = start_and_wait_until_ready(channel, SAYS_WHEN_DISPOSED)
    interrupt(process)
    assert finish(process).split() == ["disposed", "threads", "1"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process at once, whatever the signal is called")
def test_sigterm_during_run_ends_the_process_without_a_word(channel: ipc.Channel) -> None:
    process = start_and_wait_until_ready(channel, SAYS_WHEN_DISPOSED)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (-signal.SIGTERM, "")


@pytest.mark.parametrize("busy", ["idle", "a running subscriber", "a pending timer", "a subscriber that never ends"])
def test_a_process_may_end_with_channels_open(channel: ipc.Channel, busy: str) -> None:
    code = f"""
import sys, threading, time
import rx_multicast_ipc as ipc
channel = ipc.open_channel(int(sys.argv[1]))
inside = threading.Event()
def subscriber(message):
    inside.set()
    if {busy!r} == "a running subscriber":
        time.sleep(0.1)
    if {busy!r} == "a subscriber that never ends":
        threading.Event().wait()
channel.messages.subscribe(subscriber)
ipc.messages(int(sys.argv[1])).subscribe()
if {busy!r} == "a pending timer":
    channel.scheduler.schedule_relative(1000.0, lambda *_: None)
ipc.run(channel.broadcast("ready"))
inside.wait()
print("end")
"""
    assert finish(start_and_wait_until_ready(channel, code)) == "end\n"


def test_messages_complete_at_the_end_of_the_interpreter(channel: ipc.Channel) -> None:
    code = """
import sys
import rx_multicast_ipc as ipc
channel = ipc.open_channel(int(sys.argv[1]))
channel.messages.subscribe(on_completed=lambda: print("completed"))
ipc.run(channel.broadcast("ready"))
"""
    assert finish(start_and_wait_until_ready(channel, code)) == "completed\n"


def test_a_script_may_end_with_the_send_that_its_own_subscribers_hear(port: int) -> None:
    code = """
import sys
import rx_multicast_ipc as ipc
ipc.messages(int(sys.argv[1])).subscribe(lambda m: print(m.text))
for text in "abc":
    ipc.run(ipc.broadcast(text, int(sys.argv[1])))
"""
    for _ in range(5):
        assert finish(python(code, port)).split() == ["a", "b", "c"]


FORKS = """
import os, sys, warnings
import rx_multicast_ipc as ipc
from reactivex import operators as ops
warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 warns of any fork beside threads
port = int(sys.argv[1])
channel = ipc.open_channel(port, backlog=4096)
ipc.messages(port).subscribe()
reading, writing = os.pipe()
child = os.fork()
if child == 0:
    def kind(use):
        try:
            ipc.run(use(), timeout=60)
        except ipc.MulticastError as error:
            return type(error).__name__
        return "nothing raised"
    print(kind(lambda: channel.broadcast("x")), kind(channel.wait_for_message), kind(lambda: channel.messages))
    channel.close()
    print(ipc.run(channel.unbind(), timeout=60))
    with ipc.open_channel(port) as own:
        ipc.run(own.broadcast("from the child"))
        print(ipc.run(own.wait_for_message(lambda m: m.text.startswith("from"), timeout=60)).text)
    shared = []
    ipc.messages(port).pipe(ops.filter(lambda m: m.text == "shared"), ops.take(1)).subscribe(shared.append)
    ipc.run(ipc.broadcast("shared", port))
    while not shared:
        pass
    sys.stdout.flush()
    os.read(reading, 1)  # stay while the parent reads
    os._exit(0)
heard = channel.messages.pipe(ops.filter(lambda m: m.text.isdigit()), ops.take(1000), ops.count())
sending = channel.broadcast_all(map(str, range(1000)), rate=20_000).pipe(ops.ignore_elements())
counted = ipc.run(heard.pipe(ops.merge(sending)), timeout=60)
directs = channel.messages.pipe(ops.filter(lambda m: m.direct), ops.take(100), ops.count())
replies = ipc.repeat_for(100, lambda: channel.send("x", channel.sender_address[1], "127.0.0.1"))
counted_directs = ipc.run(directs.pipe(ops.merge(replies.pipe(ops.ignore_elements()))), timeout=60)
os.write(writing, b"x")
os.waitpid(child, 0)
print("parent", counted, counted_directs, channel.statistics.dropped)
"""


@needs_linux
def test_after_a_fork_the_child_steals_nothing_and_has_channels_of_its_own(port: int) -> None:
    out = finish(python(FORKS, port))
    assert out.splitlines() == [
        "ChannelClosed ChannelClosed ChannelClosed",
        "None",
        "from the child",
        "parent 1000 100 0",
    ]


FORKS_IN_A_BATCH = """
import os, sys, warnings
import rx_multicast_ipc as ipc
from rx_multicast_ipc.testing.held_channel import held
from rx_multicast_ipc.transport import delivered_batch
warnings.simplefilter("ignore", DeprecationWarning)
delivered_batch._QUICK = float("inf")  # all subscribers are quick
port, parent = int(sys.argv[1]), os.getpid()
source, out, children = ipc.open_channel(port, "224.0.2.77"), ipc.open_channel(port), []
def send_on(message):
    if os.getpid() != parent:
        return
    out.broadcast(message.data).subscribe()
    if message.data in b"36":
        child = os.fork()
        children.append(child)
        if child == 0 and message.data == b"6":
            own = ipc.open_channel(port)
            for number in range(3):
                own.broadcast(f"child {number}").subscribe()
            os._exit(0)
source.messages.subscribe(send_on)
with held(source):
    for number in range(10):
        ipc.run(source.broadcast(str(number)))
heard = sorted(ipc.run(out.wait_for_message(timeout=60)).text for _ in range(13))
for child in children:
    os.waitpid(child, 0)
ipc.run(out.broadcast("end"))
print(*heard, ipc.run(out.wait_for_message(timeout=60)).text, sep=",")
"""


@needs_linux
def test_after_a_fork_amid_a_batch_each_process_sends_what_is_its_own_once(port: int) -> None:
    assert finish(python(FORKS_IN_A_BATCH, port)) == "0,1,2,3,4,5,6,7,8,9,child 0,child 1,child 2,end\n"


@needs_linux
def test_multiprocessing_workers_started_beside_an_open_channel_work(port: int) -> None:
    code = """
import sys, multiprocessing, warnings
warnings.simplefilter("ignore", DeprecationWarning)
import rx_multicast_ipc as ipc
def work(port):
    ipc.run(ipc.broadcast("from a worker", port))
if __name__ == "__main__":
    with ipc.open_channel(int(sys.argv[1])) as channel:
        worker = multiprocessing.get_context("fork").Process(target=work, args=(int(sys.argv[1]),))
        worker.start()
        print(ipc.run(channel.wait_for_message(timeout=60)).text)
        worker.join()
        print(worker.exitcode)
"""
    assert finish(python(code, port)).splitlines() == ["from a worker", "0"]


WORKER = """
import sys, multiprocessing, queue, warnings
sys.path.insert(0, sys.argv[1])
warnings.simplefilter("ignore", DeprecationWarning)
import rx_multicast_ipc as ipc
opened = []
def work(port):
    opened.append(ipc.open_channel(port, presence=ipc.Presence("worker", interval=600)))  # never silent
    ipc.run(opened[0].wait_for_message(lambda m: m.text == "go", timeout=120))
if __name__ == "__main__":
    port, events = int(sys.argv[3]), queue.SimpleQueue()
    def next_of(kind):
        while not isinstance(event := events.get(), kind):
            pass
        return event
    with ipc.open_channel(port, presence="parent") as channel:
        channel.events.subscribe(events.put)
        worker = multiprocessing.get_context(sys.argv[2]).Process(target=work, args=(port,))
        worker.start()
        next_of(ipc.Joined)
        ipc.run(channel.broadcast("go"))
        print(next_of(ipc.Left).reason)
        worker.join()
        print(worker.exitcode)
"""


@needs_linux
@pytest.mark.parametrize("method", ["fork", "forkserver"])
def test_a_multiprocessing_worker_that_ends_with_a_channel_open_says_goodbye(
    port: int, tmp_path: Path, method: str
) -> None:
    program = tmp_path / "program.py"  # for those that import it
    program.write_text(WORKER)
    started = [sys.executable, "-X", "dev", str(program), str(ROOT), method, str(port)]
    process = subprocess.Popen(started, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert finish(process).splitlines() == ["said goodbye", "0"]


WORKER_WITH_THREAD = """
import sys, multiprocessing, threading, warnings
warnings.simplefilter("ignore", DeprecationWarning)
import rx_multicast_ipc as ipc
opened = []
def work(port):
    channel = ipc.open_channel(port)
    opened.append(channel)
    closed = threading.Event()
    channel.messages.subscribe(on_completed=closed.set)
    def go_on():
        if not closed.wait(1.0):
            ipc.run(channel.broadcast("from a thread"))
    threading.Thread(target=go_on).start()
if __name__ == "__main__":
    port = int(sys.argv[1])
    with ipc.open_channel(port) as channel:
        worker = multiprocessing.get_context("fork").Process(target=work, args=(port,))
        worker.start()
        worker.join()
        print(ipc.run(channel.wait_for_message(timeout=60)).text)
        print(worker.exitcode)
"""


@needs_linux
def test_a_multiprocessing_worker_closes_no_channel_before_its_threads_have_ended(port: int) -> None:
    """Those that are no daemons, for which any process waits before it closes what is open."""
    assert finish(python(WORKER_WITH_THREAD, port)).splitlines() == ["from a thread", "0"]


def test_a_killed_process_leaves_the_port_to_others(channel: ipc.Channel) -> None:
    process = start_and_wait_until_ready(channel, SAYS_WHEN_DISPOSED)
    process.kill()
    process.communicate(timeout=PATIENCE)
    ipc.run(channel.broadcast("x"))
    assert ipc.run(channel.wait_for_message(timeout=PATIENCE)).text == "x"


HOLDS_LOCKS = """
import importlib, os, pkgutil, sys, threading, warnings
warnings.simplefilter("ignore", DeprecationWarning)
import rx_multicast_ipc
for found in pkgutil.walk_packages(rx_multicast_ipc.__path__, "rx_multicast_ipc."):
    if "__main__" not in found.name and "_pyinstaller" not in found.name:
        try:
            importlib.import_module(found.name)
        except ImportError:  # an extra that is not installed
            pass
KINDS = type(threading.Lock()), type(threading.RLock())
def locks():
    for name, module in sorted(sys.modules.items()):
        for key, value in vars(module).items() if name.startswith("rx_multicast_ipc") else ():
            if isinstance(value, KINDS):
                yield f"{name}.{key}", value
            elif type(value).__module__.startswith("rx_multicast_ipc"):
                yield from ((f"{name}.{key}.{inner}", lock) for inner, lock in getattr(value, "__dict__", {}).items()
                            if isinstance(lock, KINDS))
held = threading.Event()
def hold():
    for name, lock in locks():
        lock.acquire(blocking=False)
    held.set()
    threading.Event().wait()
threading.Thread(target=hold, daemon=True).start()
held.wait()
print(len(list(locks())) >= 5, flush=True)
if os.fork() == 0:
    print([name for name, lock in locks() if not lock.acquire(blocking=False)], flush=True)
    os._exit(0)
os.wait()
"""
"""Every lock that a process has from the start, held by another thread as it forks."""


@needs_linux
def test_no_lock_of_the_process_is_held_in_a_forked_child() -> None:
    assert finish(python(HOLDS_LOCKS)).splitlines() == ["True", "[]"]


FORKS_WHILE_INTERFACES_ARE_LOOKED_AT = """
import os, sys, threading, warnings
warnings.simplefilter("ignore", DeprecationWarning)
import rx_multicast_ipc as ipc
channel = ipc.open_channel(int(sys.argv[1]))
held = threading.Event()
def hold():
    channel.transport._memberships._look._lock.acquire()
    held.set()
    threading.Event().wait()
threading.Thread(target=hold, daemon=True).start()
held.wait()
if os.fork() == 0:
    try:
        ipc.run(channel.broadcast("x"))
    except ipc.ChannelClosed:
        print("closed", flush=True)
    os._exit(0)
os.wait()
os._exit(0)
"""


@needs_linux
def test_a_fork_waits_for_no_lock_of_another_thread(port: int) -> None:
    assert finish(python(FORKS_WHILE_INTERFACES_ARE_LOOKED_AT, port)) == "closed\n"
