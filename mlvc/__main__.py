"""``python -m mlvc``, and where the script ``mlvc`` begins.

Before anything else is loaded, an interruption gets an end without a traceback: Ctrl-C may come at any time.
"""

# The module "signal" would be a tenth of the start.
import _signal  # type: ignore[import-not-found]
import os

_INTERRUPTED = 130


def entry() -> None:
    """The process."""
    # Where whoever started it has it ignored, as a shell does in the background of a script, it stays so.
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, _end)
    try:
        from mlvc.cli.main import entry as run  # noqa: PLC0415  (what takes time comes after it)

        run()
    except KeyboardInterrupt:  # after the command, or once more while it ended
        _end()


def _end(*_: object) -> None:
    """End before there is anything to clean up, or after it."""
    try:
        os.write(2, b"mlvc: interrupted; nothing is lost, run the command again to go on\n")
    finally:
        os._exit(_INTERRUPTED)


if __name__ == "__main__":
    entry()
