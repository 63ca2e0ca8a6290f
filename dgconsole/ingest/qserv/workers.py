"""The workers of a Qserv, each met before anything is sent to it: the right one, at an address that answers."""

from collections.abc import Mapping

from dgconsole.ingest.qserv.answers import Location
from dgconsole.ingest.qserv.api import OLDEST, WORKER, Say, Versioned, controller_url, silent
from dgconsole.ingest.qserv.failures import QservError, UnreachableError
from dgconsole.ingest.qserv.http import Http


class Workers:
    """Finds workers by location.

    Parameters
    ----------
    aliases
        The user's word: name of a worker, or a host that Qserv names -> the host to go to instead.
    known
        Hosts that answered before, by worker; kept up here.
    """

    def __init__(self, http: Http, aliases: Mapping[str, str], known: dict[str, str], say: Say = silent) -> None:
        self._http = http
        self._aliases = aliases
        self._known = known
        self._say = say
        self._met: dict[str, Versioned] = {}

    async def at(self, location: Location) -> Versioned:
        """The worker of a location. UnreachableError: at none of its addresses, each with its reason."""
        name = location.worker
        if name in self._met:
            return self._met[name]
        alias = self._aliases.get(name)
        hosts = [alias] if alias else [self._aliases.get(host, host) for host in location.hosts]
        hosts.sort(key=lambda host: host != self._known.get(name))
        failures = []
        for host in dict.fromkeys(hosts):
            worker = Versioned(self._http, controller_url(host, location.http_port), self._say)
            try:
                service = await worker.meet(tries=0)
            except QservError as error:
                failures.append(error.text)
                continue
            if service.kind != WORKER or service.id != name:
                failures.append(f"{worker.place} is '{service.id or service.kind}'")
            elif service.version < OLDEST:
                failures.append(f"{worker.place} speaks API version {service.version}, at least {OLDEST} is needed")
            else:
                self._met[name] = worker
                self._known[name] = host
                return worker
        said = "; ".join(failures) or "Qserv names no address of it"
        raise UnreachableError(f"worker {name} is not to be had: {said}")

    def forget(self, location: Location) -> None:
        """It did not take a connection: meet it anew before the next."""
        self._met.pop(location.worker, None)
