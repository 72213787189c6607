"""Help and messages in Korean, by NABI_LANG or the locale; English for all other languages."""

import os
import re
import string
import subprocess
import sys

import pytest
import typer
from hypothesis import given, settings, strategies as st

from nabi import _checks
from nabi._language import language_of
from nabi.cli._language import read
from nabi.cli._language._command import _HEADINGS
from nabi.cli._language._particles import FORMS, with_particle
from nabi.cli._main import app
from nabi.cli._uses import check_kind, refuse_model
from nabi.errors import ArgumentError, NabiError, unknown_name
from nabi.files import READERS, write_model_file

HANGUL = re.compile("[가-힣]")
KOREAN = read("ko")


@pytest.fixture
def in_korean(monkeypatch):
    from typer import rich_utils

    monkeypatch.setenv("NABI_LANG", "ko")
    monkeypatch.setenv("COLUMNS", "200")
    for name in _HEADINGS:  # changed for the whole process
        monkeypatch.setattr(rich_utils, name, getattr(rich_utils, name))


def help_texts() -> set[str]:
    """Every text of the help of every command, as the code has it."""
    command = typer.main.get_command(app())
    inner = command.commands.values()
    told = [one.help for part in (command, *inner) for one in (part, *part.params)]
    return {text for text in told if text}


def test_every_help_text_has_a_korean_one() -> None:
    texts = help_texts()
    assert len(texts) > 200
    assert [text for text in sorted(texts) if text not in KOREAN.texts] == []
    assert [text for text in sorted(texts) if not HANGUL.search(KOREAN.texts[text])] == []


def test_no_long_text_of_the_catalogue_is_left_over_from_an_earlier_help() -> None:
    exact = {text for text in KOREAN.texts if "{" not in text and len(text) > 80}
    assert sorted(exact - help_texts()) == []


def names(text: str) -> list[str]:
    return sorted({name for _, name, _, _ in string.Formatter().parse(text) if name is not None})


@pytest.mark.parametrize("text", sorted(text for text in KOREAN.texts if "{" in text))
def test_values_of_a_message_are_those_of_its_translation(text) -> None:
    assert names(KOREAN.texts[text]) == names(text)
    particles = [form for _, name, form, _ in string.Formatter().parse(KOREAN.texts[text]) if name and form]
    assert set(particles) <= set(FORMS)


def words_kept(text: str) -> list[str]:
    """Names of options, commands in quotes and endings of files, which no language changes."""
    return sorted(set(re.findall(r"(?<![\w-])--[a-z-]+|`[^`]+`|(?<![a-z])\.[a-z]+(?![a-z])", text)))


@pytest.mark.parametrize("text", sorted(help_texts()), ids=lambda text: text[:30])
def test_options_and_endings_in_a_help_text_are_kept(text) -> None:
    assert words_kept(KOREAN.texts[text]) == words_kept(text)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["show", "lstn"],
            "nabi: CELL|FILE: 'lstn'은 모르는 이름입니다. 'lstm'을 쓰려던 건가요? 아는 이름: aaren",
        ),
        (["show", "lstm", "--units", "0"], "nabi: --units의 값이 잘못되었습니다. 1 이상이어야 합니다."),
        (["show", "lstm", "--units", "x"], "nabi: --units의 값이 잘못되었습니다. 정수여야 합니다."),
        (["show", "lstm", "--unit", "3"], "nabi: --unit라는 옵션은 없습니다. 비슷한 옵션: --out, --units"),
        (["show", "lstm", "--as", "x"], "nabi: --as의 값이 잘못되었습니다. x는 쓸 수 없습니다. 쓸 수 있는"),
        (["show", "lstm", "--out"], "nabi: --out에는 값이 있어야 합니다."),
        (["show", "lstm", "gru"], "nabi: 필요 없는 인자가 있습니다: gru"),
        (["show", "lstm", "--set", "foo=1"], "nabi: --set: LSTM에 'foo'라는 인자는 없습니다. 아는 인자:"),
        (
            ["show", "lstm", "--as", "picture", "--out", "x.gif"],
            "--out: .svg나 .png로 끝나는 이름이어야 하는데 'x.gif'를",
        ),
        (["shwo"], "nabi: shwo라는 명령은 없습니다. show를 쓰려던 건가요?"),
        (["predict"], "nabi: MODEL이 빠졌습니다."),
        (["predict", "gone.nabi", "x"], "nabi: MODEL: 모델 파일 gone.nabi가 없습니다"),
        (["train", "gone.csv"], "파일 gone.csv가 없습니다"),
    ],
    ids=lambda one: " ".join(one) if isinstance(one, list) else "",
)
def test_a_mistake_is_answered_in_korean(nabi, in_korean, tmp_path, monkeypatch, arguments, message) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = nabi(*arguments)
    assert outcome.status == 2
    assert message in outcome.err


def test_help_is_korean(nabi, in_korean) -> None:
    outcome = nabi("--help")
    assert outcome.status == 0
    assert "사용법: nabi [옵션] 명령 [인자]..." in outcome.out
    assert "모델로 텍스트를 이어 씁니다" in outcome.out.replace("언어 ", "")
    alone = nabi()
    assert alone.status == 2
    assert "─ 명령 ─" in alone.out + alone.err
    one = nabi("show", "-h")
    assert "─ 옵션 ─" in one.out
    assert "사용법: nabi show [옵션] " in one.out
    assert "이 도움말을 출력하고 끝냅니다." in one.out
    assert not re.search(r"Usage|OPTIONS|COMMAND|ARGS", outcome.out + one.out)


@pytest.mark.parametrize("kind", [*READERS, "weights", "translator training"])
def test_a_model_of_another_kind_is_refused_in_korean(tmp_path, kind) -> None:
    path = tmp_path / "model.nabi"
    write_model_file(path, kind, {}, {})
    for refuse in (lambda: check_kind(path, [], "a model that labels something"), lambda: refuse_model(path)):
        with pytest.raises(ArgumentError) as problem:
            refuse()
        translated = KOREAN.translate(str(problem.value)) or ""
        assert str(path) in translated
        assert not re.search(r"expected|got| with: |It is", translated)


@pytest.mark.parametrize("name", ["a.csv", "a.txt", "a.ts", "a.fasta", "a.png", "a.wav", "a.mid", ""])
def test_data_in_place_of_a_model_are_refused_in_korean(tmp_path, name) -> None:
    path = tmp_path / name
    if name:
        path.write_bytes(b"no model")
    with pytest.raises(ArgumentError) as problem:
        check_kind(path, ["translator"])
    assert f"nabi train {path}" in (KOREAN.translate(str(problem.value)) or "")


def test_what_has_no_translation_stays_english(nabi, in_korean, tmp_path) -> None:
    damaged = tmp_path / "damaged.nabi"
    damaged.write_bytes(b"nabi\0model\0nothing")
    outcome = nabi("show", damaged)
    assert outcome.status == 2
    assert outcome.err.startswith("nabi: ")


@pytest.mark.parametrize("value", [True, "x", None, 2.5, -7, 10**9, float("nan")])
def test_every_check_of_a_number_can_be_said(value) -> None:
    """In each combination of bounds."""
    bounds = [{}, {"least": 1}, {"most": 5}, {"least": 1, "most": 5}, {"above": 0}, {"below": 9}]
    bounds += [{"above": 0, "below": 9}, {"least": 1, "below": 9}, {"above": 0, "most": 5}]
    said = []
    for one in bounds:
        for what in ("number", "rate"):
            with pytest.raises(ArgumentError) as problem:
                _checks.real("x", "no number" if isinstance(value, int | float) else value, what=what, **one)
            said.append(str(problem.value))
    for one in bounds[:4]:
        with pytest.raises(ArgumentError) as problem:
            _checks.whole(
                "units", "x" if isinstance(value, int) else value, one.get("least"), one.get("most")
            )
        said.append(str(problem.value))
    for message in said:
        translated = KOREAN.translate(message)
        assert translated is not None, message
        assert not re.search(r"expected|got|number|rate", translated.replace("no number", ""))


@settings(max_examples=30)
@given(name=st.sampled_from(["x", "--cell", "cell"]), wrong=st.text(min_size=1, max_size=8))
def test_an_unknown_name_can_be_said_whatever_it_is(name, wrong) -> None:
    message = " ".join(str(unknown_name(name, wrong, ["lstm", "gru"])).split())
    translated = KOREAN.translate(message)
    assert translated is not None
    assert "gru, lstm" in translated


@pytest.mark.parametrize(
    ("word", "particle", "written"),
    [
        ("가중치", "을", "가중치를"),
        ("셀", "은", "셀은"),
        ("셀", "으로", "셀로"),
        ("표", "으로", "표로"),
        ("값", "으로", "값으로"),
        ("10", "이", "10이"),
        ("12", "이", "12가"),
        ("7", "으로", "7로"),
        ("6", "으로", "6으로"),
        ("50%", "을", "50%를"),
        ("lstm", "과", "lstm과"),
        ("gru", "과", "gru와"),
        ("'a.nabi'", "이라는", "'a.nabi'라는"),
        ("", "을", "을(를)"),
        ("中", "이", "中이(가)"),
    ],
)
def test_particles(word, particle, written) -> None:
    assert with_particle(word, particle) == written


@given(st.text(), st.sampled_from(sorted(FORMS)))
def test_a_particle_never_changes_the_word(word, particle) -> None:
    assert with_particle(word, particle).startswith(word)
    assert with_particle(word, particle)[len(word) :] in FORMS[particle]


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({"LANG": "ko_KR.UTF-8"}, "ko"),
        ({"LANG": "ko_KR.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "en_US.UTF-8", "NABI_LANG": "ko"}, "ko"),
        ({"LC_MESSAGES": "ko", "LANG": "de_DE"}, "ko"),
        ({"NABI_LANG": "", "LANG": "ko"}, "ko"),
        ({"NABI_LANG": "tlh"}, "en"),
        ({"LANG": "kok_IN"}, "en"),
        ({}, "en"),
    ],
    ids=str,
)
def test_the_language_is_that_of_the_variables(environment, language) -> None:
    assert language_of(environment=environment) == language


@pytest.mark.parametrize(("encoding", "korean"), [("utf-8", True), ("ascii", False)])
def test_a_process_speaks_the_language_of_its_locale(encoding, korean) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "NABI_LANG"}
    environment |= {"LC_ALL": "ko_KR.UTF-8", "PYTHONIOENCODING": encoding}
    run = subprocess.run(
        [sys.executable, "-m", "nabi", "predict", "gone.nabi", "x"],
        env=environment, capture_output=True, check=False,
    )  # fmt: skip
    assert run.returncode == 2
    said = run.stderr.decode("utf-8")
    assert ("파일" in said) is korean
    assert ("there is no model file" in said) is not korean


def test_python_programs_read_errors_in_english(monkeypatch) -> None:
    """Only the command translates: what a program catches is the same everywhere."""
    monkeypatch.setenv("NABI_LANG", "ko")
    with pytest.raises(NabiError, match="expected a whole number"):
        _checks.whole("units", 0)
