"""What a widget does with an exception in one of its handlers: it is told, and the widget goes on."""

from typing import TYPE_CHECKING, Any

from textual.message import Message
from textual.message_pump import MessagePump

if TYPE_CHECKING:
    _Base = MessagePump
else:
    _Base = object


class Unbroken(_Base):
    """For widgets, screens and the application, named before Textual's own class.

    Textual ends the application, and the widget's part in it, on the first exception in a handler. Here a handler
    that raises is left, the application is told (``App._handle_exception``), and the next message is handled as ever.
    """

    async def _dispatch_message(self, message: Message) -> None:
        try:
            await super()._dispatch_message(message)
        except Exception as error:  # noqa: BLE001
            app: Any = self.app
            app._handle_exception(error)
