"""The spy's screen: who sends, what is said, and one message taken apart."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, ClassVar, Final

from reactivex.disposable import CompositeDisposable
from reactivex.scheduler.eventloop import AsyncIOScheduler
from rich.markup import escape
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, VerticalScroll
from textual.widgets import Footer, Input, Static

from ...channel import Channel
from ...channel_events import ChannelEvent
from ...errors import ChannelClosed, Unsupported
from ...message import Address
from ...option_values.member import Member, names_by_sender
from ...strangers.printable_text import printable
from ...validation.topic_name import split_topic
from .. import exit_codes
from ..output import host_port
from .event_notice import EventNotice
from .log_notices import Notices
from .message_table import Table
from .payload_views import View, view_of
from .table_rows import (
    MESSAGE_COLUMNS,
    SENDER_COLUMNS,
    TOPIC_COLUMN,
    bytes_text,
    message_row,
    sender_row,
    sender_sort_key,
)
from .traffic import Heard, Sender, Traffic

_REFRESH: Final = 0.25
"""Seconds between two looks: 4 a second is quick for an eye, and little for a slow connection."""

_VIEWS: Final[tuple[View, ...]] = ("auto", "text", "json", "hex")


class SpyApp(App[int]):
    """Watches ``channel`` until it is quit.

    Args:
        channel: stays its opener's to close.
        search: the filter to begin with.
    """

    CSS_PATH = "spy.tcss"
    TITLE = "rx-multicast-ipc spy"
    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS: ClassVar[Any] = [(0, "-narrow"), (120, "-wide")]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "Quit"),
        Binding("p,space", "pause", "Pause", key_display="p"),
        Binding("c", "clear", "Clear"),
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("s", "sort", "Sort"),
        Binding("r", "reverse", "Reverse"),
        Binding("v", "view", "View"),
        Binding("f1", "help", "Keys"),
        Binding("escape", "leave_filter", "Back", show=False),
        Binding("ctrl+c", "interrupt", "Interrupt", show=False, priority=True),
    ]

    def __init__(self, channel: Channel, search: str = "") -> None:
        super().__init__()
        self.animation_level = "none"
        self.traffic = Traffic()
        self.senders = Table[Sender](SENDER_COLUMNS, self._sender_cells, id="senders")
        self.messages = Table[Heard](MESSAGE_COLUMNS, self._message_cells, follow=True, id="messages")
        self._channel = channel
        self._names: Mapping[Address, str] = {}
        self._status_line = Static(id="status")
        self._inspector = VerticalScroll(id="inspector")
        self._payload = Static(id="payload", markup=False)
        self._filter = Input(placeholder="regular expression, in payload or sender; Esc leaves", id="filter")
        self._search = search
        self._mistake = ""
        self._only: Address | None = None
        self._view: View = "auto"
        self._sort_by, self._descending = 1, True
        self._fault: Exception | None = None
        self._told = ""
        self._subscriptions = CompositeDisposable()
        self._notices = Notices(self)

    def compose(self) -> ComposeResult:
        yield self._status_line
        yield self.senders
        with Container(id="lower"):
            yield self.messages
            with self._inspector:
                yield self._payload
        yield self._filter
        yield Footer()

    def on_mount(self) -> None:
        self._filter.value = self._search
        self._filter.display = False
        self.senders.border_title = "senders"
        self.messages.border_title = "messages"
        self.messages.focus()
        self._choose(self._search)
        self._notices.take_over()
        # On this loop, so that nothing of the screen is touched by another thread, and counted even while it draws.
        here = AsyncIOScheduler(asyncio.get_running_loop())
        self._subscriptions = CompositeDisposable(
            self._channel.batches.subscribe(self.traffic.add, self._ended, self._ended, scheduler=here),
            self._channel.events.subscribe(self._tell, scheduler=here),
        )
        with suppress(Unsupported):  # a channel without presence: senders have no names
            self._subscriptions.add(self._channel.members.subscribe(self._keep_names, lambda _: None, scheduler=here))
        self.set_interval(_REFRESH, self.look)
        self.look()

    def on_unmount(self) -> None:
        self._notices.give_back()
        self._subscriptions.dispose()

    def look(self) -> None:
        """Show what there is now."""
        self.traffic.mark(time.monotonic())
        by = partial(sender_sort_key, column=self._sort_by)
        ordered = sorted(self.traffic.senders.values(), key=by, reverse=self._descending)
        self.senders.marked = self._sort_by, " ▼" if self._descending else " ▲"
        self.senders.show(ordered)
        self.messages.hidden = frozenset() if self.traffic.has_topics else frozenset({TOPIC_COLUMN})
        self.messages.show(list(self.traffic.latest))
        status = self._status()
        if status != self._told:
            self._told = status
            self._status_line.update(status, layout=False)

    def action_pause(self) -> None:
        if self.traffic.paused:
            self.traffic.resume()
        else:
            self.traffic.pause()
        self.look()

    def action_clear(self) -> None:
        self.traffic.clear()
        self.look()

    def action_filter(self) -> None:
        self._filter.display = True
        self._filter.focus()

    def action_leave_filter(self) -> None:
        if self._filter.display:
            self._filter.display = False
            self.messages.focus()
        elif self._only is not None:
            self._only = None
            self._choose(self._search)

    def action_sort(self) -> None:
        self._sort_by = (self._sort_by + 1) % len(SENDER_COLUMNS)
        self.look()

    def action_reverse(self) -> None:
        self._descending = not self._descending
        self.look()

    def action_view(self) -> None:
        self._view = _VIEWS[(_VIEWS.index(self._view) + 1) % len(_VIEWS)]
        self._inspect()

    def action_help(self) -> None:
        if self.screen.query("HelpPanel"):
            self.action_hide_help_panel()
        else:
            self.action_show_help_panel()

    def action_interrupt(self) -> None:
        self.exit(exit_codes.INTERRUPTED)

    def on_input_changed(self, event: Input.Changed) -> None:
        self._choose(event.value)

    def on_input_submitted(self) -> None:
        self.action_leave_filter()

    def on_table_moved(self) -> None:
        self._inspect()

    def on_table_entered(self) -> None:
        """On a sender: only its messages, or again everybody's."""
        sender = self.senders.selected
        if self.senders.has_focus and sender is not None:
            self._only = None if self._only == sender.address else sender.address
            self._choose(self._search)

    def on_table_header_clicked(self, event: Table.HeaderClicked) -> None:
        if self.senders.has_focus:
            self._descending = not self._descending if self._sort_by == event.column else True
            self._sort_by = event.column
            self.look()

    def _choose(self, search: str) -> None:
        try:
            pattern = re.compile(search) if search else None
        except re.error as error:
            self._filter.add_class("wrong")  # and the last one that was right stays
            self._mistake = f"{search} is no regular expression: {error}"
            self.look()
            return
        self._filter.remove_class("wrong")
        self._mistake = ""
        self._search = search
        self.traffic.choose(pattern, self._only)
        self.look()

    def _inspect(self) -> None:
        heard = self.messages.selected
        if heard is None:
            self._inspector.border_title = "payload"
            self._payload.update("")
            return
        message = heard.message
        topic, payload = split_topic(message.data)
        view, text = view_of(payload, self._view, self._payload.size.width)
        chosen = " (auto)" if self._view == "auto" else ""
        direct = (", direct" if message.direct else "") + (f", topic {topic}" if topic else "")
        self._inspector.border_title = f"message {heard.number} as {view}{chosen}"
        self._inspector.border_subtitle = escape(f"{host_port(message.sender)}, {len(message.data)} bytes{direct}")
        self._payload.update(text)

    def _status(self) -> str:
        total, statistics = self.traffic.total, self._channel.statistics
        parts = [
            f"[b]{escape(str(self._channel.group))}[/b]",
            f"{total.messages:,} messages",
            f"{total.message_rate:,.0f}/s",
            f"{bytes_text(total.byte_rate)}/s",
        ]
        if self.traffic.senders.forgotten:
            parts.append(f"{self.traffic.senders.forgotten:,} senders forgotten")
        lost = (statistics.dropped or 0) + statistics.discarded
        parts.append(f"[b white on $error]{lost:,} dropped[/]" if lost else "0 dropped")
        if statistics.lost:
            parts.append(f"[b white on $error]{statistics.lost:,} lost[/]")
        if statistics.repaired or statistics.gaps:
            parts.append(f"{statistics.repaired:,} repaired")
            parts.append(f"[b white on $error]{statistics.gaps:,} gaps[/]" if statistics.gaps else "0 gaps")
        if statistics.foreign:
            parts.append(f"{statistics.foreign:,} foreign")
        if self.traffic.paused:
            parts.append("[b black on $warning] paused [/]")
        if self._mistake:
            parts.append(f"[b white on $error]{escape(printable(self._mistake))}[/]")
        if self._search:
            parts.append(f"filter [b]{escape(printable(self._search))}[/b]")
        if self._only is not None:
            parts.append(f"only [b]{escape(host_port(self._only))}[/b]")
        if self._fault is not None:
            parts.append(f"[b white on $error]{escape(printable(str(self._fault)))}[/]")
        return " │ ".join(parts)

    def _sender_cells(self, sender: Sender) -> Sequence[str]:
        return sender_row(sender, self._named(sender.address), time.time())

    def _message_cells(self, heard: Heard) -> Sequence[str]:
        return message_row(heard, self._named(heard.message.sender))

    def _keep_names(self, members: frozenset[Member]) -> None:
        self._names = names_by_sender(members)

    def _named(self, sender: Address) -> str:
        """A sender's name where it has one (presence), or else its address."""
        return self._names.get(sender) or host_port(sender)

    def _tell(self, event: ChannelEvent) -> None:
        title, text, severity = EventNotice.of(event)
        self.notify(escape(printable(text)), title=title, severity=severity)

    def _ended(self, fault: Exception | None = None) -> None:
        self._fault = fault or ChannelClosed()
        self.look()
