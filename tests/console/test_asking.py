"""What a person is asked, a host that joins, a log that is wanted whole: in the console, on a session in memory."""

import pytest
from textual.widgets import Button, Input, Static

from dgconsole.console.app import ConsoleApp
from dgconsole.console.asking import Asking
from dgconsole.console.dialogs import Question as AnyQuestion
from dgconsole.console.prompt import Prompt
from dgconsole.snapshot import AddHost, Answer, FetchLog, Question, Reply

pytestmark = pytest.mark.slow

CODE = Question(number=1, host="db07", text="Verification code:", secret=True)
TOKEN = Question(number=2, host="db08", text="Site\nHave your token ready.\nToken:", secret=False)


async def test_a_question_comes_up_by_itself_and_what_is_typed_is_hidden(scene, open_console):
    session = scene("running")
    async with open_console(session, (80, 24)) as face:
        session.questions = [CODE]
        await face.look()
        assert isinstance(face.app.screen, Asking)
        assert "db07 asks" in face.text()
        assert "Verification code:" in face.said()
        assert "Without an answer the host is set aside" in face.said()
        await face.type(" 24 q1")
        assert "24" not in "\n".join(face.lines()[4:20])
        assert face.app.screen.query_one(Input).value == " 24 q1"
        await face.press("enter")
        await face.look()
        assert [(type(c), c.question, c.text) for c in session.commands] == [(Answer, 1, " 24 q1")]
        assert not isinstance(face.app.screen, Asking)


async def test_escape_is_no_answer(scene, open_console):
    session = scene("running")
    async with open_console(session) as face:
        session.questions = [CODE]
        await face.look()
        await face.press("escape")
        await face.look()
        assert session.commands == [Answer(1, None)]
        assert not isinstance(face.app.screen, Asking)


async def test_one_question_at_a_time_the_oldest_first(scene, open_console):
    session = scene("running")
    async with open_console(session) as face:
        session.questions = [CODE, TOKEN]
        await face.look()
        await face.type("1")
        await face.press("enter")
        await face.look()
        assert isinstance(face.app.screen, Asking)
        assert face.app.screen.question == TOKEN
        assert "Have your token ready." in face.text()
        await face.type("t-17")
        assert "t-17" in face.text(), "what is no secret is shown"
        buttons = [str(button.label) for button in face.app.screen.query(Button)]
        assert buttons == ["Answer", "No answer"]
        await face.press("tab", "enter")
        await face.look()
        assert session.commands == [Answer(1, "1"), Answer(2, "t-17")]
        assert session.questions == []


async def test_words_of_a_server_do_no_harm(scene, open_console):
    session = scene("running")
    text = "\x1b]0;owned\x07[red]no markup[/]\x1b[2J\n" + f"{'line ' * 30}\n" * 40 + "Code\u202e:"
    async with open_console(session, (80, 24)) as face:
        session.questions = [Question(number=1, host="[bold]db\x1b[31m", text=text, secret=True)]
        await face.look()
        shown = face.text()
        assert "\x1b" not in shown
        assert "\u202e" not in shown
        assert "[red]no markup[/]" in face.said()
        assert "[bold]db" in shown
        assert "Answer" in shown
        assert "Code" in shown, "the question itself is never pushed out"


async def test_a_question_that_is_no_longer_asked_goes(scene, open_console):
    session = scene("running")
    async with open_console(session) as face:
        session.questions = [CODE]
        await face.look()
        session.questions = []
        await face.look()
        assert not isinstance(face.app.screen, Asking)
        assert session.commands == []


async def test_a_question_waits_until_nobody_types_elsewhere(scene, open_console):
    session = scene("running")
    async with open_console(session, (120, 40)) as face:
        await face.press("slash")
        await face.type("db0")
        session.questions = [CODE]
        await face.look()
        assert not isinstance(face.app.screen, Asking)
        assert "db07 asks: Verification code:" in face.text(), "it stands among what needs a person"
        await face.type("1")
        await face.press("enter")
        await face.look()
        assert isinstance(face.app.screen, Asking)
        await face.press("escape", "q")
        await face.look()
        assert isinstance(face.app.screen, AnyQuestion), "another dialog goes before"
        session.questions = [TOKEN]
        await face.look()
        assert isinstance(face.app.screen, AnyQuestion)
        await face.press("escape")
        await face.look()
        assert isinstance(face.app.screen, Asking)


async def test_an_answer_that_did_not_get_through_is_asked_for_again(scene, open_console, monkeypatch):
    session = scene("running")
    async with open_console(session) as face:

        async def lost(_):
            raise ConnectionError("the line is cut")

        session.questions = [CODE]
        await face.look()
        await face.type("1")
        monkeypatch.setattr(session, "command", lost)
        await face.press("enter")
        await face.look()
        assert isinstance(face.app.screen, Asking)


# ---- a host that joins


async def palette(face, words: str) -> None:
    await face.press("ctrl+p")
    await face.type(words)
    for _ in range(40):
        await face.pilot.pause(0.05)
        if face.app.screen.query("OptionList") and face.app.screen.query_one("OptionList").option_count:
            break
    await face.press("enter")
    await face.look()


async def test_the_palette_adds_a_host(scene, open_console):
    session = scene("running")
    session.reply = Reply(False, "hosts.db01: host 'db01' is in the run already")
    async with open_console(session, (120, 40)) as face:
        await palette(face, "add a host")
        assert isinstance(face.app.screen, Prompt)
        assert "defaults of hosts.yml" in face.said()
        await face.type("db[07-09]: {clients: 4}")
        await face.press("enter")
        await face.look()
        assert session.commands == [AddHost("db[07-09]: {clients: 4}")]
        assert "is in the run already" in face.text()
        await palette(face, "add a host")
        await face.press("escape")
        assert len(session.commands) == 1


# ---- a whole log


async def test_w_fetches_the_whole_log_of_the_chosen_client(scene, open_console):
    session = scene("running")
    async with open_console(session) as face:
        await face.press("down", "l", "w")
        await face.look()
        assert session.commands == [FetchLog("db01-1")]
        assert "db01-1 whole log" in face.text()
        await face.press("escape", "escape", "w")
        await face.look()
        assert len(session.commands) == 1
        assert "choose a client" in face.text()
        await face.press("question_mark")
        assert "Whole log" in face.text()


async def test_the_palette_fetches_a_log_from_overview(scene, open_console):
    session = scene("running")
    async with open_console(session) as face:
        await face.press("down")
        await palette(face, "whole log")
        assert session.commands == [FetchLog("db01-1")]


# ---- a secret that is wanted before there is a run


@pytest.mark.parametrize(
    ("keys", "wanted"), [(("s", "3", "enter"), "s3"), (("x", "escape"), None), (("enter",), "")], ids=str
)
async def test_a_secret_is_asked_for_before_the_run_is_there(scene, keys, wanted):
    session, answers = scene("running"), []

    async def start():
        answers.append(await app.ask_before("Password of 'gen' for the database at db[1]:"))
        return session

    app = ConsoleApp(start, "hosts.yml", period=3600.0)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert isinstance(app.screen, Asking)
        said = " ".join(str(text.content) for text in app.screen.query(Static))
        assert "Password of 'gen' for the database at db[1]:" in said
        assert "kept in memory only. Without it nothing is started." in said
        assert app.screen.query_one(Input).password
        await pilot.press(*keys)
        await pilot.pause()
        assert answers == [wanted]
        assert not isinstance(app.screen, Asking)
        assert app.feed is not None


async def test_leaving_while_a_secret_is_asked_for(scene):
    async def start():
        await app.ask_before("Key:")
        raise AssertionError

    app = ConsoleApp(start, "hosts.yml", period=3600.0)
    async with app.run_test() as pilot:
        await pilot.pause()
        await pilot.press("ctrl+q")
    assert app.return_value == 130
