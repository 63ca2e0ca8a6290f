"""The table of legal messages: walked whole, and along the usual way of a connection."""

import itertools

import pytest

from dgconsole.support.errors import BugError, Fault, PeerError
from dgconsole.wire import messages as m
from dgconsole.wire.messages import Role
from dgconsole.wire.session import RULES, Phase, WireSession

SAMPLES: dict[type[m.Message], m.Message] = {
    type(message): message
    for message in (
        m.Hello("", 1, "", "", "", 0),
        m.Ready("", ""),
        m.Ask(1),
        m.Progress(1, 1, "", 0.0, 0, 0),
        m.Ping(0, 0),
        m.FileBegin(1, 1, "", "", 0),
        m.FileData(b"x"),
        m.FileEnd(""),
        m.Completed(1, 1, m.Figures((), {})),
        m.Kept(1, 1),
        m.Failed(1, 1, Fault.DISK, "", ""),
        m.GiveUp(Fault.DISK, ""),
        m.Bye(),
        m.Welcome("", "", 1.0, 1.0, 0),
        m.Refused(""),
        m.BundleFile("", "", b"", True),
        m.BundleEnd(),
        m.Assign(()),
        m.Keep(1, 1),
        m.Settled(1, 1, True),
        m.Pong(0),
        m.NoMore(),
        m.Stop(True),
    )
}
USUAL = [
    (Role.CLIENT, m.Hello),
    (Role.COORDINATOR, m.Welcome),
    (Role.CLIENT, m.Ping),
    (Role.COORDINATOR, m.BundleFile),
    (Role.COORDINATOR, m.Pong),
    (Role.COORDINATOR, m.BundleEnd),
    (Role.CLIENT, m.Ready),
    (Role.CLIENT, m.Ask),
    (Role.COORDINATOR, m.Assign),
    (Role.CLIENT, m.Progress),
    (Role.CLIENT, m.FileBegin),
    (Role.CLIENT, m.FileData),
    (Role.CLIENT, m.FileEnd),
    (Role.CLIENT, m.Completed),
    (Role.COORDINATOR, m.Keep),
    (Role.CLIENT, m.Kept),
    (Role.COORDINATOR, m.Settled),
    (Role.COORDINATOR, m.NoMore),
    (Role.CLIENT, m.Bye),
]


def play(end: WireSession, sender: Role, message: m.Message) -> None:
    (end.sent if sender is end.role else end.received)(message)


def test_every_message_has_a_rule_and_a_sample() -> None:
    ruled = {kind for rules in RULES.values() for kind in rules}
    assert ruled == set(SAMPLES) == set(m.Message.__subclasses__())


@pytest.mark.parametrize("role", list(Role))
def test_the_usual_way_is_legal_at_both_ends(role: Role) -> None:
    end = WireSession(role)
    for sender, kind in USUAL:
        play(end, sender, SAMPLES[kind])
    assert end.phase(Role.CLIENT) is Phase.ENDED
    assert end.phase(Role.COORDINATOR) is Phase.LEAVING


def test_the_table_is_what_an_end_enforces() -> None:
    """Breadth first through all phases that both ends can reach; in each, all 23 messages are tried."""
    seen: dict[tuple[Phase, Phase], list[tuple[Role, type[m.Message]]]] = {(Phase.START, Phase.START): []}
    waiting = [(Phase.START, Phase.START)]
    while waiting:
        way = seen[waiting.pop()]
        for role, (kind, sample) in itertools.product(Role, SAMPLES.items()):
            end = WireSession(role)
            for sender, step in way:
                play(end, sender, SAMPLES[step])
            phases = {side: end.phase(side) for side in Role}
            for sender in Role:
                rule = RULES[sender].get(kind)
                expected = bool(rule and phases[sender] in rule.phases and phases[sender.other] >= rule.other)
                assert end.legal(sender, kind) is expected
            legal = [sender for sender in Role if end.legal(sender, kind)]
            if not legal:
                with pytest.raises(BugError):
                    end.sent(sample)
                with pytest.raises(PeerError):
                    end.received(sample)
                continue
            play(end, legal[0], sample)
            reached = (end.phase(Role.CLIENT), end.phase(Role.COORDINATOR))
            assert reached >= (phases[Role.CLIENT], phases[Role.COORDINATOR])
            if reached not in seen:
                seen[reached] = [*way, (legal[0], kind)]
                waiting.append(reached)
    assert {client for client, _ in seen} == set(Phase)
    assert {coordinator for _, coordinator in seen} == set(Phase)


@pytest.mark.parametrize("kind", [m.Ask, m.FileBegin, m.Completed, m.Ready, m.Ping])
def test_nothing_before_hello(kind: type[m.Message]) -> None:
    with pytest.raises(PeerError, match="out of turn"):
        WireSession(Role.COORDINATOR).received(SAMPLES[kind])


def test_who_leaves_is_still_asked_to_keep_and_answers() -> None:
    for role in Role:
        end = WireSession(role)
        for sender, kind in USUAL[: USUAL.index((Role.COORDINATOR, m.Keep))]:
            play(end, sender, SAMPLES[kind])
        play(end, Role.COORDINATOR, SAMPLES[m.NoMore])
        play(end, Role.CLIENT, SAMPLES[m.GiveUp])
        for sender, kind in ((Role.COORDINATOR, m.Keep), (Role.CLIENT, m.Kept), (Role.COORDINATOR, m.Settled)):
            play(end, sender, SAMPLES[kind])
        play(end, Role.CLIENT, SAMPLES[m.Bye])
        assert not end.legal(Role.CLIENT, m.Kept)
