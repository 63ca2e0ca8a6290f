"""What a host that was prepared has to offer: whether clients can run there, and what is other than here; pure."""

from dgconsole.fleet.deploy.versions import least_python, own_versions
from dgconsole.fleet.frames import Prepared
from dgconsole.support.errors import HostError


def refusal(event: Prepared, host: str, python: str, version: str) -> HostError | None:
    """Why clients cannot run on ``host`` with its ``python``, in one line; None where they can.

    ``version`` is the console's own. All of it is hopeless until a person mends it.
    """
    if not event.ok and event.phase == "setup":
        return _hopeless(f"setup failed: {event.text}", f"Mend hosts.{host}.setup")
    which = f" (Python {event.python})" if event.python else ""
    least = least_python()
    if event.python and tuple(map(int, event.python.split(".")[:2])) < least:
        return _hopeless(
            f"{python}{which} is too old for dgconsole",
            f"Set hosts.{host}.python to a Python {least[0]}.{least[1]} or newer",
        )
    mend = f"Mend hosts.{host}.python, or install it there"
    if not event.ok:
        return _hopeless(f"{python} has no dgconsole: {event.text}{which}", mend)
    if event.version != version:
        return _hopeless(f"{python} has dgconsole {event.version}, this is {version}", f"Install {version} there")
    if missing := [package for package, found in event.packages.items() if not found]:
        return _hopeless(f"{python}{which} has no {', '.join(missing)}, which clients need", mend)
    return None


def other_versions(packages: dict[str, str]) -> str:
    """A warning where values may come out otherwise than here; "" where they do not."""
    ours = own_versions()
    others = [f"{p} {v} (here {ours[p]})" for p, v in packages.items() if p in ours and v != ours[p]]
    return f"other versions than here, so values may differ in the last digit: {', '.join(others)}" if others else ""


def _hopeless(reason: str, mend: str) -> HostError:
    return HostError(reason, f"{mend}; R tries again.", hopeless=True)
